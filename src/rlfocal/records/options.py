"""The letter that a label or an answer to a multiple-choice query stands for.

Letters in all spellings, texts of options, numbers of options where the data leave no doubt
whether they count from 0 or from 1, and in the end the one option that is the same number: files
that were read as tables hold `1` for the option `1.0`, and the other way round.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.records.answers import Extractor, extractor
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["OptionReader", "option_extractor"]

_INDEX = r"^\s*[0-9]{1,2}\s*$"


@lru_cache(maxsize=4096)
def option_extractor(options: tuple[str, ...]) -> Extractor:
    """Reads letters of these options."""
    return extractor("choice", n_options=len(options), options=options)


def _exact(text: str, options: tuple[str, ...]) -> str | None:
    """The letter of the one option that reads just so: options may differ in case alone."""
    bare = text.strip()
    if len(bare) == 1 and bare in OPTION_LETTERS[: len(options)]:
        return None  # a letter, whatever the options are called
    return OPTION_LETTERS[options.index(bare)] if options.count(bare) == 1 else None


@lru_cache(maxsize=4096)
def _values(options: tuple[str, ...]) -> dict[str, str]:
    """Canonical number of an option → its letter; numbers that two options share are left out."""
    number = extractor("number").read
    found = [number(option) for option in options]
    return {
        value: letter
        for value, letter in zip(found, OPTION_LETTERS, strict=False)
        if value is not None and found.count(value) == 1
    }


def _by_value(text: str, options: tuple[str, ...]) -> str | None:
    """The letter of the one option that is the same number."""
    values = _values(options)
    value = extractor("number").read(text) if values else None
    return None if value is None else values.get(value)


class OptionReader:
    """Reads labels and answers of queries with choices.

    Args:
        queries: normalised.
        task: their tasks, encoded.
    """

    def __init__(self, queries: pa.Table, task: pa.DictionaryArray) -> None:
        self._choices = queries["choices"]
        self._task = task.indices.to_numpy()
        length = pc.fill_null(pc.list_value_length(queries["choices"]), 0)
        self._n_options = np.asarray(length.to_numpy(), dtype=np.int64)
        self._base: dict[int, int] = {}
        labels, rows = queries["label"].combine_chunks(), np.arange(len(self._task))
        self._valued = self._of_values(labels, rows)
        self._of_labels = self._bases(labels, rows)

    def label(self, text: str, row: int) -> str | None:
        """Letter of a label; None where it is no option or in doubt."""
        options = self._options(row)
        if options is None:
            return None
        letter = _exact(text, options) or option_extractor(options).read(text)
        if letter is None:
            letter = self._by_number(text, row, self._of_labels)
        return _by_value(text, options) if letter is None else letter

    def answer(self, text: str, row: int) -> str | None:
        """Letter of a recorded answer; None where it is no option or in doubt."""
        options = self._options(row)
        if options is None:
            return None
        reader = option_extractor(options)
        letter = _exact(text, options) or reader.read(text)
        if letter is None:
            letter = self._by_number(text, row, self._base) or _by_value(text, options)
        return reader.extract(text) if letter is None else letter

    def learn(self, answers: pa.Array, row: NDArray[np.int64]) -> None:
        """Find out from all answers of a task what a number among them means."""
        learnt = {t: b for t, b in self._bases(answers, row).items() if t not in self._of_labels}
        own = self._numbers(answers, row) if learnt else np.zeros(0, dtype=np.int64)
        for task, base in list(learnt.items()):
            numbers = own[self._task[row[own]] == task]
            if self._contradict(answers, row, numbers, base):
                del learnt[task]
        self._base = learnt | self._of_labels

    def _options(self, row: int) -> tuple[str, ...] | None:
        texts = self._choices[row].as_py()
        usable = 1 <= len(texts) <= len(OPTION_LETTERS) and None not in texts
        return tuple(texts) if usable else None  # what is not usable is refused by a check

    def _by_number(self, text: str, row: int, bases: dict[int, int]) -> str | None:
        base = bases.get(int(self._task[row]))
        if base is None or not re.match(_INDEX, text):
            return None
        index = int(text) - base
        return OPTION_LETTERS[index] if 0 <= index < self._n_options[row] else None

    def _bases(self, texts: pa.Array, row: NDArray[np.int64]) -> dict[int, int]:
        """Task → 0 or 1, what its numbers count from, where one of them tells.

        A 0 tells that they count from 0, the number of options that they count from 1. Both, or
        neither, leaves a doubt, and a number is no answer.
        """
        own = self._numbers(texts, row)
        if not len(own):
            return {}
        value = pc.cast(pc.utf8_trim_whitespace(texts.take(pa.array(own))), pa.int64()).to_numpy()
        at, last = row[own], self._n_options[row[own]]
        bases = {}
        for number in np.unique(self._task[at]).tolist():
            of_task = self._task[at] == number
            zero = bool((value[of_task] == 0).any())
            end = bool((value[of_task] == last[of_task]).any())
            beyond = bool((value[of_task] > last[of_task]).any())
            if zero != end and not beyond and number not in self._valued:
                bases[int(number)] = 0 if zero else 1
        return bases

    def _contradict(
        self, answers: pa.Array, row: NDArray[np.int64], own: NDArray[np.int64], base: int
    ) -> bool:
        """Whether a task's answers show that those of them in `own` are no numbers of options.

        So they do where, beside the 0 or the last number which tells their base, most are options'
        own values, and one of them stands for another option than its number would. Such values may
        have become letters already: so they do, too, where there is no other number, letters are,
        and all options are numbers.
        """
        texts = answers.take(pa.array(own)).to_pylist()
        valued, others, is_other, are_numbers = 0, 0, False, True
        for place, text in set(zip(row[own].tolist(), texts, strict=True)):
            index = int(text) - base
            letter = self._valued_letter(text, place)
            if letter is None and index in (0, self._n_options[place] - 1):
                are_numbers = are_numbers and self._are_numbers(place)
                continue  # such numbers told the base
            others += 1
            valued += letter is not None
            at = OPTION_LETTERS[index] if 0 <= index < self._n_options[place] else None
            is_other = is_other or (letter is not None and letter != at)
        if others == 0:
            known = row[(row >= 0) & np.asarray(answers.is_valid())]
            is_own = self._task[known] == self._task[row[own[0]]]
            return are_numbers and int(is_own.sum()) > len(own)
        return is_other and 2 * valued > others

    def _are_numbers(self, row: int) -> bool:
        """Whether all options are numbers, no two of them equal."""
        options = self._options(row)
        return options is not None and len(_values(options)) == len(options)

    def _valued_letter(self, text: str, row: int) -> str | None:
        """The letter of the option whose text or value a number is."""
        options = self._options(row)
        return None if options is None else _exact(text, options) or _by_value(text, options)

    def _numbers(self, texts: pa.Array, row: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[K]: places of texts that may be numbers of options of their query."""
        if not self._n_options.any():
            return np.zeros(0, dtype=np.int64)
        found = pc.fill_null(pc.match_substring_regex(texts, _INDEX), False)
        is_number = np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
        own = np.flatnonzero(is_number & (row >= 0))
        return own[self._n_options[row[own]] > 0]

    def _of_values(self, labels: pa.Array, row: NDArray[np.int64]) -> frozenset[int]:
        """Tasks whose labels are numbers each of which is an option's own value.

        They would be so by chance alone, were they numbers of options.
        """
        own, others = set(), set()
        for place in self._numbers(labels, row).tolist():
            task = int(self._task[place])
            if task in others:
                continue
            own.add(task)
            options = self._options(place)
            if options is None or _by_value(labels[place].as_py(), options) is None:
                others.add(task)
        return frozenset(own - others)

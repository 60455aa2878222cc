"""Multiple choice by log-likelihood: options, what they scored, and which one the target means."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from os.path import commonprefix
from typing import Any

from rlfocal.records.importers.lm_eval.documents import options_of
from rlfocal.records.schema import OPTION_LETTERS, clean

__all__ = ["Requests", "likelihoods", "readings", "requests_of"]


class Requests:
    """The requests of one document: its options, and each one's score under a metric.

    Attributes:
        options: texts, in the order of the requests.
        continuations: as they were asked for.
        scores: one per option, as the metric compares them.
    """

    def __init__(
        self, arguments: Sequence[Sequence[Any]], values: Sequence[float], doc: Any, metric: str
    ) -> None:
        contexts = [str(a[0]) for a in arguments]
        continuations = [clean(str(a[1])) for a in arguments]
        half = len(arguments) // 2
        again = continuations[:half] == continuations[half:] and contexts[0] != contexts[half]
        alone: Sequence[float] = ()
        if again and len(arguments) % 2 == 0 and len(set(continuations)) == half > 1:
            # acc_mutual_info asks every option once more without its question
            alone = values[half : 2 * half]
            contexts, continuations = contexts[:half], continuations[:half]
        self.continuations = continuations
        self.options = _options(contexts, continuations, doc)
        self.scores = _scores(list(values[: len(contexts)]), continuations, alone, metric)

    @property
    def best(self) -> int | None:
        """Index of the option that scored best, the first of equals; None among NaN."""
        if any(math.isnan(s) for s in self.scores):
            return None
        return self.scores.index(max(self.scores))


def likelihoods(responses: Sequence[Any]) -> list[float] | None:
    """Log-likelihoods when every response is a pair (log-likelihood, is_greedy), else None."""
    values = []
    for response in responses:
        if not (isinstance(response, list) and len(response) == 2):
            return None
        if str(response[1]) not in ("True", "False"):
            return None
        try:
            values.append(float(response[0]))
        except (TypeError, ValueError, OverflowError):
            return None
    return values or None


def readings(target: Any, requests: Requests) -> dict[str, tuple[int, ...]]:
    """What a target may mean: way of reading → indices of right options.

    A target is an index, an option's text or a letter, or a list of such; newer logs write all of
    them as text, so that "1" may be either.
    """
    found = {}
    for way, read in (("index", _as_index), ("text", _as_text), ("letter", _as_letter)):
        indices = [read(item, requests) for item in _items(target)]
        if indices and None not in indices:
            found[way] = tuple(i for i in indices if i is not None)
    return found


def _items(target: Any) -> list[Any]:
    if isinstance(target, list):
        return target
    text = str(target).strip()
    if re.fullmatch(r"\[\d+(, ?\d+)*\]", text):
        return [int(number) for number in re.findall(r"\d+", text)]
    return [target]


def _as_index(item: Any, requests: Requests) -> int | None:
    text = str(item).strip()
    if not re.fullmatch(r"[0-9]{1,4}", text):
        return None
    return int(text) if int(text) < len(requests.options) else None


def _as_text(item: Any, requests: Requests) -> int | None:
    text = clean(str(item)).strip()
    for texts in ([c.strip() for c in requests.continuations], list(requests.options)):
        if text in texts:
            return texts.index(text)
    return None


def _as_letter(item: Any, requests: Requests) -> int | None:
    text = str(item).strip().strip("().")
    if len(text) != 1 or text.upper() not in OPTION_LETTERS:
        return None
    index = OPTION_LETTERS.index(text.upper())
    return index if index < len(requests.options) else None


def _scores(
    values: list[float], continuations: Sequence[str], alone: Sequence[float], metric: str
) -> list[float]:
    """Log-likelihoods as a metric compares them: per character, per byte, or as a gain."""
    texts = [c.strip() for c in continuations]
    if metric == "acc_norm":
        return [v / max(len(t), 1) for v, t in zip(values, texts, strict=True)]
    if metric == "acc_bytes":
        return [v / max(len(t.encode()), 1) for v, t in zip(values, texts, strict=True)]
    if metric == "acc_mutual_info" and len(alone) == len(values):
        return [v - a for v, a in zip(values, alone, strict=True)]
    return values


def _options(contexts: Sequence[str], continuations: Sequence[str], doc: Any) -> tuple[str, ...]:
    """Texts of the options; where only letters were asked for, the document may hold the texts."""
    if len(set(continuations)) == 1 and len(set(contexts)) > 1:
        # The options stand inside the question: keep what differs, from the start of its word.
        start = commonprefix(contexts).rfind(" ") + 1  # noqa: RUF071
        return tuple(clean(c[start:].strip()) + continuations[0] for c in contexts)
    options = tuple(c.strip() for c in continuations)
    bare = tuple(o.strip("().") for o in options)
    if len(options) > len(OPTION_LETTERS) or bare != tuple(OPTION_LETTERS[: len(options)]):
        return options
    return options_of(doc, len(options)) or options


def requests_of(value: Any) -> list[list[Any]] | None:
    """Requests as lists of their arguments, whichever version logged them; None: none are there."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: (len(k), k))  # gen_args_2 before gen_args_10
        value = [value[k] for k in keys]
    if not isinstance(value, list):
        return None
    return [
        list(a.values()) if isinstance(a, dict) else a if isinstance(a, list) else [a]
        for a in value
    ]

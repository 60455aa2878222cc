"""What looks wrong in recorded data although it can be read: a line each, with the remedy.

Nothing is changed here and nothing refused. Each smell is something that right data rarely show: a
member that is never right, answers that are a label but for their spelling, two figures for one
thing. A line says what was counted, with an example that can be looked up.

Vectorised: a million responses take a fraction of a second.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlfocal.records.dataset import Dataset
from rlfocal.records.kinds import AS_THEY_ARE
from rlfocal.records.schema import CRITICISING
from rlfocal.records.smells.beside_labels import Bools, Ints, Rows, cut, fitted, short, worst
from rlfocal.records.smells.figures import FIGURES
from rlfocal.records.smells.spellings import A_DATE, NUMBERS, SPELLINGS, Alike, differ_in_signs
from rlfocal.records.tables.table import CandidateKind, ResponseTable

__all__ = ["smells"]

MANY = 20
"""Queries beyond which a member that is never right, or seldom usable, is more than bad luck."""
_WITHOUT_ANSWER = {CRITICISING, "verify"}
"""What readers do that give none, or none where they call a reply wrong."""
UNANSWERED = 50
"""Queries beyond which a label that nobody ever gives is more than a hard question."""
ALIKE = 0.9
"""Share of a task's labels beyond which one value is most of them."""
AT_LEAST, SHARE = 5, 0.05
"""Answers, and share of a member's, that must equal their label in another spelling."""
SAMPLE = 30_000
"""Wrong answers looked at; where something is found, all of that member's are."""
SHOWN = 5
_DECLARE = "; `answers` in dataset.json (number, choice, text, date, math) says what is equal"
_DATES = "; write dates as the labels do, or give them a task of their own whose `answers` are date"
_REWRITE = "; if they are meant to be equal, write answers as the labels are written"


def smells(dataset: Dataset, table: ResponseTable) -> tuple[str, ...]:
    """Say what looks wrong in a data set, of the members of its table.

    Returns:
        A line each, the gravest first; empty where nothing smells.
    """
    rows = Rows(dataset, table)
    found: list[str] = []
    for smell in (
        _never_right,
        _spelt_otherwise,
        _unusable,
        *FIGURES,
        _never_given,
        _one_label,
        _contradictions,
        _near_names,
    ):
        found += smell(rows)
    return tuple(found)


def _never_right(rows: Rows) -> Iterator[str]:
    """Members that score 0 throughout."""
    table = rows.table
    known = table.scored.sum(axis=0)
    total = np.where(table.scored, table.member_score, 0).sum(axis=0)
    never = (known > MANY) & (total == 0)
    if not never.all():  # who gave no usable answer at all is told so
        never &= (table.scored & (table.answer >= 0)).any(axis=0)
    if never.all() and len(never):
        yield (
            f"no member is ever right ({int(known.max()):,} queries): are labels and answers "
            f"written alike? {_example(rows)}`answers` in dataset.json says how they are compared"
        )
        return
    for number in np.flatnonzero(never).tolist():
        yield (
            f"{cut(table.members[number], 60)}: 0 % right on {int(known[number]):,} queries: look "
            f"how it writes its answers. {_example(rows, number)}".rstrip("; ")
        )


def _example(rows: Rows, member: int | None = None) -> str:
    """A wrong answer beside its label."""
    wrong = rows.compared & ~rows.equal
    if member is not None:
        wrong &= rows.member == member
    at = np.flatnonzero(wrong)
    if not len(at):
        return "It has no answer that could be compared; "
    first = at[:1000]
    plainly = first[~_alike(rows, first, differ_in_signs)]
    said = rows.pair(plainly)[1]
    return f"{said}; " if said else ""


def _spelt_otherwise(rows: Rows) -> Iterator[str]:
    """Wrong answers that are the label in another spelling."""
    wrong = rows.compared & ~rows.equal
    texts = np.flatnonzero(wrong & rows.of_kind(AS_THEY_ARE, "text", "math"))
    yield from _alike_up_to(rows, texts, SPELLINGS, _DECLARE)
    numbers = np.flatnonzero(wrong & rows.of_kind("number"))
    yield from _alike_up_to(rows, numbers, NUMBERS, _REWRITE)


def _alike_up_to(rows: Rows, wrong: Ints, ways: Mapping[str, Alike], remedy: str) -> Iterator[str]:
    """A line for each way in which many wrong answers of some member equal their label."""
    if not len(wrong):
        return
    sample, share = wrong, min(1.0, SAMPLE / len(wrong))
    if share < 1:  # drawn, since every k-th row may well be always the same member's
        sample = wrong[np.random.default_rng(0).random(len(wrong)) < share]
    n_members = rows.table.n_members
    labelled = np.bincount(rows.member[rows.compared], minlength=n_members)
    left = np.ones(len(sample), dtype=bool)
    gentler: list[Alike] = []
    for name, way in ways.items():
        own = sample[left]
        alike = _alike(rows, own, way)
        count = np.bincount(rows.member[own[alike]], minlength=n_members) / share
        smelly = np.flatnonzero((count >= AT_LEAST) & (count >= SHARE * labelled))
        found: list[tuple[int, int, Ints]] = []
        for member in smelly.tolist():
            rest = wrong if share < 1 else own
            mine = rest[rows.member[rest] == member]
            same = mine[_alike(rows, mine, way)]
            if share < 1:
                for before in gentler:  # these were said with another spelling
                    same = same[~_alike(rows, same, before)]
            if len(same) >= AT_LEAST:
                found.append((-len(same), member, same))
        if found:
            found.sort(key=lambda known: known[:2])
            yield _said(rows, name, found, _DATES if name == A_DATE else remedy)
        left[np.flatnonzero(left)[alike]] = False
        gentler.append(way)


def _alike(rows: Rows, at: Ints, way: Alike) -> Bools:
    """bool[at]: where answer and label are alike in this way."""
    if not len(at):
        return np.zeros(0, dtype=bool)
    places = pa.array(at)
    return way(rows.answer.take(places), rows.label.take(places))


def _said(rows: Rows, spelling: str, found: Sequence[tuple[int, int, Ints]], remedy: str) -> str:
    count, member, same = found[0]
    others = [f"{cut(rows.member_name(m), 40)} ({-n:,})" for n, m, _ in found[1:]]
    row, new = rows.pair(same)
    such = (
        f": {cut(rows.query_id(rows.query[row]))}: {short(rows.answer[row].as_py())} for "
        f"{short(rows.label[row].as_py())}"
        if new
        else ""
    )

    def line(most: int, shows: bool) -> str:
        so = f"; so do those of {worst(others, most, ', ')}" if others else ""
        return (
            f"{cut(rows.member_name(member), 40)}: {-count:,} wrong answers equal the label up to "
            f"{spelling}{such if shows else ''}{so}{remedy}"
        )

    return fitted(line)


def _unusable(rows: Rows) -> Iterator[str]:
    """Members most of whose replies hold no usable answer, but for those that need not give one."""
    table = rows.table
    forms = [""] * table.n_members if table.reads is None else table.reads.forms
    meant = np.array([form in _WITHOUT_ANSWER for form in forms])
    asked = table.recorded & (table.kind != CandidateKind.RESPONSES)[:, None]
    count = asked.sum(axis=0)
    none = (asked & (table.answer < 0)).sum(axis=0)
    for number in np.flatnonzero((count > MANY) & (2 * none > count) & ~meant).tolist():
        yield (
            f"{table.members[number]}: {int(none[number]):,} of {int(count[number]):,} replies "
            "hold no usable answer; look at the column `answer`, or give whole replies in `text`"
        )


def _never_given(rows: Rows) -> Iterator[str]:
    """Labels that stand on many queries and that nobody ever gave on any of them."""
    label = rows.queries["label"].combine_chunks().dictionary_encode()
    code = label.indices.fill_null(-1).to_numpy().astype(np.int64)
    n_labels = len(label.dictionary)
    asked = np.zeros(len(code), dtype=bool)
    asked[rows.query[rows.compared]] = True
    given = np.zeros(n_labels + 1, dtype=bool)
    given[code[rows.query[rows.equal]]] = True
    if not given.any():
        return  # nobody is ever right, which is said already
    count = np.bincount(code[asked & (code >= 0)], minlength=n_labels)
    missing = np.flatnonzero((count > UNANSWERED) & ~given[:-1])
    for number in missing[np.argsort(-count[missing], kind="stable")][:SHOWN].tolist():
        on_it = rows.compared & (code[rows.query] == number)
        common = pc.mode(rows.answer.filter(pa.array(on_it)).dictionary_encode().indices)
        values = rows.answer.filter(pa.array(on_it)).dictionary_encode().dictionary
        usual, right = values[int(common[0]["mode"].as_py())], label.dictionary[number].as_py()
        if differ_in_signs(pa.array([usual.as_py()]), pa.array([right]))[0]:
            continue  # -50 and 50 are no two spellings of one answer
        yield (
            f"label {short(right)} stands on {count[number]:,} queries and "
            f"no member ever gave it; most often they gave {short(usual.as_py())} there: write "
            "labels and answers in the same words"
        )


def _one_label(rows: Rows) -> Iterator[str]:
    """Tasks nearly all of whose labels are one value."""
    task = rows.queries["task"].combine_chunks().dictionary_encode()
    label = rows.queries["label"].combine_chunks().dictionary_encode()
    known = label.indices.is_valid().to_numpy(False)
    n_labels = max(len(label.dictionary), 1)
    pair = task.indices.to_numpy()[known].astype(np.int64) * n_labels
    pair += label.indices.drop_null().to_numpy()
    values, count = np.unique(pair, return_counts=True)
    of_task = np.bincount(values // n_labels, count, minlength=len(task.dictionary))
    total = of_task[values // n_labels]
    found = np.flatnonzero((total > MANY) & (count >= ALIKE * total))
    said = [
        f"{short(label.dictionary[int(values[i] % n_labels)].as_py())} in task "
        f"{short(task.dictionary[int(values[i] // n_labels)].as_py())} "
        f"({count[i]:,} of {int(total[i]):,})"
        for i in found.tolist()
    ]
    if said:
        yield fitted(
            lambda most, shows: (
                f"nearly all labels are one value: {worst(said, most)}: is `label` the right "
                "column, and are options in their original order?"
            )
        )


def _contradictions(rows: Rows) -> Iterator[str]:
    """Equal questions whose labels differ."""
    queries = rows.queries
    prompt = queries["prompt"].combine_chunks().dictionary_encode().indices.to_numpy()
    count = np.bincount(prompt)
    at = np.flatnonzero(count[prompt] > 1)
    if not len(at):
        return
    labels = queries["label"].take(pa.array(at)).to_pylist()
    choices = queries["choices"].take(pa.array(at)).to_pylist()
    first: dict[tuple[int, tuple[str, ...]], tuple[int, str]] = {}
    clashing: dict[tuple[int, tuple[str, ...]], tuple[int, int]] = {}
    for row, label, options in zip(at.tolist(), labels, choices, strict=True):
        if label is None:
            continue
        key = (int(prompt[row]), tuple(sorted(map(str, options or ()))))
        right = _option(label, options)
        before, seen = first.setdefault(key, (row, right))
        if seen != right:
            clashing.setdefault(key, (before, row))
    if clashing:
        one, other = (
            f"{cut(rows.query_id(row))} ({short(queries['label'][row].as_py())})"
            for row in next(iter(clashing.values()))
        )
        yield (
            f"{len(clashing):,} questions stand more than once with different labels, such as "
            f"{one} and {other}: nobody can be right on both"
        )


def _option(label: str, options: Sequence[str] | None) -> str:
    """What a label says: an option's text, else itself."""
    number = ord(label) - ord("A") if len(label) == 1 else -1
    return options[number] if options and 0 <= number < len(options) else label


def _near_names(rows: Rows) -> Iterator[str]:
    """Members whose names differ in case, blanks or dashes alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in rows.dataset.members:
        groups[re.sub(r"[\s_\-]+", "-", name.strip()).casefold()].append(name)
    count = Counter(rows.dataset.responses["member"].to_pylist()) if _repeated(groups) else {}
    for names in _repeated(groups)[:SHOWN]:
        listed = [f"{cut(name, 60)!r} ({count[name]:,} responses)" for name in names]
        yield fitted(
            lambda most, _, listed=listed: (  # type: ignore[misc]
                f"nearly equal names of members: {worst(listed, most, ', ')}; "
                "if they are one, write its name alike"
            )
        )


def _repeated(groups: dict[str, list[str]]) -> list[list[str]]:
    return [names for names in groups.values() if len(names) > 1]

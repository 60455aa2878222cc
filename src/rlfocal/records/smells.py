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
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.records.dataset import Dataset
from rlfocal.records.kinds import AS_THEY_ARE
from rlfocal.records.spellings import NUMBERS, SPELLINGS, Alike
from rlfocal.records.table import CandidateKind, ResponseTable

__all__ = ["smells"]

MANY = 20
"""Queries beyond which a member that is never right, or seldom usable, is more than bad luck."""
UNANSWERED = 50
"""Queries beyond which a label that nobody ever gives is more than a hard question."""
ALIKE = 0.9
"""Share of a task's labels beyond which one value is most of them."""
AT_LEAST, SHARE = 5, 0.05
"""Answers, and share of a member's, that must equal their label in another spelling."""
SAMPLE = 30_000
"""Wrong answers looked at; where something is found, all of that member's are."""
WORST, SHOWN = 3, 5
_DECLARE = "; `answers` in dataset.json (number, choice, text, date, math) says what is equal"
_REWRITE = "; if they are meant to be equal, write answers as the labels are written"
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def smells(dataset: Dataset, table: ResponseTable) -> tuple[str, ...]:
    """Say what looks wrong.

    Args:
        dataset: queries and responses.
        table: of the same data set; its members are the ones that are looked at.

    Returns:
        A line each, the gravest first; empty where nothing smells.
    """
    rows = _Rows(dataset, table)
    found: list[str] = []
    for smell in (
        _never_right,
        _spelt_otherwise,
        _unusable,
        _two_figures,
        _never_given,
        _one_label,
        _contradictions,
        _near_names,
    ):
        found += smell(rows)
    return tuple(found)


class _Rows:
    """Responses of the table's members beside the labels of their queries."""

    def __init__(self, dataset: Dataset, table: ResponseTable) -> None:
        self.dataset, self.table = dataset, table
        self.queries, responses = dataset.queries, dataset.responses
        found = pc.index_in(responses["member"], value_set=pa.array(table.members, pa.string()))
        self.member: Ints = np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)
        self.query: Ints = dataset.query_row
        own = self.member >= 0
        if not own.all():
            responses = responses.filter(pa.array(own))
            self.member, self.query = self.member[own], self.query[own]
        self.responses = responses
        ids = self.queries["query_id"].combine_chunks()
        place = pc.index_in(ids, value_set=pa.array(table.query_ids.tolist(), pa.string()))
        self._place: Ints = place.fill_null(-1).to_numpy().astype(np.int64)

    @cached_property
    def label(self) -> pa.Array:
        """string[R]: label of each response's query."""
        return self.queries["label"].combine_chunks().take(pa.array(self.query))

    @cached_property
    def answer(self) -> pa.Array:
        """string[R]."""
        return self.responses["answer"].combine_chunks()

    @cached_property
    def compared(self) -> Bools:
        """bool[R]: True where there are an answer and a label."""
        both = pc.and_(self.label.is_valid(), self.answer.is_valid())
        return np.asarray(both.to_numpy(zero_copy_only=False), dtype=bool)

    @cached_property
    def equal(self) -> Bools:
        """bool[R]: True where the answer is the label."""
        same = pc.equal(self.answer, self.label).fill_null(False)
        return np.asarray(same.to_numpy(zero_copy_only=False), dtype=bool)

    def of_kind(self, *kinds: str) -> Bools:
        """bool[R]: responses to open questions of tasks of one of these kinds."""
        task = self.queries["task"].combine_chunks().dictionary_encode()
        known = self.dataset.kinds
        wanted = [t in known and known[t].name in kinds for t in task.dictionary.to_pylist()]
        is_open = self.queries["choices"].is_null().to_numpy()
        own = np.array(wanted, dtype=bool)[task.indices.to_numpy()] & is_open
        return np.asarray(own[self.query])

    def in_table(self, rows: Bools) -> tuple[Ints, Ints, Ints]:
        """Those of the rows whose query the table has; and their query and member there."""
        own = np.flatnonzero(rows & (self._place[self.query] >= 0))
        return own, self._place[self.query[own]], self.member[own]

    def member_name(self, number: int) -> str:
        """Name of a member."""
        return self.table.members[number]

    def query_id(self, row: int) -> str:
        """Id of a query, by its row among the queries."""
        return str(self.queries["query_id"][row].as_py())


def _never_right(rows: _Rows) -> Iterator[str]:
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
            f"written alike? {_example(rows)}; `answers` in dataset.json says how they are compared"
        )
        return
    for number in np.flatnonzero(never).tolist():
        yield (
            f"{table.members[number]}: 0 % right on {int(known[number]):,} queries: look how it "
            f"writes its answers. {_example(rows, number)}"
        )


def _example(rows: _Rows, member: int | None = None) -> str:
    """A wrong answer beside its label."""
    wrong = rows.compared & ~rows.equal
    if member is not None:
        wrong &= rows.member == member
    at = np.flatnonzero(wrong)
    if not len(at):
        return "It has no answer that could be compared"
    row = int(at[0])
    return (
        f"{rows.query_id(rows.query[row])}: answer {_short(rows.answer[row])}, label "
        f"{_short(rows.label[row])}"
    )


def _spelt_otherwise(rows: _Rows) -> Iterator[str]:
    """Wrong answers that are the label in another spelling."""
    wrong = rows.compared & ~rows.equal
    texts = np.flatnonzero(wrong & rows.of_kind(AS_THEY_ARE, "text", "math"))
    yield from _alike_up_to(rows, texts, SPELLINGS, _DECLARE)
    numbers = np.flatnonzero(wrong & rows.of_kind("number"))
    yield from _alike_up_to(rows, numbers, NUMBERS, _REWRITE)


def _alike_up_to(rows: _Rows, wrong: Ints, ways: Mapping[str, Alike], remedy: str) -> Iterator[str]:
    """A line for each way in which many wrong answers of some member equal their label."""
    if not len(wrong):
        return
    sample, share = wrong, min(1.0, SAMPLE / len(wrong))
    if share < 1:  # drawn, since every k-th row may well be always the same member's
        sample = wrong[np.random.default_rng(0).random(len(wrong)) < share]
    n_members = rows.table.n_members
    labelled = np.bincount(rows.member[rows.compared], minlength=n_members)
    left = np.ones(len(sample), dtype=bool)
    for name, way in ways.items():
        own = sample[left]
        alike = _alike(rows, own, way)
        count = np.bincount(rows.member[own[alike]], minlength=n_members) / share
        smelly = np.flatnonzero((count >= AT_LEAST) & (count >= SHARE * labelled))
        found: list[tuple[int, int, int]] = []
        for member in smelly.tolist():
            rest = wrong if share < 1 else own
            mine = rest[rows.member[rest] == member]
            same = mine[_alike(rows, mine, way)]
            if len(same) >= AT_LEAST:
                found.append((-len(same), member, int(same[0])))
        if found:
            yield _said(rows, name, sorted(found)) + remedy
        left[np.flatnonzero(left)[alike]] = False


def _alike(rows: _Rows, at: Ints, way: Alike) -> Bools:
    """bool[at]: where answer and label are alike in this way."""
    if not len(at):
        return np.zeros(0, dtype=bool)
    places = pa.array(at)
    return way(rows.answer.take(places), rows.label.take(places))


def _said(rows: _Rows, spelling: str, found: Sequence[tuple[int, int, int]]) -> str:
    count, member, row = found[0]
    others = [f"{rows.member_name(m)} ({-n:,})" for n, m, _ in found[1 : 1 + WORST]]
    if len(found) > 1 + WORST:
        others.append(f"... {len(found)} members in all")
    return (
        f"{rows.member_name(member)}: {-count:,} wrong answers equal the label up to {spelling}: "
        f"{rows.query_id(rows.query[row])}: {_short(rows.answer[row])} for "
        f"{_short(rows.label[row])}" + (f"; so do those of {', '.join(others)}" if others else "")
    )


def _unusable(rows: _Rows) -> Iterator[str]:
    """Members most of whose replies hold no usable answer."""
    table = rows.table
    asked = table.recorded & (table.kind != CandidateKind.RESPONSES)[:, None]
    count = asked.sum(axis=0)
    none = (asked & (table.answer < 0)).sum(axis=0)
    for number in np.flatnonzero((count > MANY) & (2 * none > count)).tolist():
        yield (
            f"{table.members[number]}: {int(none[number]):,} of {int(count[number]):,} replies "
            "hold no usable answer; look at the column `answer`, or give whole replies in `text`"
        )


def _two_figures(rows: _Rows) -> Iterator[str]:
    """Scores that the data bring along, where the label says otherwise."""
    table, responses = rows.table, rows.responses
    score = responses["score"].combine_chunks()
    if score.null_count == len(score):
        return
    both = np.asarray(pc.and_(score.is_valid(), rows.label.is_valid()).to_numpy(False), dtype=bool)
    at, query, member = rows.in_table(both)
    if not len(at):
        return
    theirs = score.fill_null(0).to_numpy()[at]
    ours = table.member_score[query, member]
    differ = (np.abs(theirs - ours) >= 0.5) & table.scored[query, member]
    if not differ.any():
        return
    n = table.n_members
    worse = np.bincount(member[differ], minlength=n)
    count = np.maximum(np.bincount(member, minlength=n), 1)
    their_mean = np.bincount(member, theirs, minlength=n) / count
    our_mean = np.bincount(member, ours, minlength=n) / count
    worst = np.argsort(-worse, kind="stable")[:WORST]
    listed = "; ".join(
        f"{table.members[m]} {100 * their_mean[m]:.1f} % by its scores, {100 * our_mean[m]:.1f} % "
        f"here ({worse[m]:,} differ)"
        for m in worst.tolist()
        if worse[m]
    )
    row = int(at[differ][0])
    yield (
        f"two figures: of {len(at):,} responses with a score and a label, {int(differ.sum()):,} "
        f"are judged otherwise by the score than here: {listed}; such as "
        f"{rows.query_id(rows.query[row])}: answer {_short(rows.answer[row])}, label "
        f"{_short(rows.label[row])}, score {score[row].as_py():g}. The label counts; without the "
        "column `label` the scores do"
    )


def _never_given(rows: _Rows) -> Iterator[str]:
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
        usual = values[int(common[0]["mode"].as_py())]
        yield (
            f"label {_short(label.dictionary[number])} stands on {count[number]:,} queries and no "
            f"member ever gave it; most often they gave {_short(usual)} there: write labels and "
            "answers in the same words"
        )


def _one_label(rows: _Rows) -> Iterator[str]:
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
        f"{task.dictionary[int(values[i] // n_labels)].as_py()} "
        f"{_short(label.dictionary[int(values[i] % n_labels)])} ({count[i]:,} of {int(total[i]):,})"
        for i in found.tolist()
    ]
    if said:
        more = f", ... {len(said)} tasks" if len(said) > SHOWN else ""
        yield (
            f"nearly all labels are one value: {', '.join(said[:SHOWN])}{more}: is `label` the "
            "right column, and are options in their original order?"
        )


def _contradictions(rows: _Rows) -> Iterator[str]:
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
        one, other = next(iter(clashing.values()))
        yield (
            f"{len(clashing):,} questions stand more than once with different labels, such as "
            f"{rows.query_id(one)} ({_short(queries['label'][one])}) and {rows.query_id(other)} "
            f"({_short(queries['label'][other])}): nobody can be right on both"
        )


def _option(label: str, options: Sequence[str] | None) -> str:
    """What a label says: an option's text, else itself."""
    number = ord(label) - ord("A") if len(label) == 1 else -1
    return options[number] if options and 0 <= number < len(options) else label


def _near_names(rows: _Rows) -> Iterator[str]:
    """Members whose names differ in case, blanks or dashes alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in rows.dataset.members:
        groups[re.sub(r"[\s_\-]+", "-", name.strip()).casefold()].append(name)
    count = Counter(rows.dataset.responses["member"].to_pylist()) if _repeated(groups) else {}
    for names in _repeated(groups)[:SHOWN]:
        listed = ", ".join(f"{name!r} ({count[name]:,} responses)" for name in names)
        yield f"nearly equal names of members: {listed}; if they are one, write its name alike"


def _repeated(groups: dict[str, list[str]]) -> list[list[str]]:
    return [names for names in groups.values() if len(names) > 1]


def _short(value: pa.Scalar) -> str:
    text = str(value.as_py())
    return repr(text if len(text) <= 40 else text[:37] + "...")

"""Biases of judges: position, length, their own family; and whether they hold to their verdict.

A verdict is one sample of a judge with the replies that it was shown, in order. Verdicts on one
reply alone choose nothing, and are left out.

Axes: Q queries, N members.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlfocal.bench.summaries.reading.shares import Share
from rlfocal.records import Dataset, FloatArray, ResponseTable

__all__ = ["JudgeBias", "Verdict", "judge_biases", "named_by", "verdicts_of"]

_RIGHT = 0.5
"""A reply that scores so much is right."""


@dataclass(frozen=True)
class Verdict:
    """What one sample of a judge was shown, and whom it named."""

    query: int
    """Row of the table."""
    sample: int
    shown: tuple[str, ...]
    """Members whose replies it was shown, in order."""
    place: int | None
    """Place of the reply it named; -1 for none of them, None where it named none clearly."""

    @property
    def named(self) -> str | None:
        """The member whose reply it named."""
        clear = self.place is not None and 0 <= self.place < len(self.shown)
        return self.shown[self.place] if clear and self.place is not None else None


@dataclass(frozen=True, kw_only=True)
class JudgeBias:
    """One judge. Shares are of clear verdicts between two replies or more.

    Alike are replies that are worth the same: between them quality decides nothing.
    """

    judge: str
    n_verdicts: int
    unclear: Share
    """Verdicts that name no reply."""
    by_place: tuple[Share, ...]
    """First place, second place, ...: it names the reply that stands there, where one does."""
    first_alike: Share
    """It names the first of replies that are alike."""
    consistent: Share
    """Of verdicts on the same replies in another order, two by two, both clear: they name the same
    reply."""
    stuck: Share
    """Of the same: they name the same place, which is another reply."""
    names_right: Share
    """Where some of the replies are right and others are not: it names a right one."""
    longest: Share | None
    """It names the longest; None where lengths are not recorded."""
    longest_alike: Share | None
    """It names the longest of replies that are alike."""
    family: Share | None
    """It names a reply of its own family where some, not all, of the replies are; None where nobody
    says which members are."""
    family_alike: Share | None
    """The same among replies that are alike."""


def verdicts_of(table: ResponseTable, dataset: Dataset, judge: str) -> list[Verdict]:
    """All recorded verdicts of a judge on the queries of a table, in their order.

    Args:
        table: of the queries.
        dataset: what it was built from.
        judge: a member.
    """
    rows = dataset.responses
    if not {"shown", "verdicts"} <= set(rows.column_names):
        return []
    place = {query: q for q, query in enumerate(table.query_ids.tolist())}
    own = rows.filter(pc.equal(rows["member"], judge)).select(["query_id", "shown", "verdicts"])
    found = [
        Verdict(place[row["query_id"]], sample, tuple(shown or ()), said)
        for row in own.to_pylist()
        if row["query_id"] in place
        for sample, (shown, said) in enumerate(
            zip(row["shown"] or (), row["verdicts"] or (), strict=False)
        )
    ]
    return sorted(found, key=lambda one: (one.query, one.sample))


def named_by(table: ResponseTable, verdicts: Mapping[str, Sequence[Verdict]]) -> FloatArray:
    """float32[Q, N, N]: the share of a judge's clear verdicts (row) that name each member (column).

    All zero where it gave none.
    """
    place = {name: n for n, name in enumerate(table.members)}
    found = np.zeros((table.n_queries, table.n_members, table.n_members), dtype=np.float32)
    for judge, given in verdicts.items():
        for one in given:
            if one.named in place:
                found[one.query, place[judge], place[one.named]] += 1
    total = found.sum(axis=2, keepdims=True)
    return np.asarray(found / np.maximum(total, 1), dtype=np.float32)


def judge_biases(
    table: ResponseTable,
    dataset: Dataset,
    verdicts: Mapping[str, Sequence[Verdict]],
    *,
    family: Mapping[str, Collection[str]],
) -> tuple[JudgeBias, ...]:
    """Measure every judge.

    Args:
        table: of the queries.
        dataset: what it was built from, for the lengths of replies.
        verdicts: by judge.
        family: judge → members that share its model.
    """
    lengths = _lengths(table, dataset)
    worth = _Worth(table)
    return tuple(
        _bias(judge, given, worth, lengths, family.get(judge))
        for judge, given in verdicts.items()
        if any(len(one.shown) > 1 for one in given)
    )


class _Worth:
    """What the replies of verdicts are worth."""

    def __init__(self, table: ResponseTable) -> None:
        self._table = table
        self._place = {name: n for n, name in enumerate(table.members)}

    def of(self, verdict: Verdict) -> list[float] | None:
        """Scores of those shown, in order; None where one is not known."""
        places = [self._place.get(name) for name in verdict.shown]
        known = [n for n in places if n is not None and self._table.scored[verdict.query, n]]
        if len(known) < len(places):
            return None
        return [float(self._table.member_score[verdict.query, n]) for n in known]

    def alike(self, verdict: Verdict) -> bool:
        """Whether all of them are worth the same."""
        scores = self.of(verdict)
        return scores is not None and len(set(scores)) == 1


def _bias(
    judge: str,
    given: Sequence[Verdict],
    worth: _Worth,
    lengths: Mapping[tuple[int, str], int] | None,
    family: Collection[str] | None,
) -> JudgeBias:
    chosen = [one for one in given if len(one.shown) > 1]
    clear = [one for one in chosen if one.named is not None]
    alike = [one for one in clear if worth.alike(one)]
    most = max((len(one.shown) for one in clear), default=0)
    same = [(one, other) for one, other in _turned(chosen) if one.named and other.named]
    mixed = [one for one in clear if _is_mixed(worth.of(one))]
    return JudgeBias(
        judge=judge,
        n_verdicts=len(chosen),
        unclear=Share(len(chosen) - len(clear), len(chosen)),
        by_place=tuple(_at_place(clear, place) for place in range(most)),
        first_alike=_at_place(alike, 0),
        consistent=Share(sum(one.named == other.named for one, other in same), len(same)),
        stuck=Share(
            sum(one.place == other.place and one.named != other.named for one, other in same),
            len(same),
        ),
        names_right=_naming(mixed, lambda one: _right(one, worth)),
        longest=None if lengths is None else _naming(clear, lambda one: _longest(one, lengths)),
        longest_alike=None
        if lengths is None
        else _naming(alike, lambda one: _longest(one, lengths)),
        family=None if family is None else _naming(clear, lambda one: _kin(one, family)),
        family_alike=None if family is None else _naming(alike, lambda one: _kin(one, family)),
    )


def _at_place(verdicts: Sequence[Verdict], place: int) -> Share:
    long = [one for one in verdicts if len(one.shown) > place]
    chance = float(np.mean([1 / len(one.shown) for one in long])) if long else None
    return Share(sum(one.place == place for one in long), len(long), chance)


def _turned(verdicts: Sequence[Verdict]) -> Iterator[tuple[Verdict, Verdict]]:
    """Verdicts on the same replies of a query in another order, each one in one pair at most."""
    waiting: dict[tuple[int, tuple[str, ...]], list[Verdict]] = {}
    for one in verdicts:
        others = waiting.setdefault((one.query, tuple(sorted(one.shown))), [])
        other = next((other for other in others if other.shown != one.shown), None)
        if other is None:
            others.append(one)
        else:
            others.remove(other)
            yield other, one


def _naming(verdicts: Sequence[Verdict], wanted: Callable[[Verdict], Collection[str]]) -> Share:
    """How often one of those wanted is named, where some of the shown are wanted, and not all."""
    count = n = 0
    chance = 0.0
    for one in verdicts:
        names = wanted(one)
        if names and len(names) < len(one.shown):
            n, count = n + 1, count + (one.named in names)
            chance += len(names) / len(one.shown)
    return Share(count, n, chance / n if n else None)


def _longest(verdict: Verdict, lengths: Mapping[tuple[int, str], int]) -> set[str]:
    found = {name: lengths.get((verdict.query, name)) for name in verdict.shown}
    known = [length for length in found.values() if length is not None]
    if len(known) < len(found):
        return set()
    return {name for name, length in found.items() if length == max(known)}


def _kin(verdict: Verdict, family: Collection[str]) -> set[str]:
    return {name for name in verdict.shown if name in family}


def _right(verdict: Verdict, worth: _Worth) -> set[str]:
    scores = worth.of(verdict) or []
    return {name for name, score in zip(verdict.shown, scores, strict=False) if score >= _RIGHT}


def _is_mixed(scores: Sequence[float] | None) -> bool:
    return scores is not None and min(scores) < _RIGHT <= max(scores)


def _lengths(table: ResponseTable, dataset: Dataset) -> dict[tuple[int, str], int] | None:
    """Characters of every reply, by row of the table and member; None where none is recorded."""
    rows = dataset.responses
    known = [name for name in ("response_chars", "text") if name in rows.column_names]
    if not known:
        return None
    n_chars = pa.nulls(rows.num_rows, pa.int64())
    for name in known:
        column = rows[name] if name == "response_chars" else pc.utf8_length(rows[name])
        n_chars = pc.coalesce(n_chars, column.cast(pa.int64()))
    place = {query: q for q, query in enumerate(table.query_ids.tolist())}
    cells = zip(
        rows["query_id"].to_pylist(), rows["member"].to_pylist(), n_chars.to_pylist(), strict=True
    )
    found = {
        (place[query], member): n for query, member, n in cells if query in place and n is not None
    }
    return found or None

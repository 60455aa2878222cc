"""Queries and what was replied to them, a few at a time: rows of a data set, in their order.

Every portion is whole: all rows of its queries, and all replies to them.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from rlfocal.readers import ReaderInfo
from rlfocal.records.database.keys import key_of
from rlfocal.records.database.readings import fresh_readings, in_turn
from rlfocal.records.database.rows import StoredResponse
from rlfocal.records.database.schema import queries as queries_table
from rlfocal.records.database.schema import responses as responses_table
from rlfocal.records.database.store import Database, chunks
from rlfocal.records.samples import agreed
from rlfocal.records.schema import JUDGING, SIGNAL
from rlfocal.tokens import TokenLogprobs

__all__ = ["Portion", "portions"]

_REPLIES = 20_000
"""As many as a portion has at most where every member replied once."""
_MOST_QUERIES = 2000
_Labels = dict[str, set[str | None]]
_log = logging.getLogger(__name__)


class Portion(NamedTuple):
    """Rows of a data set."""

    queries: list[dict[str, Any]]
    responses: list[dict[str, Any]]


def portions(
    database: Database, chosen: Mapping[str, str], readers: Mapping[str, ReaderInfo]
) -> Iterator[Portion]:
    """All of a database, portion by portion; what was left out is said at the end.

    Args:
        database: where from.
        chosen: member → settings_key.
        readers: those of the members that read others.
    """
    turn = [name for name in in_turn(list(chosen), readers) if name in readers]
    at_once = max(1, min(_MOST_QUERIES, _REPLIES // max(1, len(chosen))))
    counts: Counter[str] = Counter()
    last = -1
    while firsts := _firsts(database, last, at_once):
        last = firsts[-1][0]
        queries, judged = _queries(database, [identity for _, *identity in firsts], counts)
        _add_replies(database, queries, chosen, judged)
        stale = {key for query in queries for key in query.settle(turn, readers)}
        counts["stale"] += len(stale)
        silent = [query for query in queries if not query.replies]
        failed = database.failed_among(key for q in silent for key in q.keys(chosen))
        asked = [q for q in queries if q.replies or not failed.isdisjoint(q.keys(chosen))]
        counts["unasked"] += len(queries) - len(asked)
        yield Portion(
            [query.row | {"query_id": query.name} for query in asked],
            [
                {"query_id": query.name, "member": member}
                | _row(query.replies[member], query.row, judged, readers.get(member))
                for query in asked
                for member in chosen
                if member in query.replies
            ],
        )
    for name, what in _SAID.items():
        if counts[name]:
            _log.warning("%s: %d %s", database, counts[name], what)


_SAID = {
    "relabelled": "queries came again, labelled otherwise; the latest counts",
    "renamed": "queries have the query_id of another one and get a longer one",
    "stale": "replies of readers are left out, since those whom they read say something else by "
    "now; `rlfocal collect` asks them again",
    "unasked": "queries that nobody was asked are left out",
}


@dataclass
class _Query:
    """A query as it goes out: the row registered last of those with its id and what it reads."""

    name: str
    row: dict[str, Any]
    digests: set[str]
    """Of all its rows."""
    replies: dict[str, dict[int, StoredResponse]] = field(default_factory=dict)
    """Member → sample → reply."""
    readings: dict[str, list[StoredResponse]] = field(default_factory=dict)
    """Member → replies to what it was shown, until it is known which of them count."""

    def add(self, reply: StoredResponse) -> None:
        if reply.shown_key is not None:
            self.readings.setdefault(reply.member, []).append(reply)
            return
        samples = self.replies.setdefault(reply.member, {})
        if reply.sample not in samples or reply.query_key == self.row["digest"]:
            samples[reply.sample] = reply

    def settle(self, turn: Sequence[str], readers: Mapping[str, ReaderInfo]) -> set[str]:
        """Choose among the replies of readers, in that order; keys of those left out."""
        stale: set[str] = set()
        for member in turn:
            given = self.readings.pop(member, [])
            fresh = fresh_readings(readers[member], given, self.replies)
            stale |= {reply.key for reply in given} - {reply.key for reply in fresh.values()}
            if fresh:
                self.replies.setdefault(member, {}).update(fresh)
        return stale

    def keys(self, chosen: Mapping[str, str]) -> list[str]:
        """Of the first call of each member."""
        return [key_of(self.row["query_key"], member, key) for member, key in chosen.items()]


def _firsts(database: Database, last: int, n: int) -> list[tuple[int, str, str]]:
    """Position, id and key of the next queries, by the first of their rows."""
    q, before = queries_table.c, queries_table.alias()
    same = (before.c.query_id == q.query_id) & (before.c.query_key == q.query_key)
    earlier = sa.exists().where(same, before.c.position < q.position)
    statement = sa.select(q.position, q.query_id, q.query_key).where(q.position > last, ~earlier)
    with database.connections.read() as connection:
        rows = connection.execute(statement.order_by(q.position).limit(n))
        return [(row.position, row.query_id, row.query_key) for row in rows]


def _queries(
    database: Database, identities: Sequence[Sequence[str]], counts: Counter[str]
) -> tuple[list[_Query], _Labels]:
    """These queries, as they go out; and the labels that their rows have, by digest."""
    q = queries_table.c
    wanted: dict[tuple[str, str], list[dict[str, Any]]]
    wanted = {(query_id, key): [] for query_id, key in identities}
    first: dict[str, tuple[str, str]] = {}
    names = sorted({query_id for query_id, _ in wanted})
    statement = sa.select(queries_table).where(q.query_id.in_(names)).order_by(q.position)
    with database.connections.read() as connection:
        for row in map(dict, connection.execute(statement).mappings()):
            identity = row["query_id"], row["query_key"]
            first.setdefault(row["query_id"], identity)
            if identity in wanted:
                wanted[identity].append(row)
    queries, judged = [], {}
    for identity, rows in wanted.items():
        name, latest = identity[0], max(rows, key=lambda row: int(row["registered"]))
        if first[name] != identity:
            counts["renamed"] += 1
            name = f"{name}~{rows[0]['digest'][:8]}"
        counts["relabelled"] += len(rows) - 1
        queries.append(_Query(name, latest, {row["digest"] for row in rows}))
        judged.update({row["digest"]: {row["label"]} for row in rows})
    return queries, judged


def _add_replies(
    database: Database, queries: Sequence[_Query], chosen: Mapping[str, str], judged: _Labels
) -> None:
    """Give queries the replies to them, and note by which labels they were judged."""
    targets: dict[str, list[_Query]] = {}
    for query in queries:
        for key in {query.row["query_key"], *query.digests}:
            targets.setdefault(key, []).append(query)
    r, q = responses_table.c, queries_table.c
    live: set[str] = set()
    with database.connections.read() as connection:
        for keys in chunks(targets):
            statement = sa.select(responses_table).where(
                r.query_key.in_(keys), r.member.in_(list(chosen))
            )
            for row in map(dict, connection.execute(statement).mappings()):
                del row["key"]
                if row["settings_key"] == chosen[row["member"]]:
                    reply = StoredResponse(**row)
                    for query in targets[reply.query_key]:
                        query.add(reply)
                    live.add(reply.query_key)
        for keys in chunks(live - judged.keys()):
            labels = sa.select(q.query_key, q.label).where(q.query_key.in_(keys)).distinct()
            for key, label in connection.execute(labels):
                judged.setdefault(key, set()).add(label)


def _row(
    replies: Mapping[int, StoredResponse],
    query: Mapping[str, Any],
    judged: _Labels,
    reader: ReaderInfo | None,
) -> dict[str, Any]:
    """One row for all samples of one query and member."""
    ordered = [replies[sample] for sample in sorted(replies)]
    first = ordered[_typical(ordered)]
    costs = [reply.cost_usd for reply in ordered]
    latencies = [reply.latency_s for reply in ordered if reply.latency_s is not None]
    live = first.query_key == query["query_key"]
    return {
        "answer": first.answer,
        "score": first.score if judged[first.query_key] == {query["label"]} else None,
        "choice_scores": first.choice_scores,
        "samples": [reply.answer for reply in ordered] if len(ordered) > 1 else first.samples,
        "text": first.text,
        "cost_usd": None if None in costs else sum(cost for cost in costs if cost is not None),
        "latency_s": sum(latencies) / len(latencies) if latencies else None,
        "response_chars": len(first.text or "") if live else first.response_chars,
        "finish": first.finish,
        "n_prompt_tokens": first.n_prompt_tokens,
        "n_completion_tokens": first.n_completion_tokens,
        **_tokens(first.tokens),
        **_readings(ordered, reader),
        **{SIGNAL + name: value for name, value in (first.signals or {}).items()},
    }


def _typical(ordered: Sequence[StoredResponse]) -> int:
    """The reply that stands for several: by the answers, or by whom judges name without any."""
    answers = [reply.answer for reply in ordered]
    if set(answers) == {None}:
        answers = [_named(reply) for reply in ordered]
    return agreed(answers)


def _named(reply: StoredResponse) -> str | None:
    named, shown = reply.verdict, reply.shown or ()
    return shown[named] if named is not None and 0 <= named < len(shown) else None


def _readings(ordered: Sequence[StoredResponse], reader: ReaderInfo | None) -> dict[str, Any]:
    """Columns of a reader: what each sample was shown, and whom a judge named."""
    if reader is None:
        return {}
    if ordered[0].shown_key is None:
        return dict(ordered[0].readings or {})
    found: dict[str, Any] = {"shown": [list(reply.shown or ()) for reply in ordered]}
    if reader.reading in JUDGING:
        found["verdicts"] = [reply.verdict for reply in ordered]
    return found


def _tokens(tokens: TokenLogprobs | None) -> dict[str, Any]:
    """Columns of a reply's tokens."""
    if tokens is None:
        return {}
    logprob = [None if math.isnan(value) else value for value in tokens.logprob.tolist()]
    return {"token_chars": tokens.chars.tolist(), "token_logprobs": logprob}

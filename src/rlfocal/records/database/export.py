"""From a database to a data set: all that came back becomes one row per query and member.

Nothing that was judged against one label is passed on under another.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from rlfocal.errors import ConfigError, nearest
from rlfocal.readers import ReaderInfo
from rlfocal.records.database.keys import key_of
from rlfocal.records.database.readings import fresh_readings, in_turn, reader_of, without
from rlfocal.records.database.rows import StoredResponse
from rlfocal.records.database.schema import members as members_table
from rlfocal.records.database.schema import queries as queries_table
from rlfocal.records.database.schema import responses as responses_table
from rlfocal.records.database.store import Database
from rlfocal.records.dataset import Dataset
from rlfocal.records.samples import agreed
from rlfocal.records.schema import (
    JUDGING,
    QUERIES,
    SIGNAL,
    DatasetInfo,
    table_of,
    with_signals,
)
from rlfocal.tokens import TokenLogprobs

__all__ = ["export_dataset"]

_BATCH = 5000
_Labels = dict[str, set[str | None]]
_log = logging.getLogger(__name__)


def export_dataset(
    database: Database,
    *,
    members: Sequence[str] | None = None,
    settings: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Dataset:
    """Make a data set of the queries that members were asked, and of what they answered.

    Of repeated calls the row holds the most frequent answer, the earlier one on a tie, with the
    text, score, option scores, tokens and signals of the first reply that gave it; costs are added
    up, and latencies averaged. A query that was relabelled counts with its latest label, and scores
    given under another label are left out. Of two prompts under one query_id the later is renamed.
    Of a reader's replies those count that were given to the replies exported beside them.

    Args:
        database: where from.
        members: whose answers; None for all.
        settings: member → settings_key; a member not named here is taken as it was added last.
        name: of the data set; None: as imported, else the database's name.

    Raises:
        ConfigError: a member or its settings are not there, or a reader is to go without those whom
            it reads.
        RecordError: there is nothing that can be measured.
    """
    chosen = _choose_settings(database, members, dict(settings or {}))
    described = _Description.of(database, chosen)
    described.check_readers(database)
    queries, targets, judged = _read_queries(database)
    for response in _read_responses(database, chosen):
        for query in targets.get(response.query_key, ()):
            query.add(response)
    turn = [name for name in in_turn(list(chosen), described.readers) if name in described.readers]
    stale = {key for query in queries for key in query.settle(turn, described.readers)}
    _warn(
        database,
        len(stale),
        "replies of readers are left out, since those whom they read say something else by now; "
        "`rlfocal collect` asks them again",
    )
    failed = database.failed_keys(members=list(chosen))
    asked = [query for query in queries if query.replies or query.failed_in(failed, chosen)]
    _warn(database, len(queries) - len(asked), "queries that nobody was asked are left out")
    rows = [
        {"query_id": query.name, "member": member}
        | _row(query.replies[member], query.row, judged, described.readers.get(member))
        for query in asked
        for member in chosen
        if member in query.replies
    ]
    columns = with_signals(sorted({column for row in rows for column in row}))
    info = described.info(database, {row["member"] for row in rows})
    return Dataset(
        name or info.name or database.connections.name,
        table_of([query.row | {"query_id": query.name} for query in asked], QUERIES),
        table_of(rows, columns),
        info,
    )


@dataclass
class _Query:
    """A query as it goes out: the row registered last of those with its id and what it reads."""

    name: str
    row: dict[str, Any]
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

    def failed_in(self, failed: set[str], chosen: Mapping[str, str]) -> bool:
        keys = (key_of(self.row["query_key"], member, key) for member, key in chosen.items())
        return not failed.isdisjoint(keys)


def _choose_settings(
    database: Database, members: Sequence[str] | None, wanted: dict[str, str]
) -> dict[str, str]:
    """Member → the settings_key to export, in order."""
    r, m = responses_table.c, members_table.c
    pairs = sa.select(r.member, r.settings_key).distinct().subquery()
    known = (m.name == pairs.c.member) & (m.settings_key == pairs.c.settings_key)
    order = (sa.func.coalesce(m.added_at, ""), m.position)
    statement = sa.select(pairs).select_from(pairs.outerjoin(members_table, known)).order_by(*order)
    there: dict[str, list[str]] = {}
    with database.connections.read() as connection:
        for member, key in connection.execute(statement):
            there.setdefault(member, []).append(key)
    chosen = {}
    for member in sorted(there) if members is None else dict.fromkeys(members):
        if member not in there:
            raise ConfigError(
                f"{database.connections.place.name}: no response of member '{member}'; "
                f"{nearest(member, sorted(there))}"
            )
        chosen[member] = wanted.pop(member, there[member][-1])
        if chosen[member] not in there[member]:
            raise ConfigError(
                f"{database.connections.place.name}: no response of member '{member}' under the "
                f"settings '{chosen[member]}'; known: {', '.join(there[member])}"
            )
        if len(there[member]) > 1:
            _log.warning(
                "%s: member '%s' was asked under %d settings; taken are the answers under %s",
                database,
                member,
                len(there[member]),
                chosen[member],
            )
    if wanted:
        raise ConfigError(f"settings of a member that is not exported: {', '.join(wanted)}")
    return chosen


def _read_queries(
    database: Database,
) -> tuple[list[_Query], dict[str, list[_Query]], _Labels]:
    """The queries, those that each response key belongs to, and the labels each was judged by."""
    queries: dict[tuple[str, str], _Query] = {}
    targets: dict[str, list[_Query]] = {}
    judged: _Labels = {}
    used: set[str] = set()
    n_relabelled = n_renamed = 0
    with database.connections.read() as connection:
        statement = sa.select(queries_table).order_by(queries_table.c.position)
        for row in map(dict, connection.execute(statement).mappings()):
            identity = row["query_id"], row["query_key"]
            if identity in queries:
                n_relabelled += 1
                if row["registered"] > queries[identity].row["registered"]:
                    queries[identity].row = row
            else:
                name = row["query_id"]
                if name in used:
                    n_renamed += 1
                    name = f"{name}~{row['digest'][:8]}"
                used.add(name)
                queries[identity] = _Query(name, row)
                targets.setdefault(row["query_key"], []).append(queries[identity])
            targets[row["digest"]] = [queries[identity]]
            judged.setdefault(row["query_key"], set()).add(row["label"])
            judged[row["digest"]] = {row["label"]}
    _warn(database, n_relabelled, "queries came again, labelled otherwise; the latest counts")
    _warn(database, n_renamed, "queries have the query_id of another one and get a longer one")
    return list(queries.values()), targets, judged


def _read_responses(database: Database, chosen: Mapping[str, str]) -> Iterable[StoredResponse]:
    r = responses_table.c
    statement = sa.select(responses_table).where(r.member.in_(list(chosen)))
    with database.connections.read() as connection:
        rows = connection.execution_options(yield_per=_BATCH).execute(statement)
        for row in map(dict, rows.mappings()):
            del row["key"]
            if row["settings_key"] == chosen[row["member"]]:
                yield StoredResponse(**row)


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


@dataclass(frozen=True)
class _Description:
    """What is known of the members that are exported, and of the data sets they came with."""

    chosen: Mapping[str, str]
    """Member → settings_key."""
    sources: Mapping[str, str | None]
    """Member → data set that it was imported with; None for one that was asked."""
    imports: Mapping[str, DatasetInfo]
    """By data set."""
    readers: Mapping[str, ReaderInfo]
    """Those of the members that read others."""

    @classmethod
    def of(cls, database: Database, chosen: Mapping[str, str]) -> _Description:
        m = members_table.c
        with database.connections.read() as connection:
            rows = connection.execute(sa.select(m.name, m.settings_key, m.settings)).all()
        settings = {member: s for member, key, s in rows if chosen.get(member) == key}
        sources = {member: settings.get(member, {}).get("imported") for member in chosen}
        imports = {
            source: DatasetInfo(**json.loads(database.note(f"import {source}") or "{}"))
            for source in sorted({source for source in sources.values() if source is not None})
        }
        readers = {}
        for member, source in sources.items():
            found = reader_of(settings.get(member, {}))
            if source is not None:
                found = imports[source].readers.get(member)
            if found is not None:
                readers[member] = found
        return cls(chosen, sources, imports, readers)

    def check_readers(self, database: Database) -> None:
        """Refuse readers without those whom they read, as far as these have ever replied."""
        r = responses_table.c
        for member, info in self.readers.items():
            for read in [name for name in info.inputs if name not in self.chosen]:
                statement = sa.select(r.key).where(r.member == read).limit(1)
                with database.connections.read() as connection:
                    has_replied = connection.scalar(statement) is not None
                if has_replied:
                    raise ConfigError(
                        f"{database.connections.place.name}: member '{member}' reads '{read}', "
                        f"which is not to be exported; name '{read}', too, or leave out '{member}'"
                    )

    def info(self, database: Database, present: set[str]) -> DatasetInfo:
        """The description: an import's own where all comes from it, else only what holds for all.

        Args:
            database: where the members come from.
            present: members that have a response.
        """
        readers = {}
        for member in [name for name in self.readers if name in present]:
            silent = [name for name in self.readers[member].inputs if name not in present]
            if silent:
                _log.warning(
                    "%s: member '%s' reads %s, who never replied; that is left out",
                    database, member, ", ".join(f"'{name}'" for name in silent),
                )  # fmt: skip
            if (found := without(self.readers[member], silent)) is not None:
                readers[member] = found
        pool_of_all = {"all": [name for name in self.chosen if name in present]}
        infos = list(self.imports.values())
        if len(set(self.sources.values())) == 1 and infos:
            update: dict[str, Any] = {"name": next(iter(self.imports)), "readers": readers}
            named = set(infos[0].pools.get("all", [])) | set(infos[0].member_accuracy)
            if named - set(self.chosen) or not named:
                update |= {"pools": pool_of_all, "member_accuracy": {}}
            return infos[0].model_copy(update=update)
        synthetic = any(info.synthetic for info in infos)
        said = database.note("answers")
        kinds = json.loads(said) if said and said[0] in '"{' else said  # older ones: a bare word
        return DatasetInfo(pools=pool_of_all, synthetic=synthetic, answers=kinds, readers=readers)


def _warn(database: Database, n: int, what: str) -> None:
    if n:
        _log.warning("%s: %d %s", database, n, what)

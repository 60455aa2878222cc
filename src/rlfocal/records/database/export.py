"""From a database to a data set: all that came back becomes one row per query and member.

Nothing that was judged against one label is passed on under another.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from rlfocal.errors import ConfigError, nearest
from rlfocal.readers import ReaderInfo
from rlfocal.records.database.portions import Portion, portions
from rlfocal.records.database.readings import reader_of, without
from rlfocal.records.database.schema import members as members_table
from rlfocal.records.database.schema import responses as responses_table
from rlfocal.records.database.store import Database
from rlfocal.records.dataset import Dataset
from rlfocal.records.schema import (
    QUERIES,
    RESPONSES,
    DatasetInfo,
    table_of,
    with_signals,
)

__all__ = ["Exported", "export_dataset", "responses_table_of"]

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
    return Exported.of(database, members, settings).dataset(name)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="default")


def responses_table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of a portion as a table; columns that may be absent are, where no row has a value."""
    return table_of(rows, with_signals(sorted({column for row in rows for column in row})))


class Exported:
    """What of a database goes out.

    Args:
        database: where from.
        described: the members, and what is known of them.
    """

    def __init__(self, database: Database, described: _Description) -> None:
        self.database, self._described = database, described

    @classmethod
    def of(
        cls,
        database: Database,
        members: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Exported:
        """As `export_dataset`, which says what is refused."""
        chosen = _choose_settings(database, members, dict(settings or {}))
        described = _Description.of(database, chosen)
        described.check_readers(database)
        return cls(database, described)

    @property
    def chosen(self) -> Mapping[str, str]:
        """Member → settings_key."""
        return self._described.chosen

    @property
    def readers(self) -> Mapping[str, ReaderInfo]:
        """Those of the members that read others."""
        return self._described.readers

    def portions(self) -> Iterator[Portion]:
        """All of it, a few queries at a time."""
        return portions(self.database, self.chosen, self.readers)

    def dataset(self, name: str | None = None) -> Dataset:
        """All of it at once; as `export_dataset`."""
        queries, responses, present = [], [], set[str]()
        for portion in self.portions():
            queries.append(table_of(portion.queries, QUERIES))
            responses.append(responses_table_of(portion.responses))
            present.update(row["member"] for row in portion.responses)
        info = self.info(present)
        return Dataset(
            name or info.name or self.database.connections.name,
            _joined(queries) if queries else table_of([], QUERIES),
            _joined(responses) if responses else table_of([], RESPONSES),
            info,
        )

    def info(self, present: set[str]) -> DatasetInfo:
        """The description, once it is known which members have a response."""
        return self._described.info(self.database, present)


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

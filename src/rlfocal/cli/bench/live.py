"""Hold conversations for a benchmark, or say what they may cost."""

from __future__ import annotations

import asyncio
import contextlib
import json as json_text
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from rlfocal.cli.bench.options import LiveOptions
from rlfocal.cli.output.console import deliver, progress, remark
from rlfocal.cli.output.live import show_estimate
from rlfocal.cli.output.tables import joined
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.bench import BenchResult, EvalProtocol
    from rlfocal.bench.talks import Talked
    from rlfocal.conversations.recording import RecordingPool, Spending
    from rlfocal.pool.building import LivePool
    from rlfocal.pool.member import MemberSettings
    from rlfocal.pool.settings import PoolSettings
    from rlfocal.records import Dataset, ResponseTable
    from rlfocal.records.database import Database

__all__ = ["Held", "converse", "write_talks"]

_PATIENCE_S = 600.0
INCOMPLETE = 3
"""Exit code: a limit ended some conversations; as of `rlfocal collect`."""


class Held(NamedTuple):
    """What came of conversations."""

    talked: Talked
    ended: str | None
    """Why some were not held to their end; None where all were."""
    dataset: Dataset
    table: ResponseTable
    protocol: EvalProtocol

    def figured(self, result: BenchResult) -> BenchResult:
        """A result with what each of its rows took beside calls."""
        from rlfocal.bench.talks import with_live_figures

        return with_live_figures(result, self.talked, self.dataset, self.table)

    def finish(self, folder: Path | None) -> None:
        """Write transcripts into a report's folder, and leave by the code for what is incomplete.

        Raises:
            Exit: a limit ended some conversations.
        """
        if folder is not None:
            from rlfocal.bench.folds import partition

            tests = [fold.test for fold in partition(self.table, self.protocol).folds]
            ids = [self.table.query_ids[rows].tolist() for rows in tests]
            remark(f"transcripts: {write_talks(self.talked, folder, ids)}")
        if self.ended is not None:
            raise typer.Exit(INCOMPLETE)


def converse(
    options: LiveOptions,
    dataset: Dataset,
    table: ResponseTable,
    protocol: EvalProtocol,
    json: Path | None,
) -> Held | None:
    """Hold conversations about the tested queries; of a dry run, say what they may come to.

    Returns:
        None for a dry run.

    Raises:
        ConfigError: a price, a key, or a limit is missing, or queries have no text.
        DatabaseError: replies cannot be looked up or stored.
    """
    from rlfocal.bench.talks import queries_of
    from rlfocal.pool.building import LivePool
    from rlfocal.pool.settings import read_pool
    from rlfocal.records.database import open_database, read_database

    pool = read_pool(options.pool_file)
    queries_of(dataset, table)
    live = LivePool(pool, _who_reads_nobody(pool), patience_s=_PATIENCE_S)
    _check_prices(live, options, table)
    if options.dry_run:
        with contextlib.ExitStack() as stack:
            found = read_database(options.db)
            database = None if found is None else stack.enter_context(found)
            spending, _ = asyncio.run(_hold(options, dataset, table, protocol, live, database))
        for problem in live.missing_keys():
            remark(f"note: a real run would stop here: {problem}")
        deliver(_figures(spending), json, lambda: show_estimate(_figures(spending)))
        return None
    live.check_keys()
    with open_database(options.db) as database:
        spending, talked = asyncio.run(_hold(options, dataset, table, protocol, live, database))
    _tell(spending)
    return Held(talked, spending.ended, dataset, table, protocol)


async def _hold(
    options: LiveOptions,
    dataset: Dataset,
    table: ResponseTable,
    protocol: EvalProtocol,
    live: LivePool,
    database: Database | None,
) -> tuple[Spending, Talked]:
    from rlfocal.bench.talks import hold_talks, queries_of
    from rlfocal.conversations.recording import RecordingPool
    from rlfocal.conversations.registry import conversations
    from rlfocal.grading import Grader

    now = (0, 1, "")

    async with contextlib.AsyncExitStack() as stack:
        move = stack.enter_context(progress("conversations"))

        def begin(done: int, total: int, text: str) -> None:
            nonlocal now
            now = done, total, text
            move(*now)

        def tell(spending: Spending) -> None:
            done, total, text = now
            move(done, total, f"{text}: {spending.n_made} calls, ${spending.cost_usd:.4f}")

        if not options.dry_run:
            await stack.enter_async_context(live)
        pool: RecordingPool = await stack.enter_async_context(
            RecordingPool(
                live.members,
                database,
                Grader(tasks=dataset.kinds),
                max_usd=options.max_usd,
                max_calls=options.max_calls,
                retry_failed=options.retry_failed,
                estimating=options.dry_run,
                on_call=tell,
            )
        )
        talked = await hold_talks(
            table, queries_of(dataset, table), protocol,
            conversations(options.conversations), pool, on_progress=begin,
        )  # fmt: skip
    return pool.spending, talked


def _who_reads_nobody(pool: PoolSettings) -> tuple[MemberSettings, ...]:
    readers = [member.name for member in pool.members if member.reads]
    if readers:
        remark(f"note: {joined(readers)} read others, and take no part in conversations")
    return tuple(member for member in pool.members if not member.reads)


def _check_prices(live: LivePool, options: LiveOptions, table: ResponseTable) -> None:
    """Refuse to spend without a limit, and limits that nobody can keep."""
    from rlfocal.pool.building import unpriced

    unknown = unpriced(live.members)
    if unknown and options.max_usd is not None:
        raise ConfigError(
            f"--max-usd: nobody knows what these members cost: {joined(unknown)}; add "
            f'[prices."MODEL"] to {options.pool_file}, or leave --max-usd out'
        )
    if unknown and table.cost_unit == "usd":
        raise ConfigError(
            f"{table.name} is priced in dollars, and nobody knows what these members cost: "
            f'{joined(unknown)}; add [prices."MODEL"] to {options.pool_file}, or say --cost call'
        )
    cost = [
        member.name
        for member in live.members
        if member.price is not None
        and member.price.prompt_usd_per_million + member.price.completion_usd_per_million > 0
    ]
    if cost and options.max_usd is None and not options.dry_run:
        raise ConfigError(
            f"--max-usd is missing: {joined(cost)} cost money; say how many dollars the "
            "conversations may cost at most (--dry-run says what they may come to)"
        )


def _figures(spending: Spending) -> dict[str, Any]:
    return {
        "n_calls": spending.n_made,
        "n_stored": spending.n_stored,
        "n_tokens": spending.n_tokens,
        "cost_usd": spending.cost_usd,
        "most_usd": spending.most_usd,
        "unpriced": sorted(spending.unpriced),
    }


def _tell(spending: Spending) -> None:
    uncertain = f", at most ${spending.most_usd:.4f} more" if spending.most_usd else ""
    remark(
        f"conversations: {spending.n_made} calls made ({spending.n_failed} failed, "
        f"${spending.cost_usd:.4f}{uncertain}), {spending.n_stored} outcomes were stored before"
    )
    for name, why in spending.given_up.items():
        remark(f"{name} was given up and is not asked any more in this run: {why}")
    if spending.ended is not None:
        remark(
            f"stopped: {spending.ended}; what came is stored, and the same command with a higher "
            "limit goes on"
        )


def write_talks(talked: Talked, folder: Path, query_ids: Sequence[Sequence[str]]) -> Path:
    """Write all transcripts, a line each: who was sent what, why, and what came.

    Args:
        talked: conversations.
        folder: of the report.
        query_ids: of each fold's test queries.
    """
    from rlfocal.files import replace_file
    from rlfocal.report.place import TALKS

    lines = [
        json_text.dumps(
            {"conversation": name, "fold": fold, "query_id": query_id, **talk.as_json()}
        )
        for (name, fold), talks in talked.talks.items()
        for query_id, talk in zip(query_ids[fold], talks, strict=True)
    ]
    text = "".join(f"{line}\n" for line in lines)
    place = folder / TALKS
    replace_file(place, lambda path: path.write_text(text, "utf-8"))
    return place

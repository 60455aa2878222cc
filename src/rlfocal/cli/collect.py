"""`rlfocal collect`: ask a pool, into a database; the same command goes on where it was."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import progress, remark
from rlfocal.cli.output.tables import joined
from rlfocal.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from rlfocal.collect.collector import Collector, Limits, Tally
    from rlfocal.collect.plan import Plan
    from rlfocal.grading import Grader
    from rlfocal.pool.building import LiveMember, LivePool
    from rlfocal.records.database import Database
    from rlfocal.records.spool import OpenQuestions

__all__ = ["collect"]

INCOMPLETE = 3
"""Exit code: some calls failed or are left."""
_STOPPED = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_TERMINATED = 128 + signal.SIGTERM
"""Exit code, as shells have it."""
_TICK_S = 0.5
"""Between two looks at who is waited for."""
_WORTH_SAYING_S = 5.0


def collect(
    db: common.AnswersDb,
    pool_file: Annotated[Path | None, argument("POOL.toml", "The LLMs.")] = None,
    queries_file: Annotated[
        Path | None, argument("QUERIES", "File of queries, or a data folder.")
    ] = None,
    members: common.Members = None,
    samples: Annotated[
        int | None,
        option(min=1, help="Times each question is asked.", show_default="as in the pool"),
    ] = None,
    concurrency: Annotated[int, option(min=1, help="Calls under way at once.")] = 32,
    max_calls: Annotated[int | None, option(min=1, help="Make at most so many calls.")] = None,
    max_usd: Annotated[float | None, option(min=0, help="Spend at most so many dollars.")] = None,
    budget: Annotated[
        str | None,
        option(value="NAME", help="Count what was ever spent under that name (with --max-usd)."),
    ] = None,
    retry_failed: Annotated[
        bool, option("--retry-failed", help="Make calls again that failed.")
    ] = False,
    answers: common.AnswerKind = None,
    scorer: Annotated[
        str | None, option(value="FILE.py:NAME", help="Function (query, reply) -> score in [0, 1].")
    ] = None,
    patience: Annotated[
        float,
        option(
            min=0,
            value="SECONDS",
            help="Wait so long for a server that limits the rate, is busy or loads its model.",
        ),
    ] = 600.0,
    failures: Annotated[
        bool,
        option("--failures", help="List the failures that the database holds (with --db alone)."),
    ] = False,
    dry_run: Annotated[
        bool, option("--dry-run", help="Say what it would come to; ask nobody.")
    ] = False,
    as_json: common.JsonFlag = False,
) -> None:
    """Ask LLMs the queries of a data set and store what they say.

    Every reply is stored the moment it is there and never paid for twice: interrupted, the same
    command goes on; several may run side by side. Exit code 3: calls failed or are left.
    """
    from rlfocal.cli.output.collected import show_estimate
    from rlfocal.collect.collector import Limits
    from rlfocal.collect.plan import make_plan
    from rlfocal.pool.building import LivePool
    from rlfocal.pool.settings import read_pool
    from rlfocal.records.database import open_database, read_database, settings_key_of
    from rlfocal.records.spool import open_queries

    names = common.split_names(members, "--members")
    if failures:
        _list_failures(db, names, as_json=as_json)
        return
    pool_file, queries_file = _named(pool_file, queries_file)
    if budget is not None and (max_usd is None or not budget.strip()):
        raise ConfigError("--budget NAME: a name under which --max-usd counts; give both")
    pool = read_pool(pool_file)
    questions = open_queries(queries_file, answers=answers)
    for note in questions.notes:
        remark(f"note: {note}")
    grader = _grader(questions, scorer)
    live = LivePool(pool, pool.select(names), patience_s=patience)
    if max_usd is not None:
        _require_prices(live.members, pool_file)
    keys = [settings_key_of(m.identity) for m in live.members]
    plan = make_plan(questions.rows, live.members, keys, samples=samples)
    if dry_run:
        with contextlib.ExitStack() as stack:
            found = read_database(db)
            database = None if found is None else stack.enter_context(found)
            show_estimate(plan, database, live, retry_failed=retry_failed, as_json=as_json)
        return
    with open_database(db) as database:
        for member in live.members:
            database.add_member(member.name, member.identity)
        live.check_keys()
        database.add_queries(plan.queries)
        if scorer is None:
            database.set_note("answers", json.dumps(grader.answers))
        limits = Limits(concurrency, max_calls, max_usd, budget)
        tally = _collect(
            plan, database, grader, live, limits, retry_failed=retry_failed, as_json=as_json
        )
    _leave(tally)


def _list_failures(db: str, members: Sequence[str] | None, *, as_json: bool) -> None:
    from rlfocal.cli.output.collected import show_failures

    with common.answers_in(db) as database:
        show_failures(database, members, as_json=as_json)


def _named(pool_file: Path | None, queries_file: Path | None) -> tuple[Path, Path]:
    if pool_file is None or queries_file is None:
        missing = "the pool and the queries are" if pool_file is None else "the queries are"
        raise ConfigError(
            f"{missing} missing: rlfocal collect POOL.toml QUERIES --db URL "
            "(--failures needs --db alone)"
        )
    return pool_file, queries_file


def _leave(tally: Tally) -> None:
    """End with the exit code that says how it went."""
    if tally.stopped == _STOPPED[signal.SIGINT]:
        raise KeyboardInterrupt
    if tally.stopped == _STOPPED[signal.SIGTERM]:
        remark("terminated")
        raise typer.Exit(_TERMINATED)
    if not tally.complete:
        raise typer.Exit(INCOMPLETE)


def _collect(
    plan: Plan,
    database: Database,
    grader: Grader,
    live: LivePool,
    limits: Limits,
    *,
    retry_failed: bool,
    as_json: bool,
) -> Tally:
    """Collect, and say how it went, however it ends."""
    import asyncio

    from rlfocal.cli.output.collected import show_tally
    from rlfocal.collect.collector import Collector

    with progress("collect") as move:

        def tell(tally: Tally) -> None:
            move(tally.n_settled, tally.n_calls, _now(tally, live.members))

        collector = Collector(
            plan, database, grader, limits=limits, retry_failed=retry_failed, on_progress=tell
        )
        collector.share_rates(live)
        trouble: DatabaseError | None = None
        try:
            asyncio.run(_run(live, collector, tell))
        except DatabaseError as exc:
            trouble = exc
    if trouble is None or collector.tally.n_attempted:
        show_tally(collector.tally, as_json=as_json)
    if trouble is not None:
        raise trouble
    return collector.tally


def _grader(questions: OpenQuestions, scorer: str | None) -> Grader:
    from rlfocal.grading import Grader, load_scorer

    n = questions.n_unlabelled
    if scorer is None and n:
        remark(f"{n} of {len(questions.rows)} queries have no label: replies get no score")
    judge = None if scorer is None else load_scorer(scorer)
    return Grader(scorer=judge, tasks=questions.kinds)


def _require_prices(members: Sequence[LiveMember], file: Path) -> None:
    from rlfocal.pool.building import unpriced

    if names := unpriced(members):
        raise ConfigError(
            f"--max-usd: nobody knows what these members cost: {joined(names)}; "
            f'add [prices."MODEL"] to {file}, or leave --max-usd out'
        )


async def _run(live: LivePool, collector: Collector, tell: Callable[[Tally], None]) -> None:
    """Collect; Ctrl-C and SIGTERM let calls under way come back, a second one does not."""
    import asyncio

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    n_signals = 0

    def end(number: signal.Signals) -> None:
        nonlocal n_signals
        n_signals += 1
        if n_signals == 1:
            said = _STOPPED[number]
            remark(f"{said}: waiting for calls under way; once more gives them up")
            collector.stop(said, now=True)
        elif task is not None:
            task.cancel()

    for number in _STOPPED:
        loop.add_signal_handler(number, end, number)
    try:
        async with live:
            watching = asyncio.create_task(_watch(live.members, collector.tally, tell))
            try:
                await collector.run()
            finally:
                watching.cancel()
    except asyncio.CancelledError:
        return
    finally:
        for number in _STOPPED:
            loop.remove_signal_handler(number)


async def _watch(
    members: Sequence[LiveMember], tally: Tally, tell: Callable[[Tally], None]
) -> None:
    """Keep the progress up to date between replies; name once each member that is waited for."""
    import asyncio

    told: set[str] = set()
    while True:
        await asyncio.sleep(_TICK_S)
        tell(tally)
        for member in members:
            if member.opens_in_s >= _WORTH_SAYING_S and member.name not in told:
                told.add(member.name)
                remark(
                    f"note: {member.name}: its server limits the rate or is busy; waiting "
                    f"{member.opens_in_s:.0f} s, and again when it asks to (--patience)"
                )


def _now(tally: Tally, members: Sequence[LiveMember]) -> str:
    """What is going on, beside the bar."""
    parts = [f"${tally.cost_usd:.4f}"] if tally.cost_usd else []
    if tally.failures:
        parts.append(f"{tally.failures.total()} failed")
    parts += [f"{name} given up" for name in tally.dropped]
    waits = [
        f"waiting {member.opens_in_s:.0f} s for {member.name}'s server"
        for member in members
        if member.opens_in_s >= 1 and member.name not in tally.dropped
    ]
    return ", ".join([*parts, *waits[:2]])

"""`rlfocal collect`: ask a pool, into a database; the same command goes on where it was."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlfocal.cli import common
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.collect.collector import Collector, Tally
    from rlfocal.grading import Grader
    from rlfocal.pool.building import LiveMember, LivePool
    from rlfocal.records.canonical import Questions

__all__ = ["collect"]

INCOMPLETE = 3
"""Exit code: some calls failed or are left."""
_INTERRUPTED = "interrupted"


def collect(
    pool_file: Annotated[
        Path, typer.Argument(metavar="POOL.toml", help="The LLMs.", show_default=False)
    ],
    queries_file: Annotated[
        Path,
        typer.Argument(
            metavar="QUERIES", help="File of queries, or a data folder.", show_default=False
        ),
    ],
    db: Annotated[
        str,
        typer.Option("--db", metavar="URL", help="SQLite file, or postgresql://... ."),
    ],
    members: common.Members = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Times each question is asked.", show_default="as in the pool"),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls under way at once.")] = 32,
    max_calls: Annotated[
        int | None, typer.Option(min=1, help="Make at most so many calls.")
    ] = None,
    max_usd: Annotated[
        float | None, typer.Option(min=0, help="Spend at most so many dollars.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Make calls again that failed.")
    ] = False,
    answers: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="What open questions are answered with: number, math, date or text.",
            show_default="as the data say, else by the labels",
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:NAME", help="Function (query, reply) -> score in [0, 1]."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would come to; ask nobody.")
    ] = False,
    as_json: common.JsonFlag = False,
) -> None:
    """Ask LLMs the queries of a data set and store what they say.

    Every reply is stored the moment it is there and never paid for twice: interrupted, the same
    command goes on; several may run side by side. Exit code 3: calls failed or are left.
    """
    from rlfocal.collect.collector import Collector, Limits
    from rlfocal.collect.plan import make_plan
    from rlfocal.pool.building import LivePool
    from rlfocal.pool.settings import read_pool
    from rlfocal.records.database import open_database
    from rlfocal.records.folders import read_queries

    pool = read_pool(pool_file)
    names = common.split_names(members, "--members")
    questions = read_queries(queries_file, answers=answers)
    queries = questions.queries
    for note in questions.notes:
        common.remark(f"note: {note}")
    grader = _grader(questions, scorer)
    live = LivePool(pool, pool.select(names))
    if max_usd is not None:
        _require_prices(live.members, pool_file)
    with open_database(db) as database:
        keys = [database.add_member(m.name, m.identity) for m in live.members]
        plan = make_plan(queries, live.members, keys, samples=samples)
        if dry_run:
            estimate = plan.estimate(database, retry_failed=retry_failed)
            figures = estimate._asdict() | {"n_calls_in_all": plan.n_calls}
            _show(figures, as_json=as_json, cost="dollars, by these tokens")
            return
        database.add_queries(plan.queries)
        if scorer is None:
            database.set_note("answers", json.dumps(grader.answers))
        with common.progress("collect") as move:
            collector = Collector(
                plan, database, grader,
                limits=Limits(concurrency, max_calls, max_usd),
                retry_failed=retry_failed,
                on_progress=lambda tally: move(tally.n_settled, tally.n_calls, _now(tally)),
            )  # fmt: skip
            tally = asyncio.run(_run(live, collector))
    _show(asdict(tally), as_json=as_json)
    if tally.stopped == _INTERRUPTED:
        raise KeyboardInterrupt
    if not tally.complete:
        raise typer.Exit(INCOMPLETE)


def _grader(questions: Questions, scorer: str | None) -> Grader:
    from rlfocal.grading import Grader, load_scorer

    label = questions.queries["label"]
    if scorer is None and label.null_count:
        common.remark(
            f"{label.null_count} of {len(label)} queries have no label: replies get no score"
        )
    judge = None if scorer is None else load_scorer(scorer)
    return Grader(scorer=judge, tasks=questions.kinds)


def _require_prices(members: Sequence[LiveMember], file: Path) -> None:
    from rlfocal.pool.building import unpriced

    if names := unpriced(members):
        raise ConfigError(
            f"--max-usd: nobody knows what these members cost: {common.joined(names)}; "
            f'add [prices."MODEL"] to {file}, or leave --max-usd out'
        )


async def _run(live: LivePool, collector: Collector) -> Tally:
    """Collect; Ctrl-C lets calls under way come back, a second one does not."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        if collector.tally.stopped == _INTERRUPTED and task is not None:
            task.cancel()
            return
        common.remark("interrupted: waiting for calls under way; once more gives them up")
        collector.stop(_INTERRUPTED)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        async with live:
            return await collector.run()
    except asyncio.CancelledError:
        return collector.tally
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _now(tally: Tally) -> str:
    """What is going on, beside the bar."""
    parts = [f"${tally.cost_usd:.4f}"] if tally.cost_usd else []
    if tally.failures:
        parts.append(f"{tally.failures.total()} failed")
    return ", ".join([*parts, *(f"{name} given up" for name in tally.dropped)])


def _show(figures: dict[str, Any], *, as_json: bool, cost: str = "dollars") -> None:
    if as_json:
        common.print_json(figures)
        return
    table = common.table_of("", "")
    for name, value in figures.items():
        if value in (None, {}, ()):
            continue
        shown = value
        if isinstance(value, dict):
            shown = "\n".join(f"{k}: {v}" for k, v in value.items())
        elif isinstance(value, tuple):
            shown = common.joined(value)
        elif name.endswith("_usd"):
            shown = f"${value:.4f}"
        label = cost if name == "cost_usd" else _LABELS.get(name, name)
        table.add_row(label, str(shown))
    common.output().print(table)


_LABELS = {
    "n_calls_in_all": "calls in all", "n_calls": "calls", "n_stored": "stored already",
    "n_failed": "failed before (--retry-failed asks again)",
    "n_prompt_tokens": "prompt tokens, at 4 characters each",
    "n_completion_tokens": "reply tokens, at most",
    "most_usd": "dollars at most (every byte a token, every attempt billed)",
    "unsettled_usd": "dollars at most for failed attempts",
    "unpriced": "unpriced members", "n_skipped": "failed before (--retry-failed asks again)",
    "n_answered": "answered now", "failures": "failed now", "dropped": "given up",
    "n_attempted": "asked now", "n_unpriced": "unpriced replies", "stopped": "stopped",
}  # fmt: skip

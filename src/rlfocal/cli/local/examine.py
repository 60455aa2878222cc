"""`rlfocal examine`: let local models say how likely stored replies are."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import print_json, progress, remark
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rlfocal.collect.examining import Examined
    from rlfocal.pool.building import LiveMember
    from rlfocal.pool.endpoints import LlamaCppSettings
    from rlfocal.records.database import Database

__all__ = ["examine"]

_INTERRUPTED = 130


def examine(
    db: common.AnswersDb,
    pool_file: Annotated[Path, argument("POOL.toml", "The LLMs; local ones examine.")],
    by: Annotated[
        str | None,
        option("--by", value="A,B,...", help="Members that examine.", show_default="all local"),
    ] = None,
    members: common.Members = None,
    again: Annotated[
        bool, option("--again", help="Read replies anew that another model of a name has read.")
    ] = False,
    as_json: common.JsonFlag = False,
) -> None:
    """Let local models say how likely stored replies are: signals, for strategies that read them.

    Two for each model that examines, per byte of a reply: likely_MODEL, after the question, and
    cross_MODEL, less what it is without it. What is found is stored question by question; the same
    command goes on.
    """
    import asyncio

    from rlfocal.collect.examining import check_who_examines, who
    from rlfocal.pool.building import LivePool
    from rlfocal.pool.endpoints import LlamaCppSettings
    from rlfocal.pool.settings import read_pool
    from rlfocal.records.database import open_database
    from rlfocal.records.signals.examined import signals_of

    pool = read_pool(pool_file)
    wanted = common.split_names(by, "--by")
    asked = pool.select(wanted)
    local = {
        one.name: served
        for one in asked
        if isinstance(served := pool.endpoint_of(one), LlamaCppSettings) and not one.reads
    }
    if wanted and (others := [name for name in wanted if name not in local]):
        raise ConfigError(
            f"--by: '{others[0]}' cannot examine: it is on no llama-cpp endpoint, or reads others"
        )
    if not local:
        raise ConfigError(f"{pool_file}: nobody is on a llama-cpp endpoint; nobody can examine")
    chosen = [member for member in LivePool(pool).members if member.name in local]
    columns = [name for member in chosen for name in signals_of(member.name)]
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise ConfigError(f"--by: two members would write the column {twice}; name one of them")
    with open_database(db) as database:
        names = common.split_names(members, "--members")
        known = database.member_names()
        if unknown := [name for name in names or () if name not in known]:
            raise ConfigError(f"--members: nothing of '{unknown[0]}' is stored in {db}")
        if not again:
            check_who_examines(database, [who(member) for member in chosen])
        found, stopped = asyncio.run(_examine(database, chosen, local, columns, names, again=again))
    told = {
        "replies": found.n_replies, "replies skipped": found.n_skipped,
        "tokens read": found.n_tokens, "tokens not named": found.n_bounded,
    }  # fmt: skip
    if as_json:
        print_json({name.replace(" ", "_"): n for name, n in told.items()})
    else:
        remark(", ".join(f"{n:,} {name}" for name, n in told.items()))
        remark(f"rlfocal export writes them as {', '.join(f'signal_{name}' for name in columns)}")
    if stopped:
        raise typer.Exit(_INTERRUPTED)


async def _examine(
    database: Database,
    chosen: Sequence[LiveMember],
    served: dict[str, LlamaCppSettings],
    columns: Sequence[str],
    members: Sequence[str] | None,
    *,
    again: bool,
) -> tuple[Examined, bool]:
    """Examine; Ctrl-C and SIGTERM end after the question at hand, a second one at once."""
    import asyncio
    from contextlib import AsyncExitStack

    from rlfocal.collect.examining import Examined, Examiner, settle_who_examines
    from rlfocal.collect.examining import examine as read_all
    from rlfocal.pool.blends.llama_voice import LlamaVoice

    stopping, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if stopping.is_set():
            task.cancel()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        async with AsyncExitStack() as opened:
            voices: dict[str, LlamaVoice] = {}  # by endpoint: members on one share its model
            for member in chosen:
                name = member.settings.endpoint
                if name not in voices:
                    voice = LlamaVoice(name, served[member.name])
                    voices[name] = await opened.enter_async_context(voice)
            examiners = [Examiner.of(one, voices[one.settings.endpoint]) for one in chosen]
            if stopping.is_set():
                return Examined(0, 0, 0), True
            # Only now, when all models are there: numbers of others are taken away.
            settle_who_examines(database, [examiner.who for examiner in examiners], again=again)
            with progress("examine") as move:
                found = await read_all(
                    database, examiners, members=members,
                    on_question=_mover(move, database, columns, members),
                    stopped=stopping.is_set,
                )  # fmt: skip
            return found, stopping.is_set()
    except asyncio.CancelledError:  # insisted on: what was found is stored
        raise KeyboardInterrupt from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _mover(
    move: Callable[[int, int, str], None],
    database: Database,
    columns: Sequence[str],
    members: Sequence[str] | None,
) -> Callable[[Examined], None]:
    from rlfocal.records.database.examined import n_lacking

    total = n_lacking(database, columns, members=members) // 2  # each examiner adds two to a reply

    def tell(found: Examined) -> None:
        move(found.n_replies + found.n_skipped, total, f"{found.n_tokens:,} tokens")

    return tell

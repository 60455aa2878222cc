"""What several verbs share: the options that name data, loading it, and how things are printed.

Standard output carries results alone (a table for people or JSON for scripts); progress and
remarks go to standard error.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rlfocal.gateway.store import Store
    from rlfocal.records import Dataset, ResponseTable
    from rlfocal.records.database import Database

__all__ = [
    "GATEWAY_DB",
    "Complete",
    "Data",
    "GatewayDb",
    "JsonFlag",
    "Members",
    "Pool",
    "answers_in",
    "check_output_file",
    "gateway_in",
    "joined",
    "load_dataset",
    "load_table",
    "output",
    "percent",
    "print_json",
    "progress",
    "remark",
    "require_plotly",
    "split_names",
    "table_of",
    "waiting",
    "write_json",
]

PIPE_WIDTH = 200
"""Columns of a table that no terminal limits."""

GATEWAY_DB = "gateway.db"
GatewayDb = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="URL",
        envvar="RLFOCAL_DB",
        help="The gateway's database: SQLite file, or postgresql://... .",
    ),
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help='Folder of recorded answers; or "localpool" (built in, real) or "demo" (simulated).',
        show_default=False,
    ),
]
Pool = Annotated[
    str | None,
    typer.Option("--pool", metavar="NAME", help="Use the members of this named pool."),
]
Members = Annotated[
    str | None,
    typer.Option("--members", metavar="A,B,...", help="Use these members only."),
]
Cost = Annotated[
    str | None,
    typer.Option(
        "--cost",
        metavar="UNIT",
        help='What asking costs: "usd", "call" (each 1) or "second" (its latency).',
        show_default="usd where every price is known, else call",
    ),
]
Complete = Annotated[
    bool,
    typer.Option("--complete", help="Use only queries that every chosen member answered."),
]
JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")
]


def split_names(text: str | None, what: str) -> tuple[str, ...] | None:
    """Split a list of names as it stands on the command line.

    Args:
        text: names separated by commas; None where the option was not given.
        what: what the names are, for the message.

    Raises:
        ConfigError: the option was given without a name.

    >>> split_names("a, b", "members")
    ('a', 'b')
    """
    if text is None:
        return None
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise ConfigError(f"{what}: no name given; separate names by commas, as in a,b")
    return names


def load_dataset(data: str) -> Dataset:
    """Read a data folder, or take one of the built-in data sets; a folder "demo" is ./demo.

    Raises:
        RecordError: the folder cannot be read or contradicts itself.
    """
    from rlfocal.records.built_in import BUILT_IN
    from rlfocal.records.folders import read_dataset

    return BUILT_IN[data]() if data in BUILT_IN else read_dataset(Path(data))


def load_table(
    data: str,
    pool: str | None,
    members: str | None,
    *,
    with_features: bool,
    cost: str | None = None,
    complete: bool = False,
) -> tuple[Dataset, ResponseTable]:
    """Load data and build the table of the chosen members.

    Args:
        data: a folder, or the name of a built-in data set.
        pool: value of --pool.
        members: value of --members, names separated by commas.
        with_features: encode the query texts (by hashing words) for strategies that route on them.
        cost: value of --cost; None for dollars where they are known.
        complete: value of --complete.

    Returns:
        The data set, and the table; a named pool stands in the table's name too.

    Raises:
        ConfigError: an unknown pool or member; the nearest name is suggested.
        RecordError: the data cannot be read or used.
    """
    from dataclasses import replace

    from rlfocal.records import build_table

    with waiting(f"reading {data}"):
        dataset = load_dataset(data)
        chosen = dataset.select_members(pool, split_names(members, "--members"))
        encode = None
        if with_features:
            from rlfocal.features import HashingEncoder

            encode = HashingEncoder()
        table = build_table(dataset, members=chosen, encode=encode)
        if pool is not None:
            table = replace(table, name=f"{table.name}, {pool}")
        if cost is not None:
            table = table.priced_in(cost)
        if complete:
            from rlfocal.records.tables.missing import complete_part

            table = complete_part(table)
        return dataset, table


@contextlib.contextmanager
def answers_in(url: str) -> Iterator[Database]:
    """A database of answers, opened to be read alone.

    Raises:
        ConfigError: there is none.
        DatabaseError: it cannot be opened, or is of another version.
    """
    from rlfocal.records.database import read_database

    database = read_database(url)
    if database is None:
        # A server's URL holds a password.
        where = f"{url}: " if "://" not in url else ""
        raise ConfigError(f"{where}no such database of answers; `rlfocal collect` makes one")
    with database:
        yield database


@contextlib.contextmanager
def gateway_in(url: str) -> Iterator[Store]:
    """A gateway's database, opened to be read alone.

    Raises:
        ConfigError: there is none.
        DatabaseError: it cannot be opened, or is of another version.
    """
    from rlfocal.gateway.store import read_store

    store = read_store(url)
    if store is None:
        where = f"{url}: " if "://" not in url else ""
        raise ConfigError(
            f"{where}no such database of a gateway; `rlfocal keys add NAME --db` makes one"
        )
    with store:
        yield store


def require_plotly(what: str) -> None:
    """Say early that an extra is missing.

    Raises:
        ConfigError: plotly is not installed.
    """
    from importlib.util import find_spec

    if find_spec("plotly") is None:
        raise ConfigError(
            f"{what} needs plotly, which is not installed: pip install 'rlfocal[report]'"
        )


def output(*, error: bool = False) -> Console:
    """Where to print: names from data are shown as they are, never read as markup."""
    from rich.console import Console

    console = Console(stderr=error, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def table_of(*columns: str, title: str | None = None) -> Table:
    """Start a table whose first column is text and whose others are numbers."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    return table


def remark(message: str) -> None:
    """Say something that is no result, on standard error."""
    typer.echo(message, err=True)


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def check_output_file(path: Path) -> None:
    """Refuse, before any work, a file that could not be written after it.

    Raises:
        ConfigError: it is a folder, or its folder cannot be written.
    """
    from rlfocal.files import check_writable

    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file to write to")
    check_writable(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value to a file, whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    from rlfocal.files import replace_file

    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    replace_file(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something of unknown length goes on."""
    with output(error=True).status(what):
        yield


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on standard error.

    Args:
        what: what goes on, in a word or two.

    Yields:
        A function (done, total, doing now) that moves the bar.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}", markup=False),
    )
    console = output(error=True)
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None, now="")

        def move(done: int, total: int, now: str) -> None:
            bar.update(task, completed=done, total=total, now=now)

        yield move


def percent(share: float | None, *, signed: bool = False) -> str:
    """Show a share in [0, 1] as a percentage; a dash where there is none."""
    if share is None:
        return "-"
    return f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"


def joined(names: Sequence[str], limit: int = 12) -> str:
    """List names, and count those beyond the limit."""
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more

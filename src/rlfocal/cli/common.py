"""What several verbs share: options, and loading the data and databases that they name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rlfocal.cli.output.console import waiting
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.executor import Executor
    from rlfocal.records import Dataset, ResponseTable
    from rlfocal.records.database import Database

Opened = TypeVar("Opened", bound=contextlib.AbstractContextManager[Any])

__all__ = [
    "AnswersDb",
    "Checkpoint",
    "Complete",
    "Cost",
    "Data",
    "Jobs",
    "JsonFile",
    "JsonFlag",
    "Members",
    "On",
    "Overwrite",
    "Pool",
    "PoolFile",
    "Price",
    "answers_in",
    "argument",
    "executor_of",
    "load_dataset",
    "load_table",
    "opened_to_read",
    "option",
    "split_names",
]


def option(*flags: str, value: str | None = None, help: str, **more: Any) -> Any:
    """An option of a verb.

    Args:
        flags: as they are typed; none for the parameter's own name.
        value: what stands for its value in the help; None for a flag, or a number's bounds.
        help: what it does.
        more: as of `typer.Option`.
    """
    return typer.Option(*flags, metavar=value, help=help, **more)


def argument(value: str, help: str) -> Any:
    """An argument of a verb, without the default that typer would show."""
    return typer.Argument(metavar=value, help=help, show_default=False)


_DATA = (
    'Folder of recorded answers; or built in: "localpool", "localpool-readers", "demo" (simulated).'
)

Checkpoint = Annotated[Path, argument("CHECKPOINT", "Folder that `rlfocal train` wrote.")]
PoolFile = Annotated[Path, argument("POOL.toml", "The pool file.")]
AnswersDb = Annotated[str, option("--db", value="URL", help="SQLite file, or postgresql://... .")]
Data = Annotated[str, argument("DATA", _DATA)]
Pool = Annotated[
    str | None, option("--pool", value="NAME", help="Use the members of this named pool.")
]
AnswerKind = Annotated[
    str | None,
    option(
        value="KIND",
        help="What open questions are answered with: number, math, date or text.",
        show_default="as the data say, else by the labels",
    ),
]

Members = Annotated[
    str | None, option("--members", value="A,B,...", help="Use these members only.")
]
Price = Annotated[
    float | None,
    option(
        value="LAMBDA",
        help="Price of a call, as a fraction of what a right answer is worth.",
        show_default="the checkpoint's",
    ),
]
Cost = Annotated[
    str | None,
    option(
        "--cost",
        value="UNIT",
        help='What asking costs: "usd", "call" (each 1) or "second" (its latency).',
        show_default="usd where every price is known, else call",
    ),
]
Complete = Annotated[
    bool, option("--complete", help="Use only queries that every chosen member answered.")
]
On = Annotated[
    str | None,
    option(
        "--on",
        value="PLACE",
        help="Where jobs run: processes:8, ray:ADDRESS or dask:ADDRESS.",
        show_default="here, one after another",
    ),
]
Jobs = Annotated[
    int | None, option("--jobs", value="J", help="Processes to run in: --on processes:J.")
]
JsonFlag = Annotated[
    bool, option("--json", help="Print JSON, and nothing else, on standard output.")
]
JsonFile = Annotated[
    Path | None, option("--json", value="FILE", help='Write the figures as JSON; "-" prints them.')
]
Overwrite = Annotated[bool, option("--overwrite", help="Replace a data set that is there.")]


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


def executor_of(on: str | None, jobs: int | None) -> Executor:
    """Where the jobs of a command run.

    Args:
        on: value of --on.
        jobs: value of --jobs, the short form of --on processes:J.

    Raises:
        ConfigError: both are given, or there is no such place.
    """
    from rlfocal.executor import executor_at

    if on is not None and jobs is not None:
        raise ConfigError(f"--jobs {jobs} is --on processes:{jobs}; give one of the two")
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {jobs}")
    return executor_at(on or f"processes:{jobs or 1}")


def load_dataset(data: str, *, with_text: bool = True) -> Dataset:
    """Read a data folder, or take one of the built-in data sets; a folder "demo" is ./demo.

    Args:
        data: a folder, or the name of a built-in data set.
        with_text: read whole replies too.

    Raises:
        RecordError: the folder cannot be read or contradicts itself.
    """
    from rlfocal.records.built_in import read_data

    return read_data(data, with_text=with_text)


def load_table(
    data: str,
    pool: str | None,
    members: str | None,
    *,
    with_features: bool,
    cost: str | None = None,
    complete: bool = False,
    with_text: bool = True,
) -> tuple[Dataset, ResponseTable]:
    """Load data and build the table of the chosen members.

    Args:
        data: a folder, or the name of a built-in data set.
        pool: value of --pool.
        members: value of --members, names separated by commas.
        with_features: encode the query texts (by hashing words) for strategies that route on them.
        cost: value of --cost; None for dollars where they are known.
        complete: value of --complete.
        with_text: read whole replies too.

    Returns:
        The data set, and the table; a named pool stands in the table's name too.

    Raises:
        ConfigError: an unknown pool or member; the nearest name is suggested.
        RecordError: the data cannot be read or used.
    """
    from dataclasses import replace

    from rlfocal.records import build_table

    with waiting(f"reading {data}"):
        dataset = load_dataset(data, with_text=with_text)
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
def opened_to_read(
    read: Callable[[str], Opened | None], url: str, missing: str
) -> Iterator[Opened]:
    """A database, opened to be read alone.

    Args:
        read: opens it; None where there is none.
        url: of the database.
        missing: what is not there otherwise, and what makes one.

    Raises:
        ConfigError: there is none.
        DatabaseError: it cannot be opened, or is of another version.
    """
    database = read(url)
    if database is None:
        # A server's URL holds a password.
        where = f"{url}: " if "://" not in url else ""
        raise ConfigError(f"{where}no such {missing} makes one")
    with database:
        yield database


def answers_in(url: str) -> contextlib.AbstractContextManager[Database]:
    """A database of answers, as of `opened_to_read`."""
    from rlfocal.records.database import read_database

    return opened_to_read(read_database, url, "database of answers; `rlfocal collect`")

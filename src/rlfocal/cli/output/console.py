"""Where things are printed and written, and how it shows that something goes on."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

__all__ = [
    "Phases",
    "check_json",
    "deliver",
    "phases",
    "print_json",
    "print_notes",
    "progress",
    "remark",
    "terminal",
    "waiting",
]

PIPE_WIDTH = 200
"""Columns of a table that no terminal limits."""
_STDOUT = Path("-")


def terminal(*, error: bool = False) -> Console:
    """Where to print: names from data are shown as they are, never read as markup."""
    from rich.console import Console

    console = Console(stderr=error, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width, console.soft_wrap = PIPE_WIDTH, True  # what is said stays in one line
    return console


def remark(message: str) -> None:
    """Say something that is no result, on standard error: wrapped at blanks on a terminal alone."""
    console = terminal(error=True)
    if console.is_terminal:
        console.print(message)
    else:
        typer.echo(message, err=True)


def print_notes(notes: Sequence[str]) -> None:
    """Show what has to be known of a result, beneath it."""
    for note in notes:
        terminal().print(f"note: {note}")


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    typer.echo(_as_text(value))


def check_json(path: Path | None) -> None:
    """Refuse, before any work, a file for `deliver` that could not be written after it.

    Raises:
        ConfigError: it is a folder, or its folder cannot be written.
    """
    from rlfocal.files import check_writable

    if path is None or path == _STDOUT:
        return
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file to write to")
    check_writable(path.parent)


def deliver(value: Any, path: Path | None, show: Callable[[], None]) -> None:
    """Hand over a result: JSON on standard output, or shown to people and written where wanted.

    Args:
        value: what JSON says of it.
        path: value of --json: "-", a file, or None for neither.
        show: prints it for people.

    Raises:
        ConfigError: the file cannot be written.
    """
    from rlfocal.files import replace_file

    if path == _STDOUT:
        print_json(value)
        return
    show()
    if path is not None:
        text = _as_text(value) + "\n"
        replace_file(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))


def _as_text(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something of unknown length goes on."""
    with terminal(error=True).status(what):
        yield


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on standard error.

    Args:
        what: what goes on, in a word or two.

    Yields:
        A function (done, total, doing now) that moves the bar.
    """
    with _bar(terminal(error=True)) as bar:
        task = bar.add_task(what, total=None, now="")

        def move(done: int, total: int, now: str) -> None:
            bar.update(task, completed=done, total=total, now=now)

        yield move


def _bar(console: Console) -> Progress:
    """A bar that leaves nothing behind; none where there is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Count(MofNCompleteColumn):
        """Nothing until it is known how many there are."""

        def render(self, task: Task) -> Text:
            return Text() if task.total is None else super().render(task)

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        Count(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class Phases:
    """Phases of work: the one under way moves, each that is over stays as a line with its time.

    Args:
        bar: for the phase under way.
        say: prints a line that stays.
    """

    def __init__(self, bar: Progress, say: Callable[[str], None]) -> None:
        self._bar, self._say = bar, say
        self._what, self._since, self._now = "", 0.0, ""
        self._task: TaskID | None = None

    def begin(self, what: str) -> None:
        """End the phase under way, and begin another one."""
        self.end()
        self._what, self._since, self._now = what, time.perf_counter(), ""
        self._task = self._bar.add_task(what, total=None, now="")

    def move(self, done: int, total: int, now: str = "") -> None:
        """Say how far the phase is, and a few words beside it; the last ones stay."""
        self._now = now
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, now=now)

    def end(self) -> None:
        """End the phase under way, if there is one."""
        if self._task is None:
            return
        self._bar.remove_task(self._task)
        self._task = None
        beside = f", {self._now}" if self._now else ""
        self._say(f"{self._what}: {time.perf_counter() - self._since:.1f} s{beside}")


@contextlib.contextmanager
def phases() -> Iterator[Phases]:
    """Show phases of work on standard error; piped, it has a line a phase and nothing else."""
    console = terminal(error=True)
    with _bar(console) as bar:
        shown = Phases(bar, console.print)
        yield shown
        shown.end()

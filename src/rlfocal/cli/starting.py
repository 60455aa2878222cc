"""With what a verb that asks live members starts: a checkpoint and a pool file, or a pool alone."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import remark
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.checkpoint import Checkpoint
    from rlfocal.pool.settings import PoolSettings

__all__ = ["Answers", "First", "Second", "Start", "named", "start", "telling_of_models"]

_KINDS = "number, math, date, text; open: free words, compared by what they mean"

First = Annotated[
    Path | None,
    argument("CHECKPOINT", "Folder that `rlfocal train` wrote; without it the shipped prior."),
]
Second = Annotated[Path | None, argument("POOL.toml", "The pool file.")]
Answers = Annotated[
    str | None,
    option(
        value="KIND",
        help=f"What an open question is answered with: {_KINDS}.",
        show_default="as in training",
    ),
]


class Start(NamedTuple):
    """What decides, and who is asked."""

    folder: Path | None
    """Of the checkpoint; None where there are no labels."""
    checkpoint: Checkpoint
    pool: PoolSettings

    @property
    def says(self) -> str:
        """Who decides, in a line."""
        if self.folder is not None:
            return f"{self.checkpoint.description.strategy} decides whom to ask"
        is_priced = self.checkpoint.description.cost_unit == "usd"
        cost = "cost what the pool file says" if is_priced else "are taken to cost the same"
        return (
            "no labels yet: the shipped prior decides whom to ask; members start as equals, and "
            f"their calls {cost}"
        )


def named(first: Path | None, second: Path | None, *, verb: str) -> tuple[Path | None, Path]:
    """Tell what the arguments of a verb name.

    Args:
        first: the checkpoint's folder, or the pool file where it stands alone; None for neither.
        second: the pool file; None where there is only one argument.
        verb: for messages, with what follows the pool file.

    Returns:
        The checkpoint's folder, or None, and the pool file.

    Raises:
        ConfigError: they stand in the wrong order, or one is missing.
    """
    verb, _, rest = verb.partition(" ")
    usage = f"rlfocal {verb} [CHECKPOINT] POOL.toml {rest}".rstrip()
    if first is None:
        raise ConfigError(f"the pool file is missing: {usage}")
    if second is None:
        if first.is_dir():
            raise ConfigError(f"{first}: a folder alone; the pool file is missing: {usage}")
        if not first.exists():
            raise ConfigError(f"{first}: no such file; {usage}")
        return None, first
    if first.is_file() and first.suffix == ".toml":
        raise ConfigError(
            f"{first}: the checkpoint comes before the pool file: rlfocal {verb} {second} {first}"
            if second.is_dir()
            else f"{first}: where two are named, the first is a checkpoint's folder: {usage}"
        )
    if second.is_dir():
        raise ConfigError(f"{second}: is a folder, and the pool file stands second: {usage}")
    return first, second


def start(folder: Path | None, pool_file: Path) -> Start:
    """Read what `named` has told apart.

    Args:
        folder: of the checkpoint, or None.
        pool_file: the pool file.

    Raises:
        CheckpointError, ConfigError: one of them cannot be read.
    """
    from rlfocal.checkpoint import load_checkpoint
    from rlfocal.checkpoint.unlabelled import start_without_labels
    from rlfocal.pool.settings import read_pool

    pool = read_pool(pool_file)
    if folder is None:
        return Start(None, start_without_labels(pool), pool)
    checkpoint = load_checkpoint(folder)
    if not checkpoint.description.finished:
        remark(f"{folder}: training was interrupted; it is used as it is")
    return Start(folder, checkpoint, pool)


@contextlib.contextmanager
def telling_of_models(wanted: bool) -> Iterator[None]:
    """Say on standard error which model is being loaded, where somebody waits for it."""
    if not wanted:
        yield
        return
    log, said = logging.getLogger("rlfocal.pool.llama_cpp"), _Said()
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(said)
    try:
        yield
    finally:
        log.removeHandler(said)
        log.setLevel(before)


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        remark(record.getMessage())

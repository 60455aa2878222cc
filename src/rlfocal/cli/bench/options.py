"""The options of `rlfocal bench --live`, checked together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.errors import ConfigError

__all__ = [
    "Conversations", "Db", "DryRun", "Live", "LiveOptions", "MaxCalls", "MaxUsd", "RetryFailed",
]  # fmt: skip

_DB = "answers.db"

Live = Annotated[
    Path | None,
    option("--live", value="POOL.toml", help="Hold conversations with these live members, too."),
]
Conversations = Annotated[
    str | None,
    option(
        value="A,B,...",
        help="With --live: which; moa, smoa, smoa-released, dylan, dylan-released, topla-summary, "
        "self-refine, best-of-n-judge.",
        show_default="all",
    ),
]
Db = Annotated[
    str | None,
    option(
        "--db", value="URL", help="With --live: where replies are looked up and stored.",
        show_default=_DB,
    ),
]  # fmt: skip
MaxUsd = Annotated[
    float | None,
    option(
        min=0, help="With --live: spend at most so many dollars; needed where prices are known."
    ),
]
MaxCalls = Annotated[
    int | None,
    option(min=0, help="With --live: make at most so many calls; 0 for what is stored alone."),
]
RetryFailed = Annotated[
    bool, option("--retry-failed", help="With --live: make calls again that failed before.")
]
DryRun = Annotated[
    bool, option("--dry-run", help="With --live: say what it may come to; ask nobody.")
]


class LiveOptions(NamedTuple):
    """What is wanted of live members."""

    pool_file: Path
    conversations: tuple[str, ...] | None
    """None for all."""
    db: str
    max_usd: float | None
    max_calls: int | None
    retry_failed: bool
    dry_run: bool

    @classmethod
    def of(
        cls,
        pool_file: Path | None,
        conversations: str | None,
        db: str | None,
        max_usd: float | None,
        max_calls: int | None,
        *,
        retry_failed: bool,
        dry_run: bool,
        scenario: str | None,
    ) -> LiveOptions | None:
        """The options as they are typed; None where no conversation is wanted.

        Raises:
            ConfigError: an option goes with another one that is not there, or a conversation is
                unknown.
        """
        names = common.split_names(conversations, "--conversations")
        if pool_file is None:
            given = {
                "--conversations": names, "--db": db, "--max-usd": max_usd,
                "--max-calls": max_calls, "--retry-failed": retry_failed or None,
                "--dry-run": dry_run or None,
            }  # fmt: skip
            if said := [name for name, value in given.items() if value is not None]:
                raise ConfigError(f"{', '.join(said)} goes with --live POOL.toml alone")
            return None
        if scenario is not None:
            raise ConfigError("--scenario plays what is recorded; leave --live out")
        from rlfocal.conversations.registry import conversations as chosen

        chosen(names)  # a wrong name is told before the data are read
        return cls(pool_file, names, db or _DB, max_usd, max_calls, retry_failed, dry_run)

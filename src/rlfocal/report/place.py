"""Where a report lies: which files are one, and when they may be replaced."""

from __future__ import annotations

from pathlib import Path

from rlfocal.errors import ConfigError
from rlfocal.files import check_own, check_writable

__all__ = ["FILES", "PAGE", "TALKS", "TITLE_END", "check_folder", "check_page", "is_report"]

PAGE, TALKS = "index.html", "talks.jsonl"
FILES = (
    PAGE, "bench.json", "rows.parquet", "rows-hidden.parquet", "leaderboard.md", "history.json",
    TALKS,
)  # fmt: skip
"""The page, what `BenchResult.write` puts beside it, and transcripts of conversations."""
TITLE_END = "- rlfocal report"
"""How the title of every report ends; by it a report is known."""


def check_page(folder: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a folder that a page could or should not be written to.

    Raises:
        ConfigError: it cannot be written, holds a page that is no report, or one that stays.
    """
    _refuse_foreign(folder / PAGE)
    if (folder / PAGE).exists() and not overwrite:
        raise ConfigError(f"{folder}: already holds a report; name a new folder, or overwrite it")
    check_writable(folder)


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a folder in which page and results could or should not be written.

    Raises:
        ConfigError: as for `check_page`; or it holds results that stay, or other files.
    """
    _refuse_foreign(folder / PAGE)  # first: --overwrite, which comes next, is no remedy for it
    check_own(folder, FILES, "a report", overwrite=overwrite)
    check_page(folder, overwrite=overwrite)


def _refuse_foreign(page: Path) -> None:
    if page.exists() and not is_report(page):
        raise ConfigError(f"{page}: is no report of rlfocal; name another folder")


def is_report(page: Path) -> bool:
    """Whether a file is a report, of any version."""
    try:
        with page.open(encoding="utf-8", errors="replace") as file:
            return f"{TITLE_END}</title>" in file.read(4096)
    except OSError:
        return False

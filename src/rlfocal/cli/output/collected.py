"""What `rlfocal collect` prints: an estimate, how it went, which calls failed and why.

Figures stand in a table; what servers said, which is long, in lines below it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlfocal.cli.output.console import print_json, remark, terminal
from rlfocal.cli.output.tables import Column, joined, print_table
from rlfocal.errors import ConfigError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from rlfocal.collect.plan import Plan
    from rlfocal.collect.tally import Cause, Tally
    from rlfocal.pool.building import LivePool
    from rlfocal.records.database import Database, FailureCounts

__all__ = ["show_estimate", "show_failures", "show_tally"]

_LONG_TEXTS = {"causes", "dropped"}
_INDENT = "    "


def show_estimate(
    plan: Plan, database: Database | None, live: LivePool, *, retry_failed: bool, as_json: bool
) -> None:
    """Say what a plan would come to, and which keys it lacks."""
    from rlfocal.collect.counting import estimated

    missing = live.missing_keys()
    estimate = estimated(plan, database, retry_failed=retry_failed)
    figures = estimate._asdict() | {"n_calls_in_all": plan.n_calls}
    for problem in missing:
        remark(f"note: a real run would stop here: {problem}")
    if as_json:
        print_json(figures | {"missing_keys": list(missing)})
    else:
        _show_figures(figures, cost="dollars, by these tokens")


def show_tally(tally: Tally, *, as_json: bool) -> None:
    """Say how a collection went."""
    figures = tally.as_json()
    if as_json:
        print_json(figures)
        return
    console = terminal()
    shown = {name: value for name, value in figures.items() if name not in _LONG_TEXTS}
    _show_figures(shown | {"failures": _counted(tally.failures)})
    for cause in tally.causes.values():
        _paragraph(console, f"{_said(cause, cause.n)}. The latest:", cause.message)
    for member, reason in tally.dropped.items():
        _paragraph(console, f"{member} was given up and is not asked any more in this run:", reason)


def show_failures(database: Database, members: Sequence[str] | None, *, as_json: bool) -> None:
    """List the failures that a database holds.

    Raises:
        ConfigError: a member is unknown.
    """
    known = database.member_names()
    for name in members or ():
        if name not in known:
            raise ConfigError(f"unknown member '{name}'; {nearest(name, known)}")
    found = database.failures(members=members)
    if as_json:
        print_json({"failures": [each._asdict() for each in found]})
        return
    console = terminal()
    if not found:
        console.print("no call has failed")
    for each in found:
        when = f"{_moment(each.first_at)} to {_moment(each.last_at)}"
        if each.n_failures == 1:
            when = _moment(each.last_at)
        _paragraph(
            console,
            f"{_said(each, each.n_left)} without a reply. It happened {each.n_failures} "
            f"time{'s' * (each.n_failures != 1)} ({when} UTC). The latest:",
            each.message,
        )


def _said(of: Cause | FailureCounts, n: int) -> str:
    status = "" if of.status is None else f" (status {of.status})"
    return f"{of.member}: {of.failure}{status}: {n:,} call{'s' * (n != 1)}"


def _moment(text: str) -> str:
    """A time of the database, to the second."""
    return text[:19].replace("T", " ")


def _paragraph(console: Console, head: str, text: str) -> None:
    wide = max(console.width, 40)
    for part, indent in ((head, ""), (text, _INDENT)):
        lines = textwrap.wrap(
            part, wide, initial_indent=indent, subsequent_indent=_INDENT, break_on_hyphens=False
        )
        console.print("\n".join(lines), soft_wrap=True)


def _counted(failures: Mapping[str, int]) -> str | None:
    listed = ", ".join(f"{kind} {n:,}" for kind, n in failures.items())
    return f"{sum(failures.values()):,} ({listed})" if failures else None


def _show_figures(figures: Mapping[str, Any], *, cost: str = "dollars") -> None:
    rows = []
    for name, value in figures.items():
        if value in (None, ()) or (name in _ONLY_IF_ANY and not value):
            continue
        shown = value
        if isinstance(value, tuple):
            shown = joined(value)
        elif name.endswith("_usd"):
            shown = f"${value:.4f}"
        label = cost if name == "cost_usd" else _LABELS.get(name, name)
        rows.append((label, str(shown)))
    print_table(
        rows,
        Column("", lambda row: row[0], prose=True),
        Column("", lambda row: row[1], prose=True),
        headed=False,
    )


_ONLY_IF_ANY = {"n_bounded", "n_lost", "lost_usd", "n_unread"}
_LABELS = {
    "n_calls_in_all": "calls in all", "n_calls": "calls", "n_stored": "stored already",
    "n_failed": "failed before (--retry-failed asks again)",
    "n_prompt_tokens": "prompt tokens, at 4 characters each",
    "n_completion_tokens": "reply tokens, at most",
    "most_usd": "dollars at most (every byte a token, every attempt billed)",
    "uncertain_cost_usd": "dollars at most that no server has counted",
    "unpriced": "unpriced members", "n_skipped": "failed before (--retry-failed asks again)",
    "n_answered": "answered now", "failures": "failed now",
    "n_attempted": "asked now", "n_unpriced": "unpriced replies", "stopped": "stopped",
    "n_bounded": "replies that do not tell every option's letter (docs: option scores)",
    "n_unread": "not asked, since nobody whom they read has replied",
    "n_lost": "replies that could not be stored", "lost_usd": "dollars paid for them",
}  # fmt: skip

"""What `rlfocal train` prints of what it has trained."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rlfocal.bench.summaries.training import SIMPLE
from rlfocal.cli.output.console import terminal
from rlfocal.cli.output.tables import (
    Column,
    interval,
    joined,
    percent,
    print_table,
    show_synthetic,
    usd_per_1k,
)

if TYPE_CHECKING:
    from rlfocal.bench.summaries.training import Compared, TrainingSummary
    from rlfocal.checkpoint import Checkpoint

__all__ = ["show_trained"]

_FEW = 100
"""Held-out queries below which intervals are wide."""


def show_trained(
    loaded: Checkpoint,
    found: TrainingSummary | None,
    *,
    n_held_out: int,
    folder: Path,
    data: str,
) -> None:
    """Say what it is worth, who acts and why, and how to go on.

    Args:
        loaded: what was trained.
        found: its figures; None where nothing can be measured.
        n_held_out: queries held out of training.
        folder: of the checkpoint.
        data: what it was trained on, as it was typed.
    """
    console = terminal()
    bench = shlex.join(["rlfocal", "bench", data, "--strategies", loaded.strategy.name])
    trained = None if found is None else found.trained
    if found is not None and trained is not None:
        _show_figures(found, trained, synthetic=loaded.description.synthetic)
    if n_held_out == 0:
        console.print(f"No query was held out, so it was not measured: {bench} does.")
    elif trained is None:
        console.print(
            f"Too few queries were held out to measure it ({n_held_out}): {bench} tests on every "
            "query."
        )
    elif n_held_out < _FEW:
        console.print(
            f"{n_held_out} queries tell little, as the intervals show: {bench} tests on all."
        )
    _show_who(loaded, found)
    _show_next(loaded, folder, data, measured=n_held_out > 0)


def _show_figures(found: TrainingSummary, trained: Compared, *, synthetic: bool) -> None:
    """A table, and in words what it says."""
    console = terminal()
    show_synthetic(synthetic)
    console.print(f"On the {found.n_held_out:,} queries held out of training, with 95 % intervals:")
    print_table(
        [trained, *(other for other in (found.best_single, found.best_simple) if other)],
        Column("", lambda row: row.name),
        Column(
            "accuracy %",
            lambda row: interval(row.accuracy.value, row.accuracy.ci),
            short=lambda row: percent(row.accuracy.value),
        ),
        Column("calls", lambda row: f"{row.mean_calls:.2f}"),
        Column(
            f"lead of {trained.name}",
            lambda row: row.lead and interval(row.lead.value, row.lead.ci, signed=True),
            short=lambda row: row.lead and percent(row.lead.value, signed=True),
        ),
        Column("USD / 1k", lambda row: usd_per_1k(row.mean_cost_usd), optional=True, spare=1),
    )
    kind = "other simple strategies" if trained.name in SIMPLE else "simple strategies"
    against: dict[str, list[str]] = {}
    for other, what in (
        (found.best_single, "the best single member"),
        (found.best_simple, f"the best of the {kind} tried"),
    ):
        if other is not None and other.verdict is not None:
            against.setdefault(other.verdict, []).append(f"{other.name}, {what}")
    if against:
        said = [f"{_VERDICTS[verdict]} {', or '.join(to)}" for verdict, to in against.items()]
        chosen = "Both were" if sum(map(len, against.values())) > 1 else "It was"
        console.print(
            f"{trained.name} is {'; it is '.join(said)}. {chosen} chosen on the training queries."
        )


_VERDICTS = {
    "better": "better than", "worse": "worse than",
    "no difference": "not shown to differ from",
    "withheld": "not judged, since too many responses are missing, against",
}  # fmt: skip


def _show_who(loaded: Checkpoint, found: TrainingSummary | None) -> None:
    """Who acts and why, and whom it asks."""
    from rlfocal.strategies.verdicts import POINTS

    console, strategy = terminal(), loaded.strategy
    acting, price = strategy.acting, strategy.price
    at = "At its default setting"
    if price is not None:
        at = f"At its default price of a call, {price:g} of what a right answer is worth,"
    if acting is None:
        console.print(f"{at} {strategy.name} itself acts: nothing was trained to take its place.")
    else:
        console.print(f"{at} {acting.why}. {POINTS}")
    if strategy.reads_replies:
        console.print(
            "It reads whole replies, not their answers alone, so it asks live members for "
            "log-probabilities, too (logprobs = false in the pool file where one should not)."
        )
    if found is not None and found.asked:
        listed = [f"{name} on {100 * share:.0f} %" for name, share in found.asked.items()]
        console.print(f"Whom it asks of {len(loaded.description.members)}: {joined(listed, 6)}.")


def _show_next(loaded: Checkpoint, folder: Path, data: str, *, measured: bool) -> None:
    """The commands that go on from here."""
    to, console = str(folder), terminal()
    commands = [
        (["ask", to, "POOL.toml", "QUESTION"], "one question to live models"),
        (["serve", to, "POOL.toml"], "the same for every client of OpenAI's API"),
    ]
    if measured:
        commands.insert(0, (["evaluate", to, data], "every price, on the same held-out queries"))
    lines = [(f"  {shlex.join(['rlfocal', *words])}", what) for words, what in commands]
    wide = max(len(line) for line, _ in lines)
    roomy = wide + max(len(what) for _, what in lines) + 4 <= console.width
    console.print("Next:")
    for line, what in lines:
        console.print(f"{line:<{wide}}  # {what}" if roomy else line, soft_wrap=True)
    names = joined([f'"{name}"' for name in loaded.description.members])
    console.print(f"POOL.toml names the live models as these data do: {names}.")

"""`rlfocal evaluate`: what a checkpoint scores and costs on queries it was not trained on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output import tables
from rlfocal.cli.output.console import check_json, deliver, print_notes, terminal, waiting
from rlfocal.cli.output.tables import Column, percent, print_table
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from rlfocal.bench.statistics import BootstrapMeans
    from rlfocal.checkpoint import Checkpoint
    from rlfocal.deliberation.protocol import Outcome
    from rlfocal.records import ResponseTable

__all__ = ["evaluate"]


def evaluate(
    checkpoint: common.Checkpoint,
    data: common.Data,
    price: common.Price = None,
    complete: common.Complete = False,
    json: common.JsonFile = None,
    include_trained: Annotated[
        bool,
        option("--include-trained", help="Keep queries it was trained on: the figures flatter it."),
    ] = False,
) -> None:
    """Evaluate a checkpoint on recorded answers of its pool.

    Queries it was trained on are left out, and the best single member is shown beside it.
    """
    from rlfocal.checkpoint import load_checkpoint

    check_json(json)
    loaded = load_checkpoint(checkpoint)
    with waiting(f"reading {data}"):
        table = loaded.table(common.load_dataset(data))
    if complete:
        from rlfocal.records.tables.missing import complete_part

        table = complete_part(table)
    seen = loaded.was_trained_on(table)
    if not include_trained:
        table = _unseen(table, seen)
    with waiting("replaying"):
        figures = _figures(loaded, table, price)
    figures["queries_left_out"] = 0 if include_trained else int(seen.sum())
    figures["trained_on_included"] = bool(include_trained and seen.any())
    deliver(figures, json, lambda: _show(figures))


def _unseen(table: ResponseTable, seen: np.ndarray) -> ResponseTable:
    if seen.all():
        raise ConfigError(
            f"{table.name}: all {table.n_queries} queries were used in training, so nothing honest "
            "can be measured on them; train with --split, use `rlfocal bench`, or give other data "
            "(--include-trained shows the flattering figures)"
        )
    return table.take(~seen) if seen.any() else table


def _figures(loaded: Checkpoint, table: ResponseTable, price: float | None) -> dict[str, Any]:
    import numpy as np

    from rlfocal.bench.statistics import bootstrap_means, judge
    from rlfocal.deliberation.replay import replay
    from rlfocal.records.tables.missing import missing_of

    strategy, best = loaded.strategy.at_price(price), loaded.best_member
    outcome, missing = replay(strategy, table), missing_of(table)
    known, single = outcome.measured, table.member_score[:, best]
    both = known & table.scored[:, best]
    if not both.any():
        raise ConfigError(
            f"{table.name}: no query is recorded of both {table.members[best]}, the best single "
            "member, and somebody whom the checkpoint asks; record more"
        )
    own = bootstrap_means(outcome.score[known, None].astype(np.float64), table.group[known])
    paired = np.stack([single, outcome.score - single], axis=1)[both]
    means = bootstrap_means(paired.astype(np.float64), table.group[both])
    low, high = _interval(means, 1)
    frontier = [
        {"dial": dial, **_point(replay(strategy.with_dial(dial), table), table)}
        for dial in strategy.dials
    ]
    return {
        "data": table.name,
        "synthetic": table.synthetic,
        "strategy": strategy.name,
        "price": strategy.price,
        "n_queries": table.n_queries,
        **_point(outcome, table),
        "n_measured": int(known.sum()),
        "n_compared": int(both.sum()),
        "missing": None if missing is None else asdict(missing),
        "accuracy_ci": _interval(own, 0),
        "mean_rounds": float(outcome.n_rounds[known].mean()),
        "best_single": table.members[best],
        "best_single_accuracy": float(means.value[0]),
        "gain_over_best_single": float(means.value[1]),
        "gain_ci": [low, high],
        "verdict": "withheld" if missing is not None and missing.withheld else judge((low, high)),
        "notes": [*([] if missing is None else [missing.explain()]), *table.notes],
        "dial": strategy.dial or None,
        "frontier": frontier,
    }


def _interval(means: BootstrapMeans, column: int) -> list[float]:
    import numpy as np

    low, high = np.percentile(means.resampled[:, column], [2.5, 97.5])
    return [float(low), float(high)]


def _point(outcome: Outcome, table: ResponseTable) -> dict[str, float | None]:
    known = outcome.measured
    return {
        "accuracy": float(outcome.score[known].mean()),
        "mean_calls": float(outcome.n_calls[known].mean()),
        "mean_cost_usd": float(outcome.cost[known].mean()) if table.cost_unit == "usd" else None,
    }


def _show(figures: dict[str, Any]) -> None:
    console = terminal()
    tables.show_synthetic(figures["synthetic"])
    if figures["trained_on_included"]:
        console.print("These queries include training queries: the figures flatter the checkpoint.")
    console.print(
        f"{figures['strategy']} on {figures['n_queries']} queries of {figures['data']}"
        f" ({figures['queries_left_out']} training queries left out)"
    )
    low, high = (percent(end) for end in figures["accuracy_ci"])
    console.print(
        f"  accuracy {percent(figures['accuracy'])} % [{low}, {high}] "
        f"with {figures['mean_calls']:.2f} calls in {figures['mean_rounds']:.2f} rounds"
    )
    verdict = figures["verdict"].replace("no difference", "no difference shown")
    gain = tables.interval(figures["gain_over_best_single"], figures["gain_ci"], signed=True)
    console.print(
        f"  against {figures['best_single']} alone "
        f"({percent(figures['best_single_accuracy'])} %): {gain}, {verdict}"
    )
    print_notes(figures["notes"])
    if figures["frontier"]:
        print_table(
            figures["frontier"],
            Column(
                "price of a call" if figures["dial"] == "price" else figures["dial"],
                lambda point: f"{point['dial']:.4f}",
            ),
            Column("accuracy %", lambda point: percent(point["accuracy"])),
            Column("calls", lambda point: f"{point['mean_calls']:.2f}"),
            Column(
                "USD / 1k", lambda point: tables.usd_per_1k(point["mean_cost_usd"]), optional=True
            ),
        )

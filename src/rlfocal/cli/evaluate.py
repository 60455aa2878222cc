"""`rlfocal evaluate`: what a checkpoint scores and costs on queries it was not trained on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output import tables
from rlfocal.cli.output.console import check_json, deliver, print_notes, terminal, waiting
from rlfocal.cli.output.tables import Column, percent, print_table

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
    tasks: Annotated[
        Literal["given", "hidden"],
        option(help="The queries' tasks; hidden as where a gateway's client names none."),
    ] = "given",
) -> None:
    """Evaluate a checkpoint on recorded answers of its pool.

    Queries it was trained on are left out, and the best single member is shown beside it.
    """
    from rlfocal.bench.summaries.evaluation import evaluate_checkpoint
    from rlfocal.checkpoint import load_checkpoint

    check_json(json)
    loaded = load_checkpoint(checkpoint)
    with waiting(f"reading {data}"):
        table = loaded.table(common.load_dataset(data))
    if complete:
        from rlfocal.records.tables.missing import complete_part

        table = complete_part(table)
    with waiting("replaying"):
        found = evaluate_checkpoint(
            loaded, table, price=price, include_trained=include_trained, tasks=tasks
        )
    figures = found.to_json()
    deliver(figures, json, lambda: _show(figures, found.shown_tasks()))


def _show(figures: dict[str, Any], shown_tasks: str) -> None:
    console = terminal()
    tables.show_synthetic(figures["synthetic"])
    if figures["trained_on_included"]:
        console.print("These queries include training queries: the figures flatter the checkpoint.")
    console.print(
        f"{figures['strategy']} on {figures['n_queries']} queries of {figures['data']}"
        f" ({figures['queries_left_out']} training queries left out{shown_tasks})"
    )
    low, high = (percent(end) for end in figures["accuracy_ci"])
    console.print(
        f"  accuracy {percent(figures['accuracy'])} % [{low}, {high}] "
        f"with {figures['mean_calls']:.2f} calls in {figures['mean_rounds']:.2f} rounds"
    )
    verdict = figures["verdict"].replace("no difference", "no difference shown")
    gain = tables.interval(figures["gain_over_best_single"], figures["gain_ci"], signed=True)
    console.print(
        f"  against {figures['best_single']}{' alone' * (figures['best_single_calls'] == 1)} "
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

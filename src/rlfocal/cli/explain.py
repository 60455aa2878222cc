"""`rlfocal explain`: one query, round by round: who was asked, what was said, why it stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output.console import print_json, terminal, waiting
from rlfocal.cli.output.trace import show_trace

if TYPE_CHECKING:
    from rlfocal.checkpoint.explaining import Explanation

__all__ = ["explain"]


def explain(
    checkpoint: common.Checkpoint,
    data: common.Data,
    query: Annotated[str, option("--query", value="ID", help="The query's id.")],
    price: common.Price = None,
    as_json: common.JsonFlag = False,
) -> None:
    """Show how a checkpoint answers one query."""
    from rlfocal.checkpoint import load_checkpoint
    from rlfocal.checkpoint.explaining import explain_query

    loaded = load_checkpoint(checkpoint)
    with waiting(f"reading {data}"):
        dataset = common.load_dataset(data)
        table = loaded.table(dataset, unlabelled="keep")
    found = explain_query(loaded, table, query, price=price, dataset=dataset)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)


def _show(found: Explanation) -> None:
    console = terminal()
    console.print(f"query {found.query} (task {found.task})")
    if found.trained_on:
        console.print("the checkpoint was trained on this query")
    show_trace(found.trace)
    console.print(found.verdict)

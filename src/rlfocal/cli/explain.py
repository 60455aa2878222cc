"""`rlfocal explain`: one query, round by round: who was asked, what was said, why it stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output.console import print_json, terminal, waiting
from rlfocal.cli.output.trace import show_trace
from rlfocal.errors import ConfigError, nearest

if TYPE_CHECKING:
    from rlfocal.checkpoint import Checkpoint
    from rlfocal.deliberation.trace import CallRecord
    from rlfocal.records import ResponseTable

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

    loaded = load_checkpoint(checkpoint)
    with waiting(f"reading {data}"):
        table = loaded.table(common.load_dataset(data), unlabelled="keep")
    found = (table.query_ids == query).nonzero()[0]
    if not len(found):
        raise ConfigError(
            f"{table.name}: no query '{query}'; {nearest(query, table.query_ids.tolist())}"
        )
    trace = _trace(loaded, table, int(found[0]), price)
    if as_json:
        print_json(trace)
    else:
        _show(trace)


def _trace(
    loaded: Checkpoint, table: ResponseTable, row: int, price: float | None
) -> dict[str, Any]:
    """Replay one query and note every round."""
    import numpy as np

    from rlfocal.deliberation.recorded import candidates_of, reveal
    from rlfocal.deliberation.trace import Deliberation

    rows = np.array([row])
    asked = np.zeros((1, table.n_members), dtype=bool)
    names = table.candidates[row]
    deliberation = Deliberation(loaded.strategy.at_price(price), table.members, table.cost_unit)
    view = reveal(table, rows, asked)
    wanted = deliberation.first(view)
    while wanted.any():
        asked, called = asked | wanted, np.flatnonzero(wanted).tolist()
        view = reveal(table, rows, asked, n_rounds=np.array([deliberation.n_rounds + 1]))
        slots = candidates_of(table, rows, asked, np.arange(int(view.available.sum()))[None])[0]
        calls = [_call(table, row, n) for n in called if table.recorded[row, n]]
        wanted = deliberation.record_round(view, calls, [names[slot] for slot in slots.tolist()])
    trace = deliberation.trace
    place = -1 if trace.answer is None else names.index(trace.answer)
    chosen = np.full(table.n_queries, place)
    # Nothing says what is right, or nobody asked has a record: neither right nor wrong.
    score = float(table.measured_score(chosen, asked & table.recorded)[row])
    return {
        "query": str(table.query_ids[row]),
        "task": table.tasks[table.task[row]],
        "trained_on": bool(loaded.was_trained_on(table)[row]),
        "labelled": bool(table.judged[row]),
        "score": None if np.isnan(score) else score,
        **trace.as_json(),
    }


def _call(table: ResponseTable, row: int, member: int) -> CallRecord:
    from rlfocal.deliberation.trace import CallRecord

    answer = int(table.answer[row, member])
    return CallRecord(
        member=table.members[member],
        answer=None if answer < 0 else table.candidates[row][answer],
        support=None if answer < 0 else float(table.support[row, member, answer]),
        cost=float(table.cost[row, member]),
    )


def _show(trace: dict[str, Any]) -> None:
    from rlfocal.deliberation.trace import Trace

    console = terminal()
    console.print(f"query {trace['query']} (task {trace['task']})")
    if trace["trained_on"]:
        console.print("the checkpoint was trained on this query")
    show_trace(Trace.of_json(trace))
    score = trace["score"]
    if not trace["labelled"]:
        console.print("no label: nobody knows whether that is right")
    elif score is None:
        console.print("nothing is recorded of the members that it asked")
    else:
        right = {0.0: "wrong", 1.0: "right"}.get(score, f"score {score:.2f}")
        console.print(f"that is {right}")

"""`rlfocal explain`: one query, round by round: who was asked, what was said, why it stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlfocal.cli import common
from rlfocal.cli.evaluate import Checkpoint_
from rlfocal.errors import ConfigError, nearest

if TYPE_CHECKING:
    from rlfocal.records import ResponseTable
    from rlfocal.rl.checkpoint import Checkpoint

__all__ = ["explain"]

_N_SHOWN = 4


def explain(
    checkpoint: Checkpoint_,
    data: common.Data,
    query: Annotated[str, typer.Option("--query", metavar="ID", help="The query's id.")],
    price: Annotated[
        float | None,
        typer.Option(metavar="LAMBDA", help="Price of a call; default: the checkpoint's."),
    ] = None,
    as_json: common.JsonFlag = False,
) -> None:
    """Show how a checkpoint answers one query."""
    from rlfocal.rl.checkpoint import load_checkpoint

    loaded = load_checkpoint(checkpoint)
    with common.waiting(f"reading {data}"):
        table = loaded.table(common.load_dataset(data))
    found = (table.query_ids == query).nonzero()[0]
    if not len(found):
        raise ConfigError(
            f"{table.name}: no query '{query}'; {nearest(query, table.query_ids.tolist())}"
        )
    trace = _trace(loaded, table, int(found[0]), price)
    if as_json:
        common.print_json(trace)
    else:
        _show(trace)


def _trace(
    loaded: Checkpoint, table: ResponseTable, row: int, price: float | None
) -> dict[str, Any]:
    import numpy as np

    from rlfocal.replay import candidates_of, reveal
    from rlfocal.rl.strategy import RlFocal

    strategy: Any = loaded.strategy
    if price is not None:
        if not isinstance(strategy, RlFocal):
            raise ConfigError(f"--price: {strategy.name} has no price of a call")
        try:
            strategy = strategy.at(price)
        except ValueError as exc:
            raise ConfigError(f"--price: {exc}") from exc
    asked = np.zeros((1, table.n_members), dtype=bool)
    rounds: list[dict[str, Any]] = []
    names = table.candidates[row]
    while True:
        view = reveal(table, np.array([row]), asked, n_rounds=np.array([len(rounds)]))
        wanted = strategy.next_members(view) & ~asked
        stop = float(strategy.decide(view)[0, -1]) if isinstance(strategy, RlFocal) else None
        if rounds:
            rounds[-1]["probability_of_stopping"] = stop
        if not wanted.any() or asked.all():
            break
        asked = asked | wanted
        after = reveal(table, np.array([row]), asked, n_rounds=np.array([len(rounds) + 1]))
        fused = strategy.fuse(after)[0]
        slots = candidates_of(table, np.array([row]), asked, np.arange(len(fused))[None])[0]
        named = {names[slots[c]]: float(p) for c, p in enumerate(fused) if p > 0}
        rounds.append(
            {
                "asked": [_response(table, row, int(n)) for n in np.flatnonzero(wanted[0])],
                "probabilities": _leading(named),
                "spent": float(after.spent[0]),
            }
        )
    answer = max(named, key=lambda name: named[name], default=None)
    return {
        "query": str(table.query_ids[row]),
        "task": table.tasks[table.task[row]],
        "strategy": strategy.name,
        "price": getattr(strategy, "price", None),
        "acting": strategy.verdict.chosen if isinstance(strategy, RlFocal) else None,
        "why": strategy.verdict.explain() if isinstance(strategy, RlFocal) else None,
        "trained_on": bool(loaded.was_trained_on(table)[row]),
        "rounds": rounds,
        "answer": answer,
        "confidence": 0.0 if answer is None else min(1.0, named[answer]),
        "score": 0.0 if answer is None else float(table.candidate_score[row, names.index(answer)]),
        "cost_unit": table.cost_unit,
        "not_asked": [m for m, was in zip(table.members, asked[0], strict=True) if not was],
    }


def _response(table: ResponseTable, row: int, member: int) -> dict[str, Any]:
    answer = int(table.answer[row, member])
    return {
        "member": table.members[member],
        "answer": None if answer < 0 else table.candidates[row][answer],
        "support": None if answer < 0 else float(table.support[row, member, answer]),
        "cost": float(table.cost[row, member]),
    }


def _leading(named: dict[str, float]) -> dict[str, float]:
    return dict(sorted(named.items(), key=lambda item: -item[1])[:_N_SHOWN])


def _show(trace: dict[str, Any]) -> None:
    console = common.output()
    price = "" if trace["price"] is None else f", price of a call {trace['price']:g}"
    console.print(f"query {trace['query']} (task {trace['task']}), {trace['strategy']}{price}")
    if trace["why"] is not None:
        console.print(trace["why"])
    if trace["trained_on"]:
        console.print("the checkpoint was trained on this query")
    for number, part in enumerate(trace["rounds"], start=1):
        console.print(f"round {number}")
        for response in part["asked"]:
            said = "gave no usable answer" if response["answer"] is None else (
                f"answered {response['answer']} (support {response['support']:.2f})"
            )  # fmt: skip
            console.print(f"  {response['member']} {said}")
        beliefs = ", ".join(f"{name} {p:.2f}" for name, p in part["probabilities"].items())
        console.print(f"  now: {beliefs or 'no answer yet'}; spent {part['spent']:.4g}")
        if part.get("probability_of_stopping") is not None:
            console.print(f"  probability of stopping: {part['probability_of_stopping']:.2f}")
    right = {0.0: "wrong", 1.0: "right"}.get(trace["score"], f"score {trace['score']:.2f}")
    console.print(
        f"answer: {trace['answer'] or 'none'} (confidence {trace['confidence']:.2f}), {right}; "
        f"not asked: {common.joined(trace['not_asked']) or 'nobody'}"
    )

"""How a trace looks in a terminal."""

from __future__ import annotations

from typing import Any

from rlfocal.cli import common

__all__ = ["show_trace"]


def show_trace(trace: dict[str, Any]) -> None:
    """Print what happened to one query, round by round.

    Args:
        trace: a `Trace` as JSON.
    """
    console = common.output()
    price = "" if trace["price"] is None else f", price of a call {trace['price']:g}"
    console.print(f"{trace['strategy']}{price}")
    if trace["why"] is not None:
        console.print(trace["why"])
    for number, part in enumerate(trace["rounds"], start=1):
        console.print(f"round {number}")
        for said in part["asked"]:
            console.print(f"  {said['member']} {_what(said)}", markup=False)
        beliefs = ", ".join(f"{name} {p:.2f}" for name, p in part["probabilities"].items())
        spent = f"{part['spent']:.4g} {_UNITS[trace['cost_unit']]}"
        console.print(f"  now: {beliefs or 'no answer yet'}; spent {spent}", markup=False)
        if part["probability_of_stopping"] is not None:
            console.print(f"  probability of stopping: {part['probability_of_stopping']:.2f}")
    console.print(f"stopped: {trace['stopped']}")
    console.print(
        f"answer: {trace['answer'] or 'none'} (confidence {trace['confidence']:.2f}); "
        f"not asked: {common.joined(trace['not_asked']) or 'nobody'}",
        markup=False,
    )


_UNITS = {"usd": "dollars", "call": "calls", "second": "seconds"}


def _what(said: dict[str, Any]) -> str:
    took = f" in {said['latency_s']:.2f} s" if said.get("latency_s") is not None else ""
    if said.get("failure") is not None:
        return f"failed ({said['failure']}): {said['detail']}"
    if said["answer"] is None:
        return f"gave no usable answer{took}"
    return f"answered {said['answer']} (support {said['support']:.2f}){took}"

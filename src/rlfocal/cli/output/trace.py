"""How a trace looks in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlfocal.cli.output.console import terminal
from rlfocal.cli.output.tables import joined

if TYPE_CHECKING:
    from rlfocal.deliberation.trace import CallRecord, Trace

__all__ = ["show_trace"]

_UNITS = {"usd": "dollars", "call": "calls", "second": "seconds"}


def show_trace(trace: Trace) -> None:
    """Print what happened to one query, round by round."""
    console = terminal()
    price = "" if trace.price is None else f", price of a call {trace.price:g}"
    console.print(f"{trace.strategy}{price}")
    if trace.why is not None:
        console.print(trace.why)
    for number, part in enumerate(trace.rounds, start=1):
        console.print(f"round {number}")
        for call in part.asked:
            read = f"; {call.reading}" if call.read else ""
            console.print(f"  {call.member} {_what(call)}{read}", markup=False)
        beliefs = ", ".join(f"{name} {p:.2f}" for name, p in part.probabilities.items())
        unit = _UNITS[trace.cost_unit]
        spent = f"{part.spent:.4g} {unit[:-1] if part.spent == 1 else unit}"
        console.print(f"  now: {beliefs or 'no answer yet'}; spent {spent}", markup=False)
        if part.probability_of_stopping is not None:
            console.print(f"  probability of stopping: {part.probability_of_stopping:.2f}")
    console.print(f"stopped: {trace.stopped}")
    if trace.unread:
        console.print(trace.unread, markup=False)
    console.print(
        f"answer: {trace.answer or 'none'} (confidence {trace.confidence:.2f}); "
        f"not asked: {joined(trace.not_asked) or 'nobody'}",
        markup=False,
    )
    if trace.unlike:
        console.print(trace.unlike, markup=False)
        if trace.learned_confidence is not None:
            console.print(
                f"what was learned would be sure by {trace.learned_confidence:.2f}; of such a "
                f"question it knows less: {trace.confidence:.2f}"
            )


def _what(call: CallRecord) -> str:
    took = "" if call.latency_s is None else f" in {call.latency_s:.2f} s"
    if call.failure is not None:
        return f"failed ({call.failure}): {call.detail}"
    if call.answer is None:
        return f"gave no usable answer{took}"
    support = 1 if call.support is None else call.support
    sure = "" if support == 1 else f", itself {100 * support:.0f} % sure of it"
    return f"answered {call.answer}{sure}{took}"

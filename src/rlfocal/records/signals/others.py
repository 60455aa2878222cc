"""How a reader's answer stands to what it has read: its own first answer, and those of others.

Nothing here is known before the reader has replied: all whom it reads have been asked by then.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rlfocal.records.signals.registry import Family
from rlfocal.records.signals.reply import SeenReply

__all__ = ["OTHERS"]

NAMES = ("confirmed", "kept", "followed", "agreed")


def _read(reply: SeenReply) -> Sequence[float]:
    """See `NAMES`, each in [0, 1].

    `confirmed` is the share of the replies read whose answer is the reader's own first one, `kept`
    whether it gives that answer again, `followed` the share of them that gave the answer it gives
    now, `agreed` the share that the most frequent of their answers has.
    """
    if reply.read is None:
        return [math.nan] * len(NAMES)
    said = [answer for answer in reply.read if answer is not None]
    known, own = reply.own is not None, reply.own
    return [
        _share(said, own) if known else math.nan,
        float(reply.answer == own) if known else math.nan,
        math.nan if reply.answer is None else _share(said, reply.answer),
        Counter(said).most_common(1)[0][1] / len(said) if said else math.nan,
    ]


def _share(said: Sequence[str], answer: str | None) -> float:
    return said.count(answer or "") / len(said) if said else math.nan


OTHERS = Family(tuple(f"reading.{name}" for name in NAMES), _read)
"""Numbers of members that read others; NaN for all others."""

"""What a server says beside a reply: why it ended, how many tokens it took, and how long."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlfocal.records.signals.registry import Family
from rlfocal.records.signals.reply import SeenReply

__all__ = ["SERVER"]

NAMES = ("cut", "tokens", "latency")
_MOST = 1e9


def _read(reply: SeenReply) -> Sequence[float]:
    """See `NAMES`: whether the reply reached its limit, log(1 + tokens), log(1 + seconds)."""
    return [
        math.nan if reply.finish is None else float(reply.finish == "length"),
        _log(reply.n_completion_tokens),
        _log(reply.latency_s),
    ]


def _log(value: float | None) -> float:
    if value is None or math.isnan(value):
        return math.nan
    return math.log1p(min(max(value, 0.0), _MOST))


SERVER = Family(tuple(f"server.{name}" for name in NAMES), _read)
"""Numbers that came with a reply; NaN where they are not known."""

"""Names and numbers as a reader sees them: short, unambiguous, escaped.

Everything that comes from a data set (member, task and strategy names) passes through here on its
way to the page. Figures and HTML both read a few tags, so both need escaping.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["interval", "money", "number", "percent", "points", "seconds", "short_names"]

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


def short_names(names: Sequence[str], *, limit: int = 24) -> list[str]:
    """Shorten names for axes: drop the owner before a slash, cut the middle; stay distinct.

    Args:
        names: distinct names.
        limit: most characters of a shortened name, at least 5.

    Returns:
        As many distinct names, in the same order, not escaped.

    >>> short_names(["meta-llama/Meta-Llama-3-8B", "Qwen/Qwen2-72B-Instruct"], limit=12)
    ['Meta-L…-3-8B', 'Qwen2-…truct']
    """
    bare = [name.rsplit("/", 1)[-1] or name for name in names]
    if len(set(bare)) < len(names):
        bare = list(names)
    cut = [_cut(name, limit) for name in bare]
    return [b if cut.count(c) > 1 else c for b, c in zip(bare, cut, strict=True)]


def _cut(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    tail = (limit - 1) // 2
    return f"{name[: limit - 1 - tail]}…{name[-tail:]}"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def number(value: float, digits: int = 2) -> str:
    """Format a number; a dash where there is none.

    >>> number(2.9)
    '2.90'
    """
    return _signed(f"{value:.{digits}f}") if math.isfinite(value) else DASH


def percent(share: float | None, digits: int = 1) -> str:
    """Format a share as per cent, a narrow space before the sign; a dash where there is none."""
    if share is None or not math.isfinite(share):
        return DASH
    return f"{number(100 * share, digits)}\N{NARROW NO-BREAK SPACE}%"


def points(share: float, digits: int = 1) -> str:
    """Format a difference of shares in percentage points, with its sign.

    >>> points(0.068)
    '+6.8'
    """
    return _signed(f"{100 * share:+.{digits}f}") if math.isfinite(share) else DASH


def interval(bounds: tuple[float, float] | None, *, signed: bool = False) -> str:
    """Format an interval of shares in per cent or percentage points.

    >>> interval((0.0512, 0.084), signed=True)
    '[+5.1, +8.4]'
    """
    if bounds is None or not all(map(math.isfinite, bounds)):
        return ""
    low, high = (points(b) if signed else number(100 * b, 1) for b in bounds)
    return f"[{low}, {high}]"


def money(usd: float) -> str:
    """Format the dollars of a query as those of a thousand, as the terminal does.

    >>> money(0.00123), money(0.0000456), money(1.5)
    ('1.23', '0.0456', '1,500')
    """
    if not math.isfinite(usd):
        return DASH
    thousand = float(f"{1000 * usd:.3g}")
    return f"{thousand:,.0f}" if thousand >= 100 else f"{thousand:.3g}"


def seconds(value: float) -> str:
    """Format a duration.

    >>> seconds(0.004), seconds(3.21), seconds(200)
    ('< 0.01 s', '3.2 s', '3 min 20 s')
    """
    if not math.isfinite(value):
        return DASH
    if value < 0.01:
        return "< 0.01 s"
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 60} min {whole % 60} s"

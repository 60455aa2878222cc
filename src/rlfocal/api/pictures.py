"""A result as a picture, for a notebook or a file."""

from __future__ import annotations

from rlfocal.bench import BenchResult
from rlfocal.bench.statistics import Axis
from rlfocal.report import cost_picture

__all__ = ["Picture", "picture"]


class Picture(str):
    """A text that is an SVG picture; a notebook shows it, `Path.write_text` makes it a file."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Picture({len(self):,} characters of SVG)"

    def _repr_svg_(self) -> str:
        return str(self)


def picture(result: BenchResult, *, by: Axis = "calls") -> Picture:
    """Draw accuracy against what is spent: a line for each strategy that can spend more or less.

    Args:
        result: a benchmark.
        by: what is spent: "calls", or "usd" where the data set prices every member.

    Raises:
        ValueError: there is nothing to draw: no strategy but the references ran, or dollars are
            asked for and prices are not known.
    """
    return Picture(cost_picture(result, by=by))

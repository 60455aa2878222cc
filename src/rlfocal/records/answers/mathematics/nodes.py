"""What mathematical answers are made of: values without behaviour.

`structure` reads canonical text into them, `rules` compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Based", "Group", "Node", "Relation", "Scalar", "Words"]


@dataclass(frozen=True)
class Scalar:
    """One expression."""

    text: str
    """Without its unit."""
    value: Fraction | None = None
    """Of a plain number."""
    unit: str = ""
    name: str = ""
    """Of "x = 5"."""


@dataclass(frozen=True)
class Words:
    """An answer in words, such as a weekday; letters of options are scalars."""

    text: str
    name: str = ""


@dataclass(frozen=True)
class Based:
    """Digits in a base that is written with them."""

    digits: str
    base: int
    name: str = ""


@dataclass(frozen=True)
class Relation:
    """An equation or inequality that is no plain assignment."""

    text: str
    name: str = ""


@dataclass(frozen=True)
class Group:
    """Several parts in a shape.

    Attributes:
        shape: "list" and "set" without order, "union" of sets, "colon" (ratio, time), "matrix"
            (with its rows as groups "row"), else an opening and a closing bracket.
    """

    shape: str
    parts: tuple[Node, ...]
    name: str = ""


Node = Scalar | Words | Based | Relation | Group

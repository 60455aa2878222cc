"""What mathematical answers are made of: values without behaviour.

`structure` reads canonical text into them, `rules` compares them.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from fractions import Fraction

__all__ = ["Based", "Group", "Node", "Relation", "Scalar", "Words"]


@dataclass(frozen=True)
class Node:
    """Any part of an answer."""

    _: KW_ONLY
    name: str = ""
    """Of "x = 5"."""


@dataclass(frozen=True)
class Scalar(Node):
    """One expression: its text without its unit, and its value where it is a plain number."""

    text: str
    value: Fraction | None = None
    unit: str = ""


@dataclass(frozen=True)
class Words(Node):
    """An answer in words, such as a weekday; letters of options are scalars."""

    text: str


@dataclass(frozen=True)
class Based(Node):
    """Digits in a base that is written with them."""

    digits: str
    base: int


@dataclass(frozen=True)
class Relation(Node):
    """An equation or inequality that is no plain assignment."""

    text: str


@dataclass(frozen=True)
class Group(Node):
    """Several parts in a shape.

    Attributes:
        shape: "list" and "set" without order, "union" of sets, "colon" (ratio, time), "matrix"
            (with its rows as groups "row"), else an opening and a closing bracket.
    """

    shape: str
    parts: tuple[Node, ...]

r"""How alike two answers are, decided by their structure, and which of many are one answer.

`Likeness` says more than equal or not, because the equality that people expect is not transitive:
50 % is the answer 50 and the answer 0.5, but those differ; 5 cm is 5, and so is 5 m. Only
expressions are left to a verifier.

Classes are made of links from the surest to the loosest, within one degree in the order of the
texts, and a link joins two classes unless some answer of one differs from some answer of the other.
So they do not depend on the order of answers, and two answers that differ are never joined by a
third that is like both: of 50 %, 50 and 0.5, the first two are one class; of 50 % and 0.5 both are.
With a label, its class is what equals the label and nothing else, whatever anybody answered; only
there may a label as loose as "50 %" take 50 and 0.5 alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from fractions import Fraction
from itertools import combinations

from rlfocal.records.answers.mathematics.literals import number_value
from rlfocal.records.answers.mathematics.nodes import Based, Group, Node, Relation, Scalar, Words
from rlfocal.records.answers.mathematics.scanning import quantity_of
from rlfocal.records.answers.mathematics.units import alike as units_alike

__all__ = ["Likeness", "classes_of", "compared", "likeness"]

Ask = Callable[[str, str], bool | None]
"""Whether two expressions are equal; None when that is not known."""
Compare = Callable[[list[tuple[str, str]]], dict[tuple[str, str], bool | None]]
"""Compares many pairs of expressions at once."""
MAX_ROUNDS = 4
"""Answers to one round of questions may raise others (50 % read as 50, then as 1/2)."""


_VARIABLE = re.compile(r"[a-zA-Z]|\\[a-z]+ ?|[a-zA-Z]\([a-z]\)")


class Likeness(IntEnum):
    """From different to the same."""

    DIFFERENT = 0
    """By rule, or by value."""
    UNSHOWN = 1
    """Not shown to be equal: counted as not equal, but nothing says that they differ."""
    LOOSER = 2
    """Equal in another reading: 50 % as one half, "1, 2" as (1, 2)."""
    LOOSE = 3
    """Equal but for a unit, percent sign, base or name that one of them lacks."""
    SAME = 4


DIFFERENT, UNSHOWN, LOOSER, LOOSE, SAME = Likeness


def likeness(first: Node, second: Node, ask: Ask) -> Likeness:
    """Compare two answers; the order does not matter."""
    if _rank(first) > _rank(second):
        first, second = second, first
    if first.name and second.name and first.name != second.name:
        return _of_two_names(first, second, ask)
    cap = SAME if first.name == second.name else LOOSE
    return min(cap, _unnamed(first, second, ask))


def _relation_text(node: Node) -> str | None:
    """An equation as a text: of "x = 5" too; None for what is none."""
    if isinstance(node, Relation):
        return node.text
    if isinstance(node, Scalar) and node.name and not node.unit:
        return f"{node.name}={node.text}"
    return None


def _rank(node: Node) -> int:
    return (Scalar, Words, Based, Relation, Group).index(type(node))


def _of_two_names(first: Node, second: Node, ask: Ask) -> Likeness:
    """Of f(x) = 2x and y = 2x the right sides count; x = 5 and y = 5 differ."""
    if len(first.name) == len(second.name) == 1:
        a, b = _relation_text(first), _relation_text(second)
        if a is not None and b is not None:
            return _asked(a, b, ask)
        if isinstance(first, Scalar):
            return DIFFERENT
    return min(LOOSE, _unnamed(first, second, ask))


def _unnamed(first: Node, second: Node, ask: Ask) -> Likeness:
    match first, second:
        case Scalar(), Scalar():
            return _scalars(first, second, ask)
        case Words(), Words():
            return SAME if first.text == second.text else DIFFERENT
        case Based(), Based():
            return SAME if (first.digits, first.base) == (second.digits, second.base) else DIFFERENT
        case Scalar(), Based():
            return LOOSE if first.text.upper().strip("()") == second.digits else DIFFERENT
        case Scalar(), Words():
            return SAME if first.text.lower() == second.text else DIFFERENT
        case Relation(), Relation():
            return SAME if first.text == second.text else _asked(first.text, second.text, ask)
        case Scalar(), Relation():
            return _with_relation(first, second, ask)
        case _, Group() if isinstance(first, Group):
            return _groups(first, second, ask)
        case _, Group():
            return _with_group(first, second, ask)
        case _:
            return DIFFERENT


def _with_relation(single: Scalar, relation: Relation, ask: Ask) -> Likeness:
    text = _relation_text(single)
    if text is not None:
        return _asked(text, relation.text, ask)
    value = quantity_of(relation.text)
    if value is None or single.name:
        return DIFFERENT
    return min(LOOSE, _scalars(single, Scalar(value, number_value(value)), ask))


def _asked(a: str, b: str, ask: Ask) -> Likeness:
    verdict = ask(a, b)
    return UNSHOWN if verdict is None else SAME if verdict else DIFFERENT


def _scalars(a: Scalar, b: Scalar, ask: Ask) -> Likeness:
    if not units_alike(a.unit, b.unit):
        return DIFFERENT
    same = _values(a, b, ask)
    if a.unit == b.unit:
        return same
    if same >= UNSHOWN and (same is SAME or "%" not in (a.unit, b.unit)):
        return min(LOOSE, same)
    if {a.unit, b.unit} == {"%", ""}:
        return max(same, min(LOOSER, _as_fraction(a, b, ask)))
    if {a.unit, b.unit} == {"deg", ""}:
        return max(same, min(LOOSER, _as_radians(a, b, ask)))
    return same


def _values(a: Scalar, b: Scalar, ask: Ask) -> Likeness:
    if a.value is not None and b.value is not None:
        return SAME if a.value == b.value else DIFFERENT
    if a.text == b.text:
        return SAME
    if len(a.text) == 1 and len(b.text) == 1:  # x and y, A and B
        return DIFFERENT
    return _asked(a.text, b.text, ask)


def _as_fraction(a: Scalar, b: Scalar, ask: Ask) -> Likeness:
    percent, other = (a, b) if a.unit == "%" else (b, a)
    value = None if percent.value is None else percent.value / 100
    return _values(
        Scalar(rf"\frac{{{percent.text}}}{{100}}", value), Scalar(other.text, other.value), ask
    )


def _as_radians(a: Scalar, b: Scalar, ask: Ask) -> Likeness:
    degrees, other = (a, b) if a.unit == "deg" else (b, a)
    if "\\pi" not in other.text:
        return DIFFERENT
    return _asked(rf"\frac{{({degrees.text})\pi}}{{180}}", other.text, ask)


def _with_group(single: Node, group: Group, ask: Ask) -> Likeness:
    if group.shape == "option":
        return min(LOOSE, max(likeness(single, part, ask) for part in group.parts))
    numbers = _numbers(group)
    if group.shape != "colon" or not isinstance(single, Scalar):
        return DIFFERENT
    if len(group.parts) != 2 or len(numbers) != 2 or not numbers[1]:
        return DIFFERENT
    ratio = numbers[0] / numbers[1]
    # 5:12 may be a time as well; only the fraction that it is written as tells.
    is_written = numbers == [ratio.numerator, ratio.denominator]
    return LOOSE if single.value == ratio and (is_written or not _is_time(group)) else DIFFERENT


def _numbers(group: Group) -> list[Fraction]:
    return [p.value for p in group.parts if isinstance(p, Scalar) and p.value is not None]


def _is_time(group: Group) -> bool:
    """Two digits, fewer than 60, after every colon."""
    rest = [p.text if isinstance(p, Scalar) else "" for p in group.parts[1:]]
    return all(len(text) == 2 and text.isdigit() and text < "60" for text in rest)


def _groups(a: Group, b: Group, ask: Ask) -> Likeness:
    if "option" in (a.shape, b.shape) and a.shape != b.shape:
        option, other = (a, b) if a.shape == "option" else (b, a)
        return min(LOOSE, max(likeness(part, other, ask) for part in option.parts))
    if {a.shape, b.shape} == {"matrix", "()"}:
        matrix, point = (a, b) if a.shape == "matrix" else (b, a)
        return min(LOOSER, _as_vector(matrix, point, ask))
    if len(a.parts) != len(b.parts):
        return DIFFERENT
    loose = {a.shape, b.shape} <= {"list", "set"}
    if loose or a.shape == b.shape == "union":
        if any(p.name for p in a.parts) != any(p.name for p in b.parts):
            return min(LOOSER, _in_order(a.parts, b.parts, ask))
        return _unordered(a.parts, b.parts, ask)
    if a.shape.startswith("colon") and b.shape.startswith("colon"):
        return _colons(a, b, ask)
    if a.shape == b.shape:
        return _in_order(a.parts, b.parts, ask)
    if {a.shape, b.shape} == {"list", "()"}:
        several, point = (a, b) if a.shape == "list" else (b, a)
        if _VARIABLE.fullmatch(point.name) or several.name:  # -2 < x < 5, and x = -2, 5
            return DIFFERENT
        return min(LOOSER, _in_order(a.parts, b.parts, ask))
    return DIFFERENT


def _as_vector(matrix: Group, point: Group, ask: Ask) -> Likeness:
    """A row or column, and the same numbers in parentheses."""
    rows = [row.parts for row in matrix.parts if isinstance(row, Group)]
    cells = rows[0] if len(rows) == 1 else [row[0] for row in rows if len(row) == 1]
    return _in_order(cells, point.parts, ask) if len(cells) == len(point.parts) else DIFFERENT


def _colons(a: Group, b: Group, ask: Ask) -> Likeness:
    if a.shape != b.shape and "colon" not in (a.shape, b.shape):  # 2:30 a.m. and p.m.
        return DIFFERENT
    same = _in_order(a.parts, b.parts, ask)
    if same == DIFFERENT and not _is_time(a) and not _is_time(b):
        x, y = _numbers(a), _numbers(b)
        whole = len(x) == len(y) == len(a.parts) and all(x) and all(y)
        return (
            LOOSE if whole and len({p / q for p, q in zip(x, y, strict=True)}) == 1 else DIFFERENT
        )
    return same if a.shape == b.shape else min(LOOSE, same)


def _in_order(a: Sequence[Node], b: Sequence[Node], ask: Ask) -> Likeness:
    return min((likeness(x, y, ask) for x, y in zip(a, b, strict=True)), default=SAME)


def _unordered(a: Sequence[Node], b: Sequence[Node], ask: Ask) -> Likeness:
    """The best that a one-to-one matching reaches."""
    table = [[likeness(x, y, ask) for y in b] for x in a]
    for least in (SAME, LOOSE, LOOSER, UNSHOWN):
        if _matching(table, least):
            return least
    return DIFFERENT


def _matching(table: list[list[Likeness]], least: Likeness) -> bool:
    """Whether every row finds a column of its own at least that alike (augmenting paths)."""
    row_of: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, value in enumerate(table[row]):
            if value >= least and column not in seen:
                seen.add(column)
                if column not in row_of or place(row_of[column], seen):
                    row_of[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(table)))


def compared(pairs: Sequence[tuple[Node, Node]], compare: Compare) -> list[Likeness]:
    """Likeness of every pair; all expressions go to the verifier in one batch."""
    known: dict[tuple[str, str], bool | None] = {}
    for _ in range(MAX_ROUNDS):
        wanted: dict[tuple[str, str], None] = {}
        found = [likeness(a, b, _asking(known, wanted)) for a, b in pairs]
        if not wanted:
            return found
        known |= compare(list(wanted))
    return [likeness(a, b, lambda x, y: known.get((x, y))) for a, b in pairs]


def _asking(known: dict[tuple[str, str], bool | None], wanted: dict[tuple[str, str], None]) -> Ask:
    def ask(a: str, b: str) -> bool | None:
        pair = (a, b) if a <= b else (b, a)
        if pair in known:
            return known[pair]
        wanted[pair] = None
        return True  # so that the questions behind this one are found too

    return ask


def classes_of(nodes: dict[str, Node], label: str | None, compare: Compare) -> dict[str, int]:
    """Number the classes of canonical answers.

    Args:
        nodes: canonical text → what it is made of, the label among them.
        label: canonical; its class is number 0.
        compare: the verifier's.

    Returns:
        Canonical text → number of its class; numbers say nothing else.
    """
    texts = sorted(nodes)
    pairs = list(combinations(texts, 2))
    found = compared([(nodes[a], nodes[b]) for a, b in pairs], compare)
    alike = dict(zip(pairs, found, strict=True))
    right = set() if label is None else {label}
    right |= {
        a if b == label else b for (a, b), like in alike.items()
        if label in (a, b) and like >= Likeness.LOOSER
    }  # fmt: skip
    rest = _joined([t for t in texts if t not in right], alike)
    first = 0 if label is None else 1
    return {text: 0 for text in right} | {
        text: first + number for number, members in enumerate(rest) for text in members
    }


def _joined(texts: list[str], alike: dict[tuple[str, str], Likeness]) -> list[list[str]]:
    of = {text: [text] for text in texts}
    links = [(like, a, b) for (a, b), like in alike.items() if a in of and b in of]
    for like, a, b in sorted(links, key=lambda link: (-link[0], link[1], link[2])):
        one, other = of[a], of[b]
        if like < Likeness.LOOSER or one is other:
            continue
        if all(alike[min(x, y), max(x, y)] != Likeness.DIFFERENT for x in one for y in other):
            one += other
            for text in other:
                of[text] = one
    unique = {id(members): members for members in of.values()}
    return list(unique.values())

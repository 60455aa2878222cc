r"""Group the answers to one query so that every class is one answer.

Links are taken from the surest to the loosest (`rules.Likeness`), within one degree in the order
of the texts, and a link joins two classes unless some answer of one differs from some answer of
the other. So classes do not depend on the order of answers, and two answers that differ are never
joined by a third that is like both: of 50 %, 50 and 0.5, the first two are one class; of 50 % and
0.5 both are. With a label, its class is what equals the label and nothing else, whatever anybody
answered; only there may a label as loose as "50 %" take 50 and 0.5 alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from rlfocal.records.answers.mathematics.comparing.rules import Ask, Likeness, likeness
from rlfocal.records.answers.mathematics.nodes import Node

__all__ = ["classes_of", "compared"]

Compare = Callable[[list[tuple[str, str]]], dict[tuple[str, str], bool | None]]
"""Compares many pairs of expressions at once."""
MAX_ROUNDS = 4
"""Answers to one round of questions may raise others (50 % read as 50, then as 1/2)."""


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

"""What a reader is shown: whose replies, in which order, how much of each.

The order does not depend on the pool file: it is drawn for each query from the reader's seed, and
another sample of the same reader sees it reversed, so that no position is favoured in the mean.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from rlfocal.pool.asking.question import Question, Said

if TYPE_CHECKING:
    from rlfocal.pool.member import MemberSettings

__all__ = ["Showing", "n_showings", "shortened", "showing_of"]

_CHARS_PER_TOKEN = 4
_CUT = "\n[...]\n"
_KEPT_AT_START = 0.25
"""Share of a shortened reply that its beginning gets: answers stand at the end."""


@dataclass(frozen=True)
class Showing:
    """What one sample of a reader is shown."""

    names: tuple[str, ...]
    """Whose replies, in order; its own is not among them."""
    said: tuple[Said, ...]
    """Of each."""
    own: Said | None = None
    """Its own earlier reply."""
    n_absent: int = 0
    """How many of those it reads gave no reply."""

    @property
    def is_empty(self) -> bool:
        """True where nobody has replied: there is nothing to read, and no call to make."""
        return not self.said and self.own is None

    @property
    def by_name(self) -> dict[str, Said]:
        """Member → its reply."""
        return dict(zip(self.names, self.said, strict=True))

    @property
    def contents(self) -> list[object]:
        """What its reply depends on, as JSON values."""
        own = None if self.own is None else self.own.text
        return [[said.text for said in self.said], own, self.n_absent]


def n_showings(member: MemberSettings) -> int:
    """How often a reader has to be asked until each order has had its turn."""
    return member.n_orders


def showing_of(member: MemberSettings, question: Question, sample: int = 0) -> Showing:
    """What a reader is shown of the replies that came with a question.

    Args:
        member: the reader.
        question: with `shown`; who is not in it gave no reply.
        sample: which reply of the reader.
    """
    ordered = _ordered(member, question, sample)
    present = [name for name in ordered if name in question.shown]
    return Showing(
        names=tuple(present),
        said=tuple(question.shown[name] for name in present),
        own=None if member.own is None else question.shown.get(member.own),
        n_absent=len(ordered) - len(present),
    )


def _ordered(member: MemberSettings, question: Question, sample: int) -> Sequence[str]:
    if member.reading == "refine":
        return member.reads
    names = sorted(member.reads, key=lambda name: _draw(member, question, name))
    if member.reading == "pairwise":
        pairs = list(combinations(names, 2))
        names = list(pairs[sample // 2 % len(pairs)])
    return names if sample % 2 == 0 else names[::-1]


def _draw(member: MemberSettings, question: Question, name: str) -> bytes:
    drawn = json.dumps(["order", member.seed, member.name, question.seed_text, name])
    return hashlib.sha256(drawn.encode("ascii")).digest()


def shortened(text: str, n_tokens: int) -> str:
    r"""The beginning and the end of a text that is longer than so many tokens.

    >>> shortened("a" * 40 + "b" * 40, 10)
    'aaaaaaaa\n[...]\nbbbbbbbbbbbbbbbbbbbbbbbbb'
    """
    most = _CHARS_PER_TOKEN * n_tokens
    if len(text) <= most:
        return text
    left = most - len(_CUT)
    n_start = int(_KEPT_AT_START * left)
    return f"{text[:n_start]}{_CUT}{text[len(text) - (left - n_start) :]}"

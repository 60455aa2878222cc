"""On which answer a reply settles: the same order of rules for every kind.

Thinking, typography and markup are taken off; what a model asks itself afterwards is cut; the last
mark behind which something of the kind stands decides; without any, the kind's last resort does.
The kinds (number, choice, text, date) say what "something of the kind" is.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from rlfocal.records.answers.replies.cleaning import clean
from rlfocal.records.answers.replies.markers import Mark, first_reply, marks, settled

__all__ = ["SEVERAL", "Rules", "is_refusal", "settle"]

SEVERAL = ""
"""What a rule returns for a text that settles on no single answer ("A and C"): looking on would
only find something that the reply did not mean."""


MAX_MARKS = 24
"""The last marks that are looked behind; a reply with more of them repeats itself."""


class Rules(ABC):
    """What a kind of answer looks like in a cleaned reply; from this follows how it is found."""

    has_blanks: ClassVar[bool] = False
    """Whether answers may hold blanks."""

    @abstractmethod
    def read(self, answer: str) -> str | None:
        """Return the canonical form of a text that is an answer as a whole."""

    @abstractmethod
    def behind(self, mark: Mark) -> str | None:
        """Return the answer behind a mark, `SEVERAL`, or None where there is none."""

    @abstractmethod
    def last_resort(self, text: str) -> str | None:
        """Return the answer of a reply that marks none, `SEVERAL`, or None."""

    def extract(self, text: str, *, truncated: bool = False) -> str | None:
        """Return the canonical form of a reply's answer; None when no rule finds one."""
        return settle(text, self, truncated=truncated)

    def equal(self, a: str, b: str) -> bool:
        """Say whether both texts give the same answer."""
        first = self.extract(a)
        return first is not None and first == self.extract(b)


def settle(text: str, rules: Rules, *, truncated: bool = False) -> str | None:
    """Find the answer of a reply.

    Args:
        text: the reply, as the model gave it.
        rules: of the kind of answer.
        truncated: the reply was cut off at its limit of tokens, so that only what is marked as the
            answer, and complete, is one.

    Returns:
        The canonical answer; None where there is none.
    """
    if not truncated and (whole := rules.read(text)) is not None:
        return whole
    rest = clean(text)
    if not rest:
        return None
    if truncated:
        rest = settled(rest + text[-1:] * text[-1:].isspace(), sentence=rules.has_blanks)
    found = marks(rest)
    first = first_reply(rest, found, rules.read)
    if first is not rest:
        rest, found = first, [mark for mark in found if mark.start < len(first)]
    if not truncated and found == [] and (whole := rules.read(rest)) is not None:
        return whole
    return _decided(rest, found, rules, truncated) or None


def _decided(rest: str, found: list[Mark], rules: Rules, truncated: bool) -> str | None:
    for mark in found[:MAX_MARKS]:
        answer = rules.behind(mark)
        if answer is None:
            continue
        if not truncated and (later := _taken_back(rest, mark)) is not None:
            return rules.last_resort(later) or answer
        return answer
    return None if truncated else rules.last_resort(rest)


_BACK = re.compile(
    r"(?:^|[.!?\n)*}]\s*)(?:oh,? )?(?:wait|hold on|oops|correction|actually(?=,)|hmm|no, wait|"
    r"I made (?:a|an) (?:mistake|error)|let me correct)\b",
    re.IGNORECASE,
)


def _taken_back(rest: str, mark: Mark) -> str | None:
    """What follows where the reply takes back the answer behind a mark ("Wait, ...")."""
    found = _BACK.search(rest, mark.end)
    return None if found is None else rest[found.end() :]


_REFUSAL = re.compile(
    r"\b(?:can ?not|can't|could not|couldn't|unable to|impossible to|not possible to|not able to)"
    r" (?:be )?(?:\w+ly )?(?:determined?|answer(?:ed)?|solved?|calculated?|computed?|tell|told|say|"
    r"identif(?:y|ied)|provided?|known?|help|assist|decide|conclude|find|found|see|select)\b"
    r"|\b(?:do not|don't) (?:know|have enough)\b|\bnot enough (?:information|data)\b"
    r"|\binsufficient (?:information|data)\b|\bno (?:correct|valid|right) (?:answer|option)\b"
    r"|\bI(?:'m| am) (?:sorry|not sure)\b(?!,? but\b)|无法(?:确定|回答|判断)",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Say whether a text says that it gives no answer.

    >>> is_refusal("I cannot determine the answer from the text.")
    True
    """
    return _REFUSAL.search(text) is not None

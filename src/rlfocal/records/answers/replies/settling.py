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

__all__ = ["SEVERAL", "Rules", "is_refusal"]

SEVERAL = ""
"""What a rule returns for a text that settles on no single answer ("A and C"): looking on would
only find something that the reply did not mean."""

MAX_MARKS = 24
"""The last marks that are looked behind; a reply with more of them repeats itself."""

_BACK = re.compile(
    r"""(?xi)
    (?: ^ | [.!?\n)*}]\s* ) (?: oh,?[ ] )?
    (?: wait | hold[ ]on | oops | correction | actually(?=,) | hmm | no,[ ]wait
      | I[ ]made[ ](?: a | an )[ ](?: mistake | error ) | let[ ]me[ ]correct )\b
    """
)
"""Before what takes back the answer behind a mark ("Wait, ...")."""
_REFUSAL = re.compile(
    r"""(?xi)
    \b(?: can[ ]?not | can't | could[ ]not | couldn't | unable[ ]to | impossible[ ]to
      | not[ ]possible[ ]to | not[ ]able[ ]to )[ ]
      (?: be[ ] )? (?: \w+ly[ ] )?
      (?: determined? | answer(?:ed)? | solved? | calculated? | computed? | tell | told | say
        | identif(?:y|ied) | provided? | known? | help | assist | decide | conclude | find | found
        | see | select )\b
    | \b(?: do[ ]not | don't )[ ](?: know | have[ ]enough )\b
    | \b(?: not[ ]enough | insufficient )[ ](?: information | data )\b
    | \bno[ ](?: correct | valid | right )[ ](?: answer | option )\b
    | \bI(?: 'm | [ ]am )[ ](?: sorry | not[ ]sure )\b (?! ,?[ ]but\b )
    | 无法(?: 确定 | 回答 | 判断 )
    """
)


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
        """Return the canonical form of a reply's answer; None when no rule finds one.

        Args:
            text: the reply, as the model gave it.
            truncated: the reply was cut off at its limit of tokens, so that only what is marked as
                the answer, and complete, is one.
        """
        if not truncated and (whole := self.read(text)) is not None:
            return whole
        rest = clean(text)
        if not rest:
            return None
        if truncated:
            rest = settled(rest + text[-1:] * text[-1:].isspace(), sentence=self.has_blanks)
        found = marks(rest)
        first = first_reply(rest, found, self.read)
        if first is not rest:
            rest, found = first, [mark for mark in found if mark.start < len(first)]
        if not truncated and not found and (whole := self.read(rest)) is not None:
            return whole
        for mark in found[:MAX_MARKS]:
            answer = self.behind(mark)
            if answer is None:
                continue
            if not truncated and (back := _BACK.search(rest, mark.end)) is not None:
                answer = self.last_resort(rest[back.end() :]) or answer
            return answer or None
        return None if truncated else self.last_resort(rest) or None

    def equal(self, a: str, b: str) -> bool:
        """Say whether both texts give the same answer."""
        first = self.extract(a)
        return first is not None and first == self.extract(b)


def is_refusal(text: str) -> bool:
    """Say whether a text says that it gives no answer.

    >>> is_refusal("I cannot determine the answer from the text.")
    True
    """
    return _REFUSAL.search(text) is not None

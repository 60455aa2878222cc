"""Two models of which one is right on the first half of a text, the other on the second.

The best weights are known: all of them on whoever is right. Alone, each writes half of it.
"""

from __future__ import annotations

from tests.support.table_voices import Table, TableVoice, asked

from rlfocal.pool.blends.voices import END
from rlfocal.pool.types import Request, Response
from rlfocal.training.spans.training import Judged

LENGTH = 16
LETTERS = (b"a", b"b", b"c", b"d")
WORD = b"".join(LETTERS[7 * place % 4] for place in range(LENGTH))


def halves(*, sure: float = 0.8) -> list[TableVoice]:
    """The two models; each is as sure of wrong letters as of right ones."""

    def model(first: bool) -> Table:
        def table(text: bytes) -> dict[bytes, float]:
            place = len(text)
            if place >= LENGTH:
                return {END: 1.0}
            right = WORD[place : place + 1]
            wrong = LETTERS[(LETTERS.index(right) + 1) % 4]
            named = right if (place < LENGTH // 2) == first else wrong
            return {named: sure, **{b: (1 - sure) / 3 for b in LETTERS if b != named}}

        return table

    return [TableVoice(LETTERS, model(True)), TableVoice(LETTERS, model(False))]


def right_letters(number: int, reply: Response) -> float:
    """The share of letters that are right."""
    text = reply.text.encode()
    return sum(a == b for a, b in zip(text, WORD, strict=False)) / LENGTH


def judged() -> Judged:
    requests: list[Request] = [asked(max_tokens=LENGTH)]
    return Judged(requests, right_letters)

"""What a model would go on with after a text: the likeliest next tokens, as bytes.

Models cut text into tokens of their own, so what two of them propose is compared as bytes.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from rlfocal.errors import MemberError
from rlfocal.pool.types import Request

__all__ = ["END", "ContextFull", "Proposal", "Voice", "goes_on", "is_whole", "open_end"]

END = b""
"""In place of bytes: the reply ends here."""


class ContextFull(MemberError):
    """Prompt and reply have become more tokens than a model takes."""


class Proposal(NamedTuple):
    """The likeliest next tokens of one model.

    The rest is bounded: nothing that is not named is likelier than `least`, and all of it together
    is at most `rest`.
    """

    pieces: Mapping[bytes, float]
    """Bytes of a token → probability, the likeliest first; tokens with the same bytes add up. `END`
    for all tokens that end a reply."""
    ids: Mapping[bytes, int]
    """The token of each, of several the likeliest; `END` has none."""
    rest: float
    """Probability of all that is not named, in [0, 1]."""
    least: float
    """Probability of the least likely token that is named; 0 where all are."""
    n_evaluated: int = 0
    """Tokens that the model had to read for it; what its cache held does not count."""

    @property
    def most_unnamed(self) -> float:
        """The most that a token which is not named can have."""
        return min(self.rest, self.least)


class Voice(Protocol):
    """A model that says what it would go on with."""

    name: str
    in_turns: bool
    """Whether it replies in turns, rather than going on with a text."""

    async def begin(self, request: Request) -> list[int]:
        """The tokens of a prompt, up to where the reply begins.

        Raises:
            MemberError: it cannot be put to the model.
        """
        ...

    async def propose(self, ids: Sequence[int]) -> Proposal:
        """What it would go on with after these tokens.

        Raises:
            ContextFull: the tokens are more than it takes.
            MemberError: the model does not reply.
        """
        ...

    async def spell(self, piece: bytes) -> list[int]:
        """Its tokens for bytes that end with a whole character.

        Raises:
            MemberError: it has no tokens that make up exactly these bytes.
        """
        ...


def open_end(text: bytes) -> bytes:
    r"""The bytes of a character that has begun at the end of a text, and has not ended.

    >>> open_end("né".encode()), open_end("né".encode()[:-1])
    (b'', b'\xc3')
    """
    for back in range(1, min(3, len(text)) + 1):
        byte = text[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue
        n_bytes = 1 if byte < 0x80 else 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4
        return text[-back:] if back < n_bytes else b""
    return b""


def goes_on(begun: bytes, piece: bytes) -> bool:
    r"""Whether a piece goes on with what has begun of a character; its own end may be open, too.

    >>> goes_on(b"\xc3", b"\xa9!"), goes_on(b"\xc3", b"!"), goes_on(b"", b"\xa9")
    (True, False, False)
    """
    if not begun and piece.isascii():
        return True
    try:
        getincrementaldecoder("utf-8")().decode(begun + piece)
    except UnicodeDecodeError:
        return False
    return True


def is_whole(piece: bytes) -> bool:
    """Whether bytes are whole characters, as far as their end is concerned.

    >>> is_whole("é".encode()), is_whole("é".encode()[:1])
    (True, False)
    """
    return not open_end(piece)

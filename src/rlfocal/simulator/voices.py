"""Models of which everything is known: tables in place of nets, with a tokenizer of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.blends.voices import END, Proposal
from rlfocal.pool.types import Request

__all__ = ["Halves", "Table", "TableVoice", "random_table"]

Table = Callable[[bytes], dict[bytes, float]]
"""What has been written, the prompt left out → probability of each token's bytes; `END` ends it."""


class TableVoice:
    """A model whose distribution is a table; it keeps what it read, as a cache of prefixes would.

    Args:
        tokens: its vocabulary, each token's bytes; token n + 1 is the n-th.
        table: text so far → distribution over tokens.
        n_named: how many of the likeliest it names.
        name: as messages call it.
        in_turns: whether it replies in turns, rather than going on with a text.

    Raises:
        ValueError: a token stands there twice.
    """

    def __init__(
        self,
        tokens: Sequence[bytes],
        table: Table,
        *,
        n_named: int = 1000,
        name: str = "table",
        in_turns: bool = True,
    ) -> None:
        if len(set(tokens)) < len(tokens):
            raise ValueError("a token stands in the vocabulary twice")
        self.name, self.tokens, self._table, self._n_named = name, list(tokens), table, n_named
        self.in_turns = in_turns
        self._number = {piece: n for n, piece in enumerate(self.tokens, start=1)}
        self.asked: list[tuple[int, ...]] = []
        """What it was asked to go on with, in order."""
        self.n_prompt = 0
        """Tokens of the prompt that it was put last."""
        self._cache: list[int] = []

    async def begin(self, request: Request) -> list[int]:
        """The prompt's text in its own spelling."""
        ids = await self.spell(request.text.encode())
        self.n_prompt = len(ids)
        return ids

    async def propose(self, ids: Sequence[int]) -> Proposal:
        """The likeliest of the table; what was asked about last need not be read again."""
        self.asked.append(tuple(ids))
        same = next(
            (n for n, (old, new) in enumerate(zip(self._cache, ids, strict=False)) if old != new),
            min(len(self._cache), len(ids)),
        )
        self._cache = list(ids)
        full = self._table(self.text(ids[self.n_prompt :]))
        named = dict(sorted(full.items(), key=lambda item: -item[1])[: self._n_named])
        is_all = len(named) == len(full)
        return Proposal(
            named,
            {piece: self._number[piece] for piece in named if piece != END},
            rest=0.0 if is_all else max(0.0, 1 - sum(named.values())),
            least=0.0 if is_all else min(named.values()),
            n_evaluated=max(1, len(ids) - same),
        )

    async def spell(self, piece: bytes) -> list[int]:
        """Longest match first.

        Raises:
            MemberError: it is no whole characters, or the vocabulary lacks a byte of it.
        """
        try:
            piece.decode()
        except UnicodeDecodeError as exc:
            raise MemberError(
                f"'{self.name}': has no tokens for half a character", failure=Failure.BAD_REQUEST
            ) from exc
        ids, at = list[int](), 0
        while at < len(piece):
            fits = [token for token in self.tokens if piece.startswith(token, at)]
            if not fits:
                raise MemberError(
                    f"'{self.name}': has no token for byte {at}", failure=Failure.BAD_REQUEST
                )
            longest = max(fits, key=len)
            ids.append(self._number[longest])
            at += len(longest)
        return ids

    def text(self, ids: Sequence[int]) -> bytes:
        """The bytes of tokens."""
        return b"".join(self.tokens[n - 1] for n in ids)


def random_table(
    tokens: Sequence[bytes], seed: int, *, ends: float = 0.05, sharpness: float = 1.5
) -> Table:
    """A distribution for each text, the same whenever it is asked for.

    Args:
        tokens: the vocabulary.
        seed: of all of them.
        ends: probability that a text ends, wherever it is.
        sharpness: standard deviation of the log-odds.
    """

    def table(text: bytes) -> dict[bytes, float]:
        drawn = hashlib.sha256(b"%d " % seed + text).digest()
        rng = np.random.default_rng(int.from_bytes(drawn[:8], "big"))
        weight = np.exp(sharpness * rng.normal(size=len(tokens)))
        p = (1 - ends) * weight / weight.sum()
        return {**dict(zip(tokens, p.tolist(), strict=True)), END: ends}

    return table


class Halves:
    """Two models of which one is right on the first half of a text, the other on the second.

    Each is as sure of its wrong letters as of its right ones, so the best weights are known: all of
    them on whoever is right. With these every letter is right; alone, each writes half of them.

    Args:
        length: letters of the text.
        sure: probability of the letter that a model writes.
    """

    letters = (b"a", b"b", b"c", b"d")

    def __init__(self, *, length: int = 16, sure: float = 0.8) -> None:
        self.length, self.sure = length, sure
        self.word = b"".join(self.letters[7 * place % 4] for place in range(length))
        self.voices = [
            TableVoice(self.letters, self._table(first=first), name=name)
            for first, name in ((True, "first half"), (False, "second half"))
        ]

    def right(self, text: str) -> float:
        """The share of the letters that are right."""
        written = text.encode()
        return sum(a == b for a, b in zip(written, self.word, strict=False)) / self.length

    def _table(self, *, first: bool) -> Table:
        def table(text: bytes) -> dict[bytes, float]:
            place = len(text)
            if place >= self.length:
                return {END: 1.0}
            right = self.letters.index(self.word[place : place + 1])
            is_right = (place < self.length // 2) == first
            named = self.letters[right if is_right else (right + 1) % 4]
            other = (1 - self.sure) / (len(self.letters) - 1)
            return {b: self.sure if b == named else other for b in self.letters}

        return table

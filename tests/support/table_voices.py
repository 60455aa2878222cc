"""Models of which everything is known: tables in place of nets, with a tokenizer of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.blends.voices import END, Proposal
from rlfocal.pool.types import Message, Request

Table = Callable[[bytes], dict[bytes, float]]
"""What has been written, the prompt left out → probability of each token's bytes; b"" ends it."""


class TableVoice:
    """A model whose distribution is a table; it keeps what it read, as a cache of prefixes would.

    Args:
        tokens: its vocabulary, each token's bytes; token n + 1 is the n-th, token 0 ends a reply.
        table: text so far → distribution over tokens.
        n_named: how many of the likeliest it names.
    """

    def __init__(
        self, tokens: Sequence[bytes], table: Table, *, n_named: int = 1000, name: str = "table"
    ) -> None:
        assert len(set(tokens)) == len(tokens)
        self.name, self.tokens, self._table, self._n_named = name, list(tokens), table, n_named
        self.cache: list[int] = []
        self.asked: list[tuple[int, ...]] = []
        self.n_prompt = 0

    async def begin(self, request: Request) -> list[int]:
        ids = await self.spell(request.text.encode())
        self.n_prompt = len(ids)
        return ids

    async def propose(self, ids: Sequence[int]) -> Proposal:
        self.asked.append(tuple(ids))
        same = 0
        for old, new in zip(self.cache, ids, strict=False):
            if old != new:
                break
            same += 1
        n_evaluated = len(ids) - same if len(ids) > same else 1
        self.cache = list(ids)
        full = self._table(self.text(ids[self.n_prompt :]))
        ranked = sorted(full.items(), key=lambda item: -item[1])
        named = dict(ranked[: self._n_named])
        rest = 1 - sum(named.values()) if len(named) < len(full) else 0.0
        least = min(named.values()) if len(named) < len(full) else 0.0
        numbers = {piece: n for n, piece in enumerate(self.tokens, start=1)}
        ids_of = {piece: numbers[piece] for piece in named if piece != END}
        return Proposal(named, ids_of, max(0.0, rest), least, n_evaluated)

    async def spell(self, piece: bytes) -> list[int]:
        """Longest match first."""
        ids, at = [], 0
        while at < len(piece):
            fits = [n for n, t in enumerate(self.tokens, start=1) if piece.startswith(t, at)]
            if not fits:
                raise MemberError("cannot be spelled", failure=Failure.BAD_REQUEST)
            ids.append(max(fits, key=lambda n: len(self.tokens[n - 1])))
            at += len(self.tokens[ids[-1] - 1])
        return ids

    def text(self, ids: Sequence[int]) -> bytes:
        return b"".join(self.tokens[n - 1] for n in ids)


def random_table(
    tokens: Sequence[bytes], seed: int, *, ends: float = 0.05, sharpness: float = 1.5
) -> Table:
    """A distribution for each text, the same whenever it is asked for."""

    def table(text: bytes) -> dict[bytes, float]:
        drawn = hashlib.sha256(b"%d " % seed + text).digest()
        rng = np.random.default_rng(int.from_bytes(drawn[:8], "big"))
        weight = np.exp(sharpness * rng.normal(size=len(tokens)))
        p = (1 - ends) * weight / weight.sum()
        return {**dict(zip(tokens, p.tolist(), strict=True)), END: ends}

    return table


def asked(prompt: str = "", **fields: object) -> Request:
    return Request((Message("user", prompt),), **fields)  # type: ignore[arg-type]

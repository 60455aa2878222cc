"""Mixture of agents, and its like: proposers, and one who writes the reply from what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rlfocal.conversations.calls import Query
from rlfocal.conversations.recording import RecordingPool
from rlfocal.conversations.talk import Conversation, Talk, Talking, Turn, alone, reader
from rlfocal.conversations.wording import MERGE, SUMMARISE

__all__ = ["MixtureOfAgents", "ToplaSummary", "last_sentences"]

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class MixtureOfAgents(Conversation):
    """MoA (arXiv:2406.04692): each layer reads the layer before it; the last is one aggregator.

    As published: proposers answer alone, further layers of the same proposers merge what the layer
    before said, one aggregator writes the final reply. Two layers are the paper's Lite; it also has
    three.

    Repaired: replies are fenced in the user's turn (the release puts them into the system message
    as they are); their order is drawn for each query and reader (there: that of the configuration);
    who failed is said to be absent (there: it vanishes); a layer is asked at once (there: one after
    another). Where the aggregator fails, the talk comes to nothing.

    Raises:
        ValueError: fewer than two layers.
    """

    name: ClassVar[str] = "moa"
    paper: ClassVar[str] = "arXiv:2406.04692"
    layers: int = 2
    """The aggregator's included."""

    def __post_init__(self) -> None:
        if self.layers < 2:
            raise ValueError(f"layers must be at least 2, the last one aggregates; {self.layers=}")

    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """As `Conversation.hold`; nothing is drawn."""
        talking = Talking(query, pool)
        question = talking.question
        said = await talking.round([alone(m, m, question, "propose") for m in members])
        for _ in range(self.layers - 2):
            said = await talking.round(
                [reader(m, m, question, said, "merge the layer before", words=MERGE)
                 for m in members]
            )  # fmt: skip
        last = await talking.round(
            [reader("aggregator", members[0], question, said, "aggregate", words=MERGE)]
        )
        return talking.over(last[0] if last else None)


@dataclass(frozen=True)
class ToplaSummary(Conversation):
    """TOPLA-Summary (LLM-TOPLA, arXiv:2410.03953): a generator concludes from what all have said.

    As published: the generator reads the question and the last sentences, six at most, of every
    member's reply, and writes the reply.

    Otherwise: the release trains an encoder-decoder for it; here the best member generates, as it
    is. Repaired: the reply is generated and scored by real decoding. The release measures it with
    the right answer as the prefix of every predicted token and never generates, which may explain
    much of its gains. That figure, as a warning beside the real one, can only be had of models that
    tell log-probabilities of a prompt's tokens; chat servers do not, so it is not reckoned.
    """

    name: ClassVar[str] = "topla-summary"
    paper: ClassVar[str] = "arXiv:2410.03953"
    sentences: int = 6
    """Of each reply, at most."""

    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """As `Conversation.hold`; nothing is drawn."""
        talking = Talking(query, pool)
        question = talking.question
        said = await talking.round([alone(m, m, question, "propose") for m in members])
        ends = [last_sentences(turn, self.sentences) for turn in said]
        last = await talking.round(
            [reader("generator", members[0], question, ends, "generate", words=SUMMARISE)]
        )
        return talking.over(last[0] if last else None)


def last_sentences(turn: Turn, n: int) -> Turn:
    """A turn of which only the last sentences are shown."""
    if turn.said is None:
        return turn
    parts = [part for part in _SENTENCE.split(turn.said.strip()) if part]
    return replace(turn, said=" ".join(parts[-n:]))

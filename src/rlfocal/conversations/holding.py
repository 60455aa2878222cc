"""A conversation held about many queries at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rlfocal.conversations.calls import Query
from rlfocal.conversations.recording import RecordingPool
from rlfocal.conversations.talk import Conversation, Talk, rng_of

__all__ = ["hold_all"]

_AT_ONCE = 64
"""Conversations under way: calls are bounded by the pool, this bounds memory."""


async def hold_all(
    conversation: Conversation,
    queries: Sequence[Query],
    members: Sequence[str],
    pool: RecordingPool,
    *,
    seed: int,
) -> list[Talk]:
    """Hold a conversation about each of some queries.

    Args:
        conversation: as it is to be held.
        queries: what about.
        members: as of `Conversation.hold`.
        pool: of these members.
        seed: with the conversation's name and the question, of what is drawn.

    Returns:
        A talk a query, in their order.

    Raises:
        Ended: one needed a call that may not be made; the others are over, too, and all that came
            is stored.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def held(query: Query) -> Talk:
        async with slots:
            rng = rng_of(seed, conversation.name, query.question)
            return await conversation.hold(query, members, pool, rng)

    found = await asyncio.gather(*map(held, queries), return_exceptions=True)
    talks = []
    for each in found:
        if isinstance(each, BaseException):
            raise each
        talks.append(each)
    return talks

"""How many answers were judged where a pool was started without labels, and whether to train.

Training needs prompts, which are kept only where the limits say so.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from rlfocal.gateway.store.store import Store
from rlfocal.gateway.wire.models import ENSEMBLE

__all__ = ["ENOUGH", "JudgedLabels", "LabelCounter"]

_log = logging.getLogger(__name__)
ENOUGH = 500
"""Judged answers from which on training pays: with fewer, `rl-focal` acts by the prior's Decider
(`RlFocalConfig.learn_from`) and is no better than the prior that counts them; docs/results.md, "No
labels"."""


class JudgedLabels(NamedTuple):
    """What there is to train on."""

    n_judged: int
    """Answers of the ensemble that were judged."""
    n_with_prompt: int
    """Those whose prompts are kept: only they can be trained on."""
    enough: int
    """From so many on training pays."""
    keeps_prompts: bool
    database: str
    """As commands name it, without a password."""

    @property
    def next(self) -> str | None:
        """What to do about them; None while there is nothing to do but judge more."""
        if self.n_with_prompt >= self.enough:
            return (
                f"rlfocal export {self.database} --gateway -o judged && "
                "rlfocal train judged -o my-ensemble"
            )
        if self.n_judged and not self.keeps_prompts:
            return "set keep_prompts = true in the limits (rlfocal serve --config)"
        return None

    def __str__(self) -> str:
        judged = f"{self.n_judged:,} answer{'s' * (self.n_judged != 1)} judged"
        if self.n_with_prompt >= self.enough:
            return f"{judged}, {self.n_with_prompt:,} with prompts: enough to train: {self.next}"
        if self.next is not None:
            return (
                f"{judged}, and prompts are not kept: the members' figures follow, but nothing can "
                f"be trained on them; {self.next}"
            )
        return (
            f"{judged}, {self.n_with_prompt:,} with prompts; training pays from {self.enough:,} on"
        )


class LabelCounter:
    """Counts the judged answers of one database, and says in the log when they are enough.

    Args:
        store: where they are.
        keeps_prompts: whether prompts are kept from now on.
    """

    def __init__(self, store: Store, *, keeps_prompts: bool) -> None:
        self._store, self._keeps_prompts = store, keeps_prompts
        self._said: set[str] = set()
        self.now: JudgedLabels | None = None
        """None until they are counted."""

    async def count(self) -> None:
        """Count them.

        Raises:
            DatabaseError: they cannot be read.
        """
        self.now = now = await asyncio.to_thread(self._count)
        if now.n_with_prompt >= now.enough:
            self._say("enough", now)
        elif now.n_judged:
            self._say("first", now)

    def _say(self, what: str, now: JudgedLabels) -> None:
        if what not in self._said:
            self._said.add(what)
            _log.info("%s", now)

    def _count(self) -> JudgedLabels:
        connections = self._store.connections
        with connections.read() as connection:
            n, n_with_prompt = self._store.log.n_judged(connection, ENSEMBLE)
        place = connections.place.name
        return JudgedLabels(n, n_with_prompt, ENOUGH, self._keeps_prompts, place)

"""Conversations held over stub members, whose replies a test writes; an empty one is a failure."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlfocal.conversations.calls import Query
from rlfocal.conversations.holding import hold_all
from rlfocal.conversations.recording import RecordingPool, Spending
from rlfocal.conversations.talk import Conversation, Talk
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import StubServer
from rlfocal.records.database import open_database

__all__ = ["MEMBERS", "PROMPT", "Held", "Says", "Stage", "query", "shown_in"]

Says = Callable[[str, Sequence[Mapping[str, str]]], str]
"""Member, messages → its reply."""

MEMBERS = ("ann", "bob", "cid", "dot")
PROMPT = "How much is 6 * 7?"


def query(prompt: str = PROMPT, label: str | None = "42", choices: Any = None) -> Query:
    return Query(
        {"query_id": prompt, "task": "all", "prompt": prompt, "choices": choices, "label": label}
    )


def shown_in(text: str) -> list[str]:
    """The replies that a prompt shows, in their order."""
    return re.findall(r"^Reply \d+:\n(.*?)\n=== [0-9a-f]{16} ===$", text, re.DOTALL | re.MULTILINE)


@dataclass
class Held:
    """What came of holding conversations."""

    talks: list[Talk]
    spending: Spending
    bodies: list[dict[str, Any]] = field(repr=False)
    """Of all requests that reached the stub."""

    @property
    def talk(self) -> Talk:
        (found,) = self.talks
        return found

    @property
    def course(self) -> list[tuple[int, str, str]]:
        """Round, speaker and member of each turn."""
        return [(turn.round, turn.speaker, turn.member) for turn in self.talk.turns]


@dataclass
class Stage:
    """Where conversations are held: a database and a pool file."""

    folder: Path

    def hold(
        self,
        conversation: Conversation,
        says: Says,
        *,
        members: Sequence[str] = MEMBERS,
        queries: Sequence[Query] | None = None,
        seed: int = 0,
        db: str = "answers.db",
        settings: str = "",
        prices: str = "",
        training: Sequence[Query] = (),
        **options: Any,
    ) -> Held:
        """Hold a conversation; `settings` are more of each member, `options` go to the pool."""
        bodies: list[dict[str, Any]] = []
        talks, spending = asyncio.run(
            self._held(
                conversation, says, members, queries or [query()], seed, db,
                settings + "\n", prices, bodies, training, options,
            )
        )  # fmt: skip
        return Held(talks, spending, bodies)

    async def _held(
        self, conversation: Conversation, says: Says, members: Sequence[str],
        queries: Sequence[Query], seed: int, db: str, settings: str, prices: str,
        bodies: list[dict[str, Any]], training: Sequence[Query], options: dict[str, Any],
    ) -> tuple[list[Talk], Spending]:  # fmt: skip
        def answer(body: Mapping[str, Any]) -> str:
            return says(body["model"], body["messages"])

        async with StubServer(answer, models=members) as stub:
            file = self.folder / "pool.toml"
            file.write_text(
                f'[endpoints.stub]\nbase_url = "{stub.base_url}"\nattempts = 1\n{prices}\n'
                + "".join(
                    f'[[members]]\nname = "{name}"\nmodel = "{name}"\nendpoint = "stub"\n{settings}'
                    for name in members
                )
            )
            with open_database(str(self.folder / db)) as database:
                async with LivePool(read_pool(file)) as live:
                    grader = Grader("number")
                    async with RecordingPool(live.members, database, grader, **options) as pool:
                        if training:
                            conversation = await conversation.fit(
                                training, members, pool, seed=seed
                            )
                        talks = await hold_all(conversation, queries, members, pool, seed=seed)
            bodies += stub.bodies
        return talks, pool.spending

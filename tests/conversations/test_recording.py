"""The recording pool: nothing is paid twice, limits hold, and what came is kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talks import MEMBERS, PROMPT, Stage, query

from rlfocal.collect.claims import new_owner
from rlfocal.conversations.calls import Call
from rlfocal.conversations.dylan import Dylan
from rlfocal.conversations.holding import hold_all
from rlfocal.conversations.moa import MixtureOfAgents
from rlfocal.conversations.recording import Ended, RecordingPool
from rlfocal.conversations.registry import CONVERSATIONS, conversations
from rlfocal.conversations.talk import Conversation
from rlfocal.errors import ConfigError
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import StubServer
from rlfocal.records.database import key_of, open_database, query_key_of, settings_key_of

Messages = Sequence[Mapping[str, str]]
QUERIES = [query(f"How much is {k} + 1?", str(k + 1)) for k in range(4)]
PRICED = "".join(f"[prices.{name}]\nprompt = 1000.0\ncompletion = 1000.0\n" for name in MEMBERS)


def varied(member: str, messages: Messages) -> str:
    """Something that depends on all that was sent."""
    total = sum(len(m["content"]) for m in messages) + len(member) * ord(member[0])
    return f"It is {total % 5}."


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_second_time_no_call_is_made_and_the_talks_are_the_same(stage: Stage, name: str) -> None:
    (conversation,) = conversations([name])
    first = stage.hold(conversation, varied, queries=QUERIES, training=QUERIES[:2])
    again = stage.hold(conversation, varied, queries=QUERIES, training=QUERIES[:2])
    assert first.bodies
    assert again.bodies == []
    assert (again.spending.n_made, again.spending.n_stored > 0) == (0, True)
    assert again.talks == first.talks


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(list(CONVERSATIONS)))
def test_the_same_seed_gives_the_same_transcript(
    tmp_path_factory: pytest.TempPathFactory, seed: int, name: str
) -> None:
    (conversation,) = conversations([name])
    held = [
        Stage(tmp_path_factory.mktemp("held")).hold(conversation, varied, seed=seed)
        for _ in range(2)
    ]
    transcripts = [[_apart(turn.as_json()) for turn in each.talk.turns] for each in held]
    assert transcripts[0] == transcripts[1]
    assert held[0].talk.answer == held[1].talk.answer


def _apart(turn: dict[str, Any]) -> dict[str, Any]:
    return turn | {"latency_s": None}


def test_calls_that_are_alike_are_made_once(stage: Stage) -> None:
    held = stage.hold(MixtureOfAgents(), varied, queries=[query(), query()])
    assert len(held.talks) == 2
    assert len(held.bodies) == len(MEMBERS) + 1
    assert held.talks[0].n_calls == held.talks[1].n_calls == len(MEMBERS) + 1


def test_a_query_put_as_the_pool_has_it_has_the_key_of_collecting(stage: Stage) -> None:
    held = stage.hold(MixtureOfAgents(), varied)
    pool = read_pool(stage.folder / "pool.toml")
    ann = LivePool(pool).members[0]
    key = key_of(query_key_of(PROMPT), "ann", settings_key_of(ann.identity))
    with open_database(str(stage.folder / "answers.db")) as database:
        stored = database.replies([key])[key]
        assert (stored.text, stored.query_id) == (held.talk.turns[0].text, PROMPT)
        assert stored.score in (0.0, 1.0)
        assert database.spent().n_calls == len(MEMBERS) + 1


@pytest.mark.parametrize(
    ("pid", "lease_s"), [(2**22 + 5, 3600.0), (os.getpid(), 1.0)], ids=["ended", "alive"]
)
def test_a_call_that_another_process_makes_is_waited_for_as_long_as_that_lives(
    stage: Stage, pid: int, lease_s: float
) -> None:
    stage.hold(MixtureOfAgents(), varied, db="other.db")  # writes the file
    ann = LivePool(read_pool(stage.folder / "pool.toml")).members[0]
    key = key_of(query_key_of(PROMPT), "ann", settings_key_of(ann.identity))
    with open_database(str(stage.folder / "answers.db")) as database:
        assert database.claim([key], new_owner(pid), lease_s) == {key}
    held = stage.hold(MixtureOfAgents(), varied)
    assert held.talk.n_calls == len(held.bodies) == len(MEMBERS) + 1


def test_failures_are_stored_and_not_repeated_unless_it_is_wanted(stage: Stage) -> None:
    def says(member: str, messages: Messages) -> str:
        return "" if member == "cid" else varied(member, messages)

    first = stage.hold(MixtureOfAgents(), says)
    again = stage.hold(MixtureOfAgents(), says)
    assert first.spending.n_failed == 1
    assert again.bodies == []
    assert again.talks == first.talks
    with open_database(str(stage.folder / "answers.db")) as database:
        (failure,) = database.failures()
        assert (failure.member, failure.failure) == ("cid", "empty")
    mended = stage.hold(MixtureOfAgents(), varied, retry_failed=True)
    assert [body["model"] for body in mended.bodies] == ["cid", "ann"]
    assert mended.talk.turns[2].text is not None


def test_a_member_that_keeps_failing_is_given_up(stage: Stage) -> None:
    queries = [query(f"Number {k}?") for k in range(30)]

    def says(member: str, messages: Messages) -> str:
        return "" if member == "cid" else "1"

    held = stage.hold(MixtureOfAgents(), says, queries=queries, concurrency=1)
    assert list(held.spending.given_up) == ["cid"]
    asked = [body for body in held.bodies if body["model"] == "cid"]
    assert len(asked) < 30
    assert all(talk.turns[2].text is None for talk in held.talks)


def test_no_more_calls_than_allowed_and_what_came_is_kept(stage: Stage) -> None:
    with pytest.raises(Ended, match="--max-calls 6 reached"):
        stage.hold(MixtureOfAgents(), varied, queries=QUERIES, max_calls=6)
    with open_database(str(stage.folder / "answers.db")) as database:
        assert database.spent().n_calls == 6
    whole = stage.hold(MixtureOfAgents(), varied, queries=QUERIES)
    assert len(whole.bodies) == 4 * (len(MEMBERS) + 1) - 6
    stored = stage.hold(MixtureOfAgents(), varied, queries=QUERIES, max_calls=0)
    assert stored.talks == whole.talks


@pytest.mark.parametrize("cap", [0.5, 0.6, 0.8, 1.0])
def test_a_cap_stops_before_it_is_passed(stage: Stage, cap: float) -> None:
    options = {"prices": PRICED, "settings": "max_tokens = 20"}
    with pytest.raises(Ended, match="--max-usd"):
        stage.hold(MixtureOfAgents(), varied, queries=QUERIES, max_usd=cap, **options)
    with open_database(str(stage.folder / "answers.db")) as database:
        assert database.spent().cost_usd <= cap
    # The rest is paid for in a second run; what is there is not.
    whole = stage.hold(MixtureOfAgents(), varied, queries=QUERIES, max_usd=50.0, **options)
    assert whole.spending.n_made + whole.spending.n_stored >= 20
    assert all(talk.cost_usd for talk in whole.talks)


def test_calls_under_way_are_bounded(stage: Stage, tmp_path: Path) -> None:
    async def most_under_way() -> int:
        stub = StubServer(lambda _: "1", latency_s=0.02)
        async with stub:
            file = tmp_path / "pool.toml"
            file.write_text(
                f'[endpoints.stub]\nbase_url = "{stub.base_url}"\n'
                + "".join(f'[[members]]\nname = "{m}"\nendpoint = "stub"\n' for m in MEMBERS)
            )
            with open_database(str(tmp_path / "bounded.db")) as database:
                async with (
                    LivePool(read_pool(file)) as live,
                    RecordingPool(live.members, database, Grader(), concurrency=3) as pool,
                ):
                    await hold_all(MixtureOfAgents(), QUERIES, MEMBERS, pool, seed=0)
        return stub.most_under_way

    assert asyncio.run(most_under_way()) <= 3


def test_interrupted_it_keeps_what_came(stage: Stage, tmp_path: Path) -> None:
    async def interrupted() -> None:
        n_asked = 0

        def answer(body: Mapping[str, Any]) -> str:
            nonlocal n_asked
            n_asked += 1
            if n_asked == 7:
                task.cancel()  # as Ctrl-C does
            return "1"

        async with StubServer(answer) as stub:
            file = tmp_path / "pool.toml"
            file.write_text(
                f'[endpoints.stub]\nbase_url = "{stub.base_url}"\nconcurrency = 1\n'
                + "".join(f'[[members]]\nname = "{m}"\nendpoint = "stub"\n' for m in MEMBERS)
            )

            async def held() -> None:
                with open_database(str(tmp_path / "cut.db")) as database:
                    async with (
                        LivePool(read_pool(file)) as live,
                        RecordingPool(live.members, database, Grader(), concurrency=1) as pool,
                    ):
                        await hold_all(MixtureOfAgents(), QUERIES, MEMBERS, pool, seed=0)

            task = asyncio.create_task(held())
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(interrupted())
    with open_database(str(tmp_path / "cut.db")) as database:
        assert 6 <= database.spent().n_calls <= 7
        assert database.owners() == []


def test_an_estimate_is_an_upper_bound_and_asks_nobody(stage: Stage) -> None:
    stage.hold(MixtureOfAgents(), varied, queries=QUERIES[:1], prices=PRICED)  # writes the file

    async def estimated(conversation: Conversation) -> RecordingPool:
        live = LivePool(read_pool(stage.folder / "pool.toml"))
        async with RecordingPool(live.members, None, Grader("number"), estimating=True) as pool:
            await hold_all(conversation, QUERIES, MEMBERS, pool, seed=0)
        return pool

    for name in CONVERSATIONS:
        (conversation,) = conversations([name])
        supposed = asyncio.run(estimated(conversation)).spending
        held = stage.hold(
            conversation, varied, queries=QUERIES, prices=PRICED, db=f"{name}.db"
        ).spending
        assert supposed.n_made >= held.n_made > 0
        assert supposed.most_usd > held.cost_usd
        assert supposed.most_usd > supposed.cost_usd


def test_an_unknown_member_is_named(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="no member 'anne' is there; did you mean 'ann'"):
        stage.hold(_Asking("anne"), varied)


class _Asking(MixtureOfAgents):
    def __init__(self, member: str) -> None:
        super().__init__()
        object.__setattr__(self, "_member", member)

    async def hold(self, query: Any, members: Any, pool: Any, rng: Any) -> Any:
        return await pool.ask(Call("x", self._member, query.question, "why"), query)


def test_a_pool_needs_a_database_unless_it_only_estimates() -> None:
    with pytest.raises(ValueError, match="need a database"):
        RecordingPool((), None, Grader())


def test_dylan_with_a_seed_of_its_own_speaks_in_another_order(stage: Stage) -> None:
    orders = {
        tuple(t.speaker for t in stage.hold(Dylan(agents=4), varied, seed=seed).talk.turns[:4])
        for seed in range(5)
    }
    assert len(orders) > 1

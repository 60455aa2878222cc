"""Money: what the ledger holds is never less than the bill, whatever goes wrong and whoever leaves.

The law, for random faults, hang-ups and servers that do not count: dollars settled, unsettled and
held of a key together are at least what an upstream billed that counts for itself; and where
nothing fails and all is counted, what is settled is the bill.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from billing import COUNTED, HABITS, BillingUpstream, Habit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from process import gateway_process
from serving import Served, serving, until
from stub_pool import ACCURACY, pool_file

from rlfocal.checkpoint import load_checkpoint
from rlfocal.errors import Failure, MemberError, NobodyAnswered
from rlfocal.gateway.store import KeyLimits, KeyUse, open_store
from rlfocal.live import Answer, LiveEnsemble, Question
from rlfocal.live import Limits as LiveLimits
from rlfocal.live.answering import Answering
from rlfocal.live.ensemble import members_for
from rlfocal.live.reading import Reader
from rlfocal.pool import Metered, Price, Request, Response
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.wrappers.retry import Retrying
from rlfocal.pool.wrappers.unsettled import Unsettled

PRICES = "".join(f'\n[prices."{n}"]\nprompt = 1.0\ncompletion = 2.0\n' for n in ACCURACY)
DEADLINE_MS = 1500
"""In which those hang that hang."""
ALL = "rlfocal:0"
ROUNDING_USD = 1e-9


def priced_pool(folder: Path, url: str, attempts: int = 2) -> Path:
    """Four members, six calls in all."""
    path = pool_file(folder, url)
    text = path.read_text(encoding="utf-8").replace("attempts = 1", f"attempts = {attempts}")
    text = text.replace('answers = "option-scores"\n', "")
    path.write_text(text + PRICES, encoding="utf-8")
    return path


# Through a gateway -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Desk:
    served: Served
    upstream: BillingUpstream

    def use(self, name: str) -> KeyUse:
        store = self.served.store
        with store.connections.read() as connection:
            (use,) = [u for u in store.keys.uses(connection, time.time()) if u.key.name == name]
        return use


@pytest.fixture(scope="module")
def desk(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("money")
    with BillingUpstream() as upstream:
        pool = priced_pool(folder, upstream.base_url)
        options = {"circuit_failures": 1_000_000, "deadline_s": DEADLINE_MS / 1000}
        with serving(trained_folder, pool, str(folder / "gateway.db"), **options) as served:
            yield Desk(served, upstream)


@dataclass(frozen=True)
class Asked:
    """One request, and after how many seconds its client hangs up; None for never."""

    model: str
    stream: bool
    leaves_s: float | None
    deadline_ms: int = DEADLINE_MS


def asked(leaves: st.SearchStrategy[float | None]) -> st.SearchStrategy[Asked]:
    return st.builds(
        Asked, st.sampled_from([ALL, "rlfocal", "plain"]), st.booleans(), leaves,
        st.just(DEADLINE_MS),
    )  # fmt: skip


async def send_all(served: Served, key: str, requests: Sequence[Asked]) -> None:
    async with httpx2.AsyncClient(timeout=60) as client:
        await asyncio.gather(*(send(client, served, key, one) for one in requests))


async def send(client: httpx2.AsyncClient, served: Served, key: str, one: Asked) -> None:
    body = {
        "model": one.model, "stream": one.stream, "max_tokens": 24,
        "messages": [{"role": "user", "content": "3 + 4 ="}],
        "rlfocal": {"task": "sums", "deadline_ms": one.deadline_ms},
    }  # fmt: skip
    url, bearer = f"{served.url}/v1/chat/completions", {"Authorization": f"Bearer {key}"}
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(one.leaves_s):
            await client.post(url, json=body, headers=bearer)


N = iter(range(1_000_000))


def settled(desk: Desk, *rounds: Sequence[Asked], usd: float = 1.0) -> KeyUse:
    """What a new key has used when all its requests have ended, one way or another.

    Those of a round are sent together, when the round before has ended.
    """
    name = f"key-{next(N)}"
    key = desk.served.add_key(name, usd=usd, period="total")
    for requests in rounds:
        asyncio.run(send_all(desk.served, key, requests))
    until(lambda: desk.served.gateway.places.n == 0)
    until(lambda: desk.use(name).held_usd == 0)
    return desk.use(name)


def few(n: int) -> Any:
    return settings(
        max_examples=n,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("habit", [h for h in HABITS if h != "hang"])
def test_no_habit_of_a_server_makes_a_call_cheaper_than_it_was(
    desk: Desk, habit: Habit, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who is not waited for is not counted either.
    monkeypatch.setattr(Answering, "_outcome_is_fixed", lambda *_: False)
    desk.upstream.behave([habit])
    use = settled(desk, [Asked(model, stream, None, 60_000) for model in (ALL, "plain")])
    assert desk.upstream.n_billed >= (0 if habit in ("429", "400") else 4)
    assert use.spent_usd >= desk.upstream.billed_usd - ROUNDING_USD
    if habit in COUNTED:
        assert use.spent_usd - use.unsettled_usd == pytest.approx(desk.upstream.billed_usd, 0.05)


@pytest.mark.slow
@few(25)
@given(
    habits=st.lists(st.sampled_from(HABITS), min_size=1, max_size=8),
    requests=st.lists(asked(st.none() | st.floats(0, 0.6)), min_size=1, max_size=4),
    latency_s=st.sampled_from([0.0, 0.02, 0.2]),
)
def test_the_ledger_is_never_below_the_bill(
    desk: Desk, habits: list[Habit], requests: list[Asked], latency_s: float
) -> None:
    desk.upstream.behave(habits, latency_s)
    use = settled(desk, requests)
    assert use.spent_usd >= desk.upstream.billed_usd - ROUNDING_USD


@pytest.mark.slow
@few(10)
@given(
    habits=st.lists(st.sampled_from(COUNTED), min_size=1, max_size=4),
    requests=st.lists(asked(st.none()), min_size=1, max_size=4),
)
def test_where_all_is_counted_and_nothing_fails_what_is_settled_is_the_bill(
    desk: Desk, habits: list[Habit], requests: list[Asked]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answering, "_outcome_is_fixed", lambda *_: False)
        desk.upstream.behave(habits)
        use = settled(desk, requests)
    assert use.unsettled_usd == 0
    assert use.spent_usd == pytest.approx(desk.upstream.billed_usd, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("habit", ["plain", "no-usage", "zeros", "500"])
def test_a_budget_is_not_passed_by_the_true_bill(desk: Desk, habit: Habit) -> None:
    """Though a loop of requests is hung up on, in the middle of a round."""
    budget = 0.004
    desk.upstream.behave([habit, "plain", habit], 0.05)
    rng = Random(1)
    waits = [rng.choice([None, 0.05, 0.1]) for _ in range(23)]
    loop = [Asked(ALL, k % 2 == 0, wait) for k, wait in enumerate(waits)]
    # One goes before and waits for its answer: on a busy machine the loop may end before any call.
    use = settled(desk, [Asked(ALL, True, None, 60_000)], loop, usd=budget)
    assert 0 < desk.upstream.billed_usd <= use.spent_usd + ROUNDING_USD
    assert use.spent_usd <= budget + ROUNDING_USD


# While nothing can be written --------------------------------------------------------------------


def test_while_the_database_takes_no_writes_nobody_spends_unseen(
    trained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key without limits is refused, too, until what it spent has been written down."""
    path = tmp_path / "gateway.db"
    with BillingUpstream() as upstream:
        pool = priced_pool(tmp_path, upstream.base_url)
        with serving(trained_folder, pool, str(path), busy_timeout_s=0.1) as served:
            desk = Desk(served, upstream)
            free = served.add_key("free")
            ready = f"{served.url}/readyz"

            def code() -> str:
                body = {"model": "plain", "messages": [{"role": "user", "content": "3 + 4 ="}]}
                headers = {"Authorization": f"Bearer {free}"}
                url = f"{served.url}/v1/chat/completions"
                reply = httpx2.post(url, json=body, headers=headers, timeout=60)
                return "" if reply.status_code == 200 else str(reply.json()["error"]["code"])

            upstream.behave(["plain"])
            assert code() == ""
            assert httpx2.get(ready, timeout=60).status_code == 200
            lock = sqlite3.connect(path, isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            assert code() == ""  # nobody knows yet
            until(lambda: code() == "database_unavailable")
            assert httpx2.get(ready, timeout=60).status_code == 503
            lock.rollback()
            lock.close()
            until(lambda: code() == "")
            until(lambda: httpx2.get(ready, timeout=60).status_code == 200)
            until(lambda: desk.use("free").spent_usd >= upstream.billed_usd - ROUNDING_USD)
            assert served.gateway.writer.counts.n_lost == 0


def test_a_locked_database_is_what_is_said_and_not_a_deadline(
    trained_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "gateway.db"
    with BillingUpstream() as upstream:
        pool = priced_pool(tmp_path, upstream.base_url)
        with serving(trained_folder, pool, str(path), deadline_s=1.0) as served:
            bounded = served.add_key("bounded", usd=1.0)
            lock = sqlite3.connect(path, isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            body = {"model": "plain", "messages": [{"role": "user", "content": "3 + 4 ="}]}
            headers = {"Authorization": f"Bearer {bounded}"}
            url = f"{served.url}/v1/chat/completions"
            reply = httpx2.post(url, json=body, headers=headers, timeout=60)
            lock.rollback()
            lock.close()
            assert reply.status_code == 503
            assert reply.json()["error"]["code"] == "database_unavailable"
            assert upstream.n_billed == 0


# Killed ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.3])
def test_a_killed_gateway_loses_no_dollar_and_keeps_no_place(
    trained_folder: Path, tmp_path: Path, database_url: str, after_s: float
) -> None:
    with BillingUpstream() as upstream, open_store(database_url, busy_timeout_s=20) as store:
        pool = priced_pool(tmp_path, upstream.base_url)
        with store.connections.write() as connection:
            limits = KeyLimits(1.0, "total", concurrency=4)
            made = store.keys.add(connection, "me", now=time.time(), limits=limits)
        headers = {"Authorization": f"Bearer {made.plaintext}"}

        def post(url: str) -> int:
            body = {
                "model": ALL, "messages": [{"role": "user", "content": "3 + 4 ="}],
                "rlfocal": {"deadline_ms": 600_000}, "max_tokens": 24,
            }  # fmt: skip
            try:
                return httpx2.post(
                    f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60
                ).status_code
            except httpx2.HTTPError:
                return 0  # it was killed

        def held() -> float:
            with store.connections.read() as connection:
                (use,) = store.keys.uses(connection, time.time())
            return use.spent_usd + use.held_usd

        upstream.behave(["plain", "hang", "no-usage"], 0.05)
        with gateway_process(trained_folder, pool, database_url, tmp_path / "one.log") as killed:
            threads = [threading.Thread(target=post, args=(killed.url,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            until(lambda: upstream.n_billed > 12)
            time.sleep(after_s)
            killed.kill()
            for thread in threads:
                thread.join()
        billed = upstream.billed_usd
        assert held() >= billed - ROUNDING_USD
        upstream.behave(["plain"])
        with gateway_process(trained_folder, pool, database_url, tmp_path / "two.log") as second:
            # Their leases are of eleven minutes.
            until(lambda: post(second.url) == 200)
            assert held() >= billed + upstream.billed_usd - ROUNDING_USD


# Cancelled at every await ------------------------------------------------------------------------


class Counting:
    """A member's server that bills when it is asked, and then takes some turns."""

    def __init__(self, bill: list[float], rng: Random) -> None:
        self._bill, self._rng = bill, rng

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        n_prompt, n_completion = 5, self._rng.randrange(1, 20)
        self._bill.append(n_prompt * 1e-6 + n_completion * 2e-6)
        for _ in range(self._rng.randrange(4)):
            await asyncio.sleep(0)
        fate = self._rng.random()
        if fate < 0.2:
            raise MemberError("down", failure=Failure.SERVER_ERROR)
        if fate < 0.3:
            return Response("That is 7.")
        text = f"That is {self._rng.randrange(7, 10)}."
        return Response(text, n_prompt_tokens=n_prompt, n_completion_tokens=n_completion)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Counting:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


def counting(member: LiveMember, bill: list[float], rng: Random) -> LiveMember:
    price = Price(1.0, 2.0)

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    unsettled = Unsettled(Counting(bill, rng), price.most)
    retrying = Retrying(unsettled, attempts=2, rng=Random(0), sleep=at_once)
    return replace(member, endpoint=Metered(retrying, price), price=price, circuit=None)


@pytest.fixture(scope="module")
def ensemble_of(
    trained_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[list[float], int], LiveEnsemble]:
    checkpoint = load_checkpoint(trained_folder)
    pool = read_pool(priced_pool(tmp_path_factory.mktemp("steps"), "http://127.0.0.1:9/v1"))
    members = LivePool(pool, members_for(checkpoint, pool)).members

    def make(bill: list[float], seed: int) -> LiveEnsemble:
        rng = Random(seed)
        return LiveEnsemble(checkpoint, [counting(m, bill, rng) for m in members], price=0.0)

    return make


async def cancelled_after(
    run: Coroutine[Any, Any, Answer], n_turns: int, *, emergency: bool
) -> bool:
    """Run it and cancel it after so many turns of the loop; False where it had ended before."""
    task = asyncio.create_task(run)
    for _ in range(n_turns):
        await asyncio.sleep(0)
    if task.done():
        with suppress(NobodyAnswered):
            task.result()
        return False
    if emergency:
        with suppress(TimeoutError, NobodyAnswered):
            async with asyncio.timeout(0):
                await task
    else:
        task.cancel()
        await asyncio.wait([task])
    return True


@pytest.mark.parametrize("emergency", [False, True])
@pytest.mark.parametrize("answers", ["number", pytest.param("open", marks=pytest.mark.slow)])
def test_cancelled_at_any_await_it_still_knows_what_it_cost(
    ensemble_of: Callable[[list[float], int], LiveEnsemble], answers: str, emergency: bool
) -> None:
    """Where free words are compared in a thread as well, after the members have spoken."""
    query = Question("3 + 4 =", answers=answers)
    for seed in range(2):
        n_turns, went_on = 0, True
        while went_on and n_turns < 40:
            bill: list[float] = []
            begun = ensemble_of(bill, seed).begin(query)
            run = begun.run(60.0, limits=LiveLimits(early=seed == 1))
            went_on = asyncio.run(cancelled_after(run, n_turns, emergency=emergency))
            trace = begun.trace
            assert trace.usd + trace.uncertain_cost_usd >= sum(bill) - ROUNDING_USD, n_turns
            n_turns += 1
        assert n_turns > 5


def test_what_breaks_after_the_replies_have_come_loses_no_dollar(
    ensemble_of: Callable[[list[float], int], LiveEnsemble], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault in grading")

    monkeypatch.setattr(Reader, "graded", broken)
    bill: list[float] = []
    begun = ensemble_of(bill, 0).begin(Question("3 + 4 ="))
    with pytest.raises(RuntimeError, match="grading"):
        asyncio.run(begun.run(60.0))
    assert begun.trace.usd + begun.trace.uncertain_cost_usd >= sum(bill) - ROUNDING_USD
    assert begun.trace.usd > 0

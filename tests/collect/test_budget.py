"""The cap on dollars, against a server that charges what no other would: each byte a token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from aiohttp import web

from rlfocal.collect.budget import Budget
from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.collect.plan import make_plan
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.prices import Price, most_prompt_tokens
from rlfocal.pool.settings import read_pool
from rlfocal.pool.types import Message, Request
from rlfocal.records.database import open_database
from rlfocal.records.schema import normalise_queries

MAX_TOKENS = 20
TEMPLATE = 256 + 16
"""Tokens that a chat template may add to a single turn."""
POOL = """
[endpoints.dear]
base_url = "{url}"
attempts = {attempts}
timeout_s = 20
concurrency = 8

[prices.dear]
prompt = 1000000
completion = 1000000

[[members]]
name = "a"
endpoint = "dear"
model = "dear"
max_tokens = 20
"""
"""A dollar a token."""

Charge = Callable[[Mapping[str, Any]], tuple[int, int]]


def by_byte(body: Mapping[str, Any]) -> tuple[int, int]:
    """The worst that a tokeniser and a template can make of a prompt, and a full reply."""
    prompt = "".join(message["content"] for message in body["messages"])
    return len(prompt.encode()) + TEMPLATE, body["max_tokens"]


class Server:
    """Charges by a function, and fails where it is told to, having charged all the same."""

    def __init__(
        self, charge: Charge | None = by_byte, *, fail: Callable[[int], int] = lambda n: 0
    ):
        self.charge, self.fail = charge, fail
        self.billed = self.n_calls = self.n_under_way = self.most_under_way = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.n_calls += 1
        status = self.fail(self.n_calls)
        n_prompt, n_completion = (self.charge or by_byte)(body)
        if status not in (429, 400):
            self.billed += n_prompt + n_completion
        self.n_under_way += 1
        self.most_under_way = max(self.most_under_way, self.n_under_way)
        await asyncio.sleep(0.005)
        self.n_under_way -= 1
        if status:
            return web.json_response({"error": {"message": "no"}}, status=status)
        choice = {"message": {"content": "1"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": n_prompt, "completion_tokens": n_completion}
        return web.json_response({"choices": [choice], "usage": usage if self.charge else None})

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()


def collect(
    server: Server, folder: Path, most_usd: float | None, *, n: int = 60, attempts: int = 1
) -> Tally:
    # Three bytes a character: an estimate by characters is far too low.
    prompts = [f"{k} は何ですか" for k in range(n)]
    names = [f"q{k}" for k in range(n)]
    queries = normalise_queries(pa.table({"query_id": names, "prompt": prompts}))

    async def run() -> Tally:
        async with server.listening() as url:
            (folder / "pool.toml").write_text(POOL.format(url=url, attempts=attempts))
            with open_database(folder / "answers.db") as database:
                async with LivePool(read_pool(folder / "pool.toml")) as pool:
                    keys = [database.add_member(m.name, m.identity) for m in pool.members]
                    plan = make_plan(queries, pool.members, keys)
                    limits = Limits(8, max_usd=most_usd)
                    return await Collector(plan, database, Grader("number"), limits=limits).run()

    return asyncio.run(run())


ONE_CALL = len("00 は何ですか".encode()) + TEMPLATE + MAX_TOKENS


@pytest.mark.parametrize("calls", [0.99, 1, 3.5, 20])
def test_a_byte_a_token_does_not_pass_the_cap(tmp_path: Path, calls: float) -> None:
    server, most = Server(), calls * ONE_CALL
    tally = collect(server, tmp_path, most)
    assert tally.cost_usd == server.billed <= most
    assert tally.stopped is not None
    assert server.n_calls == int(calls) or (calls == 20 and server.n_calls in (20, 21))


def test_the_estimate_by_characters_would_have_passed_it() -> None:
    """So the test above can fail."""
    prompt = "00 は何ですか"
    assert len(prompt) // 4 + 1 + MAX_TOKENS < ONE_CALL / 5
    assert Price(1e6, 1e6).most(Request((Message("user", prompt),), max_tokens=20)) == ONE_CALL


def test_what_was_set_aside_and_not_used_is_spent_on_further_calls(tmp_path: Path) -> None:
    """Calls that cost a tenth of the most: nearly ten times as many are made."""
    server = Server(lambda _: (20, 10))
    tally = collect(server, tmp_path, 5 * ONE_CALL)
    assert tally.cost_usd == server.billed == 30 * server.n_calls
    assert tally.cost_usd > 5 * ONE_CALL - ONE_CALL - 30
    assert tally.n_answered == server.n_calls > 40
    assert server.most_under_way <= 5


@pytest.mark.parametrize("status", [500, 502, 408])
def test_failed_attempts_may_be_on_the_bill(tmp_path: Path, status: int) -> None:
    server, most = Server(fail=lambda n: status if n % 3 else 0), 20 * ONE_CALL
    tally = collect(server, tmp_path, most, attempts=2)
    assert server.billed <= most
    assert tally.uncertain_cost_usd > 0
    assert server.billed <= tally.cost_usd + tally.uncertain_cost_usd <= most
    assert server.n_calls > 10


def test_a_cap_below_all_attempts_makes_no_call(tmp_path: Path) -> None:
    server = Server()
    tally = collect(server, tmp_path, 1.9 * ONE_CALL, attempts=2)
    assert server.n_calls == tally.n_attempted == 0


@pytest.mark.parametrize("status", [400, 429])
def test_who_was_turned_away_pays_nothing(tmp_path: Path, status: int) -> None:
    server = Server(fail=lambda n: status if n % 3 == 0 else 0)
    tally = collect(server, tmp_path, 8.5 * ONE_CALL)
    assert tally.failures.total() > 0
    assert tally.uncertain_cost_usd == 0
    assert tally.n_answered == 8


def test_a_reply_that_does_not_say_how_long_it_is_costs_the_most(tmp_path: Path) -> None:
    server = Server(None)
    tally = collect(server, tmp_path, 3.5 * ONE_CALL)
    assert tally.n_answered == server.n_calls == 3
    assert tally.uncertain_cost_usd == server.billed > 0
    assert (tally.cost_usd, tally.n_unpriced) == (0, 0)


def test_without_a_cap_nothing_is_held_back(tmp_path: Path) -> None:
    server = Server()
    tally = collect(server, tmp_path, None)
    assert tally.complete
    assert server.n_calls == 60


@pytest.mark.parametrize(
    ("content", "n_bytes"), [("", 0), ("abc", 3), ("は", 3), ("🙂", 4), ("\ud800", 3), ("a\x00", 2)]
)
def test_most_prompt_tokens_by_hand(content: str, n_bytes: int) -> None:
    turns = (Message("system", "be"), Message("user", content))
    assert most_prompt_tokens(Request(turns)) == 256 + 2 * 16 + 2 + n_bytes


def test_a_budget_waits_for_what_comes_back_and_no_longer() -> None:
    async def run() -> None:
        unsettled = 0.0
        budget = Budget(10.0, lambda: unsettled)
        assert await budget.reserve(6)
        waiting = asyncio.create_task(budget.reserve(6))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(6, 1)
        assert await waiting
        hopeless = asyncio.create_task(budget.reserve(9.5))
        await asyncio.sleep(0)
        assert not hopeless.done()
        unsettled = 4.0  # the call under way failed after all
        budget.settle(6, 0)
        assert not await hopeless
        assert await budget.reserve(5)
        assert not await asyncio.wait_for(_settled_then(budget), 1)

    async def _settled_then(budget: Budget) -> bool:
        asyncio.get_running_loop().call_soon(budget.settle, 5, 5)
        return await budget.reserve(0.1)

    asyncio.run(run())


def test_dry_run_shows_the_likely_and_the_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rlfocal.cli.main import main

    (tmp_path / "pool.toml").write_text(POOL.format(url="http://127.0.0.1:9/v1", attempts=3))
    with (tmp_path / "queries.jsonl").open("w") as file:
        file.write(json.dumps({"query_id": "q", "prompt": "00 は何ですか", "label": "1"}))
    files = [str(tmp_path / name) for name in ("pool.toml", "queries.jsonl")]
    command = ["collect", *files, "--db", str(tmp_path / "answers.db"), "--dry-run"]
    with pytest.raises(SystemExit):
        main([*command, "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["cost_usd"] == 9 // 4 + 1 + MAX_TOKENS
    assert figures["most_usd"] == 3 * ONE_CALL
    with pytest.raises(SystemExit):
        main(command)
    shown = capsys.readouterr().out
    assert "dollars, by these tokens" in shown
    assert "dollars at most" in shown

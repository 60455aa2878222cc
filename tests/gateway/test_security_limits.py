"""What a client may use, seen over HTTP: rates, places, dollars, and calls of one request."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from raw_http import until
from serving import Served
from spy_upstream import Reply, SpyUpstream, aimed_at

Ask = Callable[..., Any]
Serve = Callable[..., Any]
MOST_CALLS = 6
"""Of the pool: four members, one of which is asked three times."""


def code_of(reply: Any) -> str:
    return str(reply.json()["error"]["code"])


def spent(served: Served, name: str) -> tuple[float, float]:
    with served.store.connections.read() as connection:
        uses = served.store.keys.uses(connection, time.time())
    (use,) = [use for use in uses if use.key.name == name]
    return use.spent_usd, use.held_usd


def test_a_rate_is_kept_and_says_when_to_come_again(serve: Serve, ask: Ask) -> None:
    with serve() as (served, stub):
        key = served.add_key("slow", requests_per_minute=6.0)
        first, second = ask(served, model="plain", key=key), ask(served, model="plain", key=key)
        assert (first.status_code, second.status_code) == (200, 429)
        assert code_of(second) == "rate_limit_exceeded"
        assert 8 <= int(second.headers["retry-after"]) <= 10
        assert ask(served, model="plain").status_code == 200  # others go on
        assert len(stub.bodies) == 2


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_requests_under_way_are_bounded_for_each_key_and_for_all(
    serve: Serve, ask: Ask, stream: bool
) -> None:
    late = Reply("7", wait_s=1.0)
    with (
        SpyUpstream(lambda _: late) as spy,
        serve(edit=aimed_at(spy.base_url), in_flight=3) as (served, _),
        ThreadPoolExecutor(8) as pool,
    ):
        key = served.add_key("two", concurrency=2)
        options = {"model": "plain", "stream": stream}
        mine = [pool.submit(ask, served, key=key, **options) for _ in range(2)]
        assert until(lambda: spy.n_under_way == 2)
        third = ask(served, key=key, **options)
        assert (third.status_code, code_of(third)) == (429, "concurrency_limit_exceeded")
        other = pool.submit(ask, served, **options)
        assert until(lambda: spy.n_under_way == 3)
        beyond = ask(served, **options)
        assert (beyond.status_code, code_of(beyond)) == (429, "overloaded")
        for refused in (third, beyond):
            assert int(refused.headers["retry-after"]) >= 1
        assert {done.result().status_code for done in (*mine, other)} == {200}
        assert ask(served, key=key, **options).status_code == 200
        assert len(spy.received) == 4


def test_dollars_are_never_passed_and_the_bill_is_the_servers(serve: Serve, ask: Ask) -> None:
    with serve() as (served, stub), ThreadPoolExecutor(8) as pool:
        key = served.add_key("poor", usd=0.02)
        replies = list(pool.map(lambda _: ask(served, model="plain", key=key), range(40)))
        good = [reply.json() for reply in replies if reply.status_code == 200]
        bad = [reply for reply in replies if reply.status_code != 200]
        assert good
        assert {code_of(reply) for reply in bad} <= {"insufficient_quota"}
        assert len(stub.bodies) == len(good)
        usage = [reply["usage"] for reply in good]
        cost = sum(u["prompt_tokens"] + 2 * u["completion_tokens"] for u in usage) / 1e6
        assert until(lambda: spent(served, "poor")[1] == 0)
        assert spent(served, "poor")[0] == pytest.approx(cost)
        assert cost <= 0.02


def test_a_budget_too_small_for_one_request_is_refused_before_any_call(
    serve: Serve, ask: Ask
) -> None:
    with serve() as (served, stub):
        key = served.add_key("poor", usd=1e-6)
        refused = ask(served, key=key)
        assert (refused.status_code, code_of(refused)) == (429, "insufficient_quota")
        assert ask(served, extension={"max_usd": 1e-9}).status_code == 400
        assert stub.bodies == []


AMPLIFIERS: list[dict[str, Any]] = [
    {"n": 100}, {"best_of": 100}, {"n": 1, "best_of": 2}, {"num_choices": 9},
    {"use_beam_search": True},
    {"tools": [{"type": "function", "function": {"name": f"f{k}"}} for k in range(129)]},
    {"messages": [{"role": "user", "content": "3 + 4 ="}] * 257},
    {"rlfocal": {"choices": ["x"] * 27}}, {"rlfocal": {"samples": 50}},
    {"rlfocal": {"members": ["plain"] * 50}}, {"rlfocal": {"n_rounds": 50}},
]  # fmt: skip
HARMLESS: list[dict[str, Any]] = [
    {"n": 1}, {"tools": [{"type": "function", "function": {"name": f"f{k}"}} for k in range(128)]},
    {"messages": [{"role": "user", "content": "3 + 4 ="}] * 256}, {"max_tokens": 16_384},
    {"max_tokens": 10**6}, {"max_completion_tokens": 10**9}, {"max_tokens": 10**300},
    {"max_new_tokens": 10**6}, {"num_predict": 10**6}, {"logprobs": True},
    {"rlfocal": {"choices": [str(k) for k in range(26)]},
     "messages": [{"role": "user", "content": "Which remainder has 3 + 4 by four?"}]},
]  # fmt: skip


def test_no_field_of_a_request_multiplies_its_calls(serve: Serve, ask: Ask) -> None:
    with serve() as (served, stub):
        for fields in AMPLIFIERS:
            assert ask(served, model="rlfocal:0", **fields).status_code == 400, fields
        assert stub.bodies == []
        for fields in HARMLESS:
            n_before = len(stub.bodies)
            reply = ask(served, model="rlfocal:0", **fields)
            assert reply.status_code == 200, reply.text
            assert len(stub.bodies) - n_before <= MOST_CALLS
        # A client can make replies shorter than the pool has them, and never longer.
        assert max(body["max_tokens"] for body in stub.bodies) == 512


@pytest.mark.slow
def test_any_price_may_be_named_and_none_costs_more_calls_or_time(serve: Serve, ask: Ask) -> None:
    with serve() as (served, stub):
        started = time.process_time()  # of the gateway, too, whatever else the machine does
        for k in range(40):
            price = f"{1 / (k + 1):.9f}" if k % 2 else f"1e-{k * 3}"
            reply = ask(served, model=f"rlfocal:{price}")
            assert reply.status_code == 200
            assert reply.json()["rlfocal"]["n_calls"] <= 4
        assert time.process_time() - started < 15
        assert len(stub.bodies) <= 40 * MOST_CALLS


def test_a_long_prompt_holds_nobody_up(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _), ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        slow = pool.submit(ask, served, "a word and " * 36_000 + "3 + 4 =")
        longest = 0.0
        while not slow.done():
            started = time.monotonic()
            assert ask(served, key="nobody").status_code == 401
            longest = max(longest, time.monotonic() - started)
        assert slow.result().status_code == 200
        took = time.monotonic() - began  # on a busy machine both are longer
        assert longest < max(2.0, 0.7 * took)


@pytest.mark.slow
def test_a_server_that_lies_about_tokens_neither_breaks_the_books_nor_frees_anybody(
    serve: Serve, ask: Ask
) -> None:
    for usage in (
        {"prompt_tokens": 10**30, "completion_tokens": 1}, {"prompt_tokens": -5}, {}, None,
        {"prompt_tokens": 1.5, "completion_tokens": True}, {"cost": 1e300}, {"cost": -1},
    ):  # fmt: skip
        choice = {"index": 0, "message": {"content": "7"}, "finish_reason": "stop"}
        lie = Reply(json={"choices": [choice], "usage": usage})
        with SpyUpstream(lambda _, lie=lie: lie) as spy:
            edit = aimed_at(spy.base_url)
            with serve(edit=edit) as (served, _):
                reply = ask(served, model="plain")
                assert reply.status_code == 200, usage
                request_id = reply.json()["id"]

                def written(served: Served = served, request_id: str = request_id) -> Any:
                    with served.store.connections.read() as connection:
                        return served.store.log.request(connection, request_id)

                assert until(written), usage

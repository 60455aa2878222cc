"""Places of requests under way: no key takes the last from all others, however it is used."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_http import connect, head, until
from spy_upstream import Reply, SpyUpstream, aimed_at

from rlfocal.errors import RlfocalError
from rlfocal.gateway.door.places import Places
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store import Key, KeyLimits

Ask = Callable[..., Any]
Serve = Callable[..., Any]


@given(st.integers(2, 300), st.integers(1, 4), st.data())
def test_a_key_that_has_nothing_finds_a_place_while_few_are_greedy(
    most: int, n_greedy: int, data: st.DataObject
) -> None:
    places = Places(GatewaySettings(in_flight=most))
    kept = max(1, most // 8)
    with ExitStack() as held:
        for k in range(n_greedy):
            key = Key(f"greedy {k}", "")
            while places.has_room(key):
                held.enter_context(places.hold(key))
        if kept >= 2**n_greedy or n_greedy == 1:
            assert places.has_room(Key("new", ""))
        if n_greedy == 1:
            assert places.n == max(1, most - kept)
        assert places.n <= most
        with pytest.raises(RlfocalError, match="too many requests"):
            held.enter_context(places.hold(Key("greedy 0", "")))
    assert places.n == 0


def test_one_place_is_for_whoever_comes_and_behind_an_open_door_all_are_one() -> None:
    with Places(GatewaySettings(in_flight=1)).hold(Key("a", "a")):
        pass
    bounded = Key("two", "two", limits=KeyLimits(concurrency=2))  # is told of its own limit
    places = Places(GatewaySettings(in_flight=3))
    with places.hold(bounded), places.hold(bounded):
        assert places.has_room(bounded)
    places = Places(GatewaySettings(in_flight=16))
    with ExitStack() as held:
        for _ in range(16):
            held.enter_context(places.hold(Key("", "anonymous")))
        assert not places.has_room(Key("", "anonymous"))


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_recorded_work_that_nobody_listens_to_leaves_places_to_others(
    serve: Serve, ask: Ask, stream: bool
) -> None:
    may = threading.Event()
    late = Reply("7 7 7", may_say=lambda k: may.is_set())
    with (
        SpyUpstream(lambda got: late if "Go on" in got.raw.decode() else "7") as spy,
        serve(edit=aimed_at(spy.base_url, "concurrency = 32"), in_flight=16) as (served, _),
        ExitStack() as stack,
    ):
        weak, other = served.add_key("weak"), served.add_key("other")
        messages = [{"role": "user", "content": "Go on."}]
        body = json.dumps({"model": "plain", "messages": messages, "stream": stream}).encode()
        socks = []
        for k in range(16):
            sock = stack.enter_context(connect(served.url))
            sent = {
                "Host": "x", "Content-Type": "application/json", "Idempotency-Key": f"k{k}",
                "Content-Length": str(len(body)), "Authorization": f"Bearer {weak}",
            }  # fmt: skip
            sock.sendall(head("/v1/chat/completions", sent) + body)
            socks.append(sock)
        assert until(lambda: served.gateway.places.n == 14)
        assert ask(served, model="plain", key=other).status_code == 200
        for sock in socks:
            sock.close()
        assert until(lambda: served.gateway.places.n == served.gateway.places.most_unheard)
        may.set()
        assert until(lambda: served.gateway.places.n == 0)
        headers = {"Idempotency-Key": "k3"}  # one that was ended is made anew
        again = served.headers | {"Authorization": f"Bearer {weak}"} | headers
        url = f"{served.url}/v1/chat/completions"
        reply = httpx2.post(url, content=body, headers=again | {"Content-Type": "application/json"})
        assert reply.status_code == 200


def test_replies_at_once_are_calls_under_way(serve: Serve, ask: Ask) -> None:
    may = threading.Event()
    late = Reply("7", may_say=lambda k: may.is_set())
    with (
        SpyUpstream(lambda _: late) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        ThreadPoolExecutor(4) as pool,
    ):
        key = served.add_key("four", concurrency=4)
        refused = ask(served, model="plain", key=key, n=5)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "n")
        assert spy.received == []
        three = pool.submit(ask, served, model="plain", key=key, n=3)
        assert until(lambda: spy.n_under_way > 0)
        assert ask(served, model="plain", key=key, n=2).status_code == 429
        one = pool.submit(ask, served, model="plain", key=key)
        assert until(lambda: len(spy.received) >= 4)  # the three, and this one
        assert ask(served, model="plain", key=key).status_code == 429
        may.set()
        assert (three.result().status_code, one.result().status_code) == (200, 200)
        assert until(lambda: ask(served, model="plain", key=key, n=4).status_code == 200)

"""Members that fail in every way: an answer or a typed error in time, and the bill is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from raw_http import until
from serving import Served, serving
from spy_upstream import Received, Reply, SpyUpstream, aimed_at
from stub_pool import ACCURACY, pool_file

from rlfocal.live.answering import Answering
from rlfocal.pool.stub import Fault
from rlfocal.pool.wrappers.breaker import CircuitBreaker

Ask = Callable[..., Any]
Serve = Callable[..., Any]
DEADLINE_MS = 2000
"""Where members never come back."""
SLACK_S = 20.0
"""For a busy machine; who waited for a member that never comes back would take much longer."""
N_CALLS = 6
KINDS = {
    "500": (502, "member_server_error"),
    "503": (502, "member_server_error"),
    "429": (429, "member_rate_limited"),
    "401": (502, "member_unauthorised"),
    "400": (400, "member_bad_request"),
    "404": (502, "member_unknown_model"),
    "hang": (504, "member_timeout"),
    "drip": (504, "member_timeout"),
    "cut": (502, "member_unreachable"),
    "broken-json": (502, "member_malformed"),
    "content-type": (502, "member_malformed"),
    "empty": (502, "member_empty"),
    "filtered": (502, "member_filtered"),
    "redirect": (502, "member_malformed"),
    "huge": (502, "member_malformed"),
}


def fault(kind: str) -> Fault:
    return Fault(kind, {"Retry-After": "7"} if kind == "429" else {})


@pytest.fixture
def all_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is given up who cannot change the outcome.

    On a busy machine that may be before its server has heard of it, and what it costs nobody knows.
    """
    monkeypatch.setattr(Answering, "_outcome_is_fixed", lambda *_: False)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k in ("hang", "drip") else k for k in KINDS]
)
def test_each_fault_is_a_typed_error_by_name_and_passed_over_by_the_ensemble(
    serve: Serve, ask: Ask, all_are_waited_for: None, kind: str
) -> None:
    # Others fail at once: a deadline would only be in their way on a busy machine.
    hangs = kind in ("hang", "drip")
    in_time = {"deadline_ms": DEADLINE_MS if hangs else 60_000}
    # One call by name; then an ensemble of whose six calls the first two fail; then one all of
    # whose calls do.
    faults = [fault(kind)] * 3 + [None] * 4 + [fault(kind)] * N_CALLS
    with serve(faults=faults) as (served, stub):
        started = time.monotonic()
        named = ask(served, model="plain", extension=in_time)
        status, code = KINDS[kind]
        assert (named.status_code, named.json()["error"]["code"]) == (status, code)
        assert named.headers.get("retry-after") == ("7" if kind == "429" else None)
        assert len(stub.bodies) == 1  # the pool says that nothing is sent again

        some = ask(served, model="rlfocal:0", extension=in_time)
        assert some.status_code == 200, some.text
        own = some.json()["rlfocal"]
        assert own["n_calls"] == 4
        assert any(m["cost_usd"] is not None for m in own["members"])
        assert len(stub.bodies) == 1 + N_CALLS

        none = ask(served, model="rlfocal:0", extension=in_time)
        assert time.monotonic() - started < 3 * DEADLINE_MS / 1000 + SLACK_S
        error = none.json()["error"]
        assert none.status_code in (429, 502, 504)
        assert set(error["members"]) == set(ACCURACY)
        if kind == "429":
            assert (error["code"], none.headers["retry-after"]) == ("members_rate_limited", "7")
        assert len(stub.bodies) == 1 + 2 * N_CALLS
        assert served.gateway.places.n == 0


def broken(*members: str) -> Callable[[Received], Reply]:
    def says(got: Received) -> Reply:
        failed = got.body["model"] in members
        return Reply(status=500, json={}) if failed else Reply("That is 7.")

    return says


@pytest.mark.parametrize("down", [("plain",), ("plain", "letters"), tuple(ACCURACY)])
@pytest.mark.parametrize("stream", [False, True])
def test_the_bill_is_what_servers_counted(
    serve: Serve, ask: Ask, all_are_waited_for: None, down: tuple[str, ...], stream: bool
) -> None:
    with SpyUpstream(broken(*down)) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        key = served.add_key("payer", usd=1.0)
        reply = ask(served, model="rlfocal:0", key=key, stream=stream)
        assert reply.status_code == (502 if len(down) == len(ACCURACY) else 200)
        calls = [got.body["model"] for got in spy.received]
        assert len(calls) == N_CALLS
        # The spy counts 7 tokens of a prompt and 3 of a reply, at 1 and 2 dollars a million.
        usd = sum(model not in down for model in calls) * (7 + 2 * 3) / 1e6

        def row() -> Any:
            with served.store.connections.read() as connection:
                return next(iter(served.store.log.requests(connection, 1)), None)

        assert until(row)
        assert row().usd == pytest.approx(usd)
        assert row().unsettled_usd > 0  # who failed may send a bill
        with served.store.connections.read() as connection:
            uses = served.store.keys.uses(connection, time.time())
        (use,) = [use for use in uses if use.key.name == "payer"]
        assert use.spent_usd == pytest.approx(usd + row().unsettled_usd)
        assert use.held_usd == 0


def n_asked(spy: SpyUpstream, member: str) -> int:
    return sum(got.body["model"] == member for got in spy.received)


def test_who_keeps_failing_is_left_alone_and_comes_back(
    serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setitem(CircuitBreaker.__init__.__kwdefaults__, "clock", lambda: now[0])
    down = {"plain"}
    with (
        SpyUpstream(lambda got: broken(*down)(got)) as spy,
        serve(edit=aimed_at(spy.base_url), circuit_failures=2, circuit_cool_down_s=9.0) as (
            served, _,
        ),
    ):  # fmt: skip
        for _ in range(2):
            assert ask(served, model="plain").status_code == 502
        refused = ask(served, model="plain")
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503, "member_circuit_open",
        )  # fmt: skip
        assert refused.headers["retry-after"] == "9"
        passed_over = ask(served, model="rlfocal:0").json()["rlfocal"]
        assert passed_over["circuit_open"] == ["plain"]
        assert "plain" not in [m["member"] for m in passed_over["members"]]
        assert n_asked(spy, "plain") == 2
        assert 'rlfocal_circuit{member="plain"} 2.0' in metrics(served)
        down.clear()
        now[0] = 9.5
        back = ask(served, model="rlfocal:0").json()["rlfocal"]
        assert "circuit_open" not in back
        assert n_asked(spy, "plain") == 3
        assert 'rlfocal_circuit{member="plain"} 0.0' in metrics(served)


def metrics(served: Served) -> str:
    return httpx2.get(f"{served.url}/metrics", headers=served.headers, timeout=60).text


def test_with_all_left_alone_nobody_is_called_and_the_client_is_told_when_to_come(
    serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CircuitBreaker.__init__.__kwdefaults__, "clock", lambda: 0.0)
    with (
        SpyUpstream(broken(*ACCURACY)) as spy,
        serve(edit=aimed_at(spy.base_url), circuit_failures=2) as (served, _),
    ):
        for _ in range(3):
            ask(served, model="rlfocal:0")
        n_before = len(spy.received)
        reply = ask(served, model="rlfocal:0")
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "no_member_available")
        assert reply.headers["retry-after"] == "30"
        assert len(spy.received) == n_before
        assert httpx2.get(f"{served.url}/readyz", timeout=60).status_code == 503
        assert httpx2.get(f"{served.url}/healthz", timeout=60).status_code == 200


def test_what_fails_for_one_key_makes_no_gateway_unready_for_others(
    serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CircuitBreaker.__init__.__kwdefaults__, "clock", lambda: 0.0)

    def says(got: Received) -> Reply:
        fails = "too much" in str(got.body["messages"])
        return Reply(status=500, json={}) if fails else Reply("That is 7.")

    def ready(served: Served) -> int:
        return httpx2.get(f"{served.url}/readyz", timeout=60).status_code

    with (
        SpyUpstream(says) as spy,
        serve(edit=aimed_at(spy.base_url), circuit_failures=2) as (served, _),
    ):
        one, other = served.add_key("one"), served.add_key("other")

        def asks(key: str, question: str) -> list[int]:
            return [
                ask(served, question, model=name, key=key).status_code for name in ACCURACY
            ]  # fmt: skip

        assert set(asks(other, "3 + 4 =")) == {200}
        for _ in range(2):
            asks(one, "too much")
        assert set(asks(one, "3 + 4 =")) == {503}
        assert ready(served) == 200
        assert metrics(served).count("rlfocal_circuit{") == len(ACCURACY)
        assert "} 2.0" not in "".join(
            line for line in metrics(served).splitlines() if "rlfocal_circuit{" in line
        )
        # One failure of the other key, and it is the members' own.
        asks(other, "too much")
        assert ready(served) == 503
        for name in ACCURACY:  # whoever looks: neither of those who ask
            assert f'rlfocal_circuit{{member="{name}"}} 2.0' in metrics(served)


@pytest.mark.parametrize("deadline_ms", [1, 50, 500])
@pytest.mark.parametrize("model", ["plain", "rlfocal", "rlfocal:0"])
def test_a_deadline_holds_whoever_hangs(
    hanging: tuple[Served, SpyUpstream], ask: Ask, model: str, deadline_ms: int
) -> None:
    served, _ = hanging
    for stream in (False, True):
        started = time.monotonic()
        reply = ask(served, model=model, stream=stream, extension={"deadline_ms": deadline_ms})
        assert time.monotonic() - started < deadline_ms / 1000 + SLACK_S
        assert reply.status_code == 504
        assert reply.json()["error"]["code"] in ("deadline_exceeded", "member_timeout")
    assert served.gateway.places.n == 0


@pytest.fixture(scope="module")
def hanging(trained_folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("hanging")
    with SpyUpstream(lambda _: Reply("7", wait_s=60)) as spy:
        path = pool_file(folder, spy.base_url)
        with serving(trained_folder, path, str(folder / "gateway.db")) as served:
            yield served, spy

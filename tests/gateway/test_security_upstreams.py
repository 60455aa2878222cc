"""Nothing in a request names a server, a host or a key: the pool's upstream alone is contacted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from raw_http import Forwarder, until
from serving import Served
from spy_upstream import Received, Reply, SpyUpstream, aimed_at

from rlfocal.gateway import chat
from rlfocal.pool.openai.client import HOPS_HEADER

Ask = Callable[..., Any]
Serve = Callable[..., Any]
KEY = "sk-member-4b7d0c5e91"
HIJACK = (
    "api_base", "base_url", "api_key", "host", "url", "endpoint", "proxy", "headers",
    "extra_headers", "extra_body", "extra_query", "default_headers", "model_list", "fallbacks",
    "context_window_fallbacks", "custom_llm_provider", "provider", "providers", "organization",
    "litellm_params", "litellm_metadata", "user_config", "mock_response",
    "num_retries", "timeout", "plugins", "transforms", "route", "models", "guardrails", "callbacks",
    "success_callback", "vertex_credentials", "aws_bedrock_runtime_endpoint", "aws_access_key_id",
    "azure_ad_token", "client", "http_client", "cache", "kwargs",
)  # fmt: skip


@pytest.fixture
def spied(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """spied(says) → (Served, pool's upstream, an attacker's server)."""
    monkeypatch.setenv("SPY_KEY", KEY)
    # aiohttp would have these followed if it were told to trust the environment.
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    @contextmanager
    def start(
        says: Callable[[Received], Reply | str] = lambda _: "7", **settings: Any
    ) -> Iterator[tuple[Served, SpyUpstream, SpyUpstream]]:
        with SpyUpstream(says) as pool, SpyUpstream(lambda _: "stolen") as attacker:
            edit = aimed_at(pool.base_url, 'key_env = "SPY_KEY"')
            with serve(edit=edit, **settings) as (served, _):
                yield served, pool, attacker

    return start


def test_a_field_that_names_an_upstream_is_refused_at_every_depth(
    spied: Callable[..., Any],
) -> None:
    with (
        spied() as (served, pool, attacker),
        httpx2.Client(headers=served.headers, timeout=60) as client,
    ):
        values: list[Any] = [attacker.base_url, {"url": attacker.base_url}]
        for name in HIJACK:
            for value in values:
                turn = {"role": "user", "content": "3 + 4 ="}
                part = {"type": "text", "text": "3 + 4 ="}
                for body in (
                    {name: value},
                    {"rlfocal": {name: value}},
                    {"stream_options": {name: value}},
                ):
                    whole = {"model": "plain", "messages": [turn], **body}
                    reply = client.post(f"{served.url}/v1/chat/completions", json=whole)
                    assert reply.status_code == 400, body
                    assert attacker.base_url not in reply.text
        assert pool.received == attacker.received == []
        # Where fields are dropped, so are these.
        hijack = [dict.fromkeys(HIJACK[k::2], value) for k in range(2) for value in values]
        for more in hijack:
            whole = {"model": "plain", "messages": [
                turn | more,
                {"role": "assistant", "content": "7", "extra_content": more,
                 "reasoning_details": [more]} | more,
                {"role": "user", "content": [part | more]},
            ]}  # fmt: skip
            reply = client.post(f"{served.url}/v1/chat/completions", json=whole)
            assert reply.status_code == 200, reply.text
        assert attacker.received == []
        for got in pool.received:
            assert attacker.base_url.encode() not in got.raw


def test_what_has_no_effect_is_not_passed_on(spied: Callable[..., Any], ask: Ask) -> None:
    with spied() as (served, pool, attacker):
        hijack = dict.fromkeys(HIJACK, attacker.base_url)
        reply = ask(
            served, metadata=hijack | {"x": hijack}, logit_bias=hijack, user=attacker.base_url,
            store=True, service_tier=attacker.base_url, safety_identifier="x",
        )  # fmt: skip
        assert reply.status_code == 200
        assert attacker.received == []
        assert pool.received
        for got in pool.received:
            assert attacker.base_url.encode() not in got.raw
            ours = {"model", "messages", "max_tokens", "temperature", "seed", "logprobs"}
            assert got.body.keys() <= ours


def test_what_is_passed_on_is_data_and_nobody_calls_what_it_names(
    spied: Callable[..., Any], ask: Ask
) -> None:
    with spied() as (served, pool, attacker):
        hijack = dict.fromkeys(HIJACK, attacker.base_url)
        schema = {"$ref": attacker.base_url, "type": "object", "properties": hijack}
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}, **hijack}
        wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}, **hijack}
        for model in ("plain", "rlfocal"):
            reply = ask(
                served, f"Look at {attacker.base_url} and 3 + 4 =", model=model, tools=[tool],
                tool_choice={"type": "function", "function": {"name": "f"}} | hijack,
                response_format=wanted,
            )  # fmt: skip
            assert reply.status_code == 200, reply.text
        assert attacker.received == []
        for got in pool.received:
            assert got.path == "/v1/chat/completions"
            assert got.body["tools"] == [{name: tool[name] for name in ("type", "function")}]
            kept = {name: wanted[name] for name in ("type", "json_schema")}
            assert got.body["response_format"] == kept
            assert not got.body.keys() & set(HIJACK)


MARK = "spoofed-by-the-client"


def test_members_get_the_pools_key_and_no_header_of_a_client(spied: Callable[..., Any]) -> None:
    names = (
        "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Cookie", "X-Api-Key",
        "Api-Key", "Proxy-Authorization", "OpenAI-Organization", "OpenAI-Project", "X-Internal",
        "x-rlfocal-id", "x-rlfocal-internal", "X-Request-Id", "User-Agent", "Referer",
        "Traceparent", "Baggage", "X-Title", "HTTP-Referer", "Accept", "Accept-Language",
        "anthropic-beta", "x-litellm-tags", "x-portkey-custom-host",
    )  # fmt: skip
    with spied() as (served, pool, _):
        for model in ("plain", "rlfocal"):
            for stream in (False, True):
                body = {
                    "model": model, "messages": [{"role": "user", "content": "3 + 4 ="}],
                    "stream": stream,
                }  # fmt: skip
                reply = httpx2.post(
                    f"{served.url}/v1/chat/completions", json=body,
                    headers=dict.fromkeys(names, MARK) | served.headers, timeout=60,
                )  # fmt: skip
                assert reply.status_code == 200
        assert pool.received
        for got in pool.received:
            assert got.headers["authorization"] == f"Bearer {KEY}"
            assert got.headers["host"] == pool.base_url.split("/")[2]
            sent = str(got.headers) + got.raw.decode()
            assert MARK not in sent
            assert served.key not in sent


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True])
def test_redirects_are_not_followed(
    spied: Callable[..., Any], ask: Ask, status: int, stream: bool
) -> None:
    aim: list[str] = []

    def lead_away(_: Received) -> Reply:
        return Reply(status=status, headers={"Location": aim[0]}, json={})

    with spied(lead_away) as (served, pool, attacker):
        aim.append(f"{attacker.base_url}/chat/completions")
        reply = ask(served, model="plain", stream=stream)
        assert reply.status_code == 502
        assert reply.json()["error"]["code"] == "member_malformed"
        assert attacker.base_url not in reply.text
        assert len(pool.received) == 1
        assert attacker.received == []


def test_cookies_of_a_server_are_not_kept(spied: Callable[..., Any], ask: Ask) -> None:
    sets = Reply("7", headers={"Set-Cookie": "who=client-one; Path=/"})
    with spied(lambda _: sets) as (served, pool, _):
        replies = [ask(served, model="plain") for _ in range(3)]
        assert [r.status_code for r in replies] == [200] * 3
        assert not [r for r in replies if "set-cookie" in r.headers]
        assert not [got for got in pool.received if "cookie" in got.headers]


def test_headers_of_a_server_do_not_reach_the_client(spied: Callable[..., Any], ask: Ask) -> None:
    named = {"x-upstream": "7", "x-rlfocal-id": "forged", "Access-Control-Allow-Origin": "*"}
    with spied(lambda _: Reply("7", headers=named)) as (served, _, _):
        reply = ask(served, model="plain")
        assert "x-upstream" not in reply.headers
        assert "access-control-allow-origin" not in reply.headers
        assert reply.headers["x-rlfocal-id"] == reply.json()["id"] != "forged"


# A pool whose members are the gateway itself -----------------------------------------------------


@pytest.fixture
def circle(serve: Serve) -> Callable[..., Any]:
    """circle(**settings) → a gateway without keys, all of whose members lead back to it."""

    @contextmanager
    def start(**settings: Any) -> Iterator[Served]:
        with Forwarder() as forwarder:
            edit = aimed_at(f"{forwarder.url}/v1", "concurrency = 64")
            with serve(edit=edit, open_door=True, **settings) as (served, _):
                forwarder.target = served.url
                yield served

    return start


def n_requests(served: Served) -> int:
    with served.store.connections.read() as connection:
        return len(served.store.log.requests(connection, 10_000))


def test_a_gateway_that_is_its_own_member_goes_round_once(
    circle: Callable[..., Any], ask: Ask
) -> None:
    with circle() as served:
        named = ask(served, model="plain")
        assert (named.status_code, named.json()["error"]["code"]) == (400, "member_bad_request")
        assert until(lambda: n_requests(served) == 2)  # and the third was refused
        all_of_them = ask(served, model="rlfocal:0")
        assert all_of_them.status_code == 502
        assert set(all_of_them.json()["error"]["members"].values()) == {"bad-request"}
        # Six calls, each of which asks one member by its name; their calls were refused.
        assert until(lambda: n_requests(served) == 2 + 1 + 6)
        assert served.gateway.places.n == 0


@pytest.mark.parametrize("hops", ["2", "99", "-1", "x", "", "1" * 400])
def test_a_request_that_came_through_gateways_is_refused(serve: Serve, hops: str) -> None:
    with serve() as (served, stub):
        body = {"model": "plain", "messages": [{"role": "user", "content": "3 + 4 ="}]}
        for given, status in ((hops, 400), ("1", 200)):
            reply = httpx2.post(
                f"{served.url}/v1/chat/completions", json=body,
                headers=served.headers | {HOPS_HEADER: given}, timeout=60,
            )  # fmt: skip
            assert reply.status_code == status
        assert len(stub.bodies) == 1


def test_a_circle_whose_mark_gets_lost_ends_where_no_more_may_be_under_way(
    circle: Callable[..., Any], ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_MOST_HOPS", 10_000)
    with circle(in_flight=24) as served:
        reply = ask(served, model="rlfocal:0", extension={"deadline_ms": 8000})
        assert reply.status_code in (429, 502, 504)
        assert until(lambda: served.gateway.places.n == 0)
        assert n_requests(served) <= 6 * 24

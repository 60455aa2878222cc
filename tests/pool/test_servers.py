"""How servers want to be spoken to: by endpoint and by member, and never with a key in the file."""

from __future__ import annotations

import asyncio
import json
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rlfocal.errors import ConfigError, MemberError
from rlfocal.pool.asking.prompting import Question, request_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.openai.body import body_of
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.records.database import settings_key_of

POOL = """
[endpoints.e]
base_url = "{base_url}"
{endpoint}

[[members]]
name = "m"
endpoint = "e"
model = "x"
{member}
"""
SECRET = "sk-very-secret-0123456789"
IDENTITY: dict[str, Any] = {
    "kind": "openai", "api": "chat", "model": "x", "system": "", "template": "{question}",
    "choice_template": "{question}\n\n{options}\n\nAnswer with the letter of the right option.",
    "shots": [], "answers": "reply", "max_tokens": 512, "temperature": 0.0, "top_p": None,
    "stop": [], "seed": 0,
}  # fmt: skip
"""Of a member that uses none of the later settings, as it was before there were any."""


def pool_of(
    folder: Path, endpoint: str = "", member: str = "", base_url: str = "http://127.0.0.1:9/v1"
) -> PoolSettings:
    path = folder / "pool.toml"
    text = POOL.format(endpoint=endpoint, member=member, base_url=base_url)
    path.write_text(text, encoding="utf-8")
    return read_pool(path)


def identity(pool: PoolSettings) -> dict[str, Any]:
    return pool.members[0].identity(pool.endpoints["e"])


def body_for(pool: PoolSettings, question: Question | None = None) -> dict[str, Any]:
    """What is sent, by a real server that keeps it."""
    return exchange(pool, question)[0]


def exchange(
    pool: PoolSettings, question: Question | None = None, *, refuse: str = ""
) -> tuple[dict[str, Any], dict[str, str], dict[str, str], str]:
    """Body, headers and query of a call, and its error."""
    seen: list[Any] = []

    async def handle(request: web.Request) -> web.Response:
        seen.extend([await request.json(), dict(request.headers), dict(request.query)])
        if refuse:
            echo = f"{refuse} {dict(request.headers)} {dict(request.query)}"
            return web.json_response({"error": {"message": echo}}, status=401)
        message = {"role": "assistant", "content": "17"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return web.json_response({"choices": [choice]})

    async def go() -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handle)
        app.router.add_post("/v1/completions", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            address = f"http://{host}:{port}/v1"
            endpoint = pool.endpoints["e"].model_copy(update={"base_url": address, "attempts": 1})
            live = pool.model_copy(update={"endpoints": {"e": endpoint}})
            async with LivePool(live) as opened:
                try:
                    await opened.members[0].ask(question or Question("8 + 9?"))
                except MemberError as exc:
                    return str(exc)
                return ""
        finally:
            await runner.cleanup()

    error = asyncio.run(go())
    return seen[0], seen[1], seen[2], error


def test_words_of_a_reasoning_model(tmp_path: Path) -> None:
    words = 'max_tokens_field = "max_completion_tokens"\ndrop = ["temperature", "seed"]\n'
    words += 'system_as = "developer"\nextra_body = { reasoning_effort = "low" }\n'
    for where in ("endpoint", "member"):
        pool = pool_of(tmp_path, **{where: words})
        pool = pool.model_copy(
            update={"members": (pool.members[0].model_copy(update={"system": "Be brief."}),)}
        )
        assert body_for(pool) == {
            "model": "x",
            "max_completion_tokens": 512,
            "reasoning_effort": "low",
            "logprobs": True,
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "8 + 9?"},
            ],
        }


def test_a_members_own_words_count_before_its_endpoints(tmp_path: Path) -> None:
    pool = pool_of(
        tmp_path,
        'drop = ["seed"]\nmax_tokens_field = "max_completion_tokens"\n'
        'extra_body = { a = 1, b = { c = 1 } }\nsystem_as = "user"',
        'drop = []\nmax_tokens_field = "max_tokens"\nextra_body = { b = { d = 2 } }',
    )
    body = body_for(pool)
    assert (body["max_tokens"], body["a"], body["b"]) == (512, 1, {"d": 2})
    assert "seed" in body
    member = pool.members[0].served_by(pool.endpoints["e"])
    assert member.system_as == "user"
    assert member.served_by(pool.endpoints["e"]) == member


def test_the_pool_counts_before_whoever_asks(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, member='extra_body = { provider = { data_collection = "deny" } }')
    asked = Question("?", extra={"provider": {"data_collection": "allow"}, "user": "u"})
    body = body_for(pool, asked)
    assert body["provider"] == {"data_collection": "deny"}
    assert body["user"] == "u"


def test_extra_fields_reach_a_server_without_chat(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, 'api = "completions"\nextra_body = { repetition_penalty = 1.1 }')
    body = body_for(pool)
    assert body["repetition_penalty"] == 1.1
    assert body["prompt"] == "8 + 9?"


def test_who_leaves_out_stream_leaves_out_its_options(tmp_path: Path) -> None:
    member = pool_of(tmp_path, member='drop = ["stream"]').members[0]
    asked = replace(request_for(member, Question("?")), on_text=print)
    assert not {"stream", "stream_options"} & body_of(asked, "chat").keys()


def test_headers_and_query_with_values_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_KEY", f" {SECRET}\n")
    pool = pool_of(
        tmp_path,
        'headers = { "api-key" = "${SERVER_KEY}", "authorization" = "Token ${SERVER_KEY}", '
        'X-Title = "a" }'
        '\nquery = { "api-version" = "2024-10-21" }',
    )
    _, headers, query, _ = exchange(pool)
    assert headers["api-key"] == SECRET
    assert headers["Authorization"] == f"Token {SECRET}"
    assert headers["X-Title"] == "a"
    assert query == {"api-version": "2024-10-21"}


def test_no_error_shows_what_headers_and_query_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_KEY", SECRET)
    pool = pool_of(
        tmp_path, 'headers = { "x-api-key" = "${SERVER_KEY}" }\nquery = { "key" = "${SERVER_KEY}" }'
    )
    _, headers, query, error = exchange(pool, refuse="no such key:")
    assert headers["x-api-key"] == query["key"] == SECRET
    assert "no such key" in error
    assert SECRET not in error
    assert SECRET not in repr(pool)


def test_a_variable_that_is_not_set_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERVER_KEY", raising=False)
    pool = pool_of(tmp_path, 'headers = { "api-key" = "${SERVER_KEY}" }')
    with pytest.raises(ConfigError, match="variable SERVER_KEY is not set"):
        exchange(pool)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ('extra_body = { model = "y" }', "'model' has a setting of its own: model"),
        ("extra_body = { temperature = 1 }", "'temperature' has a setting of its own"),
        ("extra_body = { max_completion_tokens = 9 }", "max_tokens_field"),
        ("extra_body = { stream = true }", "'stream' follows from how a call is made"),
        ("extra_body = { n = 4 }", "'n' has a setting of its own: samples"),
        ("extra_body = { best_of = 4 }", "'best_of' would be paid for"),
        ('extra_body = { a = 1 }\ndrop = ["a"]', "'a' is in drop and in extra_body"),
        ('drop = ["messages"]', "'messages' is always sent"),
        ('drop = ["max_tokens"]', "max_tokens_field"),
        ('drop = ["not a name"]', "drop"),
        ('max_tokens_field = ""', "max_tokens_field"),
        ('max_tokens_field = "temperature"', "another part of the request"),
        ('max_tokens_field = "max_completion_token"', "did you mean 'max_completion_tokens'"),
        ('max_tokens_field = "max_length"\ndrop = ["max_length"]', "always sent"),
        ('system_as = "assistant"', "system_as"),
        ('headers = { "content-length" = "3" }', "'content-length' follows from"),
        ('headers = { "Host" = "other" }', "'Host' follows from"),
        ('headers = { "a b" = "3" }', "not the name of a header"),
        ('headers = { "a" = "b\\nc" }', "cannot be sent in a header"),
        ('headers = { "a" = "1", "A" = "2" }', "one header is there twice"),
        ("headers = { a = 1 }", "headers"),
        ('key_env = "K"\nheaders = { Authorization = "Token ${K}" }', "leave one out"),
        ('heders = { a = "1" }', "unknown key 'heders'; did you mean 'headers'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, endpoint: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pool_of(tmp_path, endpoint)
    assert message in str(caught.value)


def test_what_does_not_go_together_is_told_of_the_member(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"member 1 \(m\): 'a' is in drop and in extra_body"):
        pool_of(tmp_path, 'drop = ["a"]', "extra_body = { a = 1 }")


@pytest.mark.parametrize(
    "endpoint",
    [
        f'headers = {{ "api-key" = "{SECRET}" }}',
        f'headers = {{ "x-title" = "{SECRET}" }}',
        f'headers = {{ Authorization = "Bearer {SECRET}" }}',
        f'headers = {{ Authorization = "Bearer {SECRET} ${{K}}" }}',
        f'query = {{ key = "{SECRET}" }}',
        f'query = {{ "sig" = "{SECRET}" }}',
        f'extra_body = {{ api_key = "{SECRET}" }}',
        f'extra_body = {{ a = {{ b = ["{SECRET}"] }} }}',
    ],
)
def test_a_key_in_the_file_is_refused_and_never_shown(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pool_of(tmp_path, endpoint)
    assert "keys never stand in a pool file" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", ["x-portkey-provider", "openai-organization", "HTTP-Referer"])
def test_other_headers_may_stand_in_the_file(tmp_path: Path, name: str) -> None:
    pool_of(tmp_path, f'headers = {{ "{name}" = "openai" }}')


@pytest.mark.parametrize("name", ["x-api-key", "apiKey", "X-Auth-Token", "Cookie", "client_secret"])
def test_headers_that_are_keys_may_not(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="keys never stand in a pool file"):
        pool_of(tmp_path, f'headers = {{ "{name}" = "openai" }}')


def test_an_address_with_a_query_says_where_that_belongs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="belongs into query, such as"):
        pool_of(tmp_path, base_url="http://a.example/v1?api-version=2024")


def test_settings_that_are_not_used_change_no_key(tmp_path: Path) -> None:
    """Else every reply that is stored would be paid for again."""
    assert identity(pool_of(tmp_path)) == IDENTITY
    assert settings_key_of(identity(pool_of(tmp_path))).startswith("4c09f7af61f4")


@pytest.mark.parametrize(
    ("setting", "more"),
    [
        ('max_tokens_field = "max_completion_tokens"', {}),
        ("images = true", {}),
        ('drop = ["stream_options"]', {}),
        ("drop = []", {}),
        ("extra_body = {}", {}),
        ('system_as = "system"', {}),
        ('system_as = "user"', {"system_as": "user"}),
        ('drop = ["seed", "stop"]', {"drop": ["seed", "stop"]}),
        ("extra_body = { a = 1 }", {"extra_body": {"a": 1}}),
    ],
)
@pytest.mark.parametrize("where", ["endpoint", "member"])
def test_what_changes_a_reply_is_in_its_key_wherever_it_is_set(
    tmp_path: Path, setting: str, more: dict[str, Any], where: str
) -> None:
    assert identity(pool_of(tmp_path, **{where: setting})) == IDENTITY | more


def test_how_a_server_is_reached_is_in_no_key(tmp_path: Path) -> None:
    reached = 'headers = { a = "1" }\nquery = { b = "2" }\nkey_env = "K"\nconcurrency = 3'
    there = pool_of(tmp_path, reached, base_url="https://elsewhere.example:8443/v1")
    assert json.dumps(identity(there)) == json.dumps(identity(pool_of(tmp_path)))


PRICES = """
[prices.x]
prompt = 1
completion = 1

[prices."f/x"]
prompt = 2
completion = 2

[endpoints.f]
base_url = "http://127.0.0.1:9/v1"

[[members]]
name = "n"
endpoint = "f"
model = "x"
"""


def test_one_model_has_its_own_price_at_each_endpoint(tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    path.write_text(POOL.format(endpoint="", member="", base_url="http://a.example/v1") + PRICES)
    pool = read_pool(path)
    first, second = LivePool(pool).members
    assert first.price is not None
    assert second.price is not None
    assert first.price.prompt_usd_per_million == 1
    assert second.price.prompt_usd_per_million == 2
    request = first.request(Question("?"))
    assert second.most_usd(request) == 2 * (first.most_usd(request) or 0)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("[prices.gpt-4.1-mini]", "gpt-4.1-mini"),
        ("[prices.a.b.c]", "a.b.c"),
        ("[prices.gpt-4]\nprompt = 1\ncompletion = 2\n[prices.gpt-4.1]", "gpt-4.1"),
    ],
)
def test_a_price_whose_name_lacks_quotes_is_told_so(tmp_path: Path, header: str, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pool_of(tmp_path, member=f"\n{header}\nprompt = 1\ncompletion = 2\n")
    assert f'quote it: [prices."{name}"]' in str(caught.value)

"""What clients repeat by themselves: nothing that would be paid for again, or take longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI
from serving import Served
from spy_upstream import Reply, SpyUpstream, aimed_at

from rlfocal.gateway.errors import ApiError

Serve = Callable[..., Any]
SUM: Any = [{"role": "user", "content": "3 + 4 ="}]


def client_of(served: Served, key: str | None = None, **options: Any) -> OpenAI:
    """With the repeats that it makes by itself, but no waits between them."""
    return OpenAI(api_key=key or served.key, base_url=f"{served.url}/v1", **options)


def broken(status: int, **headers: str) -> Reply:
    return Reply(status=status, json={"error": {"message": "no"}}, headers=headers)


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
@pytest.mark.parametrize("stream", [False, True])
def test_a_member_that_fails_is_not_asked_again_by_the_client(
    serve: Serve, status: int, stream: bool
) -> None:
    with (
        SpyUpstream(lambda _: broken(status)) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(model="plain", messages=SUM, stream=stream)  # type: ignore[call-overload]
        assert len(spy.received) == 1


ASKED: dict[str, Callable[[OpenAI], Any]] = {
    "chat": lambda c: c.chat.completions.create(model="rlfocal:0", messages=SUM),
    "completions": lambda c: c.completions.create(model="rlfocal:0", prompt="3 + 4 ="),
    "responses": lambda c: c.responses.create(model="rlfocal:0", input="3 + 4 ="),
}


@pytest.mark.parametrize("path", list(ASKED))
def test_nor_are_all_members_together(serve: Serve, path: str) -> None:
    with (
        SpyUpstream(lambda _: broken(500)) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        with pytest.raises(openai.InternalServerError) as failed:
            ASKED[path](client)
        assert failed.value.response.headers["x-should-retry"] == "false"
        once = sum(member.settings.samples for member in served.gateway.members)
        assert 0 < len(spy.received) <= once


@pytest.mark.parametrize("model", ["plain", "rlfocal"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_is_one_for_all_tries_together(serve: Serve, model: str, stream: bool) -> None:
    with (
        SpyUpstream(lambda _: Reply("seven", wait_s=30.0)) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        client.models.list()
        began = time.monotonic()
        with pytest.raises(openai.InternalServerError) as failed:
            client.chat.completions.create(
                model=model, messages=SUM, stream=stream,  # type: ignore[call-overload]
                extra_body={"rlfocal": {"deadline_ms": 1000}},
            )  # fmt: skip
        took_s = time.monotonic() - began
        assert failed.value.status_code == 504
        # Three tries would take 3 s and the waits between them.
        assert took_s < 2.5
        assert len(spy.received) <= 4


def test_a_used_up_budget_is_not_asked_for_again(serve: Serve) -> None:
    with serve() as (served, stub):
        key = served.add_key("poor", usd=1e-9)
        with client_of(served, key) as client, pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="plain", messages=SUM)
        assert refused.value.code == "insufficient_quota"
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert not stub.bodies


def test_a_request_that_nobody_was_asked_for_may_be_repeated(serve: Serve) -> None:
    said = iter([broken(429, **{"Retry-After": "1"}), Reply("seven")])
    with (
        SpyUpstream(lambda _: next(said)) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        # It was turned away before a token was read, and told when it may come again.
        reply = client.chat.completions.create(model="plain", messages=SUM)
        assert reply.choices[0].message.content == "seven"
        assert len(spy.received) == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ApiError(504, "deadline_exceeded", ""), "false"),
        (ApiError(429, "insufficient_quota", "", retry_after_s=9), "false"),
        (ApiError(500, "internal_error", ""), "false"),
        (ApiError(429, "rate_limit_exceeded", "", retry_after_s=9), None),
        (ApiError(429, "overloaded", "", retry_after_s=1), None),
        (ApiError(503, "database_unavailable", "", retry_after_s=2), None),
        (ApiError(503, "shutting_down", "", retry_after_s=1), None),
        (ApiError(503, "no_member_available", "", retry_after_s=30), None),
    ],
)
def test_what_is_said_of_repeats(error: ApiError, said: str | None) -> None:
    assert error.headers.get("x-should-retry") == said

"""OpenAI's own client against the gateway: replies, streams, typed errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from serving import Served
from spy_upstream import Received, Reply, SpyUpstream, aimed_at

Serve = Callable[..., Any]
SUM: Any = [{"role": "user", "content": "3 + 4 ="}]
ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}
TOOL: Any = {"type": "function", "function": ADD}
CALL = {
    "id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'},
}  # fmt: skip


def client_of(served: Served, **options: Any) -> OpenAI:
    given = {"api_key": served.key, "base_url": f"{served.url}/v1", "max_retries": 0}
    return OpenAI(**{**given, **options})


@pytest.fixture
def both(serve: Serve) -> Iterator[tuple[OpenAI, AsyncOpenAI]]:
    with serve() as (served, _), client_of(served) as client:
        yield client, AsyncOpenAI(api_key=served.key, base_url=f"{served.url}/v1", max_retries=0)


def test_a_whole_reply(both: tuple[OpenAI, AsyncOpenAI]) -> None:
    client, other = both

    async def asked() -> Any:
        async with other:
            return await other.chat.completions.create(model="rlfocal", messages=SUM)

    for reply in (
        client.chat.completions.create(model="rlfocal", messages=SUM),
        asyncio.run(asked()),
    ):
        assert reply.choices[0].message.content
        assert reply.choices[0].finish_reason == "stop"
        assert reply.usage.total_tokens == (
            reply.usage.prompt_tokens + reply.usage.completion_tokens
        )
        assert reply.model == "rlfocal"
        assert reply.rlfocal["n_calls"] >= 1
        assert 0 <= reply.rlfocal["confidence"] <= 1


def test_a_stream_with_usage(both: tuple[OpenAI, AsyncOpenAI]) -> None:
    client, other = both
    options: Any = {"model": "rlfocal", "messages": SUM, "stream": True}

    async def asked() -> list[Any]:
        async with other:
            stream = await other.chat.completions.create(**options)
            return [chunk async for chunk in stream]

    whole = client.chat.completions.create(model="rlfocal", messages=SUM)
    counted = list(
        client.chat.completions.create(**options, stream_options={"include_usage": True})
    )
    for chunks in (counted[:-1], asyncio.run(asked())):
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert said == whole.choices[0].message.content
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert all(chunk.usage is None for chunk in chunks)
    assert counted[-1].choices == []
    assert counted[-1].usage.total_tokens == whole.usage.total_tokens


def test_headers_say_what_it_came_to(both: tuple[OpenAI, AsyncOpenAI]) -> None:
    raw = both[0].chat.completions.with_raw_response.create(model="rlfocal", messages=SUM)
    own = raw.parse().rlfocal  # type: ignore[attr-defined]
    assert raw.headers["x-rlfocal-id"] == raw.parse().id
    assert int(raw.headers["x-rlfocal-calls"]) == own["n_calls"]
    assert float(raw.headers["x-rlfocal-cost-usd"]) == pytest.approx(own["cost_usd"])
    assert raw.headers["x-rlfocal-usage"].count("=") == len(own["members"])


def test_models_are_listed_and_shown(both: tuple[OpenAI, AsyncOpenAI]) -> None:
    client = both[0]
    assert client.models.retrieve("rlfocal:0.02").id == "rlfocal:0.02"
    names = [model.id for model in client.models.list()]
    assert names == ["rlfocal", "plain", "letters", "sampled", "hasty"]
    assert [client.models.retrieve(name).id for name in names] == names
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


@pytest.mark.parametrize("model", ["plain", "rlfocal", "rlfocal:0"])
@pytest.mark.parametrize("stream", [False, True])
def test_tools_come_back_verbatim_and_their_results_go_in(
    serve: Serve, model: str, stream: bool
) -> None:
    def calls(got: Received) -> Reply:
        if got.body["messages"][-1]["role"] == "tool":
            return Reply("That is 7.")
        return Reply(tool_calls=[CALL])

    with (
        SpyUpstream(calls) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        options: Any = {"model": model, "tools": [TOOL], "tool_choice": "auto"}
        if stream:
            with client.chat.completions.stream(**options, messages=SUM) as stream_:
                stream_.until_done()
                choice = stream_.get_final_completion().choices[0]
        else:
            choice = client.chat.completions.create(**options, messages=SUM).choices[0]
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls or ()
        assert (
            call.model_dump(include={"id", "type", "function"}, exclude_none=True)["id"] == "call-1"
        )
        assert json.loads(call.function.arguments) == {"a": 3}  # type: ignore[union-attr]
        assert spy.received[0].body["tools"] == [TOOL]
        result = {"role": "tool", "tool_call_id": "call-1", "content": "7"}
        for said in (choice.message, choice.message.model_dump()):
            turns: Any = [*SUM, said, result]
            reply = client.chat.completions.create(**options, messages=turns)
            assert reply.choices[0].message.content == "That is 7."
        sent = spy.received[-1].body["messages"][-2]["tool_calls"]
        assert sent[0]["function"]["arguments"] == CALL["function"]["arguments"]  # type: ignore[index]


@pytest.mark.parametrize("model", ["plain", "rlfocal", "rlfocal:0"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_message_that_is_sent_back_as_it_came_brings_its_signature_home(
    serve: Serve, model: str, stream: bool
) -> None:
    signature = {"google": {"thought_signature": "c2lnbmVk"}}

    def signs(got: Received) -> Reply:
        if got.body["messages"][-1]["role"] == "tool":
            return Reply("That is 7.")
        return Reply(tool_calls=[CALL | {"extra_content": signature}])

    with (
        SpyUpstream(signs) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        options: Any = {"model": model, "tools": [TOOL]}
        if stream:
            with client.chat.completions.stream(**options, messages=SUM) as stream_:
                stream_.until_done()
                said = stream_.get_final_completion().choices[0].message
        else:
            said = client.chat.completions.create(**options, messages=SUM).choices[0].message
        result = {"role": "tool", "tool_call_id": "call-1", "content": "7"}
        for turn in (said, said.model_dump()):
            n_before = len(spy.received)
            turns: Any = [*SUM, turn, result]
            reply = client.chat.completions.create(**options, messages=turns)
            assert reply.choices[0].message.content == "That is 7."
            calls = [got.body["messages"][1]["tool_calls"][0] for got in spy.received[n_before:]]
            assert {json.dumps(call["extra_content"]) for call in calls if len(call) > 3} == {
                json.dumps(signature)
            }
            given = [c for c in calls if "extra_content" in c]
            assert model != "rlfocal:0" or len(given) < len(calls)


def test_several_replies_of_a_member_are_as_many_choices(serve: Serve) -> None:
    with serve() as (served, _), client_of(served) as client:
        for n in (1, 3):
            reply = client.chat.completions.create(model="plain", messages=SUM, n=n)
            assert [choice.index for choice in reply.choices] == list(range(n))
            assert all(choice.message.content for choice in reply.choices)


class Total(BaseModel):
    total: int


def test_a_reply_in_a_given_shape_is_parsed(serve: Serve) -> None:
    with (
        SpyUpstream(lambda _: '{"total": 7}') as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        for model in ("plain", "rlfocal"):
            reply = client.chat.completions.parse(model=model, messages=SUM, response_format=Total)
            assert reply.choices[0].message.parsed == Total(total=7)
        assert spy.received[0].body["response_format"]["type"] == "json_schema"


# Errors ------------------------------------------------------------------------------------------


def own(**fields: Any) -> dict[str, Any]:
    return {"extra_body": {"rlfocal": fields}}


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model_not_found"),
        ({"n": 2, "model": "rlfocal"}, openai.BadRequestError, "unsupported_parameter"),
        ({"extra_body": {"api_base": "x"}}, openai.BadRequestError, "unknown_parameter"),
        (own(max_usd=1e-12), openai.BadRequestError, "max_usd_too_low"),
        ({"messages": []}, openai.BadRequestError, "invalid_value"),
        ({"messages": [SUM[0]] * 300}, openai.BadRequestError, "too_many_messages"),
        (own(deadline_ms=1), openai.InternalServerError, "deadline_exceeded"),
        (
            {"messages": [{"role": "user", "content": "x" * (1 << 20)}]},
            openai.APIStatusError, "body_too_large",
        ),
    ],
)  # fmt: skip
def test_refusals_are_typed(
    both: tuple[OpenAI, AsyncOpenAI], options: dict[str, Any], kind: type[Exception], code: str
) -> None:
    client, _ = both
    for stream in (False, True):
        with pytest.raises(kind) as refused:
            client.chat.completions.create(
                **{"model": "plain", "messages": SUM, "stream": stream, **options}
            )
        assert refused.value.code == code  # type: ignore[attr-defined]


def test_a_wrong_key_is_an_authentication_error(serve: Serve) -> None:
    with serve() as (served, _), client_of(served, api_key="sk-none") as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        with pytest.raises(openai.AuthenticationError) as refused:
            client.chat.completions.create(model="plain", messages=SUM)
        assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (500, openai.InternalServerError, "member_server_error"),
        (429, openai.RateLimitError, "member_rate_limited"),
        (401, openai.InternalServerError, "member_unauthorised"),
        (404, openai.InternalServerError, "member_unknown_model"),
        (400, openai.BadRequestError, "member_bad_request"),
    ],
)
def test_a_members_failure_is_typed(
    serve: Serve, status: int, kind: type[Exception], code: str
) -> None:
    broken = Reply(status=status, json={"error": {"message": "no"}}, headers={"Retry-After": "3"})
    with (
        SpyUpstream(lambda _: broken) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        for stream in (False, True):
            with pytest.raises(kind) as failed:
                client.chat.completions.create(
                    model="plain",
                    messages=SUM,
                    stream=stream,  # type: ignore[call-overload]
                )
            assert failed.value.code == code  # type: ignore[attr-defined]
            if status == 429:
                assert failed.value.response.headers["retry-after"] == "3"  # type: ignore[attr-defined]


def test_an_error_in_the_middle_of_a_stream_is_raised(serve: Serve) -> None:
    cut = Reply("one two three four five six", cut_after=3)
    with (
        SpyUpstream(lambda _: cut) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        said = []
        stream = client.chat.completions.create(model="plain", messages=SUM, stream=True)

        def read() -> None:
            said.extend(chunk.choices[0].delta.content or "" for chunk in stream)

        with pytest.raises(openai.APIError, match="plain"):
            read()


def test_a_client_that_tries_again_waits_as_long_as_it_is_told(serve: Serve) -> None:
    with serve() as (served, stub):
        # Two a second: the bucket holds twenty.
        key = served.add_key("busy", requests_per_minute=120.0)
        with client_of(served, api_key=key, max_retries=0) as hasty:

            def ask_many() -> None:
                for _ in range(600):
                    hasty.chat.completions.create(model="plain", messages=SUM)

            with pytest.raises(openai.RateLimitError) as refused:
                ask_many()
            assert refused.value.code == "rate_limit_exceeded"
            assert int(refused.value.response.headers["retry-after"]) == 1
        with client_of(served, api_key=key, max_retries=3) as patient:
            assert patient.chat.completions.create(model="plain", messages=SUM).choices
        assert stub.bodies

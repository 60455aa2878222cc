"""A server that refuses a field is asked without it, told otherwise, or named with the remedy."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.openai.client import OpenAIEndpoint
from rlfocal.pool.openai.left_out import noting_left_out
from rlfocal.pool.openai.refusals import named_parameter, refusal_in
from rlfocal.pool.types import Message, Request, Response, Wording

SYSTEM, USER = Message("system", "Be brief."), Message("user", "8 + 9?")
ASKED = Request((SYSTEM, USER), model="m", max_tokens=9, seed=3)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

Refuses = Callable[[Mapping[str, Any]], tuple[int, Any] | None]
"""A body → the status and the words with which it is refused; None where it is taken."""


@dataclass
class Picky:
    """A server that refuses what it is told to refuse."""

    refuses: Refuses
    text: str = "17"
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        await asyncio.sleep(0)
        if (refusal := self.refuses(body)) is not None:
            status, words = refusal
            text = words if isinstance(words, str) else json.dumps(words)
            return web.Response(status=status, text=text, content_type="application/json")
        if not body.get("stream"):
            message = {"role": "assistant", "content": self.text}
            choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": message}
            if body.get("logprobs"):
                top = [{"token": "A", "logprob": -0.1}]
                choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
            return web.json_response({"choices": [choice], "usage": USAGE})
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        for piece in ({"content": self.text}, {}):
            end = None if piece else "stop"
            event = {"choices": [{"index": 0, "delta": piece, "finish_reason": end}]}
            await reply.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        await reply.write(b"data: [DONE]\n\n")
        return reply


@asynccontextmanager
async def served(picky: Picky) -> AsyncIterator[OpenAIEndpoint]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", picky.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with OpenAIEndpoint(f"http://{host}:{port}/v1") as endpoint:
            yield endpoint
    finally:
        await runner.cleanup()


def ask(picky: Picky, *requests: Request) -> list[Response | MemberError]:
    async def go() -> list[Response | MemberError]:
        found: list[Response | MemberError] = []
        async with served(picky) as endpoint:
            for request in requests:
                try:
                    found.append(await endpoint.send(request, timeout_s=30))
                except MemberError as exc:
                    found.append(exc)
        return found

    return asyncio.run(go())


def having(name: str, words: Any, status: int = 400) -> Refuses:
    return lambda body: (status, words) if name in body else None


def lacking(name: str, words: Any) -> Refuses:
    return lambda body: None if name in body else (400, words)


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


def no_system(words: Any, status: int = 400) -> Refuses:
    return lambda body: (
        (status, words) if any(m["role"] == "system" for m in body["messages"]) else None
    )


MAX = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
MAX += "'max_completion_tokens' instead."
LEFT_OUT: list[tuple[str, Any, int]] = [
    ("seed", says("Unrecognized request argument supplied: seed"), 400),
    ("seed", {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
                          "msg": "Extra inputs are not permitted", "input": 3}]}, 422),
    ("seed", {"object": "error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs ..."}]}}, 422),
    ("seed", [says('Invalid JSON payload received. Unknown name "seed": Cannot find field.')], 400),
    ("seed", {"error": 'json: unknown field "seed"'}, 400),
    ("seed", "body -> seed: extra fields not permitted", 400),
    ("seed", says("property 'seed' is unsupported"), 400),
    ("seed", says("Provider returned error", metadata={
        "raw": json.dumps(says("`seed` is not allowed")), "provider_name": "x"}), 400),
    ("temperature", says("Unsupported value: 'temperature' does not support 0 with this model. "
                         "Only the default (1) value is supported.", param="temperature"), 400),
    ("temperature", {"error": "`temperature` must be strictly positive"}, 422),
    ("temperature", {"detail": [{"type": "greater_than", "loc": ["body", "temperature"],
                                 "msg": "Input should be greater than 0"}]}, 422),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words", "status"), LEFT_OUT)
def test_a_field_that_is_refused_is_left_out_remembered_and_said_once(
    name: str, words: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    picky = Picky(having(name, words, status))
    first, second, other = ask(picky, ASKED, ASKED, replace(ASKED, model="m2"))
    for reply in (first, second, other):
        assert isinstance(reply, Response)
        assert reply.text == "17"
        assert reply.n_attempts == 1
    # Once with it and once without, then without at once; of another model nothing is known.
    assert [name in body for body in picky.bodies] == [True, False, False, True, False]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert f'drop = ["{name}"]' in told[0]
    assert "model 'm':" in told[0]
    assert "model 'm2'" in told[1]


def test_the_limit_of_tokens_is_told_by_another_name(caplog: pytest.LogCaptureFixture) -> None:
    picky = Picky(having("max_tokens", says(MAX, param="max_tokens", code="unsupported_parameter")))
    (reply,) = ask(picky, ASKED)
    assert isinstance(reply, Response)
    assert picky.bodies[-1]["max_completion_tokens"] == 9
    assert "max_tokens" not in picky.bodies[-1]
    assert 'max_tokens_field = "max_completion_tokens"' in caplog.text


def test_an_old_server_is_told_the_limit_by_its_old_name() -> None:
    words = says("Unrecognized request argument supplied: max_completion_tokens")
    picky = Picky(having("max_completion_tokens", words))
    (reply,) = ask(picky, replace(ASKED, wording=Wording("max_completion_tokens")))
    assert isinstance(reply, Response)
    assert picky.bodies[-1]["max_tokens"] == 9


def test_without_a_limit_nothing_is_asked() -> None:
    """A call without a limit has no highest price."""

    def refuses(body: Mapping[str, Any]) -> tuple[int, Any] | None:
        limits = [name for name in body if "max" in name]
        return (400, says(f"Unsupported parameter: {limits[0]}")) if limits else None

    picky = Picky(refuses)
    (error,) = ask(picky, ASKED)
    assert isinstance(error, MemberError)
    assert error.failure is Failure.BAD_REQUEST
    assert "max_tokens_field" in str(error)
    assert [[n for n in body if "max" in n] for body in picky.bodies] == [
        ["max_tokens"], ["max_completion_tokens"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ({"object": "error", "message": "System role not supported", "code": 400}, 400),
        (says("Developer instruction is not enabled for models/gemma-3-27b-it"), 400),
        (says("Unsupported value: 'messages[0].role' does not support 'system' with this model.",
              param="messages[0].role", code="unsupported_value"), 400),
        (says("Conversation roles must alternate user/assistant/user/assistant/..."), 400),
        (says("Template error: System role not supported", code=500), 500),
        ({"error": "Only user and assistant roles are supported!"}, 422),
    ],
)  # fmt: skip
def test_a_model_without_a_role_for_the_system_is_told_by_the_user(
    words: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    picky = Picky(no_system(words, status))
    replies = ask(picky, ASKED, ASKED)
    assert all(isinstance(reply, Response) for reply in replies)
    assert len(picky.bodies) == 3
    assert picky.bodies[-1]["messages"] == [{"role": "user", "content": "Be brief.\n\n8 + 9?"}]
    assert 'system_as = "user"' in caplog.text


def test_fields_are_left_out_one_after_another_and_together() -> None:
    def refuses(body: Mapping[str, Any]) -> tuple[int, Any] | None:
        if "max_tokens" in body:
            return 400, says(MAX)
        extra = [name for name in ("seed", "temperature", "top_p") if name in body]
        listed = [{"type": "extra_forbidden", "loc": ["body", name]} for name in extra]
        return (422, {"detail": listed}) if extra else None

    picky = Picky(refuses)
    (reply,) = ask(picky, replace(ASKED, top_p=0.9))
    assert isinstance(reply, Response)
    assert len(picky.bodies) == 3
    assert picky.bodies[-1].keys() == {"model", "messages", "max_completion_tokens"}


def test_who_refuses_each_field_in_turn_is_not_asked_for_ever() -> None:
    def refuses(body: Mapping[str, Any]) -> tuple[int, Any] | None:
        name = sorted(body.keys() - {"model", "messages", "max_tokens"})
        return 400, says(f"Unsupported parameter: '{name[0] if name else 'max_tokens'}'")

    extra = {f"x_{n}": n for n in range(30)}
    picky = Picky(refuses)
    (error,) = ask(picky, replace(ASKED, extra=extra))
    assert isinstance(error, MemberError)
    assert 2 < len(picky.bodies) < 12


MEANING = [
    ({"tools": [{"type": "function"}]}, "tools"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"tool_choice": "required"}, "tool_choice"),
]


@pytest.mark.parametrize(("extra", "name"), MEANING)
def test_what_would_change_the_meaning_is_not_left_out(extra: dict[str, Any], name: str) -> None:
    picky = Picky(having(name, says(f"Unsupported parameter: '{name}'")))
    (error,) = ask(picky, replace(ASKED, extra=extra))
    assert isinstance(error, MemberError)
    assert len(picky.bodies) == 1
    assert f"does not take '{name}'" in str(error)
    assert "prompt's length" not in str(error)


def test_what_the_pool_insists_on_is_not_left_out() -> None:
    picky = Picky(having("reasoning_effort", says("Unrecognized argument: reasoning_effort")))
    wording = Wording(kept=frozenset({"reasoning_effort"}))
    (error,) = ask(picky, replace(ASKED, extra={"reasoning_effort": "low"}, wording=wording))
    assert isinstance(error, MemberError)
    assert "take 'reasoning_effort' out of extra_body" in str(error)


@pytest.mark.parametrize(
    "words",
    [
        says("This model's maximum context length is 4096 tokens", code="context_length_exceeded"),
        says("max_tokens is too large: 512. This model supports at most 256 completion tokens.",
             param="max_tokens", code="invalid_value"),
        says("Invalid 'top_p': must be between 0 and 1", param="top_p"),
        says("The model `m` does not exist"),
        "oops",
        {},
    ],
)  # fmt: skip
def test_other_refusals_are_not_met_by_leaving_something_out(words: Any) -> None:
    picky = Picky(lambda body: (400, words))
    (error,) = ask(picky, replace(ASKED, top_p=0.5))
    assert isinstance(error, MemberError)
    assert len(picky.bodies) == 1


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (says("max_tokens is too large: 9. At most 5 completion tokens.", param="max_tokens"),
         "check max_tokens of the member"),
        (says("Invalid 'top_p': must be between 0.1 and 0.4", param="top_p"),
         "check top_p of the member"),
        (says("'provider' should be an object"), "check 'provider' in extra_body"),
        (says("Invalid 'tools[0].function'"), "check 'tools' of the request"),
        (says("This model's maximum context length is 96 tokens; reduce max_tokens"), "length"),
        (says("no"), "check the prompt's length"),
    ],
)  # fmt: skip
def test_an_error_names_the_setting_that_helps(words: Any, remedy: str) -> None:
    extra = {"provider": 3, "tools": [{}]}
    wording = Wording(kept=frozenset({"provider"}))
    picky = Picky(lambda body: (400, words))
    (error,) = ask(picky, replace(ASKED, top_p=0.5, extra=extra, wording=wording))
    assert isinstance(error, MemberError)
    assert remedy in str(error).rpartition(";")[2]


def test_what_did_not_help_is_not_remembered(caplog: pytest.LogCaptureFixture) -> None:
    hostile = {"now": True}

    def refuses(body: Mapping[str, Any]) -> tuple[int, Any] | None:
        return (400, says("unsupported parameter: seed")) if hostile["now"] else None

    picky = Picky(refuses)

    async def go() -> None:
        async with served(picky) as endpoint:
            with pytest.raises(MemberError):
                await endpoint.send(ASKED, timeout_s=30)
            hostile["now"] = False
            await endpoint.send(ASKED, timeout_s=30)

    asyncio.run(go())
    assert [body.get("seed") for body in picky.bodies] == [3, None, 3]
    assert not caplog.records


def test_calls_at_once_learn_each_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    picky = Picky(having("seed", says("Unrecognized request argument supplied: seed")))

    async def go() -> list[Response]:
        async with served(picky) as endpoint:
            return await asyncio.gather(
                *(endpoint.send(replace(ASKED, seed=n), timeout_s=30) for n in range(12))
            )

    with caplog.at_level(logging.WARNING):
        replies = asyncio.run(go())
    assert [reply.text for reply in replies] == ["17"] * 12
    assert len(picky.bodies) <= 24
    assert len(caplog.records) == 1


def test_a_refused_temperature_does_not_touch_another_one() -> None:
    picky = Picky(lambda body: (422, {"error": "`temperature` must be strictly positive"})
                  if body.get("temperature") == 0 else None)  # fmt: skip
    ask(picky, ASKED, replace(ASKED, temperature=0.7), ASKED)
    assert [body.get("temperature") for body in picky.bodies] == [0, None, 0.7, None]


def test_who_takes_one_temperature_only_is_told_none() -> None:
    words = says("'temperature' does not support 0.7 with this model. Only the default (1) value")
    picky = Picky(lambda body: (400, words) if body.get("temperature", 1) != 1 else None)
    ask(picky, *(replace(ASKED, temperature=t) for t in (0.7, 0.0, 0.3)))
    assert [body.get("temperature") for body in picky.bodies] == [0.7, None, None, None]


def test_streams_go_on_without_what_is_refused() -> None:
    words = says("Extra inputs are not permitted, field: 'stream_options'")
    picky, told = Picky(having("stream_options", words)), []
    (reply,) = ask(picky, replace(ASKED, on_text=told.append))
    assert isinstance(reply, Response)
    assert picky.bodies[-1]["stream"] is True
    assert "".join(told) == reply.text == "17"


def test_who_does_not_stream_is_asked_for_all_at_once() -> None:
    picky, told = Picky(having("stream", says("Streaming is not supported for this model"))), []
    (reply,) = ask(picky, replace(ASKED, on_text=told.append))
    assert isinstance(reply, Response)
    assert picky.bodies[-1].keys() & {"stream", "stream_options"} == set()
    assert "".join(told) == "17"


@pytest.mark.parametrize("streamed", [False, True])
def test_where_stop_is_refused_the_reply_is_cut_here(streamed: bool) -> None:
    words = says("Unsupported parameter: 'stop' is not supported with this model.", param="stop")
    picky = Picky(having("stop", words), text="17\nQuestion: 1 + 1?")
    told: list[str] = []
    request = replace(ASKED, stop=("\n", "Q"), on_text=told.append if streamed else None)
    replies = ask(picky, request, request)
    assert [reply.text for reply in replies if isinstance(reply, Response)] == ["17", "17"]
    assert told == (["17", "17"] if streamed else [])


def test_fewer_log_probabilities_are_asked_for_where_a_server_gives_few() -> None:
    def refuses(body: Mapping[str, Any]) -> tuple[int, Any] | None:
        many = body["top_logprobs"] > 5
        return (400, says("top_logprobs must be less than or equal to 5")) if many else None

    picky = Picky(refuses)
    ask(picky, replace(ASKED, n_logprobs=20), replace(ASKED, n_logprobs=20))
    assert [body["top_logprobs"] for body in picky.bodies] == [20, 5, 5]


def test_no_log_probabilities_at_all_is_a_failure_with_its_remedy() -> None:
    picky = Picky(having("logprobs", says("`logprobs` is not supported")))
    (error,) = ask(picky, replace(ASKED, n_logprobs=20))
    assert isinstance(error, MemberError)
    assert 'answers = "reply"' in str(error)
    assert len(picky.bodies) == 1


def test_an_error_in_place_of_a_reply_is_met_as_well() -> None:
    words = {"error": {"message": "Unsupported parameter: 'seed'", "code": 400}}
    picky = Picky(having("seed", words, 200))
    (reply,) = ask(picky, ASKED)
    assert isinstance(reply, Response)
    assert len(picky.bodies) == 2


SENT = {
    "model": "m", "messages": [{"role": "system", "content": "x"}], "max_tokens": 5,
    "temperature": 0.0, "top_p": 1.0, "seed": 3, "stream": True, "stream_options": {},
    "stop": ["a"], "user": "u", "parallel_tool_calls": True, "top_k": 3, "tools": [],
}  # fmt: skip
NAMED: list[tuple[Any, str | None]] = [
    ("Argument not supported on this model: stop", "stop"),
    ("Argument not supported on this model: topP", "top_p"),
    ("`temperature` may only be set to 1 when thinking is enabled", "temperature"),
    ("invalid temperature: only 1 is allowed for this model", "temperature"),
    ("temperature must be in (0, 1]", "temperature"),
    ("`top_p` must be > 0.0 and < 1.0. Given: 1", "top_p"),
    ("#: extraneous key [top_k] is not permitted, please reformat your input", "top_k"),
    ("`temperature` is deprecated for this model.", "temperature"),
    ("This model doesn't support the stopSequences field. Remove stopSequences.", "stop"),
    ("unknown field `seed`, expected one of `model`, `messages`, `temperature`", "seed"),
    ("Additional properties are not allowed ('seed' was unexpected)", "seed"),
    ({"errors": [{"message": "must NOT have additional properties",
                  "params": {"additionalProperty": "seed"}}]}, "seed"),
    ("openai does not support parameters: ['seed'], for model=x", "seed"),
    ("'parallel_tool_calls' is only allowed when 'tools' are specified.", "parallel_tool_calls"),
    ("`stop` supports up to 4 stop sequences. Given: 5", None),
    ("Could not finish the message because max_tokens or model output limit was reached.", None),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", None),
    ("Invalid 'messages[1].content': string too long", None),
    ("The model does not support image inputs", None),
    ({"detail": [{"type": "string_type", "loc": ["body", "messages", 0, "content"],
                  "msg": "Input should be a valid string"}]}, None),
]  # fmt: skip


@pytest.mark.parametrize(("words", "name"), NAMED)
def test_what_servers_say(words: Any, name: str | None) -> None:
    raw = words if isinstance(words, dict) else {"error": {"message": words}}
    refusal = refusal_in(json.dumps(raw).encode(), SENT)
    assert (refusal.names[:1] if refusal else ()) == ((name,) if name else ())


@pytest.mark.parametrize(
    ("words", "system"),
    [
        ("unknown variant `system`, expected `user` or `assistant`", True),
        ("body.messages.0.role: Input should be 'user' or 'assistant'", True),
        ("Please ensure that multiturn requests alternate between user and model.", True),
        ("This model doesn't support system messages. Try again without.", True),
        ('The messages API accepts a top-level `system` parameter, not "system" as a role', True),
        ("Invalid parameter: messages with role 'tool' must follow one with 'tool_calls'.", False),
        ("the system is overloaded, try again", False),
    ],
)
def test_who_knows_no_system(words: str, system: bool) -> None:
    refusal = refusal_in(json.dumps({"error": {"message": words}}).encode(), SENT)
    assert (refusal is not None and refusal.system) is system


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Unknown field 'seed'. Supported fields: model, messages, temperature", "seed"),
        ("temperature is supported; 'seed' is not permitted", "seed"),
        ("stream_options is not allowed when stream is false", "stream_options"),
        ("the user's model is not supported", None),
        ("please stop sending unsupported things", None),
        ("", None),
    ],
)
def test_the_field_that_words_name(words: str, name: str | None) -> None:
    sent = ["model", "messages", "temperature", "seed", "stop", "stream", "stream_options", "user"]
    assert named_parameter(words, sent) == name


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=30) | st.just("unknown field seed"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "message", "param", "loc", "detail", "type", "code", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read(found: Any) -> None:
    refusal = refusal_in(json.dumps(found).encode(), SENT)
    assert refusal is None or set(refusal.names) <= SENT.keys()


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[" * 10_000, b'{"error": 3}', b"null", b"[1]"])
def test_any_bytes_are_read(raw: bytes) -> None:
    assert refusal_in(raw, {"seed": 1}) is None


GREEDY = replace(ASKED, temperature=0.0, top_p=0.9, stop=("Z",))
MET: list[tuple[set[str], Any, int]] = [
    ({"temperature", "top_p"}, says("this model has beta-limitations, temperature, top_p and n are "
                                    "fixed at 1, while presence_penalty is fixed at 0"), 400),
    ({"temperature"}, says("temperature is fixed at 1 for this model"), 400),
    ({"top_p"}, says("top_p must be 1 when using greedy sampling."), 400),
    ({"top_p"}, says("top_p: this sampling parameter was removed for reasoning models"), 400),
    ({"stop"}, says("Stop sequences are not supported with reasoning"), 400),
    ({"seed"}, says("No endpoints found that support the provided 'seed' parameter."), 404),
    ({"seed"}, says("generate() got an unexpected keyword argument 'seed'"), 500),
    ({"seed"}, says("Supported parameters: temperature, top_p, max_tokens, stop. "
                    "Unsupported parameter: seed"), 400),
    ({"seed"}, says("Unsupported parameter: seed. Supported parameters are temperature, top_p, "
                    "max_tokens and stop"), 400),
    ({"seed"}, "unknown field `seed`, expected one of `temperature`, `top_p`, `stop`", 422),
    ({"seed"}, says("Unsupported parameters: enable_thinking, seed"), 400),
    ({"seed"}, {"error": "unknown field seed", "allowed_fields": ["temperature", "top_p"]}, 400),
    ({"seed"}, says("Only temperature, top_p and stop are supported, not 'seed'"), 400),
    ({"seed", "stop"}, says("Unsupported parameters: seed, stop"), 400),
]  # fmt: skip


@pytest.mark.parametrize(("names", "words", "status"), MET)
def test_nothing_but_what_is_refused_is_left_out(names: set[str], words: Any, status: int) -> None:
    picky = Picky(lambda body: (status, words) if names & body.keys() else None)
    (reply,) = ask(picky, GREEDY)
    assert isinstance(reply, Response), reply
    assert {"temperature", "top_p", "stop", "seed"} - picky.bodies[-1].keys() == names


@pytest.mark.parametrize(
    "message",
    [
        "You may only alter either temperature or top_p, not both",
        "Specify only one of temperature and top_p",
    ],
)
def test_of_two_that_exclude_each_other_one_is_left_out(message: str) -> None:
    both = {"temperature", "top_p"}
    picky = Picky(lambda body: (400, says(message)) if both <= body.keys() else None)
    (reply,) = ask(picky, GREEDY)
    assert isinstance(reply, Response), reply
    assert len(picky.bodies) == 2


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: enable_thinking. Supported parameters: temperature, top_p, stop, "
        "max_tokens, seed",
        "Unsupported field. Allowed fields are: model, messages, temperature, top_p, max_tokens",
        "unknown field `top_k`, expected one of `temperature`, `top_p`, `seed`, `stop`",
        "Unknown parameter: 'min_p'. Did you mean 'top_p'?",
    ],
)
def test_where_another_name_is_refused_nothing_is_left_out(message: str) -> None:
    picky = Picky(lambda body: (400, says(message)))
    kwargs = {"chat_template_kwargs": {"enable_thinking": False}}
    wording = Wording(kept=frozenset(kwargs))
    (error,) = ask(picky, replace(GREEDY, extra=kwargs, wording=wording))
    assert isinstance(error, MemberError)
    assert len(picky.bodies) == 1
    if "enable_thinking" in message:
        assert "check 'chat_template_kwargs' in extra_body" in str(error)


@pytest.mark.parametrize("sent", ["max_tokens", "max_completion_tokens"])
def test_a_limit_that_is_missing_is_told_under_the_name_that_is_wanted(sent: str) -> None:
    wanted = ({"max_tokens", "max_completion_tokens"} - {sent}).pop()
    for words in (
        says(f"Missing required parameter: '{wanted}'."),
        {"detail": [{"type": "missing", "loc": ["body", wanted], "msg": "Field required"}]},
        says(f"{wanted} is required for this model"),
    ):
        picky = Picky(lacking(wanted, words))
        (reply,) = ask(picky, replace(ASKED, wording=Wording(max_tokens_field=sent)))
        assert isinstance(reply, Response), words


def test_a_value_of_top_p_is_left_out_where_it_says_nothing_alone() -> None:
    picky = Picky(
        lambda body: (
            (400, says("top_p must be 1 when using greedy sampling."))
            if body.get("temperature") == 0 and "top_p" in body
            else None
        )
    )
    ask(picky, GREEDY, replace(GREEDY, temperature=0.7), GREEDY)
    assert ["top_p" in body for body in picky.bodies] == [True, False, True, False]


THINKING = {"type": "enabled", "budget_tokens": 1024}
MINIMAL = "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. "
MINIMAL += "Supported values are: 'low', 'medium', and 'high'."
ONE = "`temperature` may only be set to 1 when thinking is enabled. Please consult our docs."
FORCED = "Thinking may not be enabled when tool_choice forces tool use."
BIASED = "The 'logit_bias' parameter is only allowed when 'store' is enabled."
STORED = "The 'metadata' parameter is only allowed when 'store' is enabled."


def beside(**extra: Any) -> Request:
    return replace(ASKED, extra=extra)


OF_ONE: list[tuple[str, Any, Refuses, Request, Request]] = [
    ("reasoning_effort", says(MINIMAL, param="reasoning_effort", code="unsupported_value"),
     lambda body: body.get("reasoning_effort") == "minimal",
     beside(reasoning_effort="minimal"), beside(reasoning_effort="low")),
    ("verbosity", says("verbosity does not support 'low'"),
     lambda body: body.get("verbosity") == "low",
     beside(verbosity="low"), beside(verbosity="medium")),
    ("seed", says("Invalid value at 'generation_config.seed' (TYPE_INT32), 5000000000"),
     lambda body: body.get("seed", 0) > 1 << 31,
     replace(ASKED, seed=5_000_000_000), replace(ASKED, seed=7)),
    ("stop", says("stop: whitespace stop sequences are not allowed"),
     lambda body: body.get("stop") == [" "],
     replace(ASKED, stop=(" ",)), replace(ASKED, stop=("Z",))),
    ("temperature", says(ONE), lambda body: "thinking" in body and body.get("temperature", 1) != 1,
     beside(thinking=THINKING), ASKED),
    ("thinking", says(FORCED),
     lambda body: "thinking" in body and body.get("tool_choice") == "required",
     beside(thinking=THINKING, tool_choice="required"), beside(thinking=THINKING)),
    ("metadata", says(STORED), lambda body: "metadata" in body and not body.get("store"),
     beside(metadata={"a": "b"}), beside(metadata={"a": "b"}, store=True)),
    ("thinking", says("thinking is not supported with messages that end in an assistant's turn"),
     lambda body: "thinking" in body and body["messages"][-1]["role"] == "assistant",
     replace(beside(thinking=THINKING), messages=(USER, Message("assistant", "It is"))),
     beside(thinking=THINKING)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words", "refuses", "one", "other"), OF_ONE)
def test_what_one_may_not_ask_for_is_taken_from_nobody_else(
    name: str,
    words: Any,
    refuses: Callable[[Mapping[str, Any]], bool],
    one: Request,
    other: Request,
    caplog: pytest.LogCaptureFixture,
) -> None:
    picky = Picky(lambda body: (400, words) if refuses(body) else None)
    assert all(isinstance(reply, Response) for reply in ask(picky, other, one, other, one))
    has = [name in body for body in picky.bodies]
    assert has[:4] == [True, True, False, True]
    # What is the same in all fields goes at once; unless it may be the turns that matter.
    assert has[4:] == ([True, False] if "messages" in str(words) else [False])
    assert [record.getMessage().count(f"'{name}'") for record in caplog.records] == [1]
    assert "minimal" not in caplog.text


@pytest.mark.parametrize("name", ["user", "metadata", "safety_identifier", "prompt_cache_key"])
@pytest.mark.parametrize(
    "words", ["`temperature` and `top_p` cannot both be specified for this model. Use only one."]
)
def test_what_fields_exclude_is_refused_once_and_not_to_each_client(name: str, words: str) -> None:
    picky = Picky(
        lambda body: (400, says(words)) if body.keys() >= {"temperature", "top_p"} else None
    )
    tools = [{"type": "function", "function": {"name": f"f{n}"}} for n in range(4)]
    many = [
        replace(
            ASKED, temperature=0.2 + n / 10, top_p=0.9, max_tokens=50 + n,
            extra={name: {"n": str(n)} if name == "metadata" else f"u{n}", "tools": [tools[n]]},
        )
        for n in range(4)
    ]  # fmt: skip
    assert all(isinstance(reply, Response) for reply in ask(picky, *many))
    assert len(picky.bodies) == 5


def test_log_probabilities_that_are_refused_beside_tools_are_asked_for_without_them() -> None:
    words = says("logprobs are not supported when tools are used")
    picky = Picky(lambda body: (400, words) if body.keys() >= {"logprobs", "tools"} else None)
    plain = replace(ASKED, logprobs=True)
    tools = replace(plain, extra={"tools": [{"type": "function", "function": {"name": "f"}}]})
    assert all(isinstance(reply, Response) for reply in ask(picky, tools, plain, tools))
    assert ["logprobs" in body for body in picky.bodies] == [True, False, True, False]


def test_values_and_requests_are_remembered_in_bounded_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuses(body: Mapping[str, Any]) -> tuple[int, Any] | None:
        if "seed" in body:
            return 400, says("seed must be smaller")
        return (400, says(BIASED)) if "logit_bias" in body else None

    many = [replace(ASKED, seed=10**9 + n, extra={"logit_bias": {"n": str(n)}}) for n in range(300)]

    async def go() -> OpenAIEndpoint:
        async with served(Picky(refuses)) as endpoint:
            for request in many:
                await endpoint.send(request, timeout_s=30)
            return endpoint

    (learned,) = asyncio.run(go())._dialect.learned.values()
    assert len(learned.not_at) == len(learned.not_beside) == 256
    assert len(caplog.records) == 2


def test_what_was_asked_for_and_not_sent_is_noted() -> None:
    def refuses(body: Mapping[str, Any]) -> tuple[int, Any] | None:
        if "stop" in body:
            return 400, says("Unsupported parameter: 'stop'")
        return (400, says(MINIMAL)) if body.get("reasoning_effort") == "minimal" else None

    asked = replace(ASKED, stop=("Z",), extra={"reasoning_effort": "minimal", "user": "u"})
    with noting_left_out() as names:
        ask(Picky(refuses), asked)
    assert names == {"reasoning_effort"}  # at stop the reply is cut here
    with noting_left_out() as names:
        ask(Picky(refuses), replace(asked, wording=Wording(drop=frozenset({"user", "top_p"}))))
    assert names == {"reasoning_effort", "user"}


def test_a_name_that_a_client_made_up_is_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = "top_(x\n2026-11-30 21:00:00 ERROR: database wiped"
    picky = Picky(having(name, says("This is not supported.", param=name)))
    (reply,) = ask(picky, replace(ASKED, extra={name: 1}))
    assert isinstance(reply, Response)
    (record,) = caplog.records
    assert "\n" not in record.getMessage()

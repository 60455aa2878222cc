"""The client against a stub over real sockets: each fault has its failure, and the key stays in."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.pool import Message, OpenAIEndpoint, Request, Response, StubServer
from rlfocal.pool.stub import Fault, Said

KEY = "sk-a/b+c=12345678"
PROMPT = "Which of these metals is liquid at room temperature?"
ASKED = Request((Message("system", "Be brief. "), Message("user", PROMPT)), model="m1")


async def ask(
    server: StubServer,
    request: Request = ASKED,
    *,
    timeout_s: float = 60,
    key: str | None = KEY,
    **options: Any,
) -> Response:
    async with OpenAIEndpoint(server.base_url, key=key, **options) as endpoint:
        return await endpoint.send(request, timeout_s=timeout_s)


def failed(fault: Fault, *, timeout_s: float = 60, **options: Any) -> MemberError:
    async def go() -> MemberError:
        async with StubServer(faults=[fault]) as server:
            with pytest.raises(MemberError) as raised:
                await ask(server, timeout_s=timeout_s, **options)
            assert len(server.bodies) == 1
            host = server.base_url.removeprefix("http://").removesuffix("/v1")
            assert str(raised.value).startswith(f"{host}, model 'm1': ")
            return raised.value

    return asyncio.run(asyncio.wait_for(go(), 300))


def test_a_chat_request_and_its_reply() -> None:
    async def go() -> None:
        said = Said("Mercury is.", logprobs={"Mercury": -0.5})
        async with StubServer(lambda body: said, key=KEY) as server:
            asked = Request(
                ASKED.messages,
                "m1",
                9,
                temperature=0.5,
                top_p=0.9,
                seed=4,
                stop=("\n",),
                n_logprobs=3,
            )
            reply = await ask(server, asked)
            assert (reply.text, reply.finish, reply.n_attempts) == ("Mercury is.", "stop", 1)
            assert (reply.n_prompt_tokens, reply.n_completion_tokens) == (11, 2)
            assert (reply.first_logprobs, reply.cost_usd) == ({"Mercury": -0.5}, None)
            assert reply.latency_s > 0
            assert server.bodies == [{
                "model": "m1", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "seed": 4,
                "stop": ["\n"], "logprobs": True, "top_logprobs": 3,
                "messages": [
                    {"role": "system", "content": "Be brief. "},
                    {"role": "user", "content": PROMPT},
                ],
            }]  # fmt: skip

    asyncio.run(go())


@pytest.mark.parametrize("like_llama_cpp", [False, True])
def test_a_completion_with_logprobs(like_llama_cpp: bool) -> None:
    said = Said(" ", "length", {"A": -0.2, "B": -1.8})

    async def go() -> None:
        async with StubServer(lambda body: said, like_llama_cpp=like_llama_cpp) as server:
            asked = Request(ASKED.messages, max_tokens=1, n_logprobs=2)
            reply = await ask(server, asked, api="completions", key=None)
            assert (reply.text, reply.finish) == (" ", "length")
            assert reply.first_logprobs == {"A": -0.2, "B": -1.8}
            assert server.bodies == [
                {
                    "prompt": f"Be brief. {PROMPT}",
                    "max_tokens": 1,
                    "temperature": 0.0,
                    "logprobs": 2,
                }
            ]

    asyncio.run(go())


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    ("kind", "failure", "told"),
    [
        ("400", Failure.BAD_REQUEST, "(told to fail)"),
        ("401", Failure.UNAUTHORISED, "check the key"),
        ("404", Failure.UNKNOWN_MODEL, "check the model's name"),
        ("500", Failure.SERVER_ERROR, "HTTP status 500"),
        ("cut", Failure.UNREACHABLE, "in the middle of the reply"),
        ("broken-json", Failure.MALFORMED, "not the JSON object"),
        ("content-type", Failure.MALFORMED, "text/html"),
        ("redirect", Failure.MALFORMED, "redirects are not followed"),
        ("huge", Failure.MALFORMED, "longer than max_tokens = 512 can be"),
        ("empty", Failure.EMPTY, "check template, stop and max_tokens"),
        ("filtered", Failure.FILTERED, "content filter"),
    ],
)
def test_each_fault_is_named(kind: str, failure: Failure, told: str, api: str) -> None:
    error = failed(Fault(kind), api=api)
    assert error.failure is failure
    assert told in str(error)
    assert error.__context__ is error.__cause__ is None


def test_429_says_how_long_to_wait() -> None:
    error = failed(Fault("429", {"Retry-After": "7"}))
    assert (error.failure, error.status, error.retry_after_s) == (Failure.RATE_LIMITED, 429, 7.0)
    assert failed(Fault("429")).retry_after_s is None


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_the_deadline_holds_whether_nothing_comes_or_a_little(kind: str) -> None:
    error = failed(Fault(kind), timeout_s=1.5)  # else it would take an hour, or half a minute
    assert error.failure is Failure.TIMEOUT
    assert "no reply within 1.5 s" in str(error)


def test_no_time_at_all_is_a_timeout() -> None:
    async def go() -> None:
        async with StubServer() as server:
            with pytest.raises(MemberError, match="no reply within"):
                await ask(server, timeout_s=0)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("url_of", "told"),
    [
        (lambda url: url.replace("http:", "https:"), "TLS failed"),
        (lambda url: "http://a..b/v1", "no such host (DNS)"),
    ],
)
def test_a_wrong_address_is_unreachable(url_of: Callable[[str], str], told: str) -> None:
    async def go() -> None:
        async with StubServer() as server:
            server.base_url = url_of(server.base_url)
            with pytest.raises(MemberError) as raised:
                await ask(server)
            assert raised.value.failure is Failure.UNREACHABLE
            assert told in str(raised.value)

    asyncio.run(go())


def test_a_server_that_is_gone_refuses() -> None:
    async def go() -> None:
        async with StubServer() as server:
            pass
        with pytest.raises(
            MemberError, match="connection refused; is the server running"
        ) as raised:
            await ask(server)
        assert raised.value.failure is Failure.UNREACHABLE

    asyncio.run(go())


def test_what_is_not_http_is_malformed() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 smtp ready\r\n")
        writer.close()
        await writer.wait_closed()

    async def go() -> None:
        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, OpenAIEndpoint(f"http://127.0.0.1:{port}/v1", key=KEY) as endpoint:
            with pytest.raises(MemberError, match="not HTTP") as raised:
                await endpoint.send(ASKED, timeout_s=60)
            assert raised.value.failure is Failure.MALFORMED
            assert raised.value.__context__ is None  # aiohttp's exception here holds all headers

    asyncio.run(go())


FORMS = [
    KEY, quote(KEY), quote(KEY, safe=""), repr(KEY), f"Bearer {KEY}", f"{KEY} " * 30,
    base64.b64encode(KEY.encode()).decode(), base64.b64encode(f"me:{KEY}".encode()).decode(),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_no_trace_of_an_error_holds_the_key(form: str) -> None:
    error = failed(Fault("400", message=f"the key {form} may not do this"))
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    own = [frame for frame in told.stack if frame.filename == inspect.getfile(OpenAIEndpoint)]
    assert own
    shown = [str(error), repr(error), *(str(frame.locals) for frame in own)]
    assert "[redacted]" in str(error)
    for text in shown:
        for secret in (KEY, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode()[:20]):
            assert secret not in text
    assert len(str(error)) < 400


def test_neither_repr_nor_attributes_show_the_key() -> None:
    endpoint = OpenAIEndpoint("https://me:pass@host.example/v1", key=KEY)
    assert repr(endpoint) == "OpenAIEndpoint('host.example', api='chat')"
    assert KEY not in str(vars(endpoint))


@pytest.mark.parametrize(
    "echo", [PROMPT, repr(PROMPT), json.dumps({"content": PROMPT}), PROMPT[9:40]]
)
def test_an_error_does_not_repeat_the_prompt(echo: str) -> None:
    error = failed(Fault("422", message=f"invalid input: {echo}"))
    assert "liquid" not in str(error)
    assert "left out: it repeats the prompt" in str(error)


def test_a_long_message_is_shortened() -> None:
    error = failed(Fault("400", message="way too long " * 100))
    assert "way too long way" in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("key", ["sk-1\nX-Evil: 1", "sk\0", "sk\r"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(ConfigError, match="line break") as raised:
        OpenAIEndpoint("http://host.example/v1", key=key)
    assert "sk" not in str(raised.value)


def test_cancelling_the_caller_is_passed_on_untouched() -> None:
    async def go() -> None:
        async with StubServer(faults=[Fault("hang")]) as server:
            task = asyncio.create_task(ask(server))
            for _ in range(6000):
                if server.n_under_way:
                    break
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()

    asyncio.run(go())


def test_connections_are_used_again_after_an_error() -> None:
    async def go() -> None:
        faults = [Fault("500"), None, Fault("huge"), None, Fault("cut"), None]
        async with (
            StubServer(faults=faults) as server,
            OpenAIEndpoint(server.base_url, max_connections=1) as endpoint,
        ):
            said = []
            for _ in faults:
                try:
                    said.append((await endpoint.send(ASKED, timeout_s=60)).text == PROMPT)
                except MemberError as exc:
                    said.append(exc.failure.value)
            assert said == ["server-error", True, "malformed", True, "unreachable", True]

    asyncio.run(go())

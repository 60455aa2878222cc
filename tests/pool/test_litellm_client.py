"""litellm's adapter, against a module of the same shape: the real one is large and stays out."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.building import LivePool
from rlfocal.pool.litellm_client import LiteLlmEndpoint
from rlfocal.pool.settings import read_pool
from rlfocal.pool.types import Message, Request, Response

PROMPT = "Which element is liquid at room temperature?"
ASKED = Request((Message("system", "Be brief."), Message("user", PROMPT)), model="p/m", seed=7)
KEY = "sk-very-secret-123"


class LiteLlmError(Exception):
    """As litellm's own: openai's exceptions with a status, a message and httpx's response."""

    def __init__(self, message: str, status_code: int, headers: dict[str, str] | None = None):
        super().__init__(f"litellm.{type(self).__name__}: {message}")
        self.status_code = status_code
        self.response = SimpleNamespace(headers=headers or {})


class Timeout(LiteLlmError): ...


class APIConnectionError(LiteLlmError): ...


class ContentPolicyViolationError(LiteLlmError): ...


class ModelResponse:
    """As litellm's: a pydantic model."""

    def __init__(self, content: Any, finish: str = "stop", logprobs: Any = None):
        message = {"role": "assistant", "content": content, "tool_calls": None}
        choice = {"index": 0, "finish_reason": finish, "message": message, "logprobs": logprobs}
        usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
        self._found = {
            "id": "chatcmpl-1", "created": 0, "model": "m", "object": "chat.completion",
            "choices": [choice], "usage": usage,
        }  # fmt: skip

    def model_dump(self) -> dict[str, Any]:
        return self._found


class Fake(ModuleType):
    """What is said next, or raised, or awaited for ever; and what was asked."""

    def __init__(self) -> None:
        super().__init__("litellm")
        self.telemetry, self.success_callback = True, ["langfuse"]
        self.Timeout, self.APIConnectionError = Timeout, APIConnectionError
        self.ContentPolicyViolationError = ContentPolicyViolationError
        self.next: Any = ModelResponse("Mercury.")
        self.params: list[str] | None = ["temperature", "max_tokens", "seed"]
        self.asked: list[dict[str, Any]] = []
        self.n_closed = self.n_cancelled = 0

    async def acompletion(
        self, model: str, messages: list[dict[str, str]], **options: Any
    ) -> ModelResponse:
        self.asked.append({"model": model, "messages": messages, **options})
        if isinstance(self.next, Exception):
            raise self.next
        if self.next == "hang":
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.n_cancelled += 1
                raise
        return self.next

    def get_supported_openai_params(self, model: str) -> list[str] | None:
        return self.params

    async def close_litellm_async_clients(self) -> None:
        self.n_closed += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    module = Fake()
    monkeypatch.setitem(sys.modules, "litellm", module)
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", KEY)
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    return module


def ask(request: Request = ASKED, timeout_s: float = 5) -> Response:
    async def go() -> Response:
        async with LiteLlmEndpoint() as endpoint:
            return await endpoint.send(request, timeout_s=timeout_s)

    return asyncio.run(go())


def failed(**options: Any) -> MemberError:
    with pytest.raises(MemberError) as caught:
        ask(**options)
    assert caught.value.__context__ is None  # litellm's exceptions hold the request
    assert caught.value.__cause__ is None
    return caught.value


def test_a_reply_is_read_and_the_request_is_litellms(fake: Fake) -> None:
    reply = ask()
    assert (reply.text, reply.finish) == ("Mercury.", "stop")
    assert (reply.n_prompt_tokens, reply.n_completion_tokens) == (12, 3)
    assert reply.cost_usd is None  # litellm's own table of prices is not asked
    assert reply.latency_s > 0
    assert fake.asked == [
        {
            "model": "p/m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": PROMPT},
            ],
            "max_tokens": 512,
            "temperature": 0.0,
            "timeout": 5,
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": False,
            "seed": 7,
        }
    ]
    assert fake.n_closed == 1


def test_all_settings_are_passed_on(fake: Fake) -> None:
    messages = (Message("user", "?"),)
    fake.next = ModelResponse("A", logprobs={"content": [{"token": "A", "logprob": -0.1}]})
    ask(Request(messages, "p/m", 9, 0.5, top_p=0.9, stop=("\n",), n_logprobs=5))
    sent = fake.asked[0]
    assert (sent["max_tokens"], sent["temperature"], sent["top_p"]) == (9, 0.5, 0.9)
    assert (sent["stop"], sent["logprobs"], sent["top_logprobs"]) == (["\n"], True, 5)


@pytest.mark.parametrize("params", [None, [], ["temperature"]])
def test_a_seed_goes_only_where_it_is_taken(fake: Fake, params: list[str] | None) -> None:
    fake.params = params
    ask()
    assert "seed" not in fake.asked[0]


def test_option_scores_are_read(fake: Fake) -> None:
    top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.5}]
    fake.next = ModelResponse("A", "length", {"content": [{**top[0], "top_logprobs": top}]})
    reply = ask(Request((Message("user", "?"),), "p/m", 1, n_logprobs=2))
    assert reply.first_logprobs == {"A": -0.1, "B": -2.5}
    assert reply.finish == "length"


WITH_TOKENS = replace(ASKED, logprobs=True)


@pytest.mark.parametrize("params", [["logprobs"], ["seed"]])
def test_tokens_are_asked_for_where_they_are_told(fake: Fake, params: list[str]) -> None:
    fake.params = params
    told = {"content": [{"token": "Mercury.", "logprob": -0.1, "top_logprobs": []}]}
    fake.next = ModelResponse("Mercury.", logprobs=told if "logprobs" in params else None)
    reply = ask(WITH_TOKENS)
    assert ("logprobs" in fake.asked[0]) == ("logprobs" in params) == (reply.tokens is not None)
    assert "top_logprobs" not in fake.asked[0]


def test_a_provider_that_refuses_is_asked_without_them_from_then_on(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake.params = ["logprobs"]
    plain = fake.acompletion

    async def refuses(**options: Any) -> ModelResponse:
        found = await plain(**options)
        if "logprobs" in options:
            raise ValueError(f"Logprobs is not enabled for this model. {PROMPT}")
        return found

    monkeypatch.setattr(fake, "acompletion", refuses)

    async def go() -> list[Response]:
        async with LiteLlmEndpoint() as endpoint:
            return [await endpoint.send(WITH_TOKENS, timeout_s=5) for _ in range(2)]

    assert [reply.text for reply in asyncio.run(go())] == ["Mercury.", "Mercury."]
    assert ["logprobs" in asked for asked in fake.asked] == [True, False, False]
    (remark,) = caplog.messages
    assert "logprobs = false" in remark
    assert PROMPT not in remark


def test_litellm_is_told_to_keep_to_itself(fake: Fake) -> None:
    ask()
    assert fake.telemetry is False
    assert fake.success_callback == fake.failure_callback == fake.callbacks == []
    assert fake._async_success_callback == []
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


@pytest.mark.parametrize(
    ("exc", "failure", "status"),
    [
        (LiteLlmError("no", 401), Failure.UNAUTHORISED, 401),
        (LiteLlmError("no", 403), Failure.UNAUTHORISED, 403),
        (LiteLlmError("no", 404), Failure.UNKNOWN_MODEL, 404),
        (LiteLlmError("no", 400), Failure.BAD_REQUEST, 400),
        (LiteLlmError("no", 422), Failure.BAD_REQUEST, 422),
        (LiteLlmError("no", 429), Failure.RATE_LIMITED, 429),
        (LiteLlmError("no", 500), Failure.SERVER_ERROR, 500),
        (LiteLlmError("no", 503), Failure.SERVER_ERROR, 503),
        (Timeout("no", 408), Failure.TIMEOUT, None),
        (APIConnectionError("no", 500), Failure.UNREACHABLE, None),
        (ContentPolicyViolationError("no", 400), Failure.FILTERED, 400),
        (KeyError("choices"), Failure.MALFORMED, None),
        (LiteLlmError("no", 0), Failure.MALFORMED, None),
    ],
)
def test_every_exception_has_its_kind(
    fake: Fake, exc: Exception, failure: Failure, status: int | None
) -> None:
    fake.next = exc
    error = failed()
    assert (error.failure, error.status) == (failure, status)
    assert "litellm, model 'p/m'" in str(error)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (ModelResponse(None), Failure.EMPTY),
        (ModelResponse("..", "content_filter"), Failure.FILTERED),
        (ModelResponse(None, "tool_calls"), Failure.MALFORMED),
        (ModelResponse({"a": 1}), Failure.MALFORMED),
        (None, Failure.MALFORMED),
    ],
)
def test_unusable_replies_have_their_kind(fake: Fake, reply: Any, failure: Failure) -> None:
    fake.next = reply
    assert failed().failure is failure


def test_the_wait_that_a_server_asks_for_is_passed_on(fake: Fake) -> None:
    fake.next = LiteLlmError("slow down", 429, {"retry-after": "12"})
    assert failed().retry_after_s == 12


def test_the_wait_may_stand_in_its_words(fake: Fake) -> None:
    fake.next = LiteLlmError("Rate limit reached. Please try again in 7m12s.", 429)
    assert failed().retry_after_s == 432


@pytest.mark.parametrize("status", [400, 402, 429])
def test_an_empty_account_is_told_apart(fake: Fake, status: int) -> None:
    fake.next = LiteLlmError("Your credit balance is too low", status)
    error = failed()
    assert (error.failure, error.failure.passes) == (Failure.OUT_OF_CREDIT, False)


def test_zeros_that_litellm_fills_in_are_not_known(fake: Fake) -> None:
    fake.next = ModelResponse("Mercury.")
    fake.next._found["usage"] = dict.fromkeys(fake.next._found["usage"], 0)
    reply = ask()
    assert (reply.n_prompt_tokens, reply.n_completion_tokens, reply.cost_usd) == (None, None, None)


def test_keys_and_prompts_are_in_no_message(fake: Fake) -> None:
    fake.next = LiteLlmError(f"Incorrect API key provided: {KEY}", 401)
    error = failed()
    assert KEY not in str(error)
    assert "[redacted]" in str(error)
    fake.next = LiteLlmError(f"invalid: {PROMPT}", 400)
    error = failed()
    assert "liquid" not in str(error)
    fake.next = LiteLlmError("way too long " * 100, 400)
    assert len(str(failed())) < 400


def test_a_call_that_takes_too_long_is_cancelled(fake: Fake) -> None:
    fake.next = "hang"
    assert failed(timeout_s=0.05).failure is Failure.TIMEOUT
    assert fake.n_cancelled == 1


def test_cancelling_the_caller_is_passed_on(fake: Fake) -> None:
    fake.next = "hang"

    async def go() -> None:
        async with LiteLlmEndpoint() as endpoint:
            task = asyncio.create_task(endpoint.send(ASKED, timeout_s=60))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(go())
    assert fake.n_cancelled == 1


POOL = """
[endpoints.any]
kind = "litellm"
attempts = 2

[prices."p/m"]
prompt = 1000000
completion = 2000000

[[members]]
name = "a"
endpoint = "any"
model = "p/m"
"""


def open_pool(folder: Path, use: Callable[[LivePool], Any]) -> Any:
    (folder / "pool.toml").write_text(POOL)

    async def go() -> Any:
        async with LivePool(read_pool(folder / "pool.toml")) as pool:
            return await use(pool)

    return asyncio.run(go())


def test_a_pool_file_leads_to_it_and_its_prices_count(fake: Fake, tmp_path: Path) -> None:
    reply = open_pool(tmp_path, lambda pool: pool.members[0].ask(Question("?")))
    assert reply.cost_usd == 12 * 1 + 3 * 2


def test_without_litellm_the_remedy_is_named_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)  # so Python says: not there
    with pytest.raises(ConfigError, match=r"pip install 'rlfocal\[litellm\]'"):
        open_pool(tmp_path, lambda pool: pytest.fail("opened"))


def test_it_is_opened_before_it_is_used(fake: Fake) -> None:
    with pytest.raises(RuntimeError, match="open the endpoint first"):
        asyncio.run(LiteLlmEndpoint().send(ASKED, timeout_s=1))

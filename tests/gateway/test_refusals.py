"""What clients read, and the log and the database keep, where a member's server refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Served, serving
from spy_upstream import Received, Reply, SpyUpstream
from stub_pool import pool_file

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "3 + 4 ="}
ARGUMENTS = json.dumps({"patient": "Anna Weber", "pin": 4711})
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": ARGUMENTS}}
CALLED = [
    USER,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "7"},
]


class Refuses:
    """What the upstream refuses: a body → the status and the words; all else it answers."""

    def __init__(self) -> None:
        self.when: Callable[[dict[str, Any]], tuple[int, Any] | None] = lambda body: None

    def __call__(self, got: Received) -> Reply:
        refusal = self.when(got.body)
        return Reply("7") if refusal is None else Reply(status=refusal[0], json=refusal[1])


Opened = tuple[Served, SpyUpstream, Refuses, Path]


@pytest.fixture(scope="module")
def opened(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder, refuses = tmp_path_factory.mktemp("refusals"), Refuses()
    with SpyUpstream(refuses) as spy:
        path = pool_file(folder, spy.base_url)
        with serving(
            trained_folder, path, str(folder / "gateway.db"), keep_prompts=False
        ) as served:
            yield served, spy, refuses, folder


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


def post(opened: Opened, **fields: Any) -> httpx2.Response:
    served = opened[0]
    body = {"model": "plain", "messages": [USER], **fields}
    url = f"{served.url}/v1/chat/completions"
    return httpx2.post(url, json=body, headers=served.headers, timeout=60)


def ignored(reply: httpx2.Response) -> list[str]:
    """Of a reply, whole or streamed."""
    assert reply.status_code == 200, reply.text
    lines = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
    events = [json.loads(line) for line in lines] or [reply.json()]
    own = [event["rlfocal"] for event in events if "rlfocal" in event]
    return list(own[-1].get("ignored", ()))


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_reads_what_was_left_out_of_its_request_alone(
    opened: Opened, stream: bool
) -> None:
    words = "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model."
    thinks = "`temperature` may only be set to 1 when thinking is enabled."

    def when(body: dict[str, Any]) -> tuple[int, Any] | None:
        if body.get("reasoning_effort") == "minimal":
            return 400, says(words, param="reasoning_effort")
        cold = body.get("thinking") and body.get("temperature", 1) != 1
        return (400, says(thinks)) if cold else None

    opened[2].when = when
    thinking = {"type": "enabled"}
    for _ in range(2):
        assert ignored(post(opened, stream=stream, reasoning_effort="minimal")) == [
            "reasoning_effort"
        ]
        assert ignored(post(opened, stream=stream, reasoning_effort="low")) == []
        assert opened[1].received[-1].body["reasoning_effort"] == "low"
        both = post(opened, stream=stream, temperature=0.5, thinking=thinking)
        assert ignored(both) == ["temperature"]
        assert ignored(post(opened, stream=stream, thinking=thinking)) == []  # the pool's own
        assert ignored(post(opened, stream=stream, temperature=0.5)) == []
        assert opened[1].received[-1].body["temperature"] == 0.5


PER_MINUTE = (
    "This request would exceed your organization's rate limit of 40,000 input tokens per minute. "
    "Please reduce the prompt length or the maximum tokens requested, or try again later."
)
LIMITED = {"type": "error", "error": {"type": "rate_limit_error", "message": PER_MINUTE}}
TGI = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 "
TGI += "`inputs` tokens and 20 `max_new_tokens`"
TOLD: list[tuple[int, Any, int, str]] = [
    (429, LIMITED, 429, "member_rate_limited"),
    (429, says(f"litellm.RateLimitError: AnthropicException - {json.dumps(LIMITED)}", code="429"),
     429, "member_rate_limited"),
    (422, {"error": TGI, "error_type": "validation"}, 400, "context_length_exceeded"),
    (422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 1100",
           "error_type": "validation"}, 400, "context_length_exceeded"),
    (400, says("<400> InternalError.Algo.InvalidParameter: Range of input length should be "
               "[1, 30720]"), 400, "context_length_exceeded"),
    (429, says("Request too large for gpt-4o on tokens per min (TPM): Limit 9, Requested 10",
               code="rate_limit_exceeded"), 400, "context_length_exceeded"),
    (404, says("No endpoints found that support tool use.", code=404), 400, "member_bad_request"),
    (404, says("No endpoints found that can handle the requested parameters.", code=404),
     400, "member_bad_request"),
    (404, says("No endpoints found for x/y.", code=404), 502, "member_unknown_model"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words", "told", "code"), TOLD)
def test_a_refusal_is_told_for_what_it_is(
    opened: Opened, status: int, words: Mapping[str, Any], told: int, code: str
) -> None:
    opened[2].when = lambda body: (status, words) if body.get("tools") else None
    reply = post(opened, tools=[ADD])
    assert (reply.status_code, reply.json()["error"]["code"]) == (told, code)
    assert post(opened).status_code == 200  # the next one, without tools


@pytest.mark.parametrize("status", [400, 500, 502])
def test_no_arguments_of_calls_are_in_the_log_or_the_database(
    opened: Opened, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    words = f"1 validation error: messages.1 [type=x, input_value={CALL['function']!r}]"
    opened[2].when = lambda body: (status, says(words)) if len(body["messages"]) > 1 else None
    for _ in range(6):
        assert post(opened, messages=CALLED).status_code in (400, 502, 503)
    opened[2].when = lambda body: None
    assert "Anna" not in caplog.text
    kept = b"".join(path.read_bytes() for path in opened[3].iterdir() if path.is_file())
    assert b"Anna" not in kept

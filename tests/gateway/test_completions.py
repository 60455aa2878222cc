"""/v1/completions: a prompt in, a text out, whole and streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI
from serving import Served
from spy_upstream import SpyUpstream, aimed_at

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.dialects.completions import Completions
from rlfocal.gateway.wire.request import Context

Serve = Callable[..., Any]


def client_of(served: Served) -> OpenAI:
    return OpenAI(api_key=served.key, base_url=f"{served.url}/v1", max_retries=0)


@pytest.mark.parametrize("model", ["plain", "rlfocal", "rlfocal:0"])
@pytest.mark.parametrize("prompt", ["3 + 4 =", ["3 + 4 ="]])
def test_whole_and_streamed_replies_are_the_same(serve: Serve, model: str, prompt: Any) -> None:
    with serve() as (served, stub), client_of(served) as client:
        whole = client.completions.create(model=model, prompt=prompt, max_tokens=16)
        assert whole.object == "text_completion"
        assert whole.id.startswith("cmpl-")
        (choice,) = whole.choices
        assert choice.text
        assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
        assert whole.usage is not None
        assert whole.rlfocal["n_calls"] >= 1  # type: ignore[attr-defined]
        assert stub.bodies[0]["messages"][-1]["role"] == "user"
        chunks = list(
            client.completions.create(
                model=model, prompt=prompt, stream=True, stream_options={"include_usage": True}
            )
        )
        assert chunks[-1].choices == []
        assert chunks[-1].usage == whole.usage
        assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == choice.text
        assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "stop"


def test_an_error_in_the_middle_of_a_stream_is_raised(serve: Serve) -> None:
    from spy_upstream import Reply

    cut = Reply("one two three four five six", cut_after=3)
    with (
        SpyUpstream(lambda _: cut) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
        pytest.raises(openai.APIError, match="plain"),
    ):
        list(client.completions.create(model="plain", prompt="3 + 4 =", stream=True))


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_parameter", "prompt"),
        ({"prompt": "  "}, "missing_parameter", "prompt"),
        ({"prompt": []}, "unsupported_parameter", "prompt"),
        ({"prompt": [1, 2]}, "unsupported_parameter", "prompt"),
        ({"prompt": [[1, 2]]}, "unsupported_parameter", "prompt"),
        ({"prompt": ["a", "b"]}, "unsupported_parameter", "prompt"),
        ({"prompt": 3}, "invalid_value", "prompt"),
        ({"prompt": "x", "suffix": "y"}, "unsupported_parameter", "suffix"),
        ({"prompt": "x", "echo": True}, "unsupported_parameter", "echo"),
        ({"prompt": "x", "tools": [{}]}, "unsupported_parameter", "tools"),
        ({"prompt": "x", "messages": [{}]}, "unsupported_parameter", "messages"),
        ({"prompt": "x", "max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"prompt": "x" * 500_000}, "context_length_exceeded", "prompt"),
        ({"prompt": "x", "model": "nobody"}, "model_not_found", "model"),
    ],
)
def test_mistakes_name_the_field(body: Any, code: str, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        Completions().read({"model": "plain", **body}, Context(["plain"], GatewaySettings()))
    assert (refused.value.code, refused.value.param) == (code, param)


def test_what_has_no_effect_is_told() -> None:
    body = {"model": "plain", "prompt": "x", "best_of": 1, "logprobs": 3, "user": "u"}
    chat, _ = Completions().read(body, Context(["plain"], GatewaySettings()))
    assert set(chat.ignored) >= {"best_of", "logprobs"}

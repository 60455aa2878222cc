"""LangChain's ChatOpenAI against the gateway."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from serving import Served
from spy_upstream import Received, Reply, SpyUpstream, aimed_at

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

Serve = Callable[..., Any]
CALL = {
    "id": "call-1", "type": "function",
    "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'},
}  # fmt: skip


class Total(BaseModel):
    """What a sum comes to."""

    total: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def chat(served: Served, model: str = "rlfocal") -> Any:
    url: Any = f"{served.url}/v1"
    key: Any = served.key
    return ChatOpenAI(model=model, base_url=url, api_key=key, max_retries=0)


@pytest.mark.parametrize("model", ["rlfocal", "rlfocal:0", "plain"])
def test_it_asks_and_streams(serve: Serve, model: str) -> None:
    with serve() as (served, _):
        asked = chat(served, model)
        reply = asked.invoke("3 + 4 =")
        assert reply.content
        assert reply.usage_metadata["total_tokens"] > 0
        pieces = list(asked.stream("3 + 4 ="))
        assert "".join(str(piece.content) for piece in pieces) == reply.content
        assert asked.batch(["3 + 4 =", "1 + 2 ="])[0].content == reply.content


def test_it_calls_tools(serve: Serve) -> None:
    def calls(got: Received) -> Reply:
        last = got.body["messages"][-1]
        return Reply("That is 7.") if last["role"] == "tool" else Reply(tool_calls=[CALL])

    with SpyUpstream(calls) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        bound = chat(served).bind_tools([add])
        question = HumanMessage("What is 3 + 4 =?")
        said = bound.invoke([question])
        (call,) = said.tool_calls
        assert (call["name"], call["args"]) == ("add", {"a": 3, "b": 4})
        streamed = list(bound.stream([question]))
        assert [c["name"] for piece in streamed for c in piece.tool_call_chunks] == ["add"]
        result = ToolMessage(str(add(**call["args"])), tool_call_id=call["id"])
        assert bound.invoke([question, said, result]).content == "That is 7."


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
def test_it_gets_structured_output(serve: Serve, method: str) -> None:
    def total(got: Received) -> Reply:
        if got.body.get("tools"):
            function = {"name": "Total", "arguments": '{"total": 7}'}
            return Reply(tool_calls=[{"id": "c", "type": "function", "function": function}])
        return Reply('{"total": 7}')

    with SpyUpstream(total) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        shaped = chat(served).with_structured_output(Total, method=method)
        assert shaped.invoke("3 + 4 =, as JSON") == Total(total=7)


def test_it_gets_several_replies_of_a_member(serve: Serve) -> None:
    with serve() as (served, _):
        asked = chat(served, "plain").bind(n=2, top_logprobs=0, logprobs=False)
        generated = chat(served, "plain").generate([[HumanMessage("3 + 4 =")]], n=2)
        assert len(generated.generations[0]) == 2
        assert asked.invoke("3 + 4 =").content


def test_it_shows_images_to_who_takes_them(serve: Serve) -> None:
    def takes(text: str) -> str:
        return text.replace('name = "plain"', 'name = "plain"\nimages = true', 1)

    url = "data:image/png;base64,iVBORw0KGgo="
    parts: Any = [
        {"type": "text", "text": "What is 3 + 4 =?"},
        {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
    ]
    with SpyUpstream(lambda _: "7") as spy:
        with serve(edit=lambda text: takes(aimed_at(spy.base_url)(text))) as (served, _):
            for model in ("plain", "rlfocal:0"):
                assert chat(served, model).invoke([HumanMessage(parts)]).content == "7"
        for got in spy.received:
            assert got.body["model"] == "plain"
            _, image = got.body["messages"][-1]["content"]
            assert image == {"type": "image_url", "image_url": {"url": url}}

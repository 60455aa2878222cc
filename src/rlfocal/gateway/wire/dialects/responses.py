"""/v1/responses: OpenAI's newer endpoint, whole and as its many kinds of events.

An output item is a message or a call of a function or a custom tool. Ids of items are the
gateway's; `call_id` is the member's own, so that a tool's result finds its call again.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.dialects.chat import STILL, OpenAi
from rlfocal.gateway.wire.dialects.dialect import Writer, named_event
from rlfocal.gateway.wire.dialects.items import Items
from rlfocal.gateway.wire.dialects.responses_body import translated
from rlfocal.gateway.wire.dialects.responses_tools import as_input
from rlfocal.gateway.wire.dialects.translating import Called
from rlfocal.gateway.wire.fields import is_shallow
from rlfocal.gateway.wire.replies import Shape, of_reply
from rlfocal.gateway.wire.request import ChatRequest, Context
from rlfocal.live import Answer
from rlfocal.pool.asking.passed_back import DETAILS, EXTRA

__all__ = ["Responses"]

_ECHOED: dict[str, Any] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True,
    "safety_identifier": None, "temperature": None, "text": {"format": {"type": "text"}},
    "tool_choice": "auto", "tools": [], "top_p": None, "truncation": "disabled", "user": None,
}  # fmt: skip
"""Fields of the request that a reply repeats → what stands there where the request has none."""
_MOST_ECHOED = 16 << 10
"""Characters of JSON of all of them together."""
_STREAMED = {
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
}
"""Items that are calls → the events that tell what they are called with, and the field."""
_UNFINISHED = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Responses(OpenAi):
    """OpenAI's Responses."""

    id_prefix = "resp_"

    def __init__(self) -> None:
        self._items = Items()

    def read(self, found: Mapping[str, Any], context: Context) -> tuple[ChatRequest, Writer]:
        """As a chat completion."""
        made = translated(found, partial(self._recall, context.owner))
        forget = found.get("store") is False
        remember = None if forget else partial(self._items.put, context.owner)
        chat = made.read(context)
        return chat, _Writer(found, made.called, remember)

    def _recall(self, owner: str, id: str) -> dict[str, Any] | None:
        told = self._items.get(owner, id)
        found: dict[str, Any] | None = None if told is None else json.loads(told)
        return found

    def forget_old(self) -> None:
        """Forget replies that are too old to be referred to."""
        self._items.forget_old()


class _Writer:
    """Writes one response.

    Args:
        asked: the request's body.
        called: function → tool, where the client has another name or kind for it.
        remember: is told an item's id and the item, so that it can be referred to; None for nobody.
    """

    tells_thoughts = False

    def __init__(
        self,
        asked: Mapping[str, Any],
        called: Mapping[str, Called],
        remember: Callable[[str, str], None] | None,
    ) -> None:
        self._called_as, self._remember = called, remember
        self._echo = _echo(asked)
        effort = asked.get("reasoning") or {}
        self._echo["reasoning"] = {"effort": effort.get("effort"), "summary": None}
        self._message_id = f"msg_{secrets.token_hex(12)}"
        self._said: list[str] | None = None
        self._n = 0

    # Whole -------------------------------------------------------------------------------------

    def whole(self, shape: Shape, done: Answer) -> dict[str, Any]:
        return self._ended(shape, done, self._items(done))

    def _ended(self, shape: Shape, done: Answer, items: list[dict[str, Any]]) -> dict[str, Any]:
        reason = _UNFINISHED.get(done.finish)
        usage = shape.usage()
        more: dict[str, Any] = {
            "completed_at": None if reason else int(time.time()),
            "usage": {
                "input_tokens": usage["prompt_tokens"],
                "input_tokens_details": {
                    "cached_tokens": shape.n_cached or 0,
                    "cache_write_tokens": 0,
                },
                "output_tokens": usage["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": shape.n_thinking or 0},
                "total_tokens": usage["total_tokens"],
            },
            **of_reply(done),
            "rlfocal": shape.extension(done),
        }
        if reason:
            more["incomplete_details"] = {"reason": reason}
        return self._response(shape, "incomplete" if reason else "completed", items) | more

    def _items(self, done: Answer) -> list[dict[str, Any]]:
        items = []
        status = "incomplete" if done.finish in _UNFINISHED else "completed"
        # A reply without anything is an empty message: clients look for one.
        text = done.text if self._said is None else "".join(self._said)
        parts = [] if done.refusal and not text else [_text(text, _annotations(done))]
        if done.refusal:
            parts.append({"type": "refusal", "refusal": done.refusal})
        if text or done.refusal or self._said is not None or not done.tool_calls:
            items.append(self._message(status, parts))
        calls = [_call(call, self._called_as) for call in done.tool_calls]
        if calls:
            calls[-1]["status"] = status  # it is there that a reply is cut
            calls[0] |= {name: done.beside[name] for name in DETAILS if name in done.beside}
        items.extend(calls)
        if self._remember is not None:
            for item in items:
                self._remember(item["id"], json.dumps(item, ensure_ascii=False))
        return items

    def _response(self, shape: Shape, status: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": shape.id, "object": "response", "created_at": shape.created, "status": status,
            "background": False, "completed_at": None, "error": None, "incomplete_details": None,
            "model": shape.model, "output": items, "previous_response_id": None, "store": False,
            "usage": None, **self._echo,
        }  # fmt: skip

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "type": "message", "id": self._message_id, "status": status, "role": "assistant",
            "content": content,
        }  # fmt: skip

    # Events ------------------------------------------------------------------------------------

    def first(self, shape: Shape) -> bytes:
        begun = self._response(shape, "in_progress", [])
        return self._event("response.created", response=begun) + self._event(
            "response.in_progress", response=begun
        )

    def piece(self, text: str, shape: Shape) -> bytes:
        opened = b"" if self._said is not None else self._open()
        assert self._said is not None
        self._said.append(text)
        return opened + self._event(
            "response.output_text.delta", **self._where(), delta=text, logprobs=[]
        )

    def thought(self, thought: str, shape: Shape) -> bytes:
        return b""

    def still(self) -> bytes:
        return STILL

    def rest(self, shape: Shape, done: Answer) -> Iterator[bytes]:
        if done.text and not done.streamed:
            yield self.piece(done.text, shape)
        items = self._items(done)
        if items[0]["type"] == "message":
            yield b"".join(self._closed(items[0]))
        for k, item in enumerate(items):
            if item["type"] in _STREAMED:
                yield self._called(k, item)
        ended = self._ended(shape, done, items)
        yield self._event(f"response.{ended['status']}", response=ended)

    def failed(self, shape: Shape, error: ApiError) -> bytes:
        told = error.as_json()["error"]
        flat = {name: told[name] for name in ("code", "message", "param")}
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        begun = [] if self._said is None else [_text("".join(self._said))]
        items = [self._message("incomplete", begun)] if begun else []
        failed = self._response(shape, "failed", items) | {
            "error": {"code": code, "message": told["message"]}
        }
        # As OpenAI does: by the first its clients fail, the second ends the response.
        return self._event("error", **flat, error=told) + self._event(
            "response.failed", response=failed
        )

    def _where(self, k: int = 0) -> dict[str, Any]:
        return {"item_id": self._message_id, "output_index": 0, "content_index": k}

    def _open(self) -> bytes:
        self._said = []
        return self._begun() + self._event(
            "response.content_part.added", **self._where(), part=_text("")
        )

    def _begun(self) -> bytes:
        item = self._message("in_progress", [])
        return self._event("response.output_item.added", output_index=0, item=item)

    def _closed(self, item: dict[str, Any]) -> Iterator[bytes]:
        """What is left to be told of a message, of which a text may have been told."""
        if self._said is None:
            yield self._begun()
        for k, part in enumerate(item["content"]):
            is_text, where = part["type"] == "output_text", self._where(k)
            if not is_text or self._said is None:
                empty = _text("") if is_text else part | {"refusal": ""}
                yield self._event("response.content_part.added", **where, part=empty)
            if is_text:
                for n, one in enumerate(part["annotations"]):
                    kind = "response.output_text.annotation.added"
                    yield self._event(kind, **where, annotation_index=n, annotation=one)
                yield self._event(
                    "response.output_text.done", **where, text=part["text"], logprobs=[]
                )
            else:
                said = part["refusal"]
                yield self._event("response.refusal.delta", **where, delta=said)
                yield self._event("response.refusal.done", **where, refusal=said)
            yield self._event("response.content_part.done", **where, part=part)
        yield self._event("response.output_item.done", output_index=0, item=item)

    def _called(self, k: int, item: dict[str, Any]) -> bytes:
        kind, given = _STREAMED[item["type"]]
        begun = item | {given: "", "status": "in_progress"}
        where = {"item_id": item["id"], "output_index": k}
        told = {given: item[given]} | ({"name": item["name"]} if given == "arguments" else {})
        return b"".join(
            [
                self._event("response.output_item.added", output_index=k, item=begun),
                self._event(f"response.{kind}.delta", **where, delta=item[given]),
                self._event(f"response.{kind}.done", **where, **told),
                self._event("response.output_item.done", output_index=k, item=item),
            ]
        )

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, "sequence_number": self._n, **fields}
        self._n += 1
        return named_event(event)


def _text(text: str, annotations: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    return {
        "type": "output_text", "text": text, "annotations": list(annotations), "logprobs": [],
    }  # fmt: skip


def _annotations(done: Answer) -> list[dict[str, Any]]:
    """What a text cites, flat as it is here; kinds that this endpoint does not have are left out.

    Clients check what they read against the kinds that they know.
    """
    found = []
    for one in done.beside.get("annotations", ()):
        cited = one.get("url_citation") if isinstance(one, Mapping) else None
        if isinstance(cited, Mapping) and isinstance(cited.get("url"), str):
            usual = {"type": "url_citation", "start_index": 0, "end_index": 0, "title": ""}
            found.append({**usual, **{name: v for name, v in cited.items() if v is not None}})
    return found


def _call(call: Mapping[str, Any], called: Mapping[str, Called]) -> dict[str, Any]:
    function = call["function"]
    tool = called.get(function["name"]) or Called(function["name"])
    arguments = function.get("arguments") or ""
    item: dict[str, Any] = {
        "type": "custom_tool_call" if tool.is_custom else "function_call",
        "id": f"{'ctc' if tool.is_custom else 'fc'}_{secrets.token_hex(12)}",
        "call_id": call.get("id") or f"call_{secrets.token_hex(12)}", "name": tool.name,
        "status": "completed",
    }  # fmt: skip
    item |= {"input": as_input(arguments)} if tool.is_custom else {"arguments": arguments}
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    # Clients that send items back as they are so give a member what it wants to see again.
    return item | {name: call[name] for name in (EXTRA,) if call.get(name)}


def _echo(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that a reply repeats, as far as they are short: a stream has all of them three times.

    The longest are left out first.
    """
    given = {name: asked[name] for name in _ECHOED if asked.get(name) is not None}
    sizes = {name: len(json.dumps(value)) for name, value in given.items() if is_shallow(value)}
    kept, left = set(), _MOST_ECHOED
    for name in sorted(sizes, key=sizes.__getitem__):
        left -= sizes[name]
        if left >= 0:
            kept.add(name)
    return {name: asked[name] if name in kept else default for name, default in _ECHOED.items()}

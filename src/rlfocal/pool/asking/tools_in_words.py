"""Tools told in words, for a model whose chat template has none for them.

What it then writes as a call is read like any call in a text. One that it has to make
(`tool_choice`) is held to its form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from rlfocal.pool.types import JsonObject, Message, Request

__all__ = ["in_words"]

_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")
_TOLD = """\
You can call functions. To call one, write nothing but a JSON list like this:
[{"name": "the function's name", "arguments": {"an argument's name": "its value"}}]
You are then told what it returned. Where no function helps, answer in words.

The functions:
"""


def in_words(request: Request) -> Request:
    r"""The request with its tools, and earlier calls of them, as text.

    >>> offered = {"tools": [{"type": "function", "function": {"name": "now"}}]}
    >>> asked = in_words(Request((Message("user", "What time is it?"),), extra=offered))
    >>> [turn.role for turn in asked.messages], asked.messages[0].content[-16:], asked.extra
    (['system', 'user'], '{"name": "now"}\n', {})
    """
    if not request.extra.get("tools") and all(turn.role != "tool" for turn in request.messages):
        return request
    extra = {name: value for name, value in request.extra.items() if name not in _FIELDS}
    turns = _said(request.messages)
    choice = request.extra.get("tool_choice")
    functions = [_bare(tool) for tool in request.extra.get("tools") or ()]
    if functions and choice != "none":
        told = "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in functions)
        turns = _begun_with(_TOLD + told, turns)
        if isinstance(choice, Mapping):
            functions = [one for one in functions if one["name"] == choice["function"]["name"]]
        if choice == "required" or isinstance(choice, Mapping):
            extra.setdefault("response_format", _form_of(functions))
    return replace(request, messages=tuple(turns), extra=JsonObject(extra))


def _bare(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool)
    known = ("name", "description", "parameters")
    return {name: function[name] for name in known if function.get(name)}


def _form_of(functions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a reply that has to call one of these looks like: one call, or small models go on."""
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": one["name"]},
                "arguments": one.get("parameters") or {"type": "object"},
            },
            "required": ["name", "arguments"],
        }
        for one in functions
    ]
    listed = {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": 1}
    return {"type": "json_schema", "json_schema": {"name": "calls", "schema": listed}}


def _begun_with(told: str, turns: Sequence[Message]) -> list[Message]:
    """The turns with this at the end of what the system says."""
    if turns and turns[0].role == "system" and not turns[0].parts:
        first = replace(turns[0], content=f"{turns[0].content}\n\n{told}")
        return [first, *turns[1:]]
    return [Message("system", told), *turns]


def _said(messages: Iterable[Message]) -> list[Message]:
    """The turns with calls as the assistant would write them, and results as the user's words."""
    names, turns = dict[str, str](), list[Message]()
    for turn in messages:
        extra = {k: v for k, v in turn.extra.items() if k not in ("tool_calls", "tool_call_id")}
        if turn.role == "tool":
            name = names.get(str(turn.extra.get("tool_call_id")), "the function")
            said = f"{name} returned: {turn.content}"
            if turns and turns[-1].role == "user" and not turns[-1].parts:
                turns[-1] = replace(turns[-1], content=f"{turns[-1].content}\n{said}")
            else:
                turns.append(replace(turn, role="user", content=said, extra=extra))
        elif calls := turn.extra.get("tool_calls"):
            functions = [call["function"] for call in calls]
            names |= {str(call.get("id")): call["function"]["name"] for call in calls}
            written = json.dumps(list(map(_written, functions)), ensure_ascii=False)
            said = f"{turn.content}\n{written}" if turn.content.strip() else written
            turns.append(replace(turn, content=said, extra=extra))
        else:
            turns.append(turn)
    return turns


def _written(function: Mapping[str, Any]) -> dict[str, Any]:
    """A call, its arguments as the object that they are."""
    arguments = function.get("arguments")
    with suppress(ValueError, RecursionError):  # else as it stands
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    return {"name": function["name"], "arguments": arguments}

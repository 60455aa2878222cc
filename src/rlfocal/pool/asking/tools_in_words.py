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

from rlfocal.errors import ConfigError
from rlfocal.pool.reading.wording import disarmed
from rlfocal.pool.types import JsonObject, Message, Request
from rlfocal.toolcalls.describing import schema_of
from rlfocal.toolcalls.offering import json_schema

__all__ = ["in_words"]

_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")
_TOLD = """\
You can call functions. To call one, write nothing but a JSON list like this:
[{"name": "the function's name", "arguments": {"an argument's name": "its value"}}]
You are then told what it returned. Where no function helps, answer in words.
"""
_ONE = "Make one call at a time.\n"
_FUNCTIONS = "\nThe functions:\n"


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
        one = _ONE if request.extra.get("parallel_tool_calls") is False else ""
        turns = _begun_with(f"{_TOLD}{one}{_FUNCTIONS}{told}", turns)
        form = _form(functions, choice, extra.get("response_format"))
        extra |= {} if form is None else {"response_format": form}
    return replace(request, messages=tuple(turns), extra=JsonObject(extra))


def _bare(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool)
    known = ("name", "description", "parameters")
    return {name: function[name] for name in known if function.get(name)}


def _form(
    functions: Sequence[Mapping[str, Any]], choice: Any, wanted: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """The form that replies are held to; None for the one that is asked for, or for none.

    A call that has to be made goes before a form of words; one that may be made stands beside it.

    Args:
        functions: those offered.
        choice: which of them is to be called, as `tool_choice`.
        wanted: the form of words, as `response_format`; None for none.
    """
    if isinstance(choice, Mapping):
        name = (choice.get("function") or choice).get("name")
        functions = [one for one in functions if one["name"] == name]
    defs = dict[str, Any]()
    if choice == "required" or isinstance(choice, Mapping):
        form = _calls(functions, defs) if functions else None
        name = "calls"
    else:
        kind, inner = (wanted or {}).get("type"), (wanted or {}).get("json_schema") or {}
        if kind not in ("json_object", "json_schema"):
            return None
        own = inner.get("schema") if kind == "json_schema" else {"type": "object"}
        said = _placed(own, "reply", defs)
        form = None if said is None else {"anyOf": [_calls(functions, defs), said]}
        name = str(inner.get("name") or "reply")
    if form is None:
        return None
    schema = {**form, "$defs": defs} if defs else form
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def _calls(functions: Iterable[Mapping[str, Any]], defs: dict[str, Any]) -> dict[str, Any]:
    """What a reply that calls one of these looks like: one call, or small models go on.

    Args:
        functions: those that may be called.
        defs: gets the schemas of arguments that refer to parts of themselves.
    """
    calls = []
    for k, one in enumerate(functions):
        arguments = _placed(one.get("parameters"), f"arguments{k}", defs) or {}
        if "$ref" not in arguments:
            arguments = {"type": "object", **arguments}
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": one["name"]}, "arguments": arguments},
                "required": ["name", "arguments"],
            }
        )
    return {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": 1}


def _placed(given: Any, name: str, defs: dict[str, Any]) -> dict[str, Any] | None:
    """A schema within a larger one; None for one that cannot be read.

    One that refers to parts of itself goes among the larger one's definitions, since references
    are read from the root.
    """
    if not given or not isinstance(given, Mapping):
        return None
    try:
        schema_of(given, name)
    except ConfigError:
        return None
    own: dict[str, Any] = json_schema(given)
    place = f"#/$defs/{name}"
    moved: dict[str, Any] = json_schema(given, place)
    if moved == own:
        return own
    defs[name] = moved
    return {"$ref": place}


def _begun_with(told: str, turns: Sequence[Message]) -> list[Message]:
    """The turns with this at the end of what the system says."""
    if turns and turns[0].role == "system" and not turns[0].parts:
        first = replace(turns[0], content=f"{turns[0].content}\n\n{told}")
        return [first, *turns[1:]]
    return [Message("system", told), *turns]


def _said(messages: Iterable[Message]) -> list[Message]:
    """The turns with calls as the assistant would write them, and results as the user's words."""
    names, turns = dict[str, str](), list[Message]()
    is_result = False
    for turn in messages:
        was_result, is_result = is_result, turn.role == "tool"
        extra = {k: v for k, v in turn.extra.items() if k not in ("tool_calls", "tool_call_id")}
        if turn.role == "tool":
            name = names.get(str(turn.extra.get("tool_call_id")), "the function")
            told = {"function": name, "returned": turn.content}
            said = disarmed(json.dumps(told, ensure_ascii=False))
            shown = [part for part in turn.parts if part.get("type") != "text"]
            parts = (_text(said), *shown) if shown else ()
            result = replace(turn, role="user", content=said, extra=extra, parts=parts)
            if turns and turns[-1].role == "user":
                result = _joined(turns.pop(), result)
            turns.append(result)
        elif turn.role == "user" and was_result:
            turns[-1] = _joined(turns[-1], turn)  # templates want users and assistants in turns
        elif calls := turn.extra.get("tool_calls"):
            functions = [call["function"] for call in calls]
            names |= {str(call.get("id")): call["function"]["name"] for call in calls}
            written = json.dumps(list(map(_written, functions)), ensure_ascii=False)
            said = f"{turn.content}\n{written}" if turn.content.strip() else written
            turns.append(replace(turn, content=said, extra=extra))
        else:
            turns.append(turn)
    return turns


def _joined(first: Message, more: Message) -> Message:
    """Two turns of the user as one."""
    parts = tuple[Mapping[str, Any], ...]()
    if first.parts or more.parts:
        parts = tuple(p for turn in (first, more) for p in turn.parts or (_text(turn.content),))
    content = f"{first.content}\n{more.content}"
    return replace(first, content=content, extra={**first.extra, **more.extra}, parts=parts)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _written(function: Mapping[str, Any]) -> dict[str, Any]:
    """A call, its arguments as the object that they are."""
    arguments = function.get("arguments")
    with suppress(ValueError, RecursionError):  # else as it stands
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    return {"name": function["name"], "arguments": arguments}

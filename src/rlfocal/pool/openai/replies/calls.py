"""Calls of tools as a model wrote them, in whatever shape a server has for them.

Calls in pieces are put together elsewhere first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["MOST_CALLS", "argued", "as_text", "called_in", "calls_of", "is_argument", "offered_in"]

MOST_CALLS = 128
"""In one reply; more are not read."""
_ARGUMENTS = ("arguments", "parameters", "input")
_CALLS = frozenset({"tool_use", "tool_call", "function_call", "tool-call"})
_READER = json.JSONDecoder(strict=False, parse_int=float)


def calls_of(message: Mapping[str, Any], *, reply_id: Any = None) -> tuple[dict[str, Any], ...]:
    """The calls within a message, in OpenAI's shape and with different ids.

    Arguments that are no text become one; calls without a name are left out. Whatever else a
    server keeps in a call (a signature of its thoughts) stays in it.

    Args:
        message: as the server sent it.
        reply_id: of the reply; ids that are missing are made from it.

    >>> call = {"function": {"name": "f", "arguments": {"x": 1}}}
    >>> calls_of({"tool_calls": [call]})[0]["function"]
    {'name': 'f', 'arguments': '{"x": 1}'}
    """
    listed = message.get("tool_calls")
    if not listed and isinstance(old := message.get("function_call"), Mapping):
        listed = [{"function": old}]
    listed = listed or called_in(message.get("content"))
    listed = [listed] if isinstance(listed, Mapping) else listed
    made: list[dict[str, Any]] = []
    seen: set[str] = set()
    for item in listed if isinstance(listed, list) else ():
        call = _call(item)
        if call is None:
            continue
        if not call["id"] or call["id"] in seen:
            call["id"] = _new_id(reply_id, len(made), call["function"])
        seen.add(call["id"])
        made.append(call)
    return tuple(made)


def offered_in(extra: Mapping[str, Any]) -> list[str]:
    """The names of the tools that a request offers.

    >>> offered_in({"tools": [{"type": "function", "function": {"name": "f"}}]})
    ['f']
    """
    tools = extra.get("tools")
    listed = tools if isinstance(tools, list) else []
    boxes = [tool.get("function", tool) for tool in listed if isinstance(tool, Mapping)]
    names = [box.get("name") for box in boxes if isinstance(box, Mapping)]
    return [name for name in names if isinstance(name, str) and name]


def called_in(content: Any) -> list[dict[str, Any]]:
    """The calls among the parts of a message's content, as some servers put them there.

    >>> called_in([{"type": "tool_use", "id": "a", "name": "f", "input": {}}])
    [{'id': 'a', 'function': {'name': 'f', 'arguments': {}}}]
    """
    parts = content if isinstance(content, list) else []
    return [
        {"id": part.get("id"), "function": {"name": part["name"], "arguments": argued(part)}}
        for part in parts
        if isinstance(part, Mapping) and part.get("type") in _CALLS and part.get("name")
    ]


def argued(function: Mapping[str, Any]) -> Any:
    """The arguments of a call, by whichever name a server has for them; None where it has none."""
    names = (name for name in _ARGUMENTS if function.get(name) is not None)
    return function.get(next(names, "arguments"))


def _call(item: Any) -> dict[str, Any] | None:
    if not isinstance(item, Mapping):
        return None
    function = item.get("function")
    if function is None and isinstance(item.get("name"), str):  # without the box around it
        function = {name: item[name] for name in ("name", *_ARGUMENTS) if name in item}
        item = {name: value for name, value in item.items() if name not in function}
    if not isinstance(function, Mapping):
        return None
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        return None
    id_, kind = item.get("id"), item.get("type")
    rest = {key: value for key, value in item.items() if key != "index"}
    inner = {key: value for key, value in function.items() if key not in _ARGUMENTS}
    return {
        **rest,
        "id": str(id_) if isinstance(id_, str | int) and not isinstance(id_, bool) else "",
        "type": kind if isinstance(kind, str) and kind else "function",
        "function": {**inner, "name": name, "arguments": _tidy(as_text(argued(function)))},
    }


def as_text(arguments: Any) -> str:
    """Arguments as the text of JSON that they should be."""
    if isinstance(arguments, str):
        return arguments if arguments.strip() else "{}"
    return "{}" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def _tidy(text: str) -> str:
    r"""Arguments that were made into text twice, or hold raw line breaks, as any reader takes them.

    >>> _tidy('"{\\"x\\": 1}"')
    '{"x": 1}'
    """
    if not text.lstrip().startswith('"') and text.isprintable():
        return text
    try:
        found = _READER.decode(text.strip())
        if isinstance(found, str) and isinstance(_READER.decode(found.strip()), dict | list):
            return found
        if isinstance(found, dict | list) and not _is_strict(text):
            return json.dumps(json.loads(text, strict=False), ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    return text


def _is_strict(text: str) -> bool:
    try:
        json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


def is_argument(text: str) -> bool:
    """Whether arguments are the JSON that they should be."""
    return _is_strict(text)


def _new_id(reply_id: Any, place: int, function: Mapping[str, Any]) -> str:
    text = json.dumps([str(reply_id), place, function["name"], function["arguments"]])
    return f"call_{hashlib.sha256(text.encode()).hexdigest()[:24]}"

"""The body of /v1/messages (Anthropic's), read as that of a chat completion.

A user's message may hold results of tools beside a text; they become messages of their own, before
it. Thinking is dropped and told: another model could not use it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.dialects.translating import (
    Translation,
    kind_of,
    listed,
    mapped,
    mistake,
    text_in,
    unsupported,
)
from rlfocal.pool.asking.passed_back import EXTRA

__all__ = ["translated"]

_IGNORED = ("context_management", "inference_geo", "metadata", "speed", "thinking")
_REFUSED = {
    "mcp_servers": "the gateway connects to no servers that a request names; leave it out",
    "container": "there are no containers; leave it out",
}
_READ = {
    "system", "messages", "max_tokens", "stop_sequences", "tools", "tool_choice", "output_config",
    "output_format", *_IGNORED, *_REFUSED,
}  # fmt: skip
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
Piece = dict[str, Any]


def translated(found: Mapping[str, Any]) -> Translation:
    """Read it.

    Raises:
        ApiError: a field cannot be read, or asks for what there is not.
    """
    made = Translation({name: value for name, value in found.items() if name not in _READ})
    for name, told in _REFUSED.items():
        if found.get(name):
            raise unsupported(name, told)
    for name in _IGNORED:
        if found.get(name) is not None:
            made.ignore(name)
    for name in ("max_tokens", "messages"):
        if found.get(name) is None:
            raise ApiError(400, "missing_parameter", f"'{name}' is missing", param=name)
    made.put("max_tokens", found["max_tokens"], "max_tokens")
    stops = found.get("stop_sequences")
    made.put("stop", None if stops == [] else stops, "stop_sequences")
    if found.get("system") not in (None, "", []):
        content = _texts(found["system"], "system")
        made.turn({"role": "system", "content": content}, "system")
        made.origins["messages.0.content"] = "system"
    for k, one in enumerate(listed(found["messages"], "messages")):
        path = f"messages.{k}"
        _read_turn(made, mapped(one, path), path)
    _read_format(made, found)
    _read_tools(made, found)
    return made


def _read_turn(made: Translation, turn: Mapping[str, Any], path: str) -> None:
    role, content = turn.get("role"), turn.get("content")
    if role not in ("user", "assistant", "system"):
        raise mistake(f"{path}.role", "should be user or assistant")
    if content is None:
        raise ApiError(
            400, "missing_parameter", f"'{path}.content' is missing", param=f"{path}.content"
        )
    if isinstance(content, str):
        made.turn({"role": role, "content": content}, path)
    elif role == "system":
        made.turn({"role": role, "content": _texts(content, f"{path}.content")}, path)
    elif role == "assistant":
        _read_assistant(made, listed(content, f"{path}.content"), path)
    else:
        _read_user(made, listed(content, f"{path}.content"), path)


def _read_assistant(made: Translation, content: list[Any], path: str) -> None:
    texts: list[str] = []
    calls: list[Piece] = []
    for k, one in enumerate(content):
        where = f"{path}.content.{k}"
        block = mapped(one, where)
        kind = kind_of(block)
        if kind == "text":
            texts.append(text_in(block, "text", where))
        elif kind == "tool_use":
            given = json.dumps(mapped(block.get("input"), f"{where}.input"), ensure_ascii=False)
            function = {"name": text_in(block, "name", where), "arguments": given}
            call: Piece = {
                "id": text_in(block, "id", where), "type": "function", "function": function,
            }  # fmt: skip
            if block.get(EXTRA) is not None:  # what the member that called wants to see again
                call[EXTRA] = block[EXTRA]
            calls.append(call)
        elif kind in ("thinking", "redacted_thinking"):
            made.ignore("messages.thinking")
        else:
            raise _unread(kind, where)
    message: Piece = {"role": "assistant", "content": "".join(texts)}
    if calls:
        message |= {"content": message["content"] or None, "tool_calls": calls}
    made.turn(message, path)


def _read_user(made: Translation, content: list[Any], path: str) -> None:
    pieces: list[Piece] = []
    n_results = 0
    for k, one in enumerate(content):
        where = f"{path}.content.{k}"
        block = mapped(one, where)
        if kind_of(block) == "tool_result":
            made.turn(_result(made, block, where), where)
            n_results += 1
        else:
            pieces.append(_piece(block, where))
    if pieces or not n_results:
        made.turn({"role": "user", "content": pieces}, path)


def _result(made: Translation, block: Mapping[str, Any], path: str) -> Piece:
    call_id = text_in(block, "tool_use_id", path)
    content = "" if block.get("content") is None else block["content"]
    if not isinstance(content, str):
        where = f"{path}.content"
        content = [
            _piece(mapped(one, f"{where}.{k}"), f"{where}.{k}")
            for k, one in enumerate(listed(content, where))
        ]
    if block.get("is_error"):  # its text says so, too
        made.ignore("messages.tool_result.is_error")
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _texts(given: Any, path: str) -> str | list[Piece]:
    if isinstance(given, str):
        return given
    pieces = []
    for k, one in enumerate(listed(given, path)):
        block = mapped(one, f"{path}.{k}")
        if kind_of(block) != "text":
            raise _unread(kind_of(block), f"{path}.{k}", "texts")
        pieces.append({"type": "text", "text": text_in(block, "text", f"{path}.{k}")})
    return pieces


def _piece(block: Mapping[str, Any], path: str) -> Piece:
    kind = kind_of(block)
    if kind == "text":
        return {"type": "text", "text": text_in(block, "text", path)}
    if kind not in ("image", "document"):
        raise _unread(kind, path)
    source = mapped(block.get("source"), f"{path}.source")
    found = kind_of(source)
    where = f"{path}.source"
    if kind == "document":
        if found == "text":
            return {"type": "text", "text": text_in(source, "data", where)}
        raise unsupported(where, "documents are read as texts alone; send its text")
    if found == "url":
        url = text_in(source, "url", where)
    elif found == "base64":
        url = f"data:{text_in(source, 'media_type', where)};base64,{text_in(source, 'data', where)}"
    else:
        raise unsupported(f"{where}.type", "should be base64 or url: no files are stored")
    return {"type": "image_url", "image_url": {"url": url}}


def _unread(
    kind: str, path: str, read: str = "texts, images, tool_use and tool_result"
) -> ApiError:
    return unsupported(f"{path}.type", f"content of type '{kind}' is not read here; send {read}")


def _read_format(made: Translation, found: Mapping[str, Any]) -> None:
    given = found.get("output_config")
    config = {} if given is None else mapped(given, "output_config")
    path, shape = "output_config.format", config.get("format")
    if shape is None:
        path, shape = "output_format", found.get("output_format")
    made.put("reasoning_effort", config.get("effort"), "output_config.effort")
    if shape is None:
        return
    if kind_of(mapped(shape, path)) != "json_schema":
        raise unsupported(f"{path}.type", "should be json_schema")
    schema = {"name": "output", "schema": mapped(shape.get("schema"), f"{path}.schema")}
    form = {"type": "json_schema", "json_schema": schema | {"strict": True}}
    made.put("response_format", form, path)


def _read_tools(made: Translation, found: Mapping[str, Any]) -> None:
    tools = []
    given = found.get("tools")
    for k, one in enumerate(listed([] if given is None else given, "tools")):
        path = f"tools.{k}"
        tool = mapped(one, path)
        if tool.get("type") not in (None, "custom"):
            raise unsupported(
                f"{path}.type",
                f"tools of type '{kind_of(tool)}' are Anthropic's own; only tools with an "
                "input_schema are passed on",
            )
        function = {
            "name": text_in(tool, "name", path),
            "parameters": mapped(tool.get("input_schema"), f"{path}.input_schema"),
        }
        for name in ("description", "strict"):
            if tool.get(name) is not None:
                function[name] = tool[name]
        tools.append({"type": "function", "function": function})
    if not tools:
        return
    made.put("tools", tools, "tools")
    if found.get("tool_choice") is not None:
        _read_choice(made, mapped(found["tool_choice"], "tool_choice"))


def _read_choice(made: Translation, choice: Mapping[str, Any]) -> None:
    kind = kind_of(choice)
    if kind == "tool":
        function = {"name": text_in(choice, "name", "tool_choice")}
        made.put("tool_choice", {"type": "function", "function": function}, "tool_choice")
    elif kind in _CHOICES:
        made.put("tool_choice", _CHOICES[kind], "tool_choice")
    else:
        raise mistake("tool_choice.type", "should be auto, any, tool or none")
    if choice.get("disable_parallel_tool_use"):
        name = "tool_choice.disable_parallel_tool_use"
        made.put("parallel_tool_calls", False, name)

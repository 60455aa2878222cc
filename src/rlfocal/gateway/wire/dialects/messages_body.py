"""The body of /v1/messages (Anthropic's), read as that of a chat completion.

A user's message may hold results of tools beside a text; they become messages of their own, before
it. Thinking is dropped and told: another model could not use it. So are tools that Anthropic
defines, and what they left in a conversation; what is there to be read becomes text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
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
from rlfocal.pool.asking.passed_back import DETAILS, EXTRA

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
_DROPPED = re.compile(
    r"thinking|redacted_thinking|server_tool_use|mcp_tool_use|\w+_tool_result|container_upload"
)
"""Blocks of what Anthropic's servers do, and of what another model thought."""
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
Piece = dict[str, Any]


def translated(found: Mapping[str, Any]) -> Translation:
    """Translate a body into that of a chat completion.

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
    details: dict[str, list[Any]] = {}
    for k, one in enumerate(content):
        where = f"{path}.content.{k}"
        block = mapped(one, where)
        kind = kind_of(block)
        if kind == "text":
            texts.append(text_in(block, "text", where))
        elif kind == "compaction":  # what was said before, in short
            texts.append(_optional(block, "content"))
        elif kind == "tool_use":
            calls.append(_call(block, where))
            for name in DETAILS:  # likewise, of all that it thought before
                if isinstance(block.get(name), list):
                    details.setdefault(name, []).extend(block[name])
        elif _DROPPED.fullmatch(kind):
            made.ignore(_told(kind))
        else:
            raise _unread(kind, where)
    message: Piece = {"role": "assistant", "content": "".join(texts)}
    if calls:
        message |= {"content": message["content"] or None, "tool_calls": calls}
        message |= details
    made.turn(message, path)


def _told(kind: str) -> str:
    return "messages.thinking" if kind.endswith("thinking") else f"messages.{kind}"


def _call(block: Mapping[str, Any], path: str) -> Piece:
    given = block.get("input")
    given = {} if given in (None, "") else mapped(given, f"{path}.input")
    try:
        arguments = json.dumps(given, ensure_ascii=False)
    except RecursionError:
        raise mistake(f"{path}.input", "is nested too deeply") from None
    function = {"name": text_in(block, "name", path), "arguments": arguments}
    call: Piece = {"id": text_in(block, "id", path), "type": "function", "function": function}
    if block.get(EXTRA) is not None:  # what the member that called wants to see again
        call[EXTRA] = block[EXTRA]
    return call


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
            pieces += _pieces(made, block, where)
    if pieces or not n_results:
        made.turn({"role": "user", "content": pieces}, path)


def _result(made: Translation, block: Mapping[str, Any], path: str) -> Piece:
    call_id = text_in(block, "tool_use_id", path)
    content = "" if block.get("content") is None else block["content"]
    if not isinstance(content, str):
        where = f"{path}.content"
        content = [
            piece
            for k, one in enumerate(listed(content, where))
            for piece in _pieces(made, mapped(one, f"{where}.{k}"), f"{where}.{k}")
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


def _pieces(made: Translation, block: Mapping[str, Any], path: str) -> list[Piece]:
    """What a block holds, as texts and images; nothing where it is dropped."""
    kind = kind_of(block)
    if kind == "text":
        return [_text(text_in(block, "text", path))]
    if kind == "image":
        return [_image(mapped(block.get("source"), f"{path}.source"), f"{path}.source")]
    if kind == "document":
        return _document(made, block, path)
    if kind == "search_result":
        return _entitled(block, "title", "source") + _read(made, block.get("content"), path)
    if kind == "tool_reference":  # a tool that was looked for and found
        return [_text(text_in(block, "tool_name", path))]
    if _DROPPED.fullmatch(kind):
        made.ignore(_told(kind))
        return []
    raise _unread(kind, path)


def _read(made: Translation, content: Any, path: str) -> list[Piece]:
    """The content of a block that holds blocks."""
    where = f"{path}.content"
    if isinstance(content, str):
        return [_text(content)]
    pieces = []
    for k, one in enumerate(listed(content, where)):
        inner = mapped(one, f"{where}.{k}")
        if kind_of(inner) not in ("text", "image"):
            raise _unread(kind_of(inner), f"{where}.{k}", "texts and images")
        pieces += _pieces(made, inner, f"{where}.{k}")
    return pieces


def _document(made: Translation, block: Mapping[str, Any], path: str) -> list[Piece]:
    where = f"{path}.source"
    source = mapped(block.get("source"), where)
    head = _entitled(block, "title", "context")
    kind = kind_of(source)
    if kind == "text":
        return [*head, _text(text_in(source, "data", where))]
    if kind == "content":
        return [*head, *_read(made, source.get("content"), where)]
    if kind == "base64" and _optional(source, "media_type").startswith("text/"):
        return [*head, _text(_decoded(text_in(source, "data", where), where))]
    raise unsupported(where, "documents are read as texts alone; send its text")


def _decoded(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise mistake(f"{path}.data", "should be a text in UTF-8, in base64") from None


def _entitled(block: Mapping[str, Any], *names: str) -> list[Piece]:
    """What stands above a block's text: that is part of what it says."""
    head = "\n".join(filter(None, (_optional(block, name) for name in names)))
    return [_text(f"{head}\n\n")] if head else []


def _optional(block: Mapping[str, Any], name: str) -> str:
    found = block.get(name)
    return found if isinstance(found, str) else ""


def _text(said: str) -> Piece:
    return {"type": "text", "text": said}


def _image(source: Mapping[str, Any], path: str) -> Piece:
    found = kind_of(source)
    if found == "url":
        url = text_in(source, "url", path)
    elif found == "base64":
        url = f"data:{text_in(source, 'media_type', path)};base64,{text_in(source, 'data', path)}"
    else:
        raise unsupported(f"{path}.type", "should be base64 or url: no files are stored")
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
    tools: list[Piece] = []
    left_out: list[Any] = []
    given = found.get("tools")
    for k, one in enumerate(listed([] if given is None else given, "tools")):
        path = f"tools.{k}"
        tool = mapped(one, path)
        kind = kind_of(tool)
        if kind.startswith("mcp") and tool.get("type") is not None:
            raise unsupported(
                f"{path}.type",
                "the gateway connects to no servers that a request names; leave it out",
            )
        if tool.get("type") not in (None, "custom"):
            if kind == "?":
                raise mistake(f"{path}.type", "should be custom")
            # Anthropic's own: of those no other model knows what they are called with.
            made.ignore(f"tools[].{kind}")
            left_out.append(tool.get("name"))
            continue
        function = {
            "name": text_in(tool, "name", path),
            "parameters": mapped(tool.get("input_schema"), f"{path}.input_schema"),
        }
        for name in ("description", "strict"):
            if tool.get(name) is not None:
                function[name] = tool[name]
        tools.append({"type": "function", "function": function})
    choice = found.get("tool_choice")
    choice = {} if choice is None else mapped(choice, "tool_choice")
    if choice.get("name") is not None and choice["name"] in left_out:
        raise unsupported("tool_choice.name", "a tool of Anthropic's own, which is not passed on")
    if tools:
        made.put("tools", tools, "tools")
    if choice and (tools or kind_of(choice) not in ("auto", "none")):
        _read_choice(made, choice)


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

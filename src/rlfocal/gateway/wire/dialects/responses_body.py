"""The body of /v1/responses, read as that of a chat completion.

Conversations are not stored, so what names something stored (an earlier response, a conversation, a
prompt, a file) is refused with what to send in its place. An item of a reply may be referred to as
long as it is remembered. What tools that OpenAI runs itself left in a conversation is dropped, and
told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.dialects.responses_tools import as_arguments, function_name, read_tools
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

_STORED = {
    "previous_response_id": "nothing is stored; send the whole conversation as input",
    "conversation": "nothing is stored; send the whole conversation as input",
    "prompt": "prompts are not stored; send instructions and input",
}
_IGNORED = (
    "background_options", "context_management", "image", "include", "max_tool_calls",
    "moderation", "access_programs", "prompt_cache_options", "prompt_cache_retention",
    "top_logprobs", "truncation",
)  # fmt: skip
"""Without effect, and told."""
_READ = {
    "input", "instructions", "max_output_tokens", "text", "reasoning", "tools", "tool_choice",
    "background", "messages", "stream_options", *_STORED, *_IGNORED,
}  # fmt: skip
_ROLES = ("user", "assistant", "system", "developer")
_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""Kinds of pieces that are texts → where they have it."""
_THOUGHTS = ("reasoning_text", "summary_text", "reasoning", "thinking")
_OF_OTHERS = re.compile(
    r"mcp_\w+|\w+_call|\w+_output|\w*compaction\w*|additional_tools|program|reasoning"
)
"""Items of what OpenAI's servers do, and of what another model thought."""


Recall = Callable[[str], Mapping[str, Any] | None]
"""An item's id → the item; None where that is not known."""


def translated(found: Mapping[str, Any], recall: Recall = lambda _: None) -> Translation:
    """Translate a body into that of a chat completion.

    Args:
        found: the body.
        recall: finds what a reply said to which the body refers.

    Raises:
        ApiError: a field cannot be read, or asks for what there is not.
    """
    if found.get("messages") is not None:
        raise unsupported("messages", "is for /v1/chat/completions; send input")
    made = Translation({name: value for name, value in found.items() if name not in _READ})
    made.origins["messages"] = "input"
    for name, told in _STORED.items():
        if found.get(name):
            raise unsupported(name, told)
    if found.get("background"):
        raise unsupported("background", "replies are not kept; leave it out")
    for name in _IGNORED:
        if found.get(name) not in (None, [], "disabled"):
            made.ignore(name)
    made.put("max_completion_tokens", found.get("max_output_tokens"), "max_output_tokens")
    instructions = found.get("instructions")
    if instructions is not None:
        if not isinstance(instructions, str):
            raise mistake("instructions", "should be a string")
        made.turn({"role": "system", "content": instructions}, "instructions")
    _read_input(made, found.get("input"), recall)
    _read_text(made, found.get("text"))
    _read_reasoning(made, found.get("reasoning"))
    read_tools(made, found.get("tools"), found.get("tool_choice"))
    return made


def _read_input(made: Translation, given: Any, recall: Recall) -> None:
    if given is None:
        raise ApiError(400, "missing_parameter", "'input' is missing", param="input")
    if isinstance(given, str):
        made.turn({"role": "user", "content": given}, "input")
        made.origins[f"messages.{len(made.body['messages']) - 1}.content"] = "input"
        return
    for k, item in enumerate(listed(given, "input")):
        path = f"input.{k}"
        found: Mapping[str, Any] = mapped(item, path)
        if kind_of(found) == "item_reference" or found.keys() == {"id"}:
            found = _recalled(found, path, recall)
        _read_item(made, found, path)


def _recalled(item: Mapping[str, Any], path: str, recall: Recall) -> Mapping[str, Any]:
    found = recall(text_in(item, "id", path))
    if found is None:
        raise unsupported(
            path,
            "an item that is not known here, or not any more; send the item itself (clients do "
            "with store = false)",
        )
    return found


def _read_item(made: Translation, item: Mapping[str, Any], path: str) -> None:
    kind = "message" if item.get("type") is None and "role" in item else kind_of(item)
    if kind == "message":
        _read_message(made, item, path)
    elif kind in ("function_call", "custom_tool_call"):
        _read_call(made, item, path, is_custom=kind == "custom_tool_call")
    elif kind in ("function_call_output", "custom_tool_call_output"):
        call_id = text_in(item, "call_id", path)
        content = _output(made, item.get("output"), f"{path}.output")
        made.turn({"role": "tool", "tool_call_id": call_id, "content": content}, path)
        made.origins[f"messages.{len(made.body['messages']) - 1}.content"] = f"{path}.output"
    elif _OF_OTHERS.fullmatch(kind):
        made.ignore(f"input.{kind}")
    else:
        raise unsupported(
            f"{path}.type",
            f"an item of type '{kind}' is not read; send messages, calls (function_call, "
            "custom_tool_call) and their outputs",
        )


def _read_message(made: Translation, item: Mapping[str, Any], path: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise mistake(f"{path}.role", f"should be one of {', '.join(_ROLES)}")
    if content is None and role != "assistant":
        where = f"{path}.content"
        raise ApiError(400, "missing_parameter", f"'{where}' is missing", param=where)
    said = "" if content is None else _content(made, content, f"{path}.content")
    made.turn({"role": role, "content": said or ""}, path)


def _read_call(made: Translation, item: Mapping[str, Any], path: str, *, is_custom: bool) -> None:
    if is_custom:
        arguments = as_arguments(text_in(item, "input", path))
    else:
        given = item.get("arguments")
        if not isinstance(given, str | dict | None):
            raise mistake(f"{path}.arguments", "should be JSON in a string")
        arguments = given if isinstance(given, str) else _written(given or {}, f"{path}.arguments")
    namespace = item.get("namespace")
    name = function_name(
        text_in(item, "name", path), namespace if isinstance(namespace, str) else None
    )
    call: dict[str, Any] = {
        "id": text_in(item, "call_id", path),
        "type": "function",
        "function": {"name": name, "arguments": arguments or "{}"},
    }
    if item.get(EXTRA) is not None:  # what the member that called wants to see again
        call[EXTRA] = item[EXTRA]
    last = made.last
    # Calls that follow each other, or what was said with them, are one reply of the model.
    if last is not None and last["role"] == "assistant":
        last.setdefault("tool_calls", []).append(call)
    else:
        made.turn({"role": "assistant", "content": None, "tool_calls": [call]}, path)
        last = made.last
    for name in DETAILS:
        if isinstance(details := item.get(name), list) and last is not None:
            last.setdefault(name, []).extend(details)


def _output(made: Translation, given: Any, path: str) -> str | list[dict[str, Any]]:
    """What a tool gave: a text, parts, or anything else as JSON."""
    if given is None:
        return ""
    return _content(made, given, path) if isinstance(given, str | list) else _written(given, path)


def _written(value: Any, path: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise mistake(path, "is nested too deeply") from None


def _content(made: Translation, given: Any, path: str) -> str | list[dict[str, Any]]:
    if isinstance(given, str):
        return given
    pieces: list[dict[str, Any]] = []
    for k, one in enumerate(listed(given, path)):
        where = f"{path}.{k}"
        piece = {"type": "text", "text": one} if isinstance(one, str) else mapped(one, where)
        kind = kind_of(piece)
        if kind in _TEXTS:
            pieces.append({"type": "text", "text": text_in(piece, _TEXTS[kind], where)})
        elif kind in ("input_image", "image_url"):
            pieces.append({"type": "image_url", "image_url": _image(piece, where)})
        elif kind in _THOUGHTS:
            made.ignore(f"input.content.{kind}")
        else:
            raise unsupported(
                f"{where}.type", f"content of type '{kind}' is not read; send texts and images"
            )
    return pieces


def _image(piece: Mapping[str, Any], path: str) -> dict[str, Any]:
    if piece.get("file_id") is not None:
        raise unsupported(f"{path}.file_id", "files are not stored; send image_url")
    given = piece.get("image_url")
    if isinstance(given, dict):  # as chat completions have it
        image: dict[str, Any] = {"url": text_in(given, "url", f"{path}.image_url")}
    else:
        given, image = {}, {"url": text_in(piece, "image_url", path)}
    detail = piece.get("detail") or given.get("detail")
    return image if detail is None else image | {"detail": detail}


def _read_text(made: Translation, given: Any) -> None:
    if given is None:
        return
    text = mapped(given, "text")
    made.put("verbosity", text.get("verbosity"), "text.verbosity")
    if text.get("format") is None:
        return
    shape = mapped(text["format"], "text.format")
    kind = kind_of(shape)
    if kind == "json_schema":
        schema = {
            name: shape[name]
            for name in ("name", "schema", "description", "strict")
            if shape.get(name) is not None
        }
        made.put("response_format", {"type": kind, "json_schema": schema}, "text.format")
    elif kind == "json_object":
        made.put("response_format", {"type": kind}, "text.format")
    elif kind != "text":
        raise unsupported("text.format.type", "should be text, json_schema or json_object")


def _read_reasoning(made: Translation, given: Any) -> None:
    if given is None:
        return
    for name, value in mapped(given, "reasoning").items():
        if name == "effort":
            made.put("reasoning_effort", value, "reasoning.effort")
        elif value is not None:
            made.ignore(f"reasoning.{name}"[:64])

"""The body of /v1/responses, read as that of a chat completion.

Conversations are not stored, so what names something stored (an earlier response, a conversation, a
prompt, a file) is refused with what to send in its place; tools that OpenAI runs itself are, too.
A reply's text may be referred to as long as it is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
_ALLOWED = "tool_choice.tools"


Recall = Callable[[str], str | None]
"""An item's id → what it said; None where that is not known."""


def translated(found: Mapping[str, Any], recall: Recall = lambda _: None) -> Translation:
    """Read it.

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
        if found.get(name) is not None:
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
    _read_tools(made, found.get("tools"), found.get("tool_choice"))
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
        found = mapped(item, path)
        if kind_of(found) == "item_reference":
            made.turn({"role": "assistant", "content": _recalled(found, path, recall)}, path)
        else:
            _read_item(made, found, path)


def _recalled(item: Mapping[str, Any], path: str, recall: Recall) -> str:
    text = recall(text_in(item, "id", path))
    if text is None:
        raise unsupported(
            path,
            "an item that is not known here, or not any more; send the item itself (clients do "
            "with store = false)",
        )
    return text


def _read_item(made: Translation, item: Mapping[str, Any], path: str) -> None:
    kind = "message" if item.get("type") is None and "role" in item else kind_of(item)
    if kind == "message":
        role = item.get("role")
        if role not in _ROLES:
            raise mistake(f"{path}.role", f"should be one of {', '.join(_ROLES)}")
        made.turn({"role": role, "content": _content(item.get("content"), path)}, path)
    elif kind == "function_call":
        _read_call(made, item, path)
    elif kind == "function_call_output":
        content = _content(item.get("output"), path, "output")
        call_id = text_in(item, "call_id", path)
        made.turn({"role": "tool", "tool_call_id": call_id, "content": content}, path)
        made.origins[f"messages.{len(made.body['messages']) - 1}.content"] = f"{path}.output"
    elif kind == "reasoning":
        made.ignore("input.reasoning")
    else:
        raise unsupported(
            f"{path}.type",
            f"an item of type '{kind}' is not read; send messages, function_call and "
            "function_call_output",
        )


def _read_call(made: Translation, item: Mapping[str, Any], path: str) -> None:
    function: dict[str, Any] = {
        "name": text_in(item, "name", path), "arguments": text_in(item, "arguments", path),
    }  # fmt: skip
    call: dict[str, Any] = {
        "id": text_in(item, "call_id", path),
        "type": "function",
        "function": function,
    }
    if item.get(EXTRA) is not None:  # what the member that called wants to see again
        call[EXTRA] = item[EXTRA]
    last = made.last
    # Calls that follow each other, or what was said with them, are one reply of the model.
    if last is not None and last["role"] == "assistant":
        last.setdefault("tool_calls", []).append(call)
    else:
        made.turn({"role": "assistant", "content": None, "tool_calls": [call]}, path)


def _content(given: Any, path: str, name: str = "content") -> str | list[dict[str, Any]]:
    path = f"{path}.{name}"
    if given is None:
        raise ApiError(400, "missing_parameter", f"'{path}' is missing", param=path)
    if isinstance(given, str):
        return given
    pieces: list[dict[str, Any]] = []
    for k, one in enumerate(listed(given, path)):
        where = f"{path}.{k}"
        piece = mapped(one, where)
        kind = kind_of(piece)
        if kind in _TEXTS:
            pieces.append({"type": "text", "text": text_in(piece, _TEXTS[kind], where)})
        elif kind == "input_image":
            pieces.append({"type": "image_url", "image_url": _image(piece, where)})
        else:
            raise unsupported(
                f"{where}.type", f"content of type '{kind}' is not read; send texts and images"
            )
    return pieces


def _image(piece: Mapping[str, Any], path: str) -> dict[str, Any]:
    if piece.get("file_id") is not None:
        raise unsupported(f"{path}.file_id", "files are not stored; send image_url")
    image: dict[str, Any] = {"url": text_in(piece, "image_url", path)}
    detail = piece.get("detail")
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


def _read_tools(made: Translation, given: Any, choice: Any) -> None:
    tools = []
    for k, one in enumerate(listed([] if given is None else given, "tools")):
        tool = mapped(one, f"tools.{k}")
        kind = kind_of(tool)
        if kind != "function":
            raise unsupported(
                f"tools.{k}.type",
                f"tools of type '{kind}' are run by OpenAI's servers or read by no member; only "
                "functions are passed on",
            )
        text_in(tool, "name", f"tools.{k}")
        function = {
            name: tool[name]
            for name in ("name", "description", "parameters", "strict")
            if tool.get(name) is not None
        }
        tools.append({"type": "function", "function": function})
    if isinstance(choice, dict):
        choice, tools = _chosen(choice, tools)
    if tools:
        made.put("tools", tools, "tools")
        made.put("tool_choice", choice, "tool_choice")
    else:
        # Clients say "auto" without tools, and servers refuse that of a chat completion.
        for name in ("tool_choice", "parallel_tool_calls"):
            made.body.pop(name, None)


def _chosen(
    choice: Mapping[str, Any], tools: list[dict[str, Any]]
) -> tuple[Any, list[dict[str, Any]]]:
    """A choice as chat completions have it, and the tools that it leaves."""
    kind = kind_of(choice)
    if kind == "function":
        name = text_in(choice, "name", "tool_choice")
        return {"type": "function", "function": {"name": name}}, tools
    if kind == "allowed_tools":
        allowed = listed(choice.get("tools"), _ALLOWED)
        names = [text_in(mapped(one, _ALLOWED), "name", _ALLOWED) for one in allowed]
        return choice.get("mode"), [one for one in tools if one["function"]["name"] in names]
    raise unsupported("tool_choice.type", f"no tool of type '{kind}' is passed on")

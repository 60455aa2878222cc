"""Tools and formats of replies: in whichever shape a client writes them, one is passed on.

Only functions are: what else servers call tools (searches, code, other servers) costs by its use,
or names somebody to be asked. A schema is data and is not looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.fields import IgnoredFields
from rlfocal.gateway.wire.names import names_a_model, names_a_server
from rlfocal.toolcalls.functions import SCHEMAS

__all__ = ["read_format", "read_tools"]

Tool = dict[str, Any]
_OF_FUNCTION = ("name", "description", "strict", *SCHEMAS)
_WORDS = {"none": "none", "auto": "auto", "required": "required", "any": "required"}


def read_tools(
    tools: Sequence[Mapping[str, Any]] | None,
    choice: str | Mapping[str, Any] | None,
    parallel: bool | None,
    ignored: IgnoredFields,
) -> dict[str, Any]:
    """Tools as they are passed on, and which of them is to be called.

    Args:
        tools: of the body.
        choice: its `tool_choice`.
        parallel: its `parallel_tool_calls`.
        ignored: gets what has no effect.

    Returns:
        Fields of a body; without tools nothing that speaks of them.

    Raises:
        ApiError: 400, one is no function, or one is to be called that there is not.
    """
    read = [_tool(tool, f"tools.{k}", ignored) for k, tool in enumerate(tools or ())]
    if not read:
        _check_nothing_is_wanted(choice)
        for name, value in (("tool_choice", choice), ("parallel_tool_calls", parallel)):
            if value:
                ignored.add(name)
        return {}
    wanted, read = _choice(choice, read)
    extra: dict[str, Any] = {"tools": read}
    if wanted is not None:
        extra["tool_choice"] = wanted
    if parallel is not None:
        extra["parallel_tool_calls"] = parallel
    return extra


def _check_nothing_is_wanted(choice: str | Mapping[str, Any] | None) -> None:
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    if kind in (None, "", "none", "auto"):
        return
    raise ApiError(
        400, "missing_parameter",
        "tool_choice wants a tool to be called, and there are no tools; send tools, or leave "
        "tool_choice out",
        param="tools",
    )  # fmt: skip


def _tool(tool: Mapping[str, Any], path: str, ignored: IgnoredFields) -> Tool:
    kind, inner = tool.get("type"), tool.get("function")
    # As Anthropic's API writes them; and as OpenAI's other one does.
    is_flat = inner is None and (kind == "function" or "input_schema" in tool)
    is_function = kind in (None, "", "function") or (is_flat and kind == "custom")
    if not is_function:
        raise ApiError(
            400, "unsupported_parameter",
            f"'{path}.type': only functions are passed on as tools; what a server runs itself "
            "costs by its use or asks other servers: leave it out",
            param=f"{path}.type",
        )  # fmt: skip
    found = tool if is_flat else inner
    if not isinstance(found, Mapping):
        raise ApiError(
            400, "missing_parameter", f"'{path}.function' is missing", param=f"{path}.function"
        )
    known = (*_OF_FUNCTION, "type") if is_flat else ("type", "function")
    ignored.add_unknown(tool, known, "tools[]")
    if not is_flat:
        ignored.add_unknown(found, _OF_FUNCTION, "tools[].function")
    return {
        "type": "function",
        "function": _function(found, path if is_flat else f"{path}.function"),
    }


def _function(found: Mapping[str, Any], path: str) -> Tool:
    name = found.get("name")
    if not isinstance(name, str) or not name:
        raise _mistake(f"{path}.name", "should be the function's name")
    function: Tool = {"name": name}
    description = found.get("description")
    if description is not None:
        if not isinstance(description, str):
            raise _mistake(f"{path}.description", "should be a string")
        function["description"] = description
    schema = next((found[n] for n in SCHEMAS if found.get(n) is not None), None)
    if schema is not None:
        if not isinstance(schema, dict):
            raise _mistake(f"{path}.parameters", "should be an object, a JSON schema")
        function["parameters"] = schema
    if isinstance(strict := found.get("strict"), bool):
        function["strict"] = strict
    return function


def _choice(choice: Any, tools: list[Tool]) -> tuple[Any, list[Tool]]:
    """Which tool is to be called, and the tools that this leaves."""
    if choice in (None, ""):
        return None, tools
    names = [tool["function"]["name"] for tool in tools]
    if isinstance(choice, str):
        if choice in _WORDS:
            return _WORDS[choice], tools
        if choice in names:
            return _forced(choice), tools
        raise _mistake("tool_choice", "should be none, auto, required or an object")
    kind = choice.get("type")
    inner = choice.get("function")
    name = inner.get("name") if isinstance(inner, Mapping) else choice.get("name")
    if kind in (None, "", "function", "tool") and isinstance(name, str):
        if name not in names:
            raise _mistake("tool_choice", "should name one of the tools")
        return _forced(name), tools
    if isinstance(kind, str) and kind in _WORDS:
        return _WORDS[kind], tools
    if kind == "allowed_tools":
        return _allowed(choice.get("allowed_tools") or choice, tools)
    raise _mistake("tool_choice", "should name a function: {'type': 'function', ...}")


def _forced(name: str) -> Tool:
    return {"type": "function", "function": {"name": name}}


def _allowed(given: Any, tools: list[Tool]) -> tuple[Any, list[Tool]]:
    listed = given.get("tools") if isinstance(given, Mapping) else None
    if not isinstance(listed, list):
        raise _mistake("tool_choice.allowed_tools.tools", "should be a list")
    names = set()
    for one in listed:
        inner = one.get("function", one) if isinstance(one, Mapping) else None
        if isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
            names.add(inner["name"])
    left = [tool for tool in tools if tool["function"]["name"] in names]
    if not left:
        raise _mistake("tool_choice.allowed_tools.tools", "names none of the tools")
    return _WORDS.get(str(given.get("mode")), "auto"), left


def read_format(given: Mapping[str, Any], ignored: IgnoredFields) -> dict[str, Any]:
    """A reply's format as it is passed on; a schema in it is data.

    Args:
        given: the body's `response_format`.
        ignored: gets what has no effect.
    """
    kept = _without_servers(given, "response_format", ignored)
    inner = kept.get("json_schema")
    if isinstance(inner, dict) and "schema" in inner:
        kept["json_schema"] = _without_servers(inner, "response_format.json_schema", ignored)
    return kept


def _without_servers(given: Mapping[str, Any], path: str, ignored: IgnoredFields) -> dict[str, Any]:
    kept = {}
    for name, value in given.items():
        if names_a_server(name) or names_a_model(name):
            ignored.add(f"{path}.{name}")
        else:
            kept[name] = value
    return kept


def _mistake(path: str, remedy: str) -> ApiError:
    return ApiError(400, "invalid_value", f"'{path}': {remedy}", param=path)

"""The tools of /v1/responses as functions, and which of them has to be called.

What the client runs itself becomes a function: functions, custom tools (with one text), and those
of a namespace. What OpenAI's servers would run is left out, and told; a server that the request
names is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rlfocal.gateway.wire.dialects.translating import (
    Called,
    Translation,
    kind_of,
    listed,
    mapped,
    text_in,
    unsupported,
)

__all__ = ["as_arguments", "as_input", "function_name", "read_tools"]

_INPUT = "input"
"""The one argument of a function that stands for a custom tool."""
_LONGEST_NAME, _N_DIGEST = 64, 8
_ALLOWED = "tool_choice.tools"
Tool = dict[str, Any]


def function_name(name: str, namespace: str | None) -> str:
    """Of a tool, as members are told of it: functions have no namespaces, and names of 64 letters.

    >>> function_name("add", None), function_name("add", "sums"), function_name("add", "sums__")
    ('add', 'sums__add', 'sums__add')
    """
    if not namespace:
        return name
    joined = f"{namespace.removesuffix('__')}__{name}"
    if len(joined) <= _LONGEST_NAME:
        return joined
    digest = hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()[:_N_DIGEST]
    return f"{joined[: _LONGEST_NAME - _N_DIGEST - 1]}_{digest}"


def as_arguments(text: str) -> str:
    """A custom tool's text as the arguments of the function that stands for it."""
    return json.dumps({_INPUT: text}, ensure_ascii=False)


def as_input(arguments: str) -> str:
    """The text in them; what is no such arguments is the text itself, as some models write it.

    >>> as_input('{"input": "ls"}'), as_input("ls -l")
    ('ls', 'ls -l')
    """
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if isinstance(found, dict) and len(found) == 1:
        (found,) = found.values()
    return found if isinstance(found, str) else arguments


def read_tools(made: Translation, given: Any, choice: Any) -> None:
    """Read the tools of a request.

    Args:
        made: gets them.
        given: the field "tools".
        choice: the field "tool_choice".

    Raises:
        ApiError: one cannot be read, names a server, or has to be called and is not there.
    """
    tools: list[Tool] = []
    for k, one in enumerate(listed([] if given is None else given, "tools")):
        _read_tool(made, tools, mapped(one, f"tools.{k}"), f"tools.{k}")
    if isinstance(choice, dict):
        choice, tools = _chosen(made, choice, tools)
    if tools:
        made.put("tools", tools, "tools")
    else:
        # Clients say "auto" without tools, and servers refuse that of a chat completion.
        made.body.pop("parallel_tool_calls", None)
        if choice in ("auto", "none"):
            choice = None
    made.put("tool_choice", choice, "tool_choice")


def _read_tool(
    made: Translation, tools: list[Tool], tool: Mapping[str, Any], path: str,
    namespace: str | None = None,
) -> None:  # fmt: skip
    kind = kind_of(tool)
    if kind in ("function", "custom"):
        tools.append(_function(made, tool, path, namespace, is_custom=kind == "custom"))
    elif kind == "namespace" and namespace is None:
        name = text_in(tool, "name", path)
        for k, one in enumerate(listed(tool.get("tools"), f"{path}.tools")):
            where = f"{path}.tools.{k}"
            _read_tool(made, tools, mapped(one, where), where, name)
    elif kind == "mcp":
        raise unsupported(
            f"{path}.type",
            "the gateway connects to no servers that a request names; give the server's tools as "
            "functions, and call it yourself",
        )
    elif kind == "?":
        raise unsupported(f"{path}.type", "should be function, custom or namespace")
    else:
        made.ignore(f"tools[].{kind}")


def _function(
    made: Translation, tool: Mapping[str, Any], path: str, namespace: str | None, *, is_custom: bool
) -> Tool:
    inner = "custom" if is_custom else "function"
    if isinstance(tool.get(inner), dict) and tool.get("name") is None:
        # As chat completions have it.
        tool, path = tool[inner], f"{path}.{inner}"
    own = text_in(tool, "name", path)
    name = function_name(own, namespace)
    if is_custom or namespace:
        made.called[name] = Called(own, namespace, is_custom)
    if is_custom:
        return {"type": "function", "function": _custom(name, tool)}
    function = {
        field: tool[field]
        for field in ("description", "parameters", "strict")
        if tool.get(field) is not None
    }
    return {"type": "function", "function": {"name": name, **function}}


def _custom(name: str, tool: Mapping[str, Any]) -> Tool:
    """A function with one text; how that has to look can only be said in words."""
    told = [tool["description"]] if isinstance(tool.get("description"), str) else []
    form = _inner(_inner(tool, "format"), "grammar")  # responses' or chat completions' shape
    if isinstance(form.get("definition"), str):
        syntax = form.get("syntax")
        shown = f" ({syntax})" if syntax in ("lark", "regex") else ""
        told.append(f"The input has to follow this grammar{shown}:\n{form['definition']}")
    schema = {
        "type": "object", "properties": {_INPUT: {"type": "string"}}, "required": [_INPUT],
        "additionalProperties": False,
    }  # fmt: skip
    described = {"description": "\n\n".join(told)} if told else {}
    return {"name": name, **described, "parameters": schema}


def _inner(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What an object holds under a name, where it is an object, too; else itself."""
    found = holder.get(name)
    return found if isinstance(found, dict) else holder


def _chosen(
    made: Translation, choice: Mapping[str, Any], tools: list[Tool]
) -> tuple[Any, list[Tool]]:
    """A choice as chat completions have it, and the tools that it leaves."""
    kind = kind_of(choice)
    if kind in ("function", "custom"):
        name = _named(made, choice, "tool_choice", tools)
        return {"type": "function", "function": {"name": name}}, tools
    if kind == "allowed_tools":
        holder = _inner(choice, kind)
        names = set()
        for k, one in enumerate(listed(holder.get("tools"), _ALLOWED)):
            tool = mapped(one, f"{_ALLOWED}.{k}")
            if kind_of(tool) in ("function", "custom"):
                names.add(_named(made, tool, f"{_ALLOWED}.{k}", tools))
            else:
                made.ignore(f"{_ALLOWED}[].{kind_of(tool)}")
        return holder.get("mode"), [one for one in tools if one["function"]["name"] in names]
    raise unsupported("tool_choice.type", f"no tool of type '{kind}' is passed on")


def _named(made: Translation, choice: Mapping[str, Any], path: str, tools: list[Tool]) -> str:
    """The function that a choice means."""
    for inner in ("function", "custom"):
        if isinstance(choice.get(inner), dict) and choice.get("name") is None:
            choice, path = choice[inner], f"{path}.{inner}"
    own, namespace = text_in(choice, "name", path), choice.get("namespace")
    name = function_name(own, namespace if isinstance(namespace, str) else None)
    if not any(one["function"]["name"] == name for one in tools):
        # Its namespace may be left out.
        for function, called in made.called.items():
            if called.name == own:
                return function
    return name

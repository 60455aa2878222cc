"""The functions offered to a member: their names, and what each may be called.

Read from whatever shape clients and data sets use. It knows nothing of replies.

Sources: the tools of OpenAI's chat and responses APIs and of Anthropic's; MCP.

Departure: `additionalProperties` that is not given forbids unknown arguments of a function that
describes its own (it takes what it describes), and allows unknown keys further within.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rlfocal.errors import ConfigError
from rlfocal.toolcalls.describing import schema_of, shown
from rlfocal.toolcalls.schema import Schema
from rlfocal.toolcalls.values import decoded, storable, tidy

__all__ = ["SCHEMAS", "Function", "Tools", "plain_name", "tools_from"]

_NAMESPACES = ("functions.", "function.", "tools.", "tool.", "default_api.", "api.")
"""What members write before a function's name of their own accord."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
"""Characters that APIs forbid in the names of functions, and clients replace."""
SCHEMAS = ("parameters", "input_schema", "inputSchema")
"""What the schema of a function's arguments is called."""

_DEEPEST = 400
"""Of text with functions: each schema has its own, lower bound, which costs that function alone."""


def plain_name(name: str) -> str:
    """The name of a function without the characters that APIs forbid.

    >>> plain_name("geo.find")
    'geo_find'
    """
    return _NOT_IN_NAMES.sub("_", name)


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function offered.

    Attributes:
        name: as the client writes it, since the client knows it by no other.
        description: what it is for, in words.
        parameters: what its arguments may be.
    """

    name: str
    description: str
    parameters: Schema


@dataclass(frozen=True, eq=False)
class Tools:
    """The functions offered with one request.

    >>> tools = tools_from([{"name": "geo.find", "parameters": {"properties": {"q": {}}}}])
    >>> tools.named("geo_find").name, tools.named("functions.geo.find").name, tools.named("find")
    ('geo.find', 'geo.find', None)
    """

    functions: tuple[Function, ...]

    def __post_init__(self) -> None:
        exact: dict[str, Function] = {}
        loose: dict[str, Function | None] = {}
        for function in self.functions:
            name = tidy(function.name)
            if name in exact:
                raise ConfigError(f"tools: two functions are called '{name}'; rename one")
            exact[name] = function
            key = plain_name(name)
            loose[key] = None if key in loose else function
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_loose", loose)

    def named(self, name: str) -> Function | None:
        """The one function that a name can stand for; None for none, and for several.

        `_` may stand for a character that APIs forbid, as the full stop, and a namespace of the
        member's own may come first. Space around a name is none of it.
        """
        name = tidy(name)
        found = self._named(name)
        if found is None:
            for namespace in _NAMESPACES:
                if name.startswith(namespace):
                    return self._named(name[len(namespace) :])
        return found

    def _named(self, name: str) -> Function | None:
        exact: dict[str, Function] = self.__dict__["_exact"]
        loose: dict[str, Function | None] = self.__dict__["_loose"]
        found = exact.get(name)
        return found if found is not None else loose.get(plain_name(name))


def tools_from(offered: object, *, lenient: bool = False) -> Tools:
    """Read the functions offered.

    Args:
        offered: one or a list, or JSON text of them, each OpenAI's `{"type": "function",
            "function": {...}}` or flat, Anthropic's with `input_schema`, or bare: `name`,
            `description`, `parameters`. Tools of other types (a web search of the server's own)
            are left out: nobody calls them by arguments.
        lenient: a function whose schema cannot be read takes any arguments, so that it does not
            cost a live request the others.

    Raises:
        ConfigError: something is no function, or two have one name; unless `lenient`, a schema
            cannot be read. The message says where.

    >>> tools = tools_from('{"name": "f", "parameters": {"properties": {"a": {"type": "int"}}}}')
    >>> tools.functions[0].name, tools.functions[0].parameters.properties["a"].kinds
    ('f', frozenset({'integer'}))
    """
    if isinstance(offered, Tools):
        return offered
    if isinstance(offered, str):
        value = decoded(offered, limit=_DEEPEST)
        if isinstance(value, ValueError):
            raise ConfigError(f"tools: no JSON: {value}") from value
        offered = value
    if offered is None:
        return Tools(())
    if isinstance(offered, Mapping):
        offered = [offered]
    if not isinstance(offered, Iterable) or isinstance(offered, bytes):
        raise ConfigError(f"tools: a list of functions is needed, not {shown(offered)}")
    found = [_function(tool, f"tools[{i}]", lenient=lenient) for i, tool in enumerate(offered)]
    return Tools(tuple(function for function in found if function is not None))


def _function(tool: Any, place: str, *, lenient: bool) -> Function | None:
    if not isinstance(tool, Mapping):
        raise ConfigError(f"{place}: a function is an object, not {shown(tool)}")
    if isinstance(tool.get("function"), Mapping):
        tool, place = tool["function"], f"{place}.function"
    elif "name" not in tool and "type" in tool and tool["type"] != "function":
        return None
    name = tool.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{place}.name: a function needs a name, not {shown(name)}")
    try:
        schema = _parameters(tool, place)
    except ConfigError:
        if not lenient:
            raise
        schema = Schema(frozenset({"object"}), additional=True)
    return Function(str(storable(name)), str(tool.get("description") or ""), schema)


def _parameters(tool: Mapping[str, Any], place: str) -> Schema:
    key = next((k for k in SCHEMAS if k in tool), "parameters")
    parameters = tool.get(key)
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"{place}.{key}: a schema is an object, not {shown(parameters)}")
    return schema_of(parameters, f"{place}.{key}")

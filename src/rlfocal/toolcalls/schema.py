"""The functions offered to a member: what their arguments are called and what each may be.

Read from whatever shape clients and data sets use. It knows nothing of replies.

Sources: JSON Schema 2020-12; the tools of OpenAI's chat and responses APIs and of Anthropic's;
words for types as the Berkeley leaderboard's Python, Java and JavaScript functions use them.

Departures:
- a word for a type that is not known means anything, as does a schema that is not one;
- `additionalProperties` that is not given forbids unknown arguments of a function itself (it takes
  what it describes), and allows unknown keys further within.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlfocal.errors import ConfigError
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, decoded, is_nested_deeper

__all__ = ["KINDS", "Function", "Schema", "Tools", "tools_from"]

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("string", "str", "text", "char", "character"), "string"),
    **dict.fromkeys(("integer", "int", "long", "short", "byte", "bigint"), "integer"),
    **dict.fromkeys(("number", "float", "double", "decimal"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list", "tuple", "arraylist"), "array"),
    **dict.fromkeys(("object", "dict", "dictionary", "map", "hashmap"), "object"),
    **dict.fromkeys(("null", "none", "nonetype"), "null"),
}
"""A word for a type, in lower case → the kind of JSON value."""

_NAMESPACES = ("functions.", "function.", "tools.", "tool.", "default_api.", "api.")
"""What members write before a function's name of their own accord."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
"""Characters that APIs forbid in the names of functions, and clients replace."""


@dataclass(slots=True, eq=False)
class Schema:
    """What a value may be.

    Made by `tools_from` alone; a schema may hold itself, where a `$ref` says so.
    """

    kinds: frozenset[str] = frozenset()
    """Of JSON values: string, integer, number, boolean, array, object, null; none for anything."""
    enum: tuple[JSON, ...] = ()
    default: JSON = None
    has_default: bool = False
    properties: dict[str, Schema] = field(default_factory=dict)
    """In the order in which they are declared, which is that of positional arguments."""
    required: frozenset[str] = frozenset()
    additional: Schema | bool | None = None
    """What unknown keys hold, or whether there may be any; None where nothing is said."""
    items: Schema | None = None
    prefix: tuple[Schema, ...] = ()
    """Of the first items, each its own."""
    is_set: bool = False
    """An array without an order: `uniqueItems`."""
    alternatives: tuple[Schema, ...] = ()
    """The value is one of these (`anyOf`, `oneOf`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function offered."""

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
            if function.name in exact:
                raise ConfigError(f"tools: two functions are called '{function.name}'; rename one")
            exact[function.name] = function
            key = _NOT_IN_NAMES.sub("_", function.name)
            loose[key] = None if key in loose else function
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_loose", loose)

    def named(self, name: str) -> Function | None:
        """The one function that a name can stand for; None for none, and for several.

        `_` may stand for a character that APIs forbid, as the full stop, and a namespace of the
        member's own may come first.
        """
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
        return found if found is not None else loose.get(_NOT_IN_NAMES.sub("_", name))


def tools_from(offered: object) -> Tools:
    """Read the functions offered.

    Args:
        offered: one or a list, or JSON text of them, each OpenAI's `{"type": "function",
            "function": {...}}` or flat, Anthropic's with `input_schema`, or bare: `name`,
            `description`, `parameters`. Tools of other types (a web search of the server's own)
            are left out: nobody calls them by arguments.

    Raises:
        ConfigError: something is no function; the message says where.

    >>> tools = tools_from('{"name": "f", "parameters": {"properties": {"a": {"type": "int"}}}}')
    >>> tools.functions[0].name, tools.functions[0].parameters.properties["a"].kinds
    ('f', frozenset({'integer'}))
    """
    if isinstance(offered, Tools):
        return offered
    if isinstance(offered, str):
        value = decoded(offered)
        if isinstance(value, ValueError):
            raise ConfigError(f"tools: no JSON: {value}") from value
        offered = value
    if offered is None:
        return Tools(())
    if isinstance(offered, Mapping):
        offered = [offered]
    if not isinstance(offered, Iterable) or isinstance(offered, bytes):
        raise ConfigError(f"tools: a list of functions is needed, not {_shown(offered)}")
    found = [_function(tool, f"tools[{i}]") for i, tool in enumerate(offered)]
    return Tools(tuple(function for function in found if function is not None))


def _function(tool: Any, place: str) -> Function | None:
    if not isinstance(tool, Mapping):
        raise ConfigError(f"{place}: a function is an object, not {_shown(tool)}")
    if isinstance(tool.get("function"), Mapping):
        tool, place = tool["function"], f"{place}.function"
    elif "name" not in tool and "type" in tool and tool["type"] != "function":
        return None
    name = tool.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{place}.name: a function needs a name, not {_shown(name)}")
    key = next(
        (k for k in ("parameters", "input_schema", "inputSchema") if k in tool), "parameters"
    )
    parameters = tool.get(key)
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"{place}.{key}: a schema is an object, not {_shown(parameters)}")
    if is_nested_deeper(parameters):
        raise ConfigError(f"{place}.{key}: nested deeper than {MAX_DEPTH}; flatten it")
    schema = _Reader(parameters).schema(parameters, f"{place}.{key}")
    schema.kinds = frozenset({"object"})
    return Function(name.strip(), str(tool.get("description") or ""), schema)


class _Reader:
    """Reads the schema of one function; what `$ref` names is read once."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._named: dict[str, Schema] = {}

    def schema(self, given: object, place: str, depth: int = 0) -> Schema:
        if depth > MAX_DEPTH:
            raise ConfigError(f"{place}: schemas are nested deeper than {MAX_DEPTH}; flatten them")
        if not isinstance(given, Mapping):
            return Schema()  # `true`, and what is no schema: anything
        given = _merged(given)
        if isinstance(reference := given.get("$ref"), str):
            return self._referred(reference, given, place, depth)
        read = Schema()
        self._fill(read, given, place, depth)
        return read

    def _referred(self, reference: str, given: Mapping[str, Any], place: str, depth: int) -> Schema:
        beside = {k: v for k, v in given.items() if k in ("default", "enum")}
        key = reference if not beside else f"{reference} {place}"
        if key in self._named:
            return self._named[key]
        target: object = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if step:
                target = target.get(step) if isinstance(target, Mapping) else None
        if not reference.startswith("#") or target is None:
            raise ConfigError(f"{place}.$ref: the schema has no '{reference}'")
        read = self._named[key] = Schema()
        if isinstance(target, Mapping):
            merged = _merged(target)
            if "$ref" in merged:  # a reference to a reference
                self._named[key] = self.schema({**merged, **beside}, place, depth + 1)
                return self._named[key]
            self._fill(read, {**merged, **beside}, place, depth + 1)
        return read

    def _fill(self, read: Schema, given: Mapping[str, Any], place: str, depth: int) -> None:
        read.kinds = _kinds(given)
        read.enum = _enum(given, place)
        if "default" in given:
            read.default, read.has_default = given["default"], True
        read.is_set = given.get("uniqueItems") is True
        self._fill_object(read, given, place, depth)
        items = given.get("items")
        prefix = given.get("prefixItems")
        if isinstance(items, list):  # as drafts before 2020-12 write it
            items, prefix = given.get("additionalItems"), items
        if isinstance(items, Mapping):
            read.items = self.schema(items, f"{place}.items", depth + 1)
        if isinstance(prefix, list):
            read.prefix = tuple(
                self.schema(item, f"{place}.prefixItems[{i}]", depth + 1)
                for i, item in enumerate(prefix)
            )
        for word in ("anyOf", "oneOf"):
            if isinstance(given.get(word), list) and not read.alternatives:
                read.alternatives = tuple(
                    self.schema(one, f"{place}.{word}[{i}]", depth + 1)
                    for i, one in enumerate(given[word])
                )

    def _fill_object(self, read: Schema, given: Mapping[str, Any], place: str, depth: int) -> None:
        properties = given.get("properties") or {}
        if not isinstance(properties, Mapping):
            raise ConfigError(f"{place}.properties: an object, not {_shown(properties)}")
        read.properties = {
            str(name).strip(): self.schema(one, f"{place}.properties.{name}", depth + 1)
            for name, one in properties.items()
        }
        required = given.get("required")
        if isinstance(required, (list, tuple)):
            read.required = frozenset(name.strip() for name in required if isinstance(name, str))
        elif required is not None and not isinstance(required, bool):
            raise ConfigError(f"{place}.required: a list of names, not {_shown(required)}")
        additional = given.get("additionalProperties")
        if isinstance(additional, Mapping):
            read.additional = self.schema(additional, f"{place}.additionalProperties", depth + 1)
        elif isinstance(additional, bool):
            read.additional = additional


def _merged(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with its `allOf` in it: what libraries write around a `$ref` that has a default."""
    parts = given.get("allOf")
    if not isinstance(parts, list):
        return given
    merged: dict[str, Any] = {}
    for part in [*parts, {k: v for k, v in given.items() if k != "allOf"}]:
        for key, value in part.items() if isinstance(part, Mapping) else ():
            old = merged.get(key)
            if key == "properties" and isinstance(old, Mapping) and isinstance(value, Mapping):
                merged[key] = {**old, **value}
            elif key == "required" and isinstance(old, list) and isinstance(value, list):
                merged[key] = [*old, *value]
            else:
                merged[key] = value
    return merged


def _kinds(given: Mapping[str, Any]) -> frozenset[str]:
    words = given.get("type")
    listed = words if isinstance(words, list) else [words]
    kinds = [KINDS.get(word.strip().lower()) if isinstance(word, str) else None for word in listed]
    if None in kinds:
        # Without a known word, what is described says as much.
        kinds = ["object"] if given.get("properties") and words is None else []
    if kinds and given.get("nullable") is True:
        kinds.append("null")
    return frozenset(kind for kind in kinds if kind)


def _enum(given: Mapping[str, Any], place: str) -> tuple[JSON, ...]:
    if "const" in given:
        return (given["const"],)
    enum = given.get("enum")
    if enum is None:
        return ()
    if not isinstance(enum, (list, tuple)):
        raise ConfigError(f"{place}.enum: a list of values, not {_shown(enum)}")
    return tuple(enum)


def _shown(value: object) -> str:
    try:
        shown = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        shown = type(value).__name__
    return shown if len(shown) <= 60 else shown[:57] + "..."

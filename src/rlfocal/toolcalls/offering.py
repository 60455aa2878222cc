"""Functions in whatever shape a data set has them, as servers of OpenAI's API want them.

Types of other languages (`dict`, `float`, `ArrayList`) become JSON Schema's; a word that is not
known is left out, so that anything goes there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from rlfocal.errors import ConfigError
from rlfocal.toolcalls.functions import SCHEMAS, plain_name, tools_from
from rlfocal.toolcalls.schema import KINDS
from rlfocal.toolcalls.values import decoded

__all__ = ["as_openai", "json_schema", "offered"]

_INNER = ("properties", "$defs", "definitions", "patternProperties")
"""Where names, not words of JSON Schema, stand for schemas."""


def as_openai(functions: object) -> list[dict[str, Any]]:
    """The functions in OpenAI's words; names without the characters that its API forbids.

    Args:
        functions: in any shape that `tools_from` reads.

    Raises:
        ConfigError: something is no function, or two would have one name.

    >>> as_openai({"name": "geo.find", "parameters": {"type": "dict", "properties": {
    ...     "q": {"type": "String"}, "r": {"type": "float"}}}})[0]["function"]
    {'name': 'geo_find', 'parameters': {'type': 'object', 'properties': {'q': {'type': 'string'}, \
'r': {'type': 'number'}}}}
    """
    tools_from(functions)  # whatever is wrong has a place and a name there
    given = decoded(functions) if isinstance(functions, str) else functions
    listed = [given] if isinstance(given, Mapping) else given
    found: list[dict[str, Any]] = []
    own_names: dict[str, str] = {}
    for tool in listed if isinstance(listed, Iterable) else ():
        inner = tool["function"] if isinstance(tool.get("function"), Mapping) else tool
        if "name" not in inner:
            continue  # of the server's own
        own = str(inner["name"]).strip()
        name = plain_name(own)
        if name in own_names:
            raise ConfigError(
                f"tools: '{own_names[name]}' and '{own}' are both sent as '{name}'; rename one"
            )
        own_names[name] = own
        function: dict[str, Any] = {"name": name}
        if inner.get("description"):
            function["description"] = str(inner["description"])
        schema = next((inner[key] for key in SCHEMAS if inner.get(key)), None)
        parameters = {"properties": {}} if schema is None else json_schema(schema)
        function["parameters"] = {**parameters, "type": "object"}
        found.append({"type": "function", "function": function})
    return found


@lru_cache(maxsize=256)
def offered(functions: str) -> tuple[dict[str, Any], ...]:
    """As `as_openai`, of JSON; read once for all members and samples. Not to be changed."""
    return tuple(as_openai(functions))


def json_schema(given: Any, root: str = "#") -> Any:
    """A schema in JSON Schema's words.

    Args:
        given: one that `schema_of` reads, which bounds how deep it is.
        root: where it stands in a larger one: its references begin so.

    >>> json_schema({"type": "dict", "items": {"$ref": "#/$defs/A"}}, "#/$defs/f")
    {'type': 'object', 'items': {'$ref': '#/$defs/f/$defs/A'}}
    """
    if isinstance(given, list):
        return [json_schema(one, root) for one in given]
    if not isinstance(given, Mapping):
        return given
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key == "type":
            words = value if isinstance(value, list) else [value]
            kinds = [KINDS.get(word.strip().lower()) for word in words if isinstance(word, str)]
            if kinds and None not in kinds:
                found[key] = kinds if isinstance(value, list) else kinds[0]
        elif key in _INNER and isinstance(value, Mapping):
            found[key] = {name: json_schema(one, root) for name, one in value.items()}
        elif key in ("enum", "const", "default", "examples"):
            found[key] = value  # data
        elif key == "$ref" and isinstance(value, str):
            path = value.removeprefix("#").strip("/")
            found[key] = f"{root}/{path}" if path else root
        else:
            found[key] = json_schema(value, root)
    return found

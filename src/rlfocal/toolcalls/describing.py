"""From the JSON Schema of a function's arguments to `Schema`.

References and `allOf` are worked in, and what stands beside alternatives holds within each, so that
whoever coerces and checks meets one flat description.

Sources: JSON Schema 2020-12; words for types as the Berkeley leaderboard's Python, Java and
JavaScript functions use them.

Departures:
- a word for a type that is not known means anything, as does a schema that is not one;
- of a word said twice by parts of `allOf` the later counts; properties and required names add up;
- `patternProperties` are not matched (a pattern may take for ever): any key goes beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from rlfocal.errors import ConfigError
from rlfocal.toolcalls.schema import KINDS, MAX_ALTERNATIVES, Schema
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, is_nested_deeper, storable, tidy

__all__ = ["MAX_SCHEMAS", "schema_of", "shown"]

MAX_SCHEMAS = 10_000
"""Within the schema of one function; a larger one is refused."""

_EITHER = ("anyOf", "oneOf")
_OPENING = (*_EITHER, "patternProperties", "if", "then", "else", "dependentSchemas", "dependencies")
"""Words that may describe more arguments of a function than its properties."""
_OF_THE_WHOLE = frozenset({*_EITHER, "default", "title", "description", "examples"})
"""What stands beside alternatives and says nothing within them."""


def schema_of(parameters: Mapping[str, Any], place: str) -> Schema:
    """Read the schema of a function's arguments.

    Args:
        parameters: JSON Schema of an object.
        place: of it, for messages.

    Raises:
        ConfigError: it is none, too deep or too large; the message says where.

    >>> one = {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"properties": {"n": {}}}}}
    >>> list(schema_of(one, "").properties)
    ['n']
    """
    if is_nested_deeper(parameters):
        raise ConfigError(f"{place}: nested deeper than {MAX_DEPTH}; flatten it")
    return _Reader(parameters).function(place)


class _Reader:
    """Reads the schema of one function; whatever stands in it is read once."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MAX_SCHEMAS
        self._by_id: dict[int, tuple[object, Schema]] = {}  # kept alive, or ids would come again
        self._by_text: dict[str, Schema] = {}

    def function(self, place: str) -> Schema:
        """The arguments of a function: an object, whose keys are known where it describes them."""
        given = self._worked_in(self._root, place, 0, frozenset())
        read = Schema()
        self._by_text[_text_of({"$ref": "#"})] = read
        self._fill(read, given, place, 0)
        read.kinds = frozenset({"object"})
        described: dict[str, list[Schema]] = {}
        for one in read.flat() if read.alternatives else ():
            for name, of_name in one.properties.items():
                described.setdefault(name, []).append(of_name)
                read.spelling.update(one.spelling)
        for name, several in described.items():
            if name not in read.properties:
                apart = list({id(one): one for one in several}.values())
                read.properties[name] = (
                    apart[0] if len(apart) == 1 else Schema(alternatives=tuple(apart))
                )
        # Which of several shapes the arguments have is not told apart.
        read.alternatives = ()
        read.known_flat = None
        is_open = any(word in given for word in _OPENING)
        if is_open or (read.additional is None and given.get("properties") is None):
            read.additional = True
        return read

    def schema(self, given: object, place: str, depth: int) -> Schema:
        """One schema."""
        if depth > MAX_DEPTH:
            raise ConfigError(f"{place}: schemas are nested deeper than {MAX_DEPTH}; flatten them")
        if not isinstance(given, Mapping):
            return Schema()  # `true`, and what is no schema: anything
        if id(given) in self._by_id:
            return self._by_id[id(given)][1]
        key = ""
        if "$ref" in given or "allOf" in given:
            key = _text_of(given)
            self._count(len(key) // 2000, place)
            if key in self._by_text:
                return self._by_text[key]
        self._count(1, place)
        read = Schema()
        self._by_id[id(given)] = given, read
        if key:
            self._by_text[key] = read
        self._fill(read, self._worked_in(given, place, depth, frozenset()), place, depth)
        return read

    def _count(self, number: int, place: str) -> None:
        self._left -= number
        if self._left < 0:
            raise ConfigError(f"{place}: more than {MAX_SCHEMAS:,} schemas; describe less")

    def _worked_in(
        self, given: Mapping[str, Any], place: str, depth: int, within: frozenset[str]
    ) -> Mapping[str, Any]:
        """A schema with what it refers to and its `allOf` in it."""
        reference, listed = given.get("$ref"), given.get("allOf")
        if not isinstance(reference, str) and not isinstance(listed, list):
            return given
        if depth > MAX_DEPTH:
            raise ConfigError(f"{place}: schemas are nested deeper than {MAX_DEPTH}; flatten them")
        parts: list[Mapping[str, Any]] = []
        if isinstance(reference, str) and reference not in within:
            target = self._target(reference, place)
            if isinstance(target, Mapping):
                inner = within | {reference}
                parts.append(self._worked_in(target, place, depth + 1, inner))
        for part in listed if isinstance(listed, list) else ():
            if isinstance(part, Mapping):
                parts.append(self._worked_in(part, place, depth + 1, within))
        self._count(sum(map(len, parts)) // 8 + 1, place)
        own = {key: value for key, value in given.items() if key not in ("$ref", "allOf")}
        return self._merged([*parts, own], place)

    def _target(self, reference: str, place: str) -> object:
        target: object = self._root
        for step in unquote(reference.removeprefix("#")).strip("/").split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if step and isinstance(target, list) and step.isdecimal() and int(step) < len(target):
                target = target[int(step)]
            elif step:
                target = target.get(step) if isinstance(target, Mapping) else None
        if not reference.startswith("#") or target is None:
            raise ConfigError(f"{place}.$ref: the schema has no '{_short(reference)}'")
        return target

    def _merged(self, parts: Iterable[Mapping[str, Any]], place: str) -> dict[str, Any]:
        """Schemas that hold together as one."""
        merged: dict[str, Any] = {}
        for part in parts:
            for key, value in part.items():
                old = merged.get(key)
                if key == "properties" and isinstance(old, Mapping) and isinstance(value, Mapping):
                    self._count(len(value) // 8, place)
                    both = {k: {"allOf": [old[k], value[k]]} for k in old if k in value}
                    merged[key] = {**old, **value, **both}
                elif key == "required" and isinstance(old, list) and isinstance(value, list):
                    merged[key] = [*old, *value]
                else:
                    merged[key] = value
        return merged

    def _fill(self, read: Schema, given: Mapping[str, Any], place: str, depth: int) -> None:
        read.kinds = _kinds(given)
        read.enum = _enum(given, place)
        if "default" in given:
            read.default, read.has_default = storable(given["default"]), True
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
        word = next((word for word in _EITHER if isinstance(given.get(word), list)), None)
        if word is not None and len(given[word]) <= MAX_ALTERNATIVES:
            beside = {k: v for k, v in given.items() if k not in _OF_THE_WHOLE and k[:1] != "$"}
            read.alternatives = tuple(
                self._alternative(one, beside, f"{place}.{word}[{i}]", depth + 1)
                for i, one in enumerate(given[word])
            )

    def _alternative(
        self, given: object, beside: Mapping[str, Any], place: str, depth: int
    ) -> Schema:
        if not beside or not isinstance(given, Mapping):
            return self.schema(given, place, depth)
        return self.schema({"allOf": [beside, given]}, place, depth)

    def _fill_object(self, read: Schema, given: Mapping[str, Any], place: str, depth: int) -> None:
        properties = given.get("properties") or {}
        if not isinstance(properties, Mapping):
            raise ConfigError(f"{place}.properties: an object, not {shown(properties)}")
        self._count(len(properties) // 8, place)  # met again within each alternative
        for written, one in properties.items():
            written = str(storable(written))
            name = tidy(written)
            inner = f"{place}.properties.{_short(name)}"
            read.properties[name] = self.schema(one, inner, depth + 1)
            if name != written:
                read.spelling[name] = written
        required = given.get("required")
        if isinstance(required, (list, tuple)):
            read.required = frozenset(tidy(name) for name in required if isinstance(name, str))
        elif required is not None and not isinstance(required, bool):
            raise ConfigError(f"{place}.required: a list of names, not {shown(required)}")
        additional = given.get("additionalProperties")
        if given.get("patternProperties"):
            read.additional = True
        elif isinstance(additional, Mapping):
            read.additional = self.schema(additional, f"{place}.additionalProperties", depth + 1)
        elif isinstance(additional, bool):
            read.additional = additional


def _text_of(given: Mapping[str, Any]) -> str:
    """One text for schemas that say the same, wherever they stand."""
    told = {k: v for k, v in given.items() if k not in ("$defs", "definitions", "description")}
    return json.dumps(told, default=str, skipkeys=True)


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
        return (storable(given["const"]),)
    enum = given.get("enum")
    if enum is None:
        return ()
    if not isinstance(enum, (list, tuple)):
        raise ConfigError(f"{place}.enum: a list of values, not {shown(enum)}")
    return tuple(map(storable, enum))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def shown(value: object) -> str:
    """A value for a message, shortened."""
    try:
        return _short(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return type(value).__name__

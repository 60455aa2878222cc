"""One value against what the schema says of it: the value it means, and never a guess.

A coercion changes how a value is written ("5" for 5), not what it says: units, dates, spellings
and abbreviations stay as they are. Whatever cannot be mended is left as it is, for `checking`.
"""

from __future__ import annotations

import math

from rlfocal.toolcalls.parsing.literals import literal
from rlfocal.toolcalls.schema import Schema
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, compact, decoded, number_in, tidy

__all__ = ["chosen", "coerced", "fits"]

_EXACT = 1e22
"""Below it a float without a fraction is written as a whole number."""
_LONGEST = 4096
"""Bits of a whole number that is still written with digits; Python refuses thousands of them."""
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}
_ANYTHING = Schema()


def coerced(value: JSON, schema: Schema, *, depth: int = 0, is_exact: bool = False) -> JSON:
    """The value that is meant, written in one way.

    Args:
        value: as a member wrote it.
        schema: what it may be.
        depth: lists and objects around it.
        is_exact: its keys decide which of several schemas it has: none may be dropped.

    Returns:
        A value that coercion leaves unchanged.

    >>> whole = Schema(frozenset({"integer"}))
    >>> coerced("5", whole), coerced("5.0", whole), coerced("5 km", whole)
    (5, 5, '5 km')
    """
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, str):
        value = tidy(value)
    if schema.alternatives:
        value, schema, is_exact = *chosen(value, schema), True
    if schema.enum:
        found = _in_enum(value, schema)
        if found is not None:
            return found[0]
    value = _of_kind(value, schema)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _plain(value)
    if isinstance(value, list):
        return _items(value, schema, depth, is_exact)
    if isinstance(value, dict):
        return keyed(value, schema, depth=depth, is_exact=is_exact)
    return value


def keyed(
    value: dict[str, JSON], schema: Schema, *, depth: int = 0, is_exact: bool = False
) -> dict[str, JSON]:
    """An object with each key coerced, without those that only say what holds anyway."""
    found: dict[str, JSON] = {}
    rest = schema.additional if isinstance(schema.additional, Schema) else _ANYTHING
    for key, given in value.items():
        key = tidy(key)
        of_key = schema.properties.get(key)
        one = coerced(given, of_key or rest, depth=depth + 1)
        is_kept = is_exact or key in schema.required
        if is_kept or of_key is None or not _is_idle(one, of_key, depth):
            found[key] = one
    return found


def _is_idle(value: JSON, schema: Schema, depth: int) -> bool:
    """Whether leaving an optional value out says the same: it is the default, or null."""
    if value is None:
        # A null that the schema allows beside another default is a choice.
        allows = "null" in schema.kinds or any("null" in s.kinds for s in schema.alternatives)
        return not (schema.has_default and schema.default is not None and allows)
    if not schema.has_default:
        return False
    return compact(coerced(schema.default, schema, depth=depth + 1)) == compact(value)


def _items(value: list[JSON], schema: Schema, depth: int, is_exact: bool) -> list[JSON]:
    rest = schema.items or _ANYTHING
    if not schema.prefix:
        found = [coerced(one, rest, depth=depth + 1) for one in value]
    else:
        of_items = [*schema.prefix[: len(value)], *[rest] * (len(value) - len(schema.prefix))]
        found = [coerced(one, s, depth=depth + 1) for one, s in zip(value, of_items, strict=True)]
    return sorted(found, key=compact) if schema.is_set else found


def _of_kind(value: JSON, schema: Schema) -> JSON:
    """The value as one of the kinds that the schema allows, where it reads as one."""
    kinds = schema.kinds
    if not kinds or fits(value, kinds):
        return value
    if isinstance(value, str):
        return _from_text(value, kinds)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and "string" in kinds:
        plain = _plain(value)
        return plain if isinstance(plain, str) else compact(value)
    return value


def _from_text(text: str, kinds: frozenset[str]) -> JSON:
    if "integer" in kinds or "number" in kinds:
        number = number_in(text)
        if number is not None and ("number" in kinds or _plain(number) == int(number)):
            return _plain(number)
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if "null" in kinds and text.lower() in ("null", "none"):
        return None
    if "array" in kinds or "object" in kinds:
        read = decoded(text) if text[:1] in ("[", "{") else None
        if read is None or isinstance(read, ValueError):
            read = literal(text)
        if isinstance(read, (list, dict)) and fits(read, kinds):
            return read
    return text


def _in_enum(value: JSON, schema: Schema) -> tuple[JSON] | None:
    """The one value of an enum that is meant; in a tuple, since it may be null."""
    if isinstance(value, str):
        if value in schema.enum:
            return (value,)
        key = value.casefold()
        same = [one for one in schema.enum if str(one).strip().casefold() == key]
    else:
        key = _key(value)
        same = [one for one in schema.enum if _key(one) == key]
    return (same[0],) if len(same) == 1 else None


def _key(value: JSON) -> str:
    """The text that a number and its text share; others their own."""
    if isinstance(value, bool):
        return str(value).casefold()
    if isinstance(value, float):
        value = _plain(value)
    return value.strip().casefold() if isinstance(value, str) else compact(value)


def _plain(value: int | float) -> JSON:
    """A number, whole where it is; what is no number in JSON as text."""
    if isinstance(value, int):
        return value if value.bit_length() <= _LONGEST else hex(value)
    if not math.isfinite(value):
        return _NOT_FINITE.get(value, "NaN")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def fits(value: JSON, kinds: frozenset[str]) -> bool:
    """Say whether a value is of one of some kinds as it stands; no kinds stand for all.

    >>> fits(5.0, frozenset({"integer"})), fits(True, frozenset({"integer"}))
    (True, False)
    """
    if not kinds:
        return True
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, str):
        return "string" in kinds
    if isinstance(value, (int, float)):
        if isinstance(value, int):
            return "number" in kinds or "integer" in kinds
        return ("number" in kinds and math.isfinite(value)) or (
            "integer" in kinds and value.is_integer()
        )
    if value is None:
        return "null" in kinds
    return ("array" if isinstance(value, list) else "object") in kinds


def chosen(value: JSON, schema: Schema) -> tuple[JSON, Schema]:
    """The one of a schema's alternatives that a value is of: by its kind, keys and constants.

    The first where nothing tells them apart. A value that fits none as it stands is written as it
    would fit one: it is returned too.
    """
    known = _flat(schema)
    found = next((s for s in known if _may_be(value, s)), None)
    if found is None:
        kinds = frozenset(kind for s in known for kind in s.kinds)
        value = _of_kind(value, Schema(kinds))
        found = next((s for s in known if _may_be(value, s)), known[0])
    return value, found


def _flat(schema: Schema) -> list[Schema]:
    """The alternatives of a schema, and those of its alternatives, in order."""
    found: list[Schema] = []
    waiting, seen = [schema], {id(schema)}
    while waiting:
        one = waiting.pop()
        if not one.alternatives:
            found.append(one)
        for inner in reversed(one.alternatives):
            if id(inner) not in seen:
                seen.add(id(inner))
                waiting.append(inner)
    return found or [_ANYTHING]


def _may_be(value: JSON, schema: Schema) -> bool:
    if schema.enum:
        return _in_enum(tidy(value) if isinstance(value, str) else value, schema) is not None
    if not fits(value, schema.kinds):
        return False
    if isinstance(value, list) and value and schema.items is not None:
        return bool(schema.items.alternatives) or fits(value[0], schema.items.kinds)
    if isinstance(value, dict) and schema.properties:
        value = {tidy(key): one for key, one in value.items()}
        constants = [(k, s) for k, s in schema.properties.items() if s.enum and k in value]
        return (
            schema.required <= value.keys()
            and (schema.additional is not False or value.keys() <= schema.properties.keys())
            and all(_may_be(value[k], s) for k, s in constants)
        )
    return True

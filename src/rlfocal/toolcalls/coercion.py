"""One value against what the schema says of it: the value it means, and never a guess.

A coercion changes how a value is written ("5" for 5), not what it says: units, dates, spellings
and abbreviations stay as they are. Whatever cannot be mended is left as it is, for `checking`.
"""

from __future__ import annotations

import math

from rlfocal.toolcalls.parsing.literals import literal
from rlfocal.toolcalls.parsing.sums import Sum
from rlfocal.toolcalls.schema import Enum, Schema
from rlfocal.toolcalls.values import (
    JSON,
    MAX_DEPTH,
    compact,
    decoded,
    number_in,
    storable,
    tidy,
)

__all__ = ["chosen", "coerced", "fits", "is_in_enum", "keyed"]

_EXACT = 1e22
"""Below it a float without a fraction is written as a whole number."""
_LONGEST = 4096
"""Bits of a whole number that is still written with digits; Python refuses thousands of them."""
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}
_ANYTHING = Schema()


def coerced(
    value: JSON,
    schema: Schema,
    *,
    depth: int = 0,
    is_exact: bool = False,
    defaults: dict[int, str] | None = None,
) -> JSON:
    """The value that is meant, written in one way.

    Args:
        value: as a member wrote it.
        schema: what it may be.
        depth: lists and objects around it.
        is_exact: its keys decide which of several schemas it has: none may be dropped.
        defaults: those known while one is reckoned, by the `id` of their schemas.

    Returns:
        A value that coercion leaves unchanged.

    >>> whole = Schema(frozenset({"integer"}))
    >>> coerced("5", whole), coerced("5.0", whole), coerced("5 km", whole)
    (5, 5, '5 km')
    """
    if depth > MAX_DEPTH:
        return storable(value)
    if isinstance(value, str) and not isinstance(value, Sum):
        value = tidy(value)
    is_set = schema.is_set and not schema.prefix
    if schema.alternatives:
        # Which alternative it is may turn on how its items are written, so all have to be sets.
        lists = [s for s in schema.flat() if not s.kinds or "array" in s.kinds]
        is_set = bool(lists) and all(s.is_set and not s.prefix for s in lists)
        value, schema, is_exact = *chosen(value, schema), True
    if isinstance(value, Sum):
        value = _of_kind(value, schema)
    if schema.enum:
        found = _in_enum(value, schema)
        if found is not None:
            return found[0]
    value = _of_kind(value, schema)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _plain(value)
    if isinstance(value, list):
        items = _items(value, schema, depth, defaults)
        return sorted(items, key=compact) if is_set else items
    if isinstance(value, dict):
        return keyed(value, schema, depth=depth, is_exact=is_exact, defaults=defaults)
    return value


def keyed(
    value: dict[str, JSON],
    schema: Schema,
    *,
    depth: int = 0,
    is_exact: bool = False,
    defaults: dict[int, str] | None = None,
) -> dict[str, JSON]:
    """An object with each key coerced, without those that only say what holds anyway.

    Keys are the schema's own, so that a client gets back what it offered.
    """
    found: dict[str, JSON] = {}
    rest = schema.additional if isinstance(schema.additional, Schema) else _ANYTHING
    for key, given in value.items():
        key = tidy(key)
        of_key = schema.properties.get(key)
        one = coerced(given, of_key or rest, depth=depth + 1, defaults=defaults)
        is_kept = is_exact or key in schema.required
        if is_kept or of_key is None or not _is_idle(one, of_key, depth, defaults):
            found[schema.own_name(key)] = one
    return found


def _is_idle(value: JSON, schema: Schema, depth: int, defaults: dict[int, str] | None) -> bool:
    """Whether leaving an optional value out says the same: it is the default, or null."""
    if value is None:
        # A null that the schema allows beside another default is a choice.
        allows = "null" in schema.kinds or any("null" in s.kinds for s in schema.alternatives)
        return not (schema.has_default and schema.default is not None and allows)
    if not schema.has_default:
        return False
    if defaults is not None:
        return _default(schema, depth + 1, defaults) == compact(value)
    if schema.known_default is None:
        schema.known_default = _default(schema, 0, {})
    return schema.known_default == compact(value)


def _default(schema: Schema, depth: int, known: dict[int, str]) -> str:
    """A schema's default as a value that means it is written.

    Within a default there may be others, and its own: one that is being reckoned, or is too far
    within, counts as it is written.
    """
    if id(schema) not in known:
        known[id(schema)] = compact(schema.default)
        if depth <= MAX_DEPTH:
            value = coerced(schema.default, schema, depth=depth, defaults=known)
            known[id(schema)] = compact(value)
    return known[id(schema)]


def _items(
    value: list[JSON], schema: Schema, depth: int, defaults: dict[int, str] | None
) -> list[JSON]:
    rest = schema.items or _ANYTHING
    of_items = [*schema.prefix[: len(value)], *[rest] * (len(value) - len(schema.prefix))]
    return [
        coerced(one, of_one, depth=depth + 1, defaults=defaults)
        for one, of_one in zip(value, of_items, strict=True)
    ]


def _of_kind(value: JSON, schema: Schema) -> JSON:
    """The value as one of the kinds that the schema allows, where it reads as one."""
    kinds = schema.kinds
    if isinstance(value, Sum):
        is_number = kinds and "string" not in kinds and fits(value, kinds)
        return _plain(value.result) if is_number else _of_kind(tidy(value), schema)
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
    known = _enum_of(schema)
    exact = compact(coerced(value, _ANYTHING))
    if exact in known.exact:
        return (known.exact[exact],)
    if isinstance(value, str):
        same = known.by_text.get(tidy(value).casefold(), ())
    else:
        same = known.by_value.get(_key(value), ())
    return (same[0],) if len(same) == 1 else None


def is_in_enum(value: JSON, schema: Schema) -> bool:
    """Say whether a value is one of an enum's as it stands."""
    return compact(coerced(value, _ANYTHING)) in _enum_of(schema).exact


def _enum_of(schema: Schema) -> Enum:
    """The values of an enum by what they may be found by; made once."""
    known = schema.known_enum
    if known is None:
        known = Enum({}, {}, {})
        for one in schema.enum:
            known.exact.setdefault(compact(coerced(one, _ANYTHING)), one)
            known.by_text.setdefault(tidy(str(one)).casefold(), []).append(one)
            known.by_value.setdefault(_key(one), []).append(one)
        schema.known_enum = known
    return known


def _key(value: JSON) -> str:
    """The text that a number and its text share; others their own."""
    if isinstance(value, bool):
        return str(value).casefold()
    if isinstance(value, str):
        return tidy(value).casefold()
    return compact(coerced(value, _ANYTHING))


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
        is_number = isinstance(value, Sum) and fits(value.result, kinds)
        return "string" in kinds or is_number
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
    known = schema.flat()
    found = _first_of(value, known)
    if found is None:
        kinds = frozenset(kind for s in known for kind in s.kinds)
        mended = _of_kind(value, Schema(kinds))
        found = (None if mended is value else _first_of(mended, known)) or known[0]
        value = mended
    return value, found


def _first_of(value: JSON, known: tuple[Schema, ...]) -> Schema | None:
    if isinstance(value, str) and not isinstance(value, Sum):
        value = tidy(value)
    elif isinstance(value, dict):
        value = {tidy(key): one for key, one in value.items()}
    return next((s for s in known if _may_be(value, s)), None)


def _may_be(value: JSON, schema: Schema) -> bool:
    """Whether a value, its keys tidy, is of a schema as far as that tells alternatives apart."""
    if schema.enum:
        return _in_enum(value, schema) is not None
    if not fits(value, schema.kinds):
        return False
    if isinstance(value, list) and schema.items is not None and not schema.items.alternatives:
        kinds = schema.items.kinds
        return all(fits(one, kinds) for one in value[len(schema.prefix) :])
    if isinstance(value, dict) and schema.properties:
        # Keys first: they cost little, and there may be many alternatives.
        if not schema.required <= value.keys():
            return False
        if schema.additional is False and not value.keys() <= schema.properties.keys():
            return False
        properties = schema.properties.items()
        return all(_may_be(value[key], s) for key, s in properties if s.enum and key in value)
    return True

"""One value against what the schema says of it: the value it means, and never a guess.

A coercion changes how a value is written ("5" for 5), not what it says: units, dates, spellings
and abbreviations stay as they are. Whatever cannot be mended is left as it is, for `checking`.
"""

from __future__ import annotations

from rlfocal.toolcalls.alternatives import choice_of, first_of, in_enum
from rlfocal.toolcalls.parsing.literals import literal
from rlfocal.toolcalls.parsing.sums import Sum
from rlfocal.toolcalls.plain import fits, plain_number
from rlfocal.toolcalls.schema import Schema
from rlfocal.toolcalls.values import (
    JSON,
    MAX_DEPTH,
    compact,
    decoded,
    number_in,
    storable,
    tidy,
)

__all__ = ["chosen", "coerced", "keyed"]

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
    is_set, whole = schema.is_set and not schema.prefix, schema
    if schema.alternatives:
        is_set = choice_of(schema).is_set
        value, schema, is_exact = *chosen(value, schema), True
    if isinstance(value, Sum):
        value = _of_kind(value, schema)
    if schema.enum and (found := in_enum(value, schema)) is not None:
        # As the schema writes it, it may be of an alternative before this one.
        other = chosen(found[0], whole)[1] if whole.alternatives else schema
        if other is schema or other.enum:
            return found[0]
        return coerced(found[0], other, depth=depth, is_exact=True, defaults=defaults)
    value = _of_kind(value, schema)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = plain_number(value)
    elif isinstance(value, list):
        value = _items(value, schema, depth, defaults)
        value = sorted(value, key=compact) if is_set else value
    elif isinstance(value, dict):
        value = keyed(value, schema, depth=depth, is_exact=is_exact, defaults=defaults)
    # Only now may it be what an enum has, which the schema may write in another way (1.0).
    found = in_enum(value, schema) if schema.enum else None
    return value if found is None else found[0]


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
        if not schema.has_default or schema.default is None:
            return True
        return not any("null" in one.kinds or None in one.enum for one in schema.flat())
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
        return plain_number(value.result) if is_number else _of_kind(tidy(value), schema)
    if not kinds or fits(value, kinds):
        return value
    if isinstance(value, str):
        return _from_text(value, kinds)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and "string" in kinds:
        plain = plain_number(value)
        return plain if isinstance(plain, str) else compact(value)
    return value


def _from_text(text: str, kinds: frozenset[str]) -> JSON:
    if "integer" in kinds or "number" in kinds:
        number = number_in(text)
        if number is not None and ("number" in kinds or plain_number(number) == int(number)):
            return plain_number(number)
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


def chosen(value: JSON, schema: Schema) -> tuple[JSON, Schema]:
    """The one of a schema's alternatives that a value is of: by its kind, keys and constants.

    The first where nothing tells them apart. A value that fits none as it stands is written as it
    would fit one: it is returned too.
    """
    choice = choice_of(schema)
    found = first_of(value, choice)
    if found is None:
        mended = _of_kind(value, choice.either)
        found = (None if mended is value else first_of(mended, choice)) or choice.schemas[0]
        value = mended
    return value, found

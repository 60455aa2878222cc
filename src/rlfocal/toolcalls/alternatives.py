"""Which of a schema's alternatives a value is of, at a cost that their number does not multiply.

A value goes with the first alternative that its kind, keys and constants leave. What tells them
apart is reckoned once for a schema and found by hash for a value. A set of alternatives is a whole
number with `_WIDTH` bits for each: a 1 where it is in, and keys can be counted in all at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from rlfocal.toolcalls.plain import kinds_of, plain, text_of
from rlfocal.toolcalls.schema import Choice, Constants, Enum, Schema
from rlfocal.toolcalls.values import JSON, compact, tidy

__all__ = ["choice_of", "enum_of", "first_of", "in_enum"]

_WIDTH = 32
_FULL = (1 << (_WIDTH - 1)) - 1
"""Added to a count, it sets the highest bit of its field, unless the count is 0."""
_NESTED = ("[", "{")


def choice_of(schema: Schema) -> Choice:
    """What tells the alternatives of a schema apart; made once."""
    if schema.known_choice is None:
        schema.known_choice = _choice(schema.flat())
    return schema.known_choice


def first_of(value: JSON, choice: Choice) -> Schema | None:
    """The first alternative that a value may be of; None where it fits none as it stands.

    >>> either = Schema(alternatives=(Schema(frozenset({"integer"})), Schema(frozenset({"null"}))))
    >>> first_of(None, choice_of(either)).kinds, first_of("5", choice_of(either))
    (frozenset({'null'}), None)
    """
    kinds = kinds_of(value)
    fitting = choice.of_kinds.get(kinds)
    if fitting is None:
        fitting = choice.of_kinds[kinds] = _of_kinds(choice.schemas, kinds)
    if fitting and isinstance(value, list):
        fitting &= ~_with_other_items(value, choice)
    elif fitting and isinstance(value, dict) and choice.have_keys:
        fitting &= _with_keys({tidy(key): one for key, one in value.items()}, choice)
    fitting |= _among(value, choice.constants)
    return choice.schemas[(fitting & -fitting).bit_length() // _WIDTH] if fitting else None


def enum_of(schema: Schema) -> Enum:
    """The values of an enum by what they may be found by; made once."""
    if schema.known_enum is None:
        schema.known_enum = _enum(schema.enum)  # whole: another thread may look at once
    return schema.known_enum


def in_enum(value: JSON, schema: Schema) -> tuple[JSON] | None:
    """The one value of an enum that is meant; in a tuple, since it may be null.

    >>> in_enum("KM", Schema(enum=("km", "mile"))), in_enum("m", Schema(enum=("km", "mile")))
    (('km',), None)
    """
    known = enum_of(schema)
    exact = compact(plain(value))
    if exact in known.exact:
        return (known.exact[exact],)
    same = (known.by_text if isinstance(value, str) else known.by_value).get(text_of(value), ())
    return (same[0],) if len(same) == 1 else None


# What is known of a value ------------------------------------------------------------------------


def _of_kinds(schemas: Iterable[Schema], kinds: frozenset[str]) -> int:
    """Alternatives without an enum of one of some kinds."""
    fit = [
        unit
        for unit, one in _numbered(schemas)
        if not one.enum and (not one.kinds or not one.kinds.isdisjoint(kinds))
    ]
    return sum(fit)


def _with_other_items(value: list[JSON], choice: Choice) -> int:
    """Alternatives whose items some item is not of."""
    found, seen, end = 0, set[frozenset[str]](), len(value)
    for start in reversed(choice.starts[: bisect_left(choice.starts, end)]):
        seen.update(map(kinds_of, value[start:end]))
        end = start
        for kinds in seen:
            key = start, kinds
            if key not in choice.other_items:
                others = [u for u, k in choice.items[start] if k.isdisjoint(kinds)]
                choice.other_items[key] = sum(others)
            found |= choice.other_items[key]
    return found


def _with_keys(value: dict[str, JSON], choice: Choice) -> int:
    """Alternatives that have all keys that they need, none that they forbid, and their constants.

    Args:
        value: its keys tidy.
        choice: the alternatives.
    """
    allowed, n_there = choice.everything, 0
    for key, one in value.items():
        n_there += choice.needs.get(key, 0)
        allowed &= choice.allows.get(key, choice.are_open)
        if key in choice.constant:
            theirs, constants = choice.constant[key]
            allowed &= ~theirs | _among(one, constants)
    is_missing = (choice.n_needed - n_there + _FULL * choice.everything) >> (_WIDTH - 1)
    return allowed & ~is_missing


def _among(value: JSON, constants: Constants) -> int:
    """Alternatives one of whose constants a value is."""
    if not constants.exact or (isinstance(value, (list, dict)) and not constants.are_nested):
        return 0
    same = constants.by_text if isinstance(value, str) else constants.by_value
    return constants.exact.get(compact(plain(value)), 0) | same.get(text_of(value), 0)


# What is made once -------------------------------------------------------------------------------


def _enum(values: Iterable[JSON]) -> Enum:
    known = Enum({}, {}, {})
    for one in values:
        exact = compact(plain(one))
        if exact in known.exact:
            continue
        known.exact[exact] = one
        texts = {tidy(str(one)).casefold()}
        if isinstance(one, (int, float)) and not isinstance(one, bool):
            texts.add(text_of(one))  # of 1.0 both "1.0" and "1"
        for text in texts:
            known.by_text.setdefault(text, []).append(one)
        known.by_value.setdefault(text_of(one), []).append(one)
    return known


def _choice(schemas: tuple[Schema, ...]) -> Choice:
    lists = [one for one in schemas if not one.kinds or "array" in one.kinds]
    numbered = _numbered(schemas)
    made = Choice(
        schemas,
        either=Schema(frozenset(kind for one in schemas for kind in one.kinds)),
        # Which it is may turn on how its items are written, so all have to be sets.
        is_set=bool(lists) and all(one.is_set and not one.prefix for one in lists),
        everything=sum(unit for unit, _ in numbered),
        constants=_constants((unit, one) for unit, one in numbered if one.enum),
    )
    for unit, one in numbered:
        if one.items is not None and one.items.kinds and not one.items.alternatives:
            made.items.setdefault(len(one.prefix), []).append((unit, one.items.kinds))
    made.starts = tuple(sorted(made.items))
    _add_keys(made, numbered)
    return made


def _add_keys(made: Choice, numbered: Iterable[tuple[int, Schema]]) -> None:
    constant = dict[str, list[tuple[int, Schema]]]()
    for unit, one in numbered:
        if one.additional is not False or not one.properties:
            made.are_open |= unit
        if not one.properties:
            continue
        made.have_keys = True
        made.n_needed += unit * len(one.required)
        for key in one.required:
            _add(made.needs, key, unit)
        for key, of_key in one.properties.items():
            if one.additional is False:
                _add(made.allows, key, unit)
            if of_key.enum:
                constant.setdefault(key, []).append((unit, of_key))
    for key in made.allows:
        made.allows[key] |= made.are_open
    for key, told in constant.items():
        made.constant[key] = sum(unit for unit, _ in told), _constants(told)


def _numbered(schemas: Iterable[Schema]) -> list[tuple[int, Schema]]:
    return [(1 << (_WIDTH * place), one) for place, one in enumerate(schemas)]


def _constants(told: Iterable[tuple[int, Schema]]) -> Constants:
    exact, by_text, by_value = dict[str, int](), dict[str, int](), dict[str, int]()
    for unit, one in told:
        known = enum_of(one)
        for text in known.exact:
            _add(exact, text, unit)
        for found, values in ((by_text, known.by_text), (by_value, known.by_value)):
            for text, same in values.items():
                if len(same) == 1:
                    _add(found, text, unit)
    return Constants(
        exact, by_text, by_value, any(text.startswith(_NESTED) for text in (*exact, *by_value))
    )


def _add(found: dict[str, int], key: str, unit: int) -> None:
    found[key] = found[key] | unit if key in found else unit

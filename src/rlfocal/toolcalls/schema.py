"""What a value may be: as much of JSON Schema as tells what a value means.

It is made by `describing`, and knows neither functions nor replies. What follows from a schema
alone, and costs time, is reckoned when it is first needed and kept: agents send the same functions
with every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rlfocal.toolcalls.values import JSON

__all__ = ["KINDS", "MAX_ALTERNATIVES", "Choice", "Constants", "Enum", "Schema"]

MAX_ALTERNATIVES = 128
"""Of one value, those within others among them; a value of more than these is taken as anything."""

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


class Enum(NamedTuple):
    """The values of an enum, each as the schema writes it, by what they may be found by."""

    exact: dict[str, JSON]
    by_text: dict[str, list[JSON]]
    """By their text in small letters."""
    by_value: dict[str, list[JSON]]
    """By the text that a number and its text share."""


class Constants(NamedTuple):
    """The constants of several schemas: text → those that have it, as in `Enum`.

    Schemas are bits of a number, see `alternatives`.
    """

    exact: dict[str, int]
    by_text: dict[str, int]
    by_value: dict[str, int]
    are_nested: bool
    """Whether a list or an object may be one of them."""


@dataclass(slots=True, eq=False)
class Choice:
    """What tells the alternatives of a schema apart; sets of them are bits of a number."""

    schemas: tuple[Schema, ...]
    either: Schema
    """Of the kinds of all."""
    is_set: bool
    """Whether a list is one without an order, whichever it is of."""
    everything: int
    """All alternatives."""
    constants: Constants
    """Of those that have an enum."""
    of_kinds: dict[frozenset[str], int] = field(default_factory=dict)
    """Kinds that a value is of → those without an enum that it fits."""
    items: dict[int, list[tuple[int, frozenset[str]]]] = field(default_factory=dict)
    """Place from which on items have one schema → an alternative, and the kinds of that schema."""
    starts: tuple[int, ...] = ()
    """These places, in order."""
    other_items: dict[tuple[int, frozenset[str]], int] = field(default_factory=dict)
    """Place, and kinds that an item is of → those whose items it does not fit."""
    have_keys: bool = False
    """Whether keys of an object tell anything."""
    n_needed: int = 0
    """How many keys each needs."""
    needs: dict[str, int] = field(default_factory=dict)
    """Key → those that need it."""
    are_open: int = 0
    """Those that forbid no key."""
    allows: dict[str, int] = field(default_factory=dict)
    """Key → those that allow it, where others do not."""
    constant: dict[str, tuple[int, Constants]] = field(default_factory=dict)
    """Key → those whose property of that name has an enum, and its constants."""


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
    """Tidy names, in the order in which they are declared: that of positional arguments."""
    spelling: dict[str, str] = field(default_factory=dict)
    """Of the names that the schema itself does not write tidily: tidy → its own."""
    required: frozenset[str] = frozenset()
    """Tidy names."""
    additional: Schema | bool | None = None
    """What unknown keys hold, or whether there may be any; None where nothing is said."""
    items: Schema | None = None
    prefix: tuple[Schema, ...] = ()
    """Of the first items, each its own."""
    is_set: bool = False
    """An array without an order: `uniqueItems`, unless the first items have each its own schema."""
    alternatives: tuple[Schema, ...] = ()
    """The value is one of these (`anyOf`, `oneOf`)."""

    known_flat: tuple[Schema, ...] | None = field(default=None, init=False, repr=False)
    known_enum: Enum | None = field(default=None, init=False, repr=False)
    known_choice: Choice | None = field(default=None, init=False, repr=False)
    """Kept by `alternatives`."""
    known_default: str | None = field(default=None, init=False, repr=False)
    """Kept by `coercion`: the default as a value that means it is written."""

    def flat(self) -> tuple[Schema, ...]:
        """The alternatives, and in their place those that they have themselves, in order.

        One that is anything where there are too many.
        """
        if self.known_flat is None:
            found: list[Schema] = []
            waiting, seen = [self], {id(self)}
            while waiting:
                one = waiting.pop()
                if not one.alternatives:
                    found.append(one)
                for inner in reversed(one.alternatives):
                    if id(inner) not in seen:
                        seen.add(id(inner))
                        waiting.append(inner)
            is_known = 0 < len(found) <= MAX_ALTERNATIVES
            self.known_flat = tuple(found) if is_known else (Schema(),)
        return self.known_flat

    def own_name(self, name: str) -> str:
        """A tidy name as the schema writes it."""
        return self.spelling.get(name, name)

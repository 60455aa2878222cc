"""Fields by their names: which go to a member, which have no effect, which are refused.

What could say where a request goes, with which key, or which model answers is never passed on: at
the top of a body it is refused, so that whoever means it learns that it does not work; where a
field is dropped anyway it is dropped, and the reply names it. Names of a schema's properties are
data.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.names import (
    costs_no_more,
    joined,
    names_a_model,
    names_a_server,
    says_how_long,
    says_how_many,
    words_of,
)

__all__ = [
    "NOTHING",
    "IgnoredFields",
    "has_bad_name",
    "has_many_names",
    "is_shallow",
    "is_within_price",
    "names_a_server",
    "refuse_inner",
    "refuse_many",
    "refuse_names",
    "sort_out",
    "unknown_field",
]

_MOST_TOLD, _LONGEST = 64, 64
_MOST_UNKNOWN = 64
"""Fields beside the known ones that an object may have."""
_MOST_DEPTH = 64
_MOST_NAMES = 2000
"""Different ones, in a value that is passed on."""
NOTHING: tuple[Any, ...] = ("", None, [], {}, False)
"""Values of a field that says nothing."""
_NEARLY = 5
"""Letters from which on a name that differs in a letter or two is a slip of the pen."""


class IgnoredFields:
    """Names of what had no effect, each once.

    >>> ignored = IgnoredFields()
    >>> for name in ("messages[].name", "top_k", "messages[].name"):
    ...     ignored.add(name)
    >>> ignored.names
    ('messages[].name', 'top_k')
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Note one; of very many, and of very long ones, only the beginning."""
        if len(self._names) < _MOST_TOLD:
            self._names.setdefault(name[: 2 * _LONGEST])

    def add_unknown(self, found: Mapping[str, Any], known: Collection[str], holder: str) -> None:
        """Note what an object says in fields that are not read.

        Args:
            found: its fields.
            known: names of those that are read.
            holder: the object, as it is named to clients.
        """
        for name, value in found.items():
            if name not in known and value not in NOTHING:
                self.add(f"{holder}.{name}")

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they were met."""
        return tuple(self._names)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INNARDS = _set(
    "customlogitprocessor logitsprocessor logitsprocessors kvtransferparams lorapath lorarequest "
    "bootstraproom returnhiddenstates sessionparams"
)
"""By which some servers let whoever asks them run code, load files or see what others sent."""
_ABOUT = _set("trace tracing traces telemetry langfuse langsmith litellm retry retries timeout")
"""Words of what is meant for a client's own records, or for whoever carries a request."""
_SCHEMAS = _set(
    "guidedjson structuredoutputs format jsonschema schema responseschema guidedgrammar "
    "structuraltag outputformat outputschema"
)
"""Fields that hold a schema, in which lengths and counts are data."""
_DEFINED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Where a schema has names of its writer's choice."""
_OF_THOUGHTS = ("reasoning", "thinking")
_REMEDIES: Mapping[str, str] = {
    "system": "put it into messages, with the role 'system'",
    "instructions": "put them into messages, with the role 'system'",
    "prompt": "put it into messages, with the role 'user'",
    "input": "put it into messages, with the role 'user'",
    "functions": "send them as tools: [{'type': 'function', 'function': {...}}]",
    "function_call": "use tool_choice",
}
"""What would change the question itself, and which place is read instead."""
_LABEL = re.compile(r"[\w.-]{0,128}\Z", re.ASCII)
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]{1,15}://\S", re.IGNORECASE)
"""A server, whatever its field is called."""
_LABELS = _set("id type label version")


def _says_nothing(name: str, value: Any) -> bool:
    """Whether a value cannot say where a request goes, whatever its field is called."""
    if value is None or isinstance(value, bool | int | float) or value in ("", [], {}):
        return True
    words = words_of(name)
    if names_a_model(name) or joined(name) in ("apitype", "apiversion", "deploymentid"):
        return False
    of_a_label = words & _LABELS and not words & {"key", "keys", "secret", "token"}
    return bool(of_a_label and isinstance(value, str) and _LABEL.match(value))


def refuse_many(found: Collection[str], known: Collection[str], path: str = "") -> None:
    """Refuse an object with too many unknown fields.

    Raises:
        ApiError: 400, with how many.
    """
    n_unknown = len(set(found).difference(known))
    if n_unknown > _MOST_UNKNOWN:
        raise ApiError(
            400, "too_many_fields",
            f"'{path.rstrip('.') or 'the body'}' has {n_unknown} unknown fields; at most "
            f"{_MOST_UNKNOWN} are taken",
            param=path.rstrip(".") or None,
        )  # fmt: skip


def refuse_names(found: Mapping[str, Any], known: Collection[str], path: str = "") -> None:
    """Refuse fields that name a server, a key or another model, and too many unknown ones.

    One whose value could not name any (a number, nothing, a short label) is left to `sort_out`.

    Args:
        found: an object's fields.
        known: those that are read.
        path: of the object, with a point at its end.

    Raises:
        ApiError: 400, naming the field.
    """
    if len(found) > _MOST_UNKNOWN:
        refuse_many(found, known, path)
    for name, value in found.items():
        bad = name not in known and (names_a_server(name) or names_a_model(name))
        if bad and not _says_nothing(name, value):
            raise unknown_field(f"{path}{name}", _POOLS)


_POOLS = (
    "nothing in a request names a server, a key or another model: these are the pool file's; "
    "leave it out"
)


def unknown_field(path: str, remedy: str) -> ApiError:
    """A field that may not be there."""
    shown = path[:128]
    return ApiError(400, "unknown_parameter", f"unknown field '{shown}'; {remedy}", param=shown)


def sort_out(
    unknown: Mapping[str, Any], known: Collection[str], ignored: IgnoredFields, *, by_name: bool
) -> dict[str, Any]:
    """Of the unknown fields, those that go to a member that is asked by its name.

    Args:
        unknown: fields of the body, without nulls.
        known: names of those that are read.
        ignored: gets what has no effect.
        by_name: whether one member is asked, by its name.

    Raises:
        ApiError: 400, naming one that cannot be passed over.
    """
    passed: dict[str, Any] = {}
    known_joined = {joined(name) for name in known}
    for name, value in unknown.items():
        _refuse_what_is_meant(name, value)
        is_known = joined(name) in known_joined or name in _REMEDIES or _is_nearly(name, known)
        if by_name and not is_known and _may_pass(name, value):
            refuse_inner(name, value)
            if joined(name) in _SCHEMAS or not _has_address(value):
                passed[name] = value
        if name not in passed:
            ignored.add(name)
    return passed


def _refuse_what_is_meant(name: str, value: Any) -> None:
    """What would change the question, or how many answers there are, cannot be passed over."""
    counts = says_how_many(name) and joined(name) in _PAID
    if counts and (value is True or value not in (1, False)):
        raise unknown_field(name, "how many replies are made is said by n")
    if name not in _REMEDIES or value in ("", [], {}):
        return
    if name == "function_call" and value in ("none", "auto"):
        return  # of no functions
    raise unknown_field(name, _REMEDIES[name])


_PAID = _set(
    "bestof numchoices nchoices numreturnsequences candidatecount numcompletions numbeams "
    "beamwidth usebeamsearch numgenerations"
)


def _may_pass(name: str, value: Any) -> bool:
    """Whether a member's server may see a field, and what is in it."""
    words = words_of(name)
    if not is_shallow(value) or joined(name) in _INNARDS or says_how_many(name):
        return False
    if says_how_long(name) or names_a_server(name) or words & _ABOUT or words & {"model", "models"}:
        return False
    if has_many_names(value):
        return False
    if joined(name) in _SCHEMAS or joined(name) == "chattemplatekwargs":
        return True
    is_thought = bool(words & set(_OF_THOUGHTS))
    for inner, what in _pairs(value):
        if words_of(inner) & _ABOUT or joined(inner) in _INNARDS:
            return False
        if says_how_long(inner) and not is_thought:
            return False
        if says_how_many(inner) and what not in (1, False):
            return False
    return True


def has_many_names(value: Any) -> bool:
    """Whether something has more names than could be looked at while others wait."""
    return len({name for name, _ in _pairs(value)}) > _MOST_NAMES


def _has_address(value: Any) -> bool:
    every = (one for level in _levels(value) for one in level)
    return any(isinstance(one, str) and _ADDRESS.match(one) for one in every)


def refuse_inner(name: str, value: Any) -> None:
    """Refuse a field in which, at any depth, another names a server, a key or a model.

    Raises:
        ApiError: 400, naming both; or there are too many to look at them.
    """
    if has_many_names(value):
        raise ApiError(
            400, "too_many_fields",
            f"'{name[:_LONGEST]}' has more than {_MOST_NAMES} names in it; leave it out",
            param=name[: 2 * _LONGEST],
        )  # fmt: skip
    if (inner := _bad_name(value)) is not None:
        raise unknown_field(f"{name}...{inner}", _POOLS)


def has_bad_name(value: Any) -> bool:
    """Whether something may name a server, a key or another model at any depth."""
    return has_many_names(value) or _bad_name(value) is not None


def _bad_name(value: Any) -> str | None:
    for inner, what in _pairs(value):
        bad = names_a_server(inner) or names_a_model(inner)
        # A number may be an address, so that of what is passed on only a switch says nothing.
        is_switch = isinstance(what, bool) or what in ("", [], {})
        if bad and not (is_switch and "apikey" not in joined(inner)):
            return inner
    return None


def is_within_price(name: str, value: Any) -> bool:
    """Whether a field that OpenAI's API does not have leaves a call as dear as its bound says."""
    if joined(name) == "priority" and isinstance(value, str):  # of service, not in a queue
        return False
    if joined(name) == "enablethinking" and value:  # some servers bound it by nothing
        return False
    inner = frozenset(one for one, what in _pairs(value) if what not in (None, False))
    return costs_no_more(name, inner)


def _is_nearly(name: str, known: Collection[str]) -> bool:
    """Whether a name is a known one with a letter or two wrong."""
    if len(name) < _NEARLY + 1 or len(name) > _LONGEST or costs_no_more(name):
        return False
    if "min" in words_of(name):  # of tokens, say
        return False
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    if not found:
        return False
    parts = difflib.SequenceMatcher(None, name, found[0], autojunk=False).get_opcodes()
    wrong = sum(max(b - a, d - c) for kind, a, b, c, d in parts if kind != "equal")
    return wrong <= (1 if len(name) < 2 * _NEARLY else 2)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and what stands under them, at any depth; without the names that a schema defines."""
    level = [value]
    for _ in range(_MOST_DEPTH + 1):
        below: list[Any] = []
        for outer in level:
            if isinstance(outer, list):
                below += outer
            elif isinstance(outer, dict):
                for name, inner in outer.items():
                    yield name, inner
                    below += inner.values() if _is_defining(name, inner) else [inner]
        if not below:
            return
        level = below


def _is_defining(name: str, value: Any) -> bool:
    return (
        name in _DEFINED
        and isinstance(value, dict)
        and all(isinstance(one, dict | bool) for one in value.values())
    )


def is_shallow(value: Any) -> bool:
    """Whether something that is passed on can be written again as deep as it is nested."""
    return sum(1 for _ in _levels(value)) <= _MOST_DEPTH


def _levels(value: Any) -> Iterator[list[Any]]:
    level = [value]
    for _ in range(_MOST_DEPTH + 1):
        if not level:
            return
        yield level
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]

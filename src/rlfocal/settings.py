"""Settings files: checked whole before any work, every mistake named with its key and remedy.

Knows nothing of what is set. A subclass lists its fields; unknown keys are errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from rlfocal.errors import ConfigError, nearest

__all__ = ["KeyVariable", "Settings", "read_toml"]


def _a_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", value):
        raise ValueError(
            "not the name of an environment variable; the key itself must not stand here"
        )
    return value


KeyVariable = Annotated[str, AfterValidator(_a_name)]
"""Name of an environment variable that holds a key."""


_LIST = 'should be a list: write ["..."]'
_PLAIN: Mapping[str, str] = {
    **dict.fromkeys(("frozen_set_type", "set_type", "tuple_type", "list_type"), _LIST),
    **dict.fromkeys(("dict_type", "mapping_type"), "should be a table: write { name = value }"),
    "string_type": "should be a text, in quotes",
    "int_type": "should be a whole number, without quotes",
    "float_type": "should be a number, without quotes",
    "bool_type": "should be true or false, without quotes",
    "finite_number": "should be a finite number",
}
"""Kinds of mistakes for which the library speaks of Python's types."""


class Settings(BaseModel):
    """A group of settings that knows its own names."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    never_shown: ClassVar[frozenset[str]] = frozenset()
    """Fields whose values no message may show."""

    @classmethod
    def of(cls, values: Mapping[str, Any], *, source: str) -> Self:
        """Check a mapping.

        Args:
            values: what a file says.
            source: how messages call the file.

        Raises:
            ConfigError: an unknown key (with the nearest known one), a missing one, or a value out
                of range.
        """
        try:
            return cls(**values)
        except ValidationError as exc:
            raise ConfigError(f"{source}: {cls._first(exc)}") from None  # its text shows values

    @classmethod
    def _first(cls, exc: ValidationError) -> str:
        """The first mistake in one sentence."""
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            if len(first["loc"]) > 1:  # of a group within this one: its names are not known here
                return f"unknown key '{key}'"
            return f"unknown key '{key}'; {nearest(key, cls.model_fields)}"
        if first["type"] == "missing":
            known = cls.model_fields.get(key)
            return f"'{key}' is missing; {(known and known.description) or 'add it'}"
        reason = _PLAIN.get(first["type"]) or first["msg"].removeprefix("Value error, ")
        if set(map(str, first["loc"])) & cls.never_shown or not key:
            return f"{key}: {reason}" if key else reason
        return f"{key} = {first['input']!r}: {reason}"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: it cannot be read or parsed.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path}: cannot read the configuration: {exc}") from exc

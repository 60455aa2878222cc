"""Families of signals by name: one function that reads a reply and says several numbers.

A package adds one by an entry point of the group `rlfocal.signals`, whose object is a `Family`; a
user names a function `module:function` in the pool file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from rlfocal.errors import ConfigError
from rlfocal.plugins import Registry
from rlfocal.records.signals.reply import SeenReply

__all__ = ["GROUP", "Family", "families", "family_names", "signal_names"]

GROUP = "rlfocal.signals"
BUILT_IN: Mapping[str, str] = {
    "text": "rlfocal.records.signals.text:TEXT",
    "answer": "rlfocal.records.signals.answer:ANSWER",
    "logprobs": "rlfocal.records.signals.logprobs:LOGPROBS",
    "server": "rlfocal.records.signals.server:SERVER",
    "reading": "rlfocal.records.signals.others:OTHERS",
}
_FAMILIES = Registry(GROUP, "family of signals", BUILT_IN)


class Family(NamedTuple):
    """Signals that are read together."""

    names: tuple[str, ...]
    """Of the numbers, in the order in which `read` gives them."""
    read: Callable[[SeenReply], Sequence[float]]
    """One number for each name, NaN where it is not known."""


def family_names() -> tuple[str, ...]:
    """Names of all families: the built-in ones, then those of other packages."""
    return _FAMILIES.names()


@cache
def families() -> tuple[Family, ...]:
    """All families.

    Raises:
        ConfigError: another package's cannot be loaded, is no `Family`, or gives a signal a name
            that is taken, or cannot be printed.
    """
    found: dict[str, Family] = {}
    owner: dict[str, str] = {}
    for name in family_names():
        family = _FAMILIES.load(name)
        if not isinstance(family, Family):
            raise ConfigError(
                f"family of signals '{name}': expected a Family, found {family!r:.80}"
            )
        for signal in family.names:
            if not signal.isprintable():
                raise ConfigError(
                    f"family of signals '{name}': the name {signal!r} should be on one line, of "
                    "characters that can be printed"
                )
            if signal in owner:
                raise ConfigError(
                    f"family of signals '{name}': '{owner[signal]}' has a signal '{signal}' "
                    f"already; call it '{name}.{signal.rpartition('.')[2]}'"
                )
            owner[signal] = name
        found[name] = family
    return tuple(found.values())


@cache
def signal_names() -> frozenset[str]:
    """Names of the signals of all families, which no signal of a user's own may have.

    Raises:
        ConfigError: as of `families`.
    """
    return frozenset(name for family in families() for name in family.names)

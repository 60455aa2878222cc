"""A user's own numbers about replies: functions that the pool file names, `module:function`.

What they are shown, a `SeenReply`, is made by whoever reads replies; the same functions are asked
when replies are collected and when they are served.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from rlfocal.errors import ConfigError
from rlfocal.plugins import user_function

__all__ = ["OwnSignals"]

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class OwnSignals:
    """Functions by the name of their signal.

    Args:
        functions: each from a `SeenReply` to a number.
    """

    def __init__(self, functions: Mapping[str, Callable[[Any], Any]]) -> None:
        self._functions = dict(functions)
        self._failed: set[str] = set()

    @classmethod
    def load(
        cls, named: Mapping[str, object], *, source: str = "pool", folder: Path | None = None
    ) -> Self:
        """Load them.

        Args:
            named: name → "module:function".
            source: how messages call what names them.
            folder: where a module may lie that is not installed.

        Raises:
            ConfigError: a name that no column can have, or no such function.
        """
        functions = {}
        for name, where in named.items():
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"{source}: signals.{name}: should be made of letters, digits and _, as it is "
                    "the name of a column"
                )
            what = f"{source}: signals.{name}"
            functions[name] = user_function(where, what=what, folder=folder)
        return cls(functions)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the signals."""
        return tuple(self._functions)

    def read(self, seen: Any) -> dict[str, float]:
        """Each signal of a reply; NaN where its function says None, or fails.

        The first failure of each is logged, without a word of the reply.
        """
        found = {}
        for name, function in self._functions.items():
            try:
                given = function(seen)
                value = math.nan if given is None else float(given)
            except Exception as exc:  # whatever a user's own code may raise
                if name not in self._failed:
                    self._failed.add(name)
                    _log.warning(
                        "signal '%s': its function raised %s; it is unknown of such replies, and "
                        "this is said once",
                        name,
                        type(exc).__name__,
                    )
                value = math.nan
            found[name] = value if math.isfinite(value) else math.nan
        return found

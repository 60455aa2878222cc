r"""From a member's full text to the answer in it: one extractor per kind of answer.

An extractor returns a canonical form, so that equal answers are equal strings and votes add up.
Every extractor takes linear time on any text, raises on none, and leaves its own canonical forms
unchanged: `extract(extract(text)) == extract(text)`.

>>> extractor("number").extract("16 - 3 - 4 = 9, and 9 * 2 = 18.\n#### 18.00")
'18'
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from rlfocal.errors import ConfigError, nearest

__all__ = ["KINDS", "Extractor", "extractor"]


class Extractor(Protocol):
    """Finds the answer in a text."""

    def read(self, answer: str) -> str | None:
        """Return the canonical form of a text that is one answer as a whole; else None.

        For labels and recorded answers. Canonical forms are left unchanged.
        """
        ...

    def extract(self, text: str, *, truncated: bool = False) -> str | None:
        """Return the canonical form of the answer in a reply, or in an answer as it is written.

        Args:
            text: what a member said.
            truncated: it was cut off at its limit of tokens, so that only a complete answer that
                is marked as one counts.

        Returns:
            What `read` gives, if it gives something; None when the text holds no usable answer.
        """
        ...

    def equal(self, a: str, b: str) -> bool:
        """Say whether two answers, canonical or not, mean the same."""
        ...


_CLASSES: Mapping[str, tuple[str, str]] = {
    "choice": ("choice", "ChoiceExtractor"),
    "number": ("number", "NumberExtractor"),
    "math": ("maths", "MathExtractor"),
    "date": ("dates", "DateExtractor"),
    "text": ("text", "TextExtractor"),
}
"""Kind → module and class, loaded when the kind is needed: compiling all of their patterns takes
as long as reading a hundred thousand canonical answers."""

KINDS = tuple(_CLASSES)
"""The kinds of answer, named as in `dataset.json`."""


def extractor(kind: str, **options: Any) -> Extractor:
    """Make the extractor of a kind.

    Args:
        kind: one of `KINDS`.
        options: the extractor's own, such as `n_options` of "choice".

    Raises:
        ConfigError: the kind or an option is unknown.
        ValueError: an option is out of range.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of answer '{kind}'; {nearest(kind, KINDS)}")
    module, name = _CLASSES[kind]
    made = getattr(import_module(f"{__name__}.{module}"), name)
    known = inspect.signature(made).parameters
    for option in options:
        if option not in known:
            raise ConfigError(
                f"answers of kind '{kind}' have no option '{option}'; {nearest(option, known)}"
            )
    found: Extractor = made(**options)
    return found

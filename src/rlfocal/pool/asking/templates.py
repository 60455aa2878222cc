r"""A text with places for others in it, and with braces that are none.

`{name}` is a place. In a template that holds `{{` anywhere, `{{` and `}}` stand for braces, as in
`str.format`. Any other brace stands for itself, so that `{"answer": 1}` and `\frac{1}{2}` may be
written as they are. Knows no names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["fill", "places"]

_PLACE = re.compile(r"\{([a-z_]+)\}")
# In a template without "{{" a pair of closing braces is what it was: the end of "{a{b}}".
_PLACE_OR_BRACES = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")


def _pattern(template: str) -> re.Pattern[str]:
    return _PLACE_OR_BRACES if "{{" in template else _PLACE


def places(template: str) -> list[str]:
    r"""The names of a template's places, in order.

    >>> places(r"{question} End with \boxed{{answer}}.")
    ['question']
    """
    return [found[1] for found in _pattern(template).finditer(template) if found[1]]


def fill(template: str, texts: Mapping[str, str]) -> str:
    r"""Put texts in a template's places, as they are: what they hold is never looked at.

    Args:
        template: with places and braces.
        texts: name → text; a place without one is left as it is.

    >>> fill(r"{question} End with \boxed{{answer}}.", {"question": "{1 + 1}?"})
    '{1 + 1}? End with \\boxed{answer}.'
    """

    def put(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        return texts.get(found[1], found[0])

    return _pattern(template).sub(put, template)

r"""A text with places for others in it, and with braces that are none.

`{name}` is a place. In a template that holds `{{` anywhere, `{{` and `}}` stand for braces, as in
`str.format`. Any other brace stands for itself, so that `{"answer": 1}` and `\frac{1}{2}` may be
written as they are. Knows no names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["fill", "fill_halves", "places"]

_PLACE = re.compile(r"\{([a-z_]+)\}")
# In a template without "{{" a pair of closing braces is what it was: the end of "{a{b}}".
_PLACE_OR_BRACES = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")


@lru_cache(maxsize=256)
def _pieces(template: str) -> tuple[tuple[str, str | None], ...]:
    """A template's texts, each with the name of the place behind it; None where none is."""
    pieces, at, text = [], 0, ""
    for found in (_PLACE_OR_BRACES if "{{" in template else _PLACE).finditer(template):
        text += template[at : found.start()]
        at = found.end()
        if found[1] is None:
            text += found[0][0]
        else:
            pieces.append((text, found[1]))
            text = ""
    return (*pieces, (text + template[at:], None))


def places(template: str) -> list[str]:
    r"""The names of a template's places, in order.

    >>> places(r"{question} End with \boxed{{answer}}.")
    ['question']
    """
    return [name for _, name in _pieces(template) if name]


def fill(template: str, texts: Mapping[str, str]) -> str:
    r"""Put texts in a template's places, as they are: what they hold is never looked at.

    Args:
        template: with places and braces.
        texts: name → text; a place without one is left as it is.

    >>> fill(r"{question} End with \boxed{{answer}}.", {"question": "{1 + 1}?"})
    '{1 + 1}? End with \\boxed{answer}.'
    """
    return "".join(fill_halves(template, texts))


def fill_halves(template: str, texts: Mapping[str, str]) -> tuple[str, str]:
    r"""The filled template up to its last place, and what stands behind it.

    Args:
        template: as of `fill`.
        texts: as of `fill`.

    >>> fill_halves("Question: {question}\nAnswer:", {"question": "1 + 1?"})
    ('Question: 1 + 1?', '\nAnswer:')
    """
    *pieces, (end, _) = _pieces(template)
    filled = ""
    for text, name in pieces:
        filled += text if name is None else text + texts.get(name, f"{{{name}}}")
    return filled, end

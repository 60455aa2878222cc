"""Cells that are lists, as JSON, Python, numpy and pandas write them.

Knows nothing of what the items are: labels, options or replies.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.table.cells.values import Where, shown

__all__ = ["list_of", "parsed"]

_QUOTED = re.compile(r"""[bBrRuU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.S)
_ONLY_BLANKS = re.compile(r"\[\s*\0(?:\s+\0)+\s*\]")
_MIXED = re.compile(r"[\[(][\0\s,.]*[\])]")
_GLUED = re.compile(r"\0\s*\0")
_NUMBERS = re.compile(r"\[\s*[-+\d.eE]+(?:\s+[-+\d.eE]+)+\s*\]")


def list_of(value: Any, where: Where) -> list[Any] | None:
    """A cell as a list; None where it is none.

    Raises:
        RecordError: it is a text in which it is not plain where items end.

    >>> list_of("['4' '5']", str), list_of('["4"]', str), list_of("[4 5]", str), list_of("4", str)
    (['4', '5'], ['4'], [4, 5], None)
    """
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, str) or not value.strip().startswith(("[", "(")):
        return None
    found = parsed(value, where)
    return list(found) if isinstance(found, (list, tuple)) else None


def parsed(text: str, where: Where) -> Any:
    """What JSON, Python or numpy wrote as this text; None where none of them did.

    Raises:
        RecordError: texts stand in it with nothing between them, which Python would glue together.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    text = text.strip()
    marked = _QUOTED.sub("\0", text)
    if _ONLY_BLANKS.fullmatch(marked):
        return [_literal(item) for item in _QUOTED.findall(text)]
    if _NUMBERS.fullmatch(text):
        return [_literal(item) for item in text[1:-1].split()]
    found = _literal(text)
    if _GLUED.search(marked) and (found is not None or _MIXED.fullmatch(marked)):
        raise RecordError(
            f"{where()}: {shown(text)}: texts with nothing between them, so it is not plain where "
            'each ends; write the list as JSON: ["a", "b"]'
        )
    return found


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a lone stroke, as in LaTeX
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None

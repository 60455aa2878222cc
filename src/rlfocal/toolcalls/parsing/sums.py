"""Numbers that are written as no number is in JSON: a sum, or with noughts before it.

A member that writes `0.05 / 12` for a number means the result; one that writes `10/2/2024` or
`0049` for a text, without quotes, means what it wrote. Only the schema tells, so both are kept.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

__all__ = ["Sum", "worked_out"]

_SUM = re.compile(r"[-+*/().0-9\s]{3,100}")
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Sum(str):
    """A number as it is written; as JSON, and to whoever knows no better, a text."""

    result: int | float

    def __new__(cls, text: str, result: float) -> Sum:
        """Keep a result beside its text."""
        made = super().__new__(cls, text)
        made.result = result
        return made


def worked_out(text: str) -> Sum | None:
    """Return a sum of numbers with its result; None for any other text.

    >>> worked_out("2 * (3 + 4)").result, worked_out("1 / 0"), worked_out("2 ** 9")
    (14, None, None)
    """
    if _SUM.fullmatch(text) is None:
        return None
    try:
        result = _result(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, OverflowError):
        return None
    return None if result is None else Sum(text, result)


def _result(node: ast.expr) -> int | float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = _result(node.operand)
        return inner if inner is None or isinstance(node.op, ast.UAdd) else -inner
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _result(node.left), _result(node.right)
        if left is not None and right is not None:
            return _OPERATORS[type(node.op)](left, right)
    return None

"""Sums of numbers, worked out: a member that writes `0.05 / 12` means the result."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

__all__ = ["worked_out"]

_SUM = re.compile(r"[-+*/().0-9\s]{3,100}")
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def worked_out(text: str) -> int | float | None:
    """Return the result of a sum of numbers; None for any other text.

    >>> worked_out("2 * (3 + 4)"), worked_out("1 / 0"), worked_out("2 ** 9"), worked_out("x + 1")
    (14, None, None, None)
    """
    if _SUM.fullmatch(text) is None:
        return None
    try:
        return _result(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, OverflowError):
        return None


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

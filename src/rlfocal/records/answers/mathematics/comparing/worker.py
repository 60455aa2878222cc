"""Compare expressions with math-verify, in a process that may be killed.

It runs as a script and imports nothing of rlfocal. Requests are lines of JSON on standard input,
`{"pairs": [[a, b], ...], "seconds": s}`, with expressions in LaTeX; the reply to every pair is one
line: `true`, `false`, `null` (not decided), `"late"` (out of time) or `{"error": NAME}`, where the
libraries could not read or work out an expression. The first line it writes says whether it is
ready.

Equal means: math-verify's parser (latex2sympy2_extended) reads both, and their values agree to 30
digits at fixed points (four per set of symbols, two of them negative); where numbers cannot decide,
math-verify's own comparison does, asked in both directions because it is not symmetric. Decimals
are exact: .333 is not 1/3, unlike in math-verify, which rounds to six digits.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any

MEMORY_BYTES = 1 << 30
"""Address space; what needs more is not decided."""
MAX_CHARS = 2000
DIGITS = 50
AGREE = 1e-30
"""Relative difference up to which two values of `DIGITS` digits are one."""
NOTHING = 1e-60
"""Values below are zero."""
POINTS = (
    (0.7310585786, 1.9021605823, 0.3926990817, 2.6457513111, 1.2020569032, 0.9159655942),
    (2.2360679775, 0.5772156649, 1.6449340668, 0.2614972128, 2.5029078751, 1.4513692349),
    (-1.3247179572, -0.6434105463, -2.1213203436, -0.8346268417, -1.7320508076, -0.4142135624),
    (-0.2801694990, 1.4560749485, -0.7642236535, -1.9287800, 0.6627434193, -2.6854520011),
)
"""Values of the symbols, in the order of their names; a seventh symbol takes the first again."""
DEGREES = re.compile(r"([0-9]+(?:\.[0-9]+)?|[a-z]|\\[a-z]+)\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)")


Compare = Callable[[str, str], bool | None]
Reply = bool | str | dict[str, str] | None


class OutOfTime(BaseException):
    """No `Exception`: libraries that swallow those must not swallow this."""


def main() -> None:
    """Serve until standard input ends."""
    replies = _own_output()
    _limit_memory()
    try:
        compare = load()
    except ImportError as error:
        _say(replies, {"ready": False, "why": str(error)})
        return
    _say(replies, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        for first, second in request["pairs"]:
            _say(replies, _decide(compare, first, second, request["seconds"]))


def _own_output() -> IO[str]:
    """Standard output is for replies alone: whatever a library prints goes nowhere."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return replies


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(replies: IO[str], value: Any) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()


def _decide(compare: Compare, first: str, second: str, seconds: float) -> Reply:
    try:
        with _limit_time(seconds):
            return compare(first, second)
    except OutOfTime:
        return "late"
    except MemoryError:  # nothing is sure after it; the parent starts another process
        raise SystemExit(1) from None
    except Exception as error:  # of whatever kind a computer algebra system meets: said by name
        return {"error": type(error).__name__}


@contextlib.contextmanager
def _limit_time(seconds: float) -> Iterator[None]:
    """Of the processor: on a busy machine the same comparison takes as long as on an idle one."""
    if not hasattr(signal, "setitimer"):  # the parent's own limit has to do
        yield
        return

    def stop(*_: object) -> None:
        raise OutOfTime

    signal.signal(signal.SIGPROF, stop)
    # Again and again: the first may be raised where Python ignores exceptions.
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def load() -> Compare:
    """Import the libraries and return the comparison.

    Returns:
        A function of two expressions in LaTeX; True, False, or None where it cannot decide.

    Raises:
        ImportError: a library is missing.
    """
    import logging

    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(3000)
    return Algebra().compare


class Algebra:
    """Reads expressions and compares them."""

    def __init__(self) -> None:
        import mpmath
        import sympy
        from latex2sympy2_extended import NormalizationConfig, latex2sympy
        from latex2sympy2_extended.latex2sympy2 import ConversionConfig
        from math_verify import verify

        self.sympy, self.verify = sympy, verify
        self.mp = mpmath.mp.clone()
        self.mp.dps = DIGITS + 5
        self.latex2sympy = functools.partial(
            latex2sympy,
            is_real=True,
            convert_degrees=False,
            # Units, equations and boxes are the caller's business: nothing may be dropped here.
            normalization_config=NormalizationConfig(
                basic_latex=True,
                units=False,
                malformed_operators=True,
                nits=True,
                boxed="none",
                equations=False,
            ),
            # The default takes A for a.
            conversion_config=ConversionConfig(lowercase_symbols=False),
        )
        self.read = functools.lru_cache(maxsize=4096)(self._read)
        self.values = functools.lru_cache(maxsize=4096)(self._values)

    def compare(self, first: str, second: str) -> bool | None:
        """Whether two expressions are equal; None when that cannot be decided."""
        a, b = self.read(first), self.read(second)
        if a is None or b is None:
            return None
        if a == b:
            return True
        expression, relation = self.sympy.Expr, self.sympy.core.relational.Relational
        verdict = None
        if isinstance(a, expression) != isinstance(b, expression):
            return False
        if isinstance(a, expression):
            found = self._pairs_of_values(a, b)
            verdict = all(alike(x, y) for x, y in found) if found else None
        elif isinstance(a, relation) and isinstance(b, relation):
            verdict = self._same_relation(a, b)
        if verdict is not None:
            return verdict
        shown = self.verify(a, b, timeout_seconds=None) or self.verify(b, a, timeout_seconds=None)
        return True if shown else None

    def _read(self, text: str) -> Any:
        """The expression, with exact numbers and the imaginary unit; None when it is too long."""
        if len(text) > MAX_CHARS:
            return None
        found = self.latex2sympy(DEGREES.sub(r"{(\1\\cdot\\frac{\\pi}{180})}", text))
        exact = {number: self._exact(number) for number in found.atoms(self.sympy.Float)}
        units = {s: self.sympy.I for s in found.free_symbols if str(s) == "i"}
        return found.xreplace(exact).xreplace(units)

    def _exact(self, number: Any) -> Any:
        return self.sympy.Rational(str(number))

    def _values(self, expression: Any, symbols: tuple[Any, ...]) -> tuple[Any, ...]:
        """Value at every point, as mpmath's complex numbers; None where it has none."""
        found = []
        for point in POINTS if symbols else POINTS[:1]:
            at = {s: point[k % len(point)] + k // len(point) for k, s in enumerate(symbols)}
            exact = {symbol: self._exact(value) for symbol, value in at.items()}
            value = expression.subs(exact).evalf(DIGITS)
            usable = value.is_number and value.is_finite and not value.has(self.sympy.nan)
            parts = value.as_real_imag() if usable else ()
            usable = usable and all(part.is_Number for part in parts)
            found.append(self.mp.mpc(*map(str, parts)) if usable else None)
        return tuple(found)

    def _pairs_of_values(self, a: Any, b: Any) -> list[tuple[Any, Any]]:
        symbols = tuple(sorted(a.free_symbols | b.free_symbols, key=str))
        both = zip(self.values(a, symbols), self.values(b, symbols), strict=True)
        usable = [(x, y) for x, y in both if x is not None and y is not None]
        if not a.has(self.sympy.I) and not b.has(self.sympy.I):
            # Outside the domain of one of them nothing can be said.
            usable = [(x, y) for x, y in usable if _is_real(x) and _is_real(y)]
        return usable if len(usable) >= min(2, 1 + len(symbols)) else []

    def _same_relation(self, a: Any, b: Any) -> bool | None:
        """One is the other times a constant: any for equations, a positive one for the rest."""
        greater = (self.sympy.Ge, self.sympy.Gt)
        a, b = (x.reversed if isinstance(x, greater) else x for x in (a, b))
        if type(a) is not type(b):
            return False
        found = self._pairs_of_values(a.lhs - a.rhs, b.lhs - b.rhs)
        if not found or any(abs(x) < NOTHING or abs(y) < NOTHING for x, y in found):
            return None
        ratios = [x / y for x, y in found]
        if not all(alike(ratio, ratios[0]) for ratio in ratios):
            return False
        return isinstance(a, self.sympy.Eq | self.sympy.Ne) or bool(ratios[0].real > 0)


def _is_real(x: Any) -> bool:
    return bool(abs(x.imag) <= max(NOTHING, AGREE * abs(x)))


def alike(x: Any, y: Any) -> bool:
    """Whether two values agree as far as they were worked out."""
    size = max(abs(x), abs(y))
    return bool(size < NOTHING or abs(x - y) <= AGREE * size)


if __name__ == "__main__":
    main()

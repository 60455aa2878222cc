"""Other ways to read a text, each a rewriting of whole columns, to find answers spelt otherwise.

They are looser than what answers are compared by, and change no figure: two texts that one of them
makes equal are worth a second look, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["NUMBERS", "SPELLINGS", "Alike", "respelled"]

Bools = NDArray[np.bool_]
Rewrite = Callable[[pa.Array], pa.Array]
Alike = Callable[[pa.Array, pa.Array], Bools]
"""Answers and labels, string[n] each → bool[n]: where they are one."""
_EDGE = r"[\s.,;:!?\"'`*()\[\]{}]+"


def respelled(texts: pa.Array, rewrite: Rewrite) -> pa.Array:
    """Rewrite texts, each distinct one once; what becomes empty becomes null.

    >>> respelled(pa.array(["5 ", "", None]), pc.utf8_trim_whitespace).to_pylist()
    ['5', None, None]
    """
    encoded = texts.dictionary_encode()
    new = rewrite(encoded.dictionary)
    new = pc.if_else(pc.equal(new, ""), pa.scalar(None, pa.string()), new)
    return new.take(encoded.indices)


def _both(answer: Rewrite, label: Rewrite | None = None) -> Alike:
    """Alike where both become one text; a label by the same rewriting unless told."""

    def alike(answers: pa.Array, labels: pa.Array) -> Bools:
        same = pc.equal(respelled(answers, answer), respelled(labels, label or answer))
        return np.asarray(same.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)

    return alike


def _edges(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, rf"^{_EDGE}|{_EDGE}$", "")


def _value(texts: pa.Array) -> pa.Array:
    """A number without thousands, sign of plus, currency, trailing zeros; other texts: nothing."""
    plain = pc.replace_substring_regex(texts, r"^[\s$€£]+|[\s$€£]+$|[,_\s]", "")
    number = pc.extract_regex(plain, r"^\+?(?P<sign>-?)0*(?P<whole>\d+)(?:\.(?P<rest>\d*))?$")
    sign, whole = number.field("sign"), number.field("whole")
    rest = pc.utf8_rtrim(number.field("rest"), characters="0")
    joined = pc.binary_join_element_wise(pc.binary_join_element_wise(sign, whole, ""), rest, ".")
    return pc.fill_null(pc.if_else(number.is_valid(), joined, ""), "")


def _last_number(texts: pa.Array) -> pa.Array:
    found = pc.extract_regex(texts, r"(?s)^.*?(?P<n>[-+]?[\d][\d,]*(?:\.\d+)?)[^\d]*$")
    return _value(pc.fill_null(found.field("n"), ""))


def _first_letter(texts: pa.Array) -> pa.Array:
    found = pc.extract_regex(
        texts, r"^\W*(?:(?i:option|answer)\W+)?(?P<letter>[A-Za-z])(?:[).:,]|\W*$)"
    )
    return pc.fill_null(pc.utf8_upper(found.field("letter")), "")


def _letter(texts: pa.Array) -> pa.Array:
    found = pc.extract_regex(texts, r"^\W*(?P<letter>[A-Za-z])\W*$")
    return pc.fill_null(pc.utf8_upper(found.field("letter")), "")


def _small(texts: pa.Array) -> pa.Array:
    return pc.utf8_lower(pc.replace_substring_regex(texts, r"[\s\p{P}]+", ""))


def _percent(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, r"\s*(%|per ?cent)\s*$", "")


def _case(texts: pa.Array) -> pa.Array:
    return pc.utf8_lower(pc.utf8_trim_whitespace(texts))


def _floats(texts: pa.Array) -> NDArray[np.float64]:
    """NaN where a text is no number, as a very long or worded one is none."""
    encoded = texts.dictionary_encode()
    plain = pc.match_substring_regex(encoded.dictionary, r"^-?\d{1,15}(\.\d{1,15})?$")
    known = pc.if_else(plain, encoded.dictionary, pa.scalar(None, pa.string()))
    values: NDArray[np.float64] = known.cast(pa.float64()).take(encoded.indices).to_numpy(False)
    return values


def _hundredfold(answers: pa.Array, labels: pa.Array) -> Bools:
    a, b = _floats(answers), _floats(labels)
    with np.errstate(invalid="ignore"):
        return np.asarray((b != 0) & (np.isclose(a * 100, b) | np.isclose(a, b * 100)))


def _rounded(answers: pa.Array, labels: pa.Array) -> Bools:
    """Equal to as many decimals as the one has that has fewer."""
    a, b = _floats(answers), _floats(labels)
    digits = np.minimum(_decimals(answers), _decimals(labels))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(a - b) <= 0.5 * 10.0**-digits + 1e-12)


def _decimals(texts: pa.Array) -> NDArray[np.float64]:
    tail = pc.extract_regex(texts, r"\.(?P<tail>\d*)$").field("tail")
    return np.asarray(pc.fill_null(pc.utf8_length(tail), 0).to_numpy(False), dtype=float)


SPELLINGS: Mapping[str, Alike] = {
    "blanks around": _both(pc.utf8_trim_whitespace),
    "case": _both(_case),
    "'%'": _both(_percent),
    "the value of the number": _both(_value),
    "punctuation around": _both(_edges),
    "punctuation, blanks and case": _both(_small),
    "what follows the first letter": _both(_first_letter, _letter),
    "what stands around the last number": _both(_last_number, _value),
}
"""Of texts. Name, as it stands after "up to" → which answers are their labels; gentlest first."""

NUMBERS: Mapping[str, Alike] = {"rounding": _rounded, "a factor of 100": _hundredfold}
"""Of numbers in canonical form."""

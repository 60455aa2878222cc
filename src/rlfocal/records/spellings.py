"""Other ways to read a text, each a rewriting of whole columns, to find answers spelt otherwise.

They are looser than what answers are compared by, and change no figure: two texts that one of them
makes equal are worth a second look, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["SPELLINGS", "Spelling", "respelled"]

Rewrite = Callable[[pa.Array], pa.Array]
_EDGE = r"[\s.,;:!?\"'`*()\[\]{}]+"


class Spelling(NamedTuple):
    """How answers and labels are rewritten: string[n] → string[n], "" where there is nothing."""

    answer: Rewrite
    label: Rewrite


def respelled(texts: pa.Array, spelling: Rewrite) -> pa.Array:
    """Rewrite texts, each distinct one once; what becomes empty becomes null.

    >>> respelled(pa.array(["5 %", "%", None]), SPELLINGS["'%'"].answer).to_pylist()
    ['5', None, None]
    """
    encoded = texts.dictionary_encode()
    new = spelling(encoded.dictionary)
    new = pc.if_else(pc.equal(new, ""), pa.scalar(None, pa.string()), new)
    return new.take(encoded.indices)


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


def _both(way: Rewrite) -> Spelling:
    return Spelling(way, way)


SPELLINGS: Mapping[str, Spelling] = {
    "blanks around": _both(pc.utf8_trim_whitespace),
    "case": _both(_case),
    "'%'": _both(_percent),
    "the value of the number": _both(_value),
    "punctuation around": _both(_edges),
    "punctuation, blanks and case": _both(_small),
    "what follows the first letter": Spelling(_first_letter, _letter),
    "what stands around the last number": Spelling(_last_number, _value),
}
"""Name, as it stands after "up to" → rewriting; the gentlest first."""

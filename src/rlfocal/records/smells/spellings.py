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

from rlfocal.records.answers import extractor

__all__ = ["A_DATE", "NUMBERS", "SPELLINGS", "Alike", "differ_in_signs", "respelled"]

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
    """Alike where both become one text; a label by the same rewriting unless another is given."""

    def alike(answers: pa.Array, labels: pa.Array) -> Bools:
        same = pc.equal(respelled(answers, answer), respelled(labels, label or answer))
        return np.asarray(same.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)

    return alike


def _guarded(texts: pa.Array) -> pa.Array:
    """A symbol of code on one side alone, and a sign that ends a text, as no punctuation."""
    for pattern, rewritten in (
        (r"^!(\w[^!]*)$", "\x0e\\1"),  # !x
        (r"^\*(\w[^*]*)$", "\x0f\\1"),  # *p
        (r"^([^']*\w)'$", "\\1\x10"),  # x'
        (r"^(.*\w)-$", "\\1\x11"),  # A-
        (r"^-(\w)", "\x11\\1"),  # -x
        (r"^- ?(\d)", "\x11\\1"),
    ):
        texts = pc.replace_substring_regex(texts, pattern, rewritten)
    return texts


_GUARDS = {"\x0e": "!", "\x0f": "*", "\x10": "'", "\x11": "-"}


def _edges(texts: pa.Array) -> pa.Array:
    texts = _guarded(texts)
    kept = pc.replace_substring_regex(texts, r"^([\s\"'`*(\[{]*)\.(\w)", "\\1\x01\\2")  # .5, .NET
    kept = pc.replace_substring_regex(kept, r"(\d)!", "\\1\x02")  # 5!
    kept = pc.replace_substring_regex(kept, rf"^{_EDGE}|{_EDGE}$", "")
    return _unmarked(kept, {"\x01": ".", "\x02": "!", **_GUARDS})


def _unmarked(texts: pa.Array, marks: Mapping[str, str]) -> pa.Array:
    for mark, own in marks.items():
        texts = pc.replace_substring(texts, mark, own)
    return texts


def _value(texts: pa.Array) -> pa.Array:
    """A number without thousands, sign of plus, currency, trailing zeros; other texts: nothing."""
    plain = pc.replace_substring_regex(texts, r"^[\s$€£]+|[\s$€£]+$", "")
    number = pc.extract_regex(
        plain,
        r"^\+?(?P<sign>-?)0*(?P<whole>\d{1,3}(?:[,_\s]\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}|\d+)"
        r"(?:\.(?P<rest>\d*))?$",
    )
    sign = number.field("sign")
    whole = pc.replace_substring_regex(number.field("whole"), r"[,_\s]", "")
    rest = pc.utf8_rtrim(number.field("rest"), characters="0")
    joined = pc.binary_join_element_wise(pc.binary_join_element_wise(sign, whole, ""), rest, ".")
    return pc.fill_null(pc.if_else(number.is_valid(), joined, ""), "")


def _last_number(texts: pa.Array) -> pa.Array:
    """The last number with its sign; nothing where it ends a fraction, a range or a product."""
    plain = pc.replace_substring_regex(texts, "[\u2212\u2013\u2014](\\d)", r"-\1")
    plain = pc.replace_substring_regex(plain, r"^\s*- (\d)", r"-\1")
    plain = pc.replace_substring_regex(plain, r"^(\W*\d+)-$", "")
    found = pc.extract_regex(
        plain,
        r"(?s)^(?:.*?[^\d.,/\-+^*<>~#\x{2248}\x{2264}\x{2265}\x{b1}])?(?P<n>[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+))(?:[^\d!/^*][^\d]*)?$",
    )
    return _value(pc.replace_substring_regex(pc.fill_null(found.field("n"), ""), ",$", ""))


_ROUND = r"[\s.,;:!?\"'`*()\[\]{}]*"
"""What may stand around a letter: neither a sign nor a symbol of code (C# and C++ are not C)."""


def _first_letter(texts: pa.Array) -> pa.Array:
    found = pc.extract_regex(
        _guarded(texts),
        rf"^{_ROUND}(?:(?i:option|answer)[\s:('\"*]+)?(?P<letter>[A-Za-z])"
        rf"(?:[).:,](?:$|[^\w])|{_ROUND}$)",
    )
    return pc.fill_null(pc.utf8_upper(found.field("letter")), "")


def _letter(texts: pa.Array) -> pa.Array:
    found = pc.extract_regex(_guarded(texts), rf"^{_ROUND}(?P<letter>[A-Za-z]){_ROUND}$")
    return pc.fill_null(pc.utf8_upper(found.field("letter")), "")


def _small(texts: pa.Array) -> pa.Array:
    r"""Small letters without blanks and punctuation, but with signs, points and symbols of code.

    >>> _small(pa.array(["New-York!", "-50", "3.5", "C#", "Is 5.", "a/b"])).to_pylist()
    ['newyork', '-50', '3.5', 'c#', 'is5', 'a/b']
    """
    kept = _guarded(pc.replace_substring_regex(texts, "[\u2212\u2013](\\d)", r"-\1"))
    for pattern, rewritten in (
        (r"(^|[^\w)\]])-([\d.$])", "\\1\x01\\2"),  # a sign
        (r"(\d)-(\d)", "\\1\x01\\2"),  # a range
        (r"(\d)-(\d)", "\\1\x01\\2"),
        (r"(\d)\.(\d)", "\\1\x02\\2"),  # a point
        (r"(\d)\.(\d)", "\\1\x02\\2"),
        (r"(^|[\s\"'(])\.(\w)", "\\1\x02\\2"),
        (r"(\d),(\d)", "\\1\x03\\2"),
        (r"(\d),(\d)", "\\1\x03\\2"),
        (r"(\d):(\d)", "\\1\x05\\2"),
        (r"(\d)!", "\\1\x04"),
        (r"(\w)([(\[{])(\w)", "\\1\x06\\3"),  # f(x), a[0]
    ):
        kept = pc.replace_substring_regex(kept, pattern, rewritten)
    # # / \ @ & % and * between words stay; so does what is a symbol, not punctuation
    kept = pc.replace_substring_regex(kept, r"(\w)\*(\w)", "\\1\x07\\2")
    kept = pc.replace_substring_regex(
        kept, "[\\s\\p{Pd}\\p{Ps}\\p{Pe}\\p{Pi}\\p{Pf}_.,;:!?¿¡\"'`*\u2026\u3001\u3002\uff0c]+", ""
    )
    marks = {"\x01": "-", "\x02": ".", "\x03": ",", "\x04": "!", "\x05": ":", "\x06": "(",
             "\x07": "*"}  # fmt: skip
    return pc.utf8_lower(_unmarked(kept, {**marks, **_GUARDS}))


def _bare(texts: pa.Array) -> pa.Array:
    return pc.utf8_lower(pc.replace_substring_regex(texts, r"[\s\p{P}\p{S}]+", ""))


def differ_in_signs(answers: pa.Array, labels: pa.Array) -> Bools:
    """Where a sign, a point or a symbol of code is all that two texts differ in: -50 and 50.

    >>> differ_in_signs(pa.array(["C", "35", "iron."]), pa.array(["C#", "3.5", "iron"])).tolist()
    [True, True, False]
    """
    same = _both(_bare)(answers, labels)
    for way in SPELLINGS.values():
        same &= ~way(answers, labels)
    return same


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


_YEAR = r"\d{4}"
_DATE_LIKE = r"^[^\n]{6,40}$"


def _dates(answers: pa.Array, labels: pa.Array) -> Bools:
    """Two texts that are one day of the calendar, whichever of day and month comes first."""
    found = np.zeros(len(answers), dtype=bool)
    for day_first in (False, True):
        read = extractor("date", day_first=day_first).read

        def rewrite(texts: pa.Array, read: Callable[[str], str | None] = read) -> pa.Array:
            likely = pc.and_(
                pc.match_substring_regex(texts, _YEAR), pc.match_substring_regex(texts, _DATE_LIKE)
            ).to_pylist()
            values = texts.to_pylist()
            days = [read(v) or "" if so else "" for v, so in zip(values, likely, strict=True)]
            return pa.array(days, pa.string())

        found |= _both(rewrite)(answers, labels)
    return found


A_DATE = "the form of a date"
SPELLINGS: Mapping[str, Alike] = {
    "blanks around": _both(pc.utf8_trim_whitespace),
    "case": _both(_case),
    A_DATE: _dates,
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

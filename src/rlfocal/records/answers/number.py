r"""The number that a reply settles on.

Sources: GSM8K's own script (openai/grade-school-math: what follows "####"), "The answer is N" and
the last number anywhere of lm-evaluation-harness's gsm8k tasks, boxes of MATH.

Departures:
- the last mark counts, of whatever sort, because replies correct themselves;
- behind a mark the first number counts, and of a calculation its result;
- a minus sign between digits is a range or a subtraction, no sign: "5-10" ends on 10;
- what is written differently and means the same is one number: 18, 18.0, $18.00, 1.8e1; a
  percent sign, a currency and a unit are dropped; what is no number (1.2.3, 10:30) is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from rlfocal.records.answers.asides import (
    SENTENCE,
    is_weak,
    meant,
    sentence_start,
    without_reasons,
)
from rlfocal.records.answers.numerals import Numeral, from_words, in_words, numerals, written
from rlfocal.records.answers.replies.cleaning import even, plain, unwrapped
from rlfocal.records.answers.replies.markers import Mark
from rlfocal.records.answers.replies.settling import SEVERAL, Rules, is_refusal

__all__ = ["NumberExtractor"]

MAX_WHOLE = 200
"""A longer text is more than a number."""

TAIL = 400
"""Characters at the end of a reply that are looked at first."""

_CANONICAL = re.compile(r"-?(?:0|[1-9][0-9]{0,98}|(?:0|[1-9][0-9]{0,11})\.[0-9]{0,8}[1-9])")
_SIMPLE = re.compile(
    r"""(?x)
    \s* ([-+])? (?: [$£] | € (?! [0-9,]+ \.[0-9]{3} (?![0-9]) ) )?
    ( (?: [0-9]{1,7} | [1-9][0-9]{0,2} (?: ,[0-9]{3} ){1,3} ) (?! [0-9,] ) )
    (?: \. ([0-9]{1,7}) )? (?: \. | % )? \s*
    """
)
"""What columns of data hold by the hundred thousand; the rules for all spellings agree on it."""
_WRAPPED = re.compile(
    r"\\(?:boxed|fbox)\s?\{(.*)\}|\$\$?(?!\$)(.*[^\\])\$|\"(.*)\"|'(.*)'|\*(.*)\*|\{(.*)\}|=\s*(.*)"
)
_MONEY = frozenset({"usd", "eur", "gbp", "chf", "inr", "euros", "dollars"})
_AFTERWARDS = re.compile(
    r"""(?xi)
    \s? (?: % | percent | per[ ]cent | \\% | ° | \$ | [£€¥₹₩₽] | dollars? | euros? | pounds?
      | rupees? | yen | cents? | USD | EUR | GBP | CHF | INR | Rs\.? | 元 | 円 | 원 )? \s? \.?
    """
)
_NOISE = re.compile(
    r"""(?xi)
    (?<=\S) \s? \[ \^? [0-9]{1,3} \] (?!\()                                 # a footnote
    | \( [^()]{0,40} \b[0-9]{1,2}\s (?: decimals? | significant | digits | d\.?p | s\.?f ) \b
      [^()]{0,40} \)
    | \b[0-9]{1,2}\s? (?: decimals? | significant | d\.p\.? | s\.f\.? | sig\.?\s?figs? ) \b
    | \( [0-9] \) (?= \s+[a-z] )
    | (?<=[0-9%$]) \s\( [^()]{0,80} \)
    | \( (?: since | because | as | which | where | each | after | rounded )\s [^()]{0,200} \)
    """
)
_MINUS = re.compile(r"(?:(?<=is )|(?<=[:=] )|^)minus\s(?=\$?[.0-9])|\b[Nn]egative\s(?=\$?[.0-9])")
_POINTED = re.compile(r"(?<![0-9.,])([1-9][0-9]{0,2})\.([0-9]{3})(?![0-9]|[.,][0-9])")
_WHICH_IS = re.compile(r"[)\s]*,?\s(?:which |that |this )?(?:is|equals|gives|makes|comes to)\s")
_LIST_NUMBER = re.compile(r"^[ \t]*[0-9]{1,3}[.)](?=\s+[A-Za-z])", re.MULTILINE)
_OPERATOR = re.compile(
    r"""(?xi)
    \s? \)? \s? (?: [a-z%$°'/]{0,20} | \( [a-z\ ]{0,30} \) )? \s?
    (?: of\s | [-+*/\u00d7÷·x^] | \\times | \\cdot | \\div | \*\* ) \s? \(? \$?
    """
)
_EQUALS = re.compile(
    r"[)\s%$]*(?:[a-zA-Z°/]{1,20}\s){0,3}"
    r"(?:[0-9]{1,3}\s[a-z]{1,10}\s)?[)\s]*(?:=|≈|\\approx|equals)\s*"
)
_RANGE = re.compile(
    r"\s*(?:%|[a-z]{1,10}(?=\s))?\s*(?:-|~|\b(?:to|through|bis|or|oder|à)\b)\s*$", re.IGNORECASE
)
_BETWEEN = re.compile(r"\b(?:between|from|zwischen|entre)\s*$", re.IGNORECASE)
_ALSO = re.compile(r"\s*(?:,|;|and|or|und|y|et)\s*$", re.IGNORECASE)
_LIST_ENDS = re.compile(r"\s*(?:\.\s*)?(?:$|\n)")
_ROOT = re.compile(r"(?:\\sqrt\s?\{?|√\(?|sqrt\()\s?$")
_ROOT_OR_PI = re.compile(r"\s?\*?\s?(?:\\sqrt|√|sqrt\(|\\pi\b|π|pi\b)")
_CENTS = re.compile(
    r"\s?(?:dollars?|euros?|pounds?)?,?\s(?:and\s)?([0-9]{1,2})\s?(?:cents?|pence)\b"
)
_LISTED = re.compile(r"1[.)]\s+[A-Za-z][\s\S]*\n\s*2[.)]\s")
_HEADED = re.compile(r"[.):]\s+[A-Za-z]")
"""Behind the number of a heading."""
_ASIDE = re.compile(r"\b(?:not|n't)\b")
_QUESTION = re.compile(r"\s?[a-z]{0,12}\?")
_APPROXIMATE = frozenset({
    "about", "about:", "approximately", "approx", "around", "roughly", "circa", "ca.", "~",
    "exactly", "only", "just", "nearly", "almost", "over", "etwa", "environ", "a", "total", "of",
    "is", "it", "the", "equals", "to", "x", "y", "n", "=",
})  # fmt: skip
_OPENING = 12
"""Characters before a mark that opens its reply, at most."""
_DIRECT = 5
"""Words between a mark and its number, at most; behind more it is a sentence that goes on."""


@dataclass(frozen=True)
class NumberExtractor(Rules):
    """Plain numbers, integer or decimal.

    Attributes:
        strict: accept only what follows "####", as GSM8K's own script does.

    >>> NumberExtractor().extract("so 3 * 1,200 = $3,600.00 in all")
    '3600'
    """

    strict: bool = False

    def read(self, answer: str) -> str | None:
        r"""Return the canonical number where the whole text is one number, as people write it.

        With a sign, thousands, a currency, a percent sign, an exponent, emphasis or a box around
        it; no unit, fraction, time, date, range or code.

        >>> NumberExtractor().read("$1,750.00"), NumberExtractor().read("10:30")
        ('1750', None)
        """
        if _CANONICAL.fullmatch(answer) and answer != "-0":
            return answer
        if (simple := _SIMPLE.fullmatch(answer)) is not None:
            return _simplified(*simple.groups())
        return _whole(answer)

    def behind(self, mark: Mark) -> str | None:
        """Return the number behind a mark."""
        if self.strict and mark.sort != "hashes":
            return None
        if mark.sort == "hashes":
            return _hashed(mark.rest)
        if mark.is_whole:
            return _content(mark.rest)
        return _worded(mark)

    def last_resort(self, text: str) -> str | None:
        """Return the last number of a reply that marks none."""
        if self.strict:
            return None
        first, _, more = text.partition("\n")
        if more and (whole := self.read(first)) is not None:
            return whole
        late = _last_number(text[-TAIL:].partition(" ")[2]) if len(text) > TAIL else None
        return late if late is not None else _last_number(text)


def _simplified(sign: str | None, whole: str, part: str | None) -> str:
    """The canonical form of digits with thousands, a sign, closing zeros: no arithmetic needed."""
    whole = whole.replace(",", "").lstrip("0") or "0"
    part = (part or "").rstrip("0")
    number = f"{whole}.{part}" if part else whole
    return f"-{number}" if sign == "-" and number != "0" else number


def _whole(answer: str) -> str | None:
    if len(answer) > MAX_WHOLE or not _has_digit(answer):
        return None
    rest = unwrapped(plain(even(answer)).strip(), _WRAPPED, 6)
    found = next(numerals(rest), None)
    if found is None or found.start or found.value is None or found.is_fraction:
        return None
    if found.tail and found.tail.lower() not in _MONEY:
        return None  # a unit, or a code
    return written(found.value) if _AFTERWARDS.fullmatch(rest, found.end) else None


def _has_digit(text: str) -> bool:
    """Say whether there is a digit of any script."""
    return any(character.isdigit() for character in text)


def _signed(text: str) -> str:
    """Write "minus 5" and "negative 5" with a sign."""
    return _MINUS.sub("-", text) if "minus " in text or "egative " in text else text


def _last_number(text: str) -> str | None:
    text = without_reasons(text)
    text = _signed(_NOISE.sub(" ", _LIST_NUMBER.sub(" ", text)))
    last, before, any_digit = None, None, False
    for found in numerals(text):
        any_digit = True
        if found.value is not None and not is_weak(text, found):
            last, before = found, last
    if last is None:
        return _from_words(text) if not any_digit and len(text) <= MAX_WHOLE else None
    if is_refusal(text[sentence_start(text, last.start) :]):
        return SEVERAL
    return _with_cents(text, meant(text, before, last))


def _hashed(rest: str) -> str | None:
    """The number right behind "####", which is GSM8K's mark and a heading of Markdown too."""
    rest = rest.strip(" \t*\"'")
    found = next(numerals(rest), None)
    if found is None or found.value is None or rest[: found.start].strip(" =\"'*(:$"):
        return None
    if _HEADED.match(rest, found.end):
        return None
    return _number(rest, found)


def _content(rest: str) -> str | None:
    """The number that a box or a tag holds."""
    rest = _signed(_NOISE.sub(" ", rest))
    listed = list(numerals(rest))
    found = next((n for n in listed if n.value is not None), None)
    if found is None:
        return SEVERAL if listed else _from_words(rest)  # a time, a date, a version
    answer = _number(rest, found)
    result = _result(rest, found)
    following = next((n for n in listed if n.start >= result.end), None)
    if following is not None and _ALSO.fullmatch(rest, result.end, following.start):
        return SEVERAL
    return answer


def _worded(mark: Mark) -> str | None:
    """The number behind words: the first one, if it is said before anything else is."""
    full = _signed(_NOISE.sub(" ", mark.rest).lstrip())
    if mark.has_decimal_comma:
        full = _POINTED.sub(r"\1\2", full)
    if _LISTED.match(full):
        return None  # the steps of a solution
    line = full.partition("\n")[0]
    found = next((n for n in numerals(line) if n.value is not None and not is_weak(line, n)), None)
    found = found or next((n for n in numerals(line) if n.value is not None), None)
    words = from_words(line.lstrip("*\"' ($"))
    if words is not None and (found is None or found.start > words[1]):
        is_sentence = mark.start <= _OPENING and found is not None
        return None if is_sentence else written(words[0])
    if found is None:
        return SEVERAL if is_refusal(line) else None
    gap = line[: found.start]
    if is_refusal(gap):
        return SEVERAL
    if SENTENCE.search(gap) or _ASIDE.search(gap) or _QUESTION.match(line, found.end):
        return None
    if _starts_range(line, found) and _result(line, found) is found:
        return SEVERAL
    # "The answer" that opens a reply may be the beginning of a reasoning with numbers of its own.
    between = gap.lower().replace("$", " ").replace("*", " ").split()
    opens = mark.start <= _OPENING and not _APPROXIMATE.issuperset(between)
    if opens and _has_digit(full[found.end :]):
        return None
    end = SENTENCE.search(full, found.end)
    is_last = end is None or not _has_digit(full[end.end() :])
    return _number(line, found) if len(gap.split()) <= _DIRECT or is_last else None


def _number(text: str, found: Numeral) -> str | None:
    result = _result(text, found)
    if result is found and (
        _ROOT.search(text, max(0, found.start - 8), found.start)
        or _ROOT_OR_PI.match(text, found.end)
        or _starts_range(text, found)
    ):
        return SEVERAL
    return _with_cents(text, result)


def _result(text: str, found: Numeral) -> Numeral:
    """Follow a calculation to what it comes to: from the 5 of "5 - 3 = 2" to the 2."""
    for _ in range(20):
        last = found
        place = found.end
        for _ in range(40):
            operator = _OPERATOR.match(text, place)
            operand = None if operator is None else next(numerals(text, operator.end()), None)
            if operator is None or operand is None or operand.start > operator.end():
                break
            place = operand.end
        equals = _EQUALS.match(text, place)
        if equals is None and place > found.end:
            equals = _WHICH_IS.match(text, place)
        if equals is None:
            return last
        following = next(numerals(text, equals.end()), None)
        if following is None or following.value is None:
            return last
        if text[equals.end() : following.start].strip(" $(*\"'"):
            return last
        found = following
    return found


def _starts_range(text: str, found: Numeral) -> bool:
    following = next(numerals(text, found.end), None)
    if following is None or following.value in (None, found.value):
        return False
    if _BETWEEN.search(text, max(0, found.start - 12), found.start):
        return True
    if _RANGE.fullmatch(text, found.end, following.start) is not None:
        return True
    is_list = _ALSO.fullmatch(text, found.end, following.start) is not None
    return is_list and _LIST_ENDS.match(text, following.end) is not None


def _with_cents(text: str, found: Numeral) -> str | None:
    assert found.value is not None
    if cents := _CENTS.match(text, found.end):
        return written(found.value + Fraction(int(cents[1]), 100))
    return written(found.value)


def _from_words(text: str) -> str | None:
    found = in_words(text.lstrip("*\"'( "))
    return None if found is None or is_refusal(text) else written(found)

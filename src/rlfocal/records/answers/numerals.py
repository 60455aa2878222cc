r"""How people and models write a number, and the one way in which we do.

Finds the numbers of a cleaned text with what belongs to them (sign, currency, exponent, fraction,
"million") and what looks like one but is none (times, dates, versions, ranges, codes). Knows
nothing of replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

__all__ = ["MAX_CHARS", "NUMBER_WORDS", "Numeral", "from_words", "in_words", "numerals", "written"]

MAX_CHARS = 100
"""A longer run of digits is noise, no answer."""
MAX_EXPONENT = 60
SIGNIFICANT = 12
"""Digits kept of a fraction without an end."""
EXACT = 15
"""A decimal with more digits, ten of them behind the point, is the result of float arithmetic,
which differs in the last ones: 0.30000000000000004 is 0.3."""

_START = re.compile(r"[0-9]|\\[dtc]?frac")
_PREFIX = re.compile(
    r"""(?x)
    (?P<sign> (?<! [\w.)\]%$] ) [-+]
      | (?: (?<= [=(:] ) | (?<= [=(:][ ] ) | (?<= \bis[ ] ) | ^ ) [-+][ ] )?
    (?:
      (?P<currency> (?<! [A-Za-z] )
        (?: (?: US | CA | AU | NZ | HK | NT | A | C | R | S )? \$ | [£€¥₹₩₽₺₫₦]
          | (?: Rs\.? | INR | USD | EUR | GBP | CHF | CAD | AUD | JPY | CNY | RMB | PKR | BRL | NGN
            | MXN ) (?! [A-Za-z] ) ) \s? )
      (?P<minus> - )? )?
    (?P<point> (?<! [\w.] ) \. )? $
    """
)
_CODE = re.compile(r"[A-Za-zÀ-ɏ_^\\]$|[A-Za-zÀ-ɏ]-$")
_JUNK = re.compile(
    r"""(?xi)
    [0-9]+ (?: -[0-9]+ ){2,} | [0-9]+ (?: /[0-9]+ ){2,}   # 555-1234-99, 1/2/2021
    | [0-9]+ (?: :[0-9]+ )+ (?: \s? [ap]\.?m\b )?         # 10:30 am
    | [0-9]{1,2} \s? [ap]\.?m\b
    """
)
_POWER = r"\s? (?: \^ | \*\* ) \s? [{{(]? \s? (?P<{0}> [-+]? [0-9]{{1,4}} ) (?![0-9]) \s? [)}}]?"
_CORE = re.compile(
    rf"""(?xi)
    (?: \\[dtc]?frac \s? (?: \{{ (?P<above> [^{{}}]{{1,40}} ) \}} | (?P<above1> [0-9] ) )
        \s? (?: \{{ (?P<below> [^{{}}]{{1,40}} ) \}} | (?P<below1> [0-9] ) )
      | (?P<run> [0-9]{{1,3}} (?: [ ][0-9]{{3}} )+ (?![0-9]) (?: [.,][0-9]+ )?
          | [0-9]+ (?: [.,'_][0-9]+ )* )
        (?: e (?P<e> [-+]? [0-9]{{1,12}} ) (?! [\w.] )                         # 1.8e1
          | \s? (?: \u00d7 | x | \* | · | \\times | \\cdot ) \s? 10 {_POWER.format("ten")}
          | {_POWER.format("power")}                                          # 2^10
          | \s? / \s? (?P<denominator> [0-9]{{1,20}} ) (?! [0-9/] | [.,][0-9] )
          | \s (?: and\s )? (?: (?P<p> [0-9]{{1,3}} ) / (?P<q> [1-9][0-9]{{0,3}} ) (?! [0-9/] )
            | (?P<half> and[ ]a[ ]half\b ) )                                  # 2 1/2
          | \s? \\[dtc]?frac \s? (?: \{{ (?P<pp> [0-9]{{1,20}} ) \}} | (?P<pp1> [0-9] ) )
            \s? (?: \{{ (?P<qq> [1-9][0-9]{{0,19}} ) \}} | (?P<qq1> [1-9] ) )
        )?
        (?P<tail> [a-z][a-z0-9]* )?
    )
    (?P<scale>
      \s? (?: hundred | thousand | million (?: s | es | en )? | mio | mill[oó]n (?: es )? | billion
        | bn | trillion | milliard (?: s | en? )? | mrd | lakh | crore ) \b
      | \s? [万亿千百]
    )?
    """
)
_SCALES = {
    "hundred": 2, "thousand": 3, "mil": 6, "mio": 6, "milliard": 9, "mrd": 9, "bil": 9, "bn": 9,
    "tri": 12, "lakh": 5, "crore": 7, "万": 4, "亿": 8, "千": 3, "百": 2,
}  # fmt: skip
_MONEY_TAILS = {"k": 3, "m": 6, "mn": 6, "bn": 9, "b": 9}
_GROUPED = re.compile(
    r"""(?x)
    (?: [1-9][0-9]{0,2} (?: ,[0-9]{3} )+ | [1-9][0-9]? (?: ,[0-9]{2} )+ ,[0-9]{3} ) (?: \.[0-9]+ )?
    | [1-9][0-9]{0,2} (?: '[0-9]{3} )+ (?: \.[0-9]+ )? | [0-9]+ (?: _[0-9]+ )+ (?: \.[0-9]+ )?
    """
)
_EUROPEAN = re.compile(
    r"""(?x)
    [0-9]{1,3} (?: \.[0-9]{3} )+ ,[0-9]+ | [1-9][0-9]{0,2} (?: \.[0-9]{3} ){2,}
    | [0-9]{1,3} (?: ,[0-9]+ ) | [0-9]+ , (?! [0-9]{3}$ ) [0-9]+
    """
)
_EURO_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_EURO = re.compile(r"\s?(?:€|euros?\b|EUR\b)", re.IGNORECASE)
_PLAIN = re.compile(r"[0-9]*\.?[0-9]+")


class Numeral(NamedTuple):
    """A number in a text."""

    start: int
    end: int
    value: Fraction | None
    """None for what is no number: a time, a date, a version, a list."""
    is_fraction: bool
    """Written as a fraction."""
    tail: str
    """Letters glued to its end: "km", "th"."""
    currency: bool


def numerals(text: str, start: int = 0) -> Iterator[Numeral]:
    """Find the numbers of a cleaned text.

    >>> [str(n.value) for n in numerals("2 1/2 of $1,250.50 at 10:30, not B12")]
    ['5/2', '2501/2', 'None']
    """
    place = start
    while (digit := _START.search(text, place)) is not None:
        junk = _JUNK.match(text, digit.start())
        found = junk or _CORE.match(text, digit.start())
        if found is None:  # \frac without numbers
            place = digit.end()
            continue
        prefix = _PREFIX.search(text, max(place, digit.start() - 12), digit.start())
        assert prefix is not None  # all of it is optional
        place = found.end()
        if prefix["currency"] or not _CODE.search(text, max(0, prefix.start() - 2), prefix.start()):
            yield _numeral(found, prefix, is_junk=junk is not None)


def _numeral(found: re.Match[str], prefix: re.Match[str], *, is_junk: bool) -> Numeral:
    if is_junk:
        return Numeral(found.start(), found.end(), None, False, "", False)
    start = prefix.start()
    groups = found.groupdict()
    tail = groups["tail"] or ""
    if prefix["point"] and groups["run"]:
        groups["run"] = "." + groups["run"]
    currency = prefix["currency"] or ""
    if (
        groups["run"]
        and _EURO_THOUSANDS.fullmatch(groups["run"])
        and ("€" in currency or "EUR" in currency.upper() or _EURO.match(found.string, found.end()))
    ):  # amounts in euros are grouped with points, and have two decimals
        groups["run"] = groups["run"].replace(".", "")
    value = _value(groups)
    if value is not None and (power := _scale(groups, tail, bool(currency))):
        value *= power
        tail = tail if groups["scale"] else ""
    if value is not None and "-" in (prefix["sign"] or "") + (prefix["minus"] or ""):
        value = -value
    is_fraction = any(groups[name] for name in ("denominator", "p", "above", "above1", "pp", "pp1"))
    return Numeral(start, found.end(), value, is_fraction, tail, bool(currency))


def _scale(groups: dict[str, str | None], tail: str, currency: bool) -> Fraction | None:
    word = (groups["scale"] or "").strip().lower()
    for name, exponent in _SCALES.items():
        if word and word.startswith(name):
            return Fraction(10**exponent)
    if currency and tail.lower() in _MONEY_TAILS:
        return Fraction(10 ** _MONEY_TAILS[tail.lower()])
    return Fraction(1000) if tail == "k" else None


def _value(groups: dict[str, str | None]) -> Fraction | None:
    above, below = groups["above"] or groups["above1"], groups["below"] or groups["below1"]
    if above is not None and below is not None:
        return _ratio(_literal(above.strip()), _literal(below.strip()))
    number = _literal(groups["run"] or "")
    if number is None:
        return None
    if groups["denominator"]:
        return _ratio(number, _literal(groups["denominator"]))
    if groups["half"]:
        return number + Fraction(1, 2)
    p = groups["p"] or groups["pp"] or groups["pp1"]
    q = groups["q"] or groups["qq"] or groups["qq1"]
    if p and q:
        part = _ratio(_literal(p), _literal(q))
        return None if part is None else number + part
    if exponent := groups["e"] or groups["ten"]:
        return _raised(Fraction(10), int(exponent), number)
    if power := groups["power"]:
        return _raised(number, int(power), Fraction(1))
    return number


def _ratio(above: Fraction | None, below: Fraction | None) -> Fraction | None:
    return above / below if above is not None and below else None


def _raised(base: Fraction, exponent: int, factor: Fraction) -> Fraction | None:
    if abs(exponent) > MAX_EXPONENT or not base or base.numerator > 10**MAX_EXPONENT:
        return None
    return factor * base**exponent


def _literal(run: str) -> Fraction | None:
    """The value of a run of digits with separators; None where they make no sense."""
    if len(run) > MAX_CHARS:
        return None
    sign = -1 if run.startswith("-") else 1
    run = run.lstrip("-+").replace(" ", "") if " " in run or run[:1] in "-+" else run
    if run.isdigit():
        return Fraction(sign * int(run))
    if _GROUPED.fullmatch(run):
        run = run.replace(",", "").replace("'", "").replace("_", "")
    elif _EUROPEAN.fullmatch(run):
        run = run.replace(".", "").replace(",", ".")
    return sign * Fraction("0" + run) if _PLAIN.fullmatch(run) else None


def written(value: Fraction) -> str | None:
    """Write a number in the one shortest way.

    Returns:
        Digits with a sign and a point where needed; a fraction without an end, or with more
        than `EXACT` digits, is rounded to `SIGNIFICANT` digits (integers never are);
        None beyond `MAX_CHARS` digits.

    >>> written(Fraction(-5, 2)), written(Fraction(1, 3))
    ('-2.5', '0.333333333333')
    """
    places = _places(value.denominator)
    sign = "-" if value < 0 else ""
    value = abs(value)
    if places is None or (places >= 10 and len(str(int(value * 10**places))) > EXACT):
        exponent = len(str(value.numerator)) - len(str(value.denominator))
        exponent += value >= Fraction(10) ** exponent  # now 10^(exponent - 1) <= value
        places = max(2, SIGNIFICANT - max(exponent, 0))
        if exponent < 0:
            places -= exponent
        digits = str(round(value * 10**places))
        places = min(places, MAX_CHARS)
    else:
        digits = str(int(value * 10**places))
    digits = digits.rjust(places + 1, "0")
    whole, part = digits[: len(digits) - places], digits[len(digits) - places :].rstrip("0")
    number = f"{whole}.{part}" if part else whole
    if len(number) > MAX_CHARS:
        return None
    return number if number == "0" else sign + number


def _places(denominator: int) -> int | None:
    """How many decimals 1 / denominator has; None without an end."""
    twos = fives = 0
    while denominator % 2 == 0:
        denominator //= 2
        twos += 1
    while denominator % 5 == 0:
        denominator //= 5
        fives += 1
    return max(twos, fives) if denominator == 1 else None


_UP_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
NUMBER_WORDS = {word: value for value, word in enumerate(_UP_TO_TWENTY.split())} | {
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
"""Words that are numbers by themselves, up to ninety."""
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_WORD = re.compile(r"\s?(?:and\s|-)?([a-z]+)", re.IGNORECASE)
_NEGATIVE = re.compile(r"(?:minus|negative)\s", re.IGNORECASE)
_HALF = re.compile(r"\sand a half\b", re.IGNORECASE)


def from_words(text: str) -> tuple[Fraction, int] | None:
    """Read an English number at the beginning of a text.

    Returns:
        The number and where it ends; None where the text begins with none.

    >>> from_words("twenty-one apples")
    (Fraction(21, 1), 10)
    """
    if negative := _NEGATIVE.match(text):
        value = from_words(text[negative.end() :])
        return None if value is None else (-value[0], negative.end() + value[1])
    total, group, end, found = 0, 0, 0, False
    for _ in range(12):
        word = _WORD.match(text, end)
        name = word[1].lower() if word else ""
        if (
            word is None
            or (name not in NUMBER_WORDS and name not in _LARGE)
            or (not found and (word[0] != word[1] or name in _LARGE))
        ):
            break
        if name == "hundred":
            group *= 100
        elif name in _LARGE:
            total, group = total + group * _LARGE[name], 0
        else:
            group += NUMBER_WORDS[name]
        found, end = True, word.end()
    if not found:
        return None
    if half := _HALF.match(text, end, end + 12):
        return Fraction(2 * (total + group) + 1, 2), half.end()
    return Fraction(total + group), end


_NUMBER_WORD = re.compile(rf"(?<![\w-])(?:{'|'.join(NUMBER_WORDS)})\b", re.IGNORECASE)
_PRONOUN = re.compile(
    r"\b(?:the|no|this|that|which|each|every|any|some) one\b|\bone of\b", re.IGNORECASE
)


def in_words(text: str) -> Fraction | None:
    """Read the English number that a text begins with, or else the last one in it.

    >>> in_words("She has one hundred and two stamps."), in_words("Which one is it?")
    (Fraction(102, 1), None)
    """
    first = from_words(text)
    if first is not None:
        return first[0]
    value, end = None, 0
    for word in _NUMBER_WORD.finditer(text):
        found = from_words(text[word.start() :])
        if found is None or word.start() < end or (found[0] == 1 and _PRONOUN.search(text)):
            continue
        value, end = found[0], word.start() + found[1]
    return value

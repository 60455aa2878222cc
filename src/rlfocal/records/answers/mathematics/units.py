r"""The unit behind (or currency before) a number, and answers in words, each by one name.

Two units differ where both are known by name; words that only say what was counted ("ways") are no
unit. Nothing is converted: 1 m and 100 cm are two answers.
"""

from __future__ import annotations

import re

from rlfocal.records.answers.numerals import NUMBER_WORDS

__all__ = ["alike", "is_day", "is_word", "unit_of", "word_value", "words_of"]

_NAMES = {
    "%": "% percent percentage pct percents",
    "deg": "degree degrees deg",
    "celsius": "celsius",
    "fahrenheit": "fahrenheit",
    "rad": "radian radians rad",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "m": "m meter meters metre metres",
    "km": "km kilometer kilometers kilometre kilometres",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "unit": "unit units",
    "g": "g gram grams gm",
    "kg": "kg kilogram kilograms kilo kilos",
    "mg": "mg milligram milligrams",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "ton": "ton tons tonne tonnes",
    "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "gal": "gal gallon gallons",
    "s": "s sec secs second seconds",
    "ms": "ms millisecond milliseconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days d",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "N": "newton newtons",
    "J": "joule joules",
    "W": "watt watts",
    "V": "volt volts",
    "A": "amp amps ampere amperes",
    "K": "kelvin kelvins",
    "Hz": "hz hertz",
    "Pa": "pa pascal pascals",
    "C": "coulomb coulombs",
    "mol": "mol mole moles",
    "eV": "ev",
    "erg": "erg ergs",
    "mph": "mph",
    "kmph": "kmph kph km/h",
    "$": "dollar dollars usd buck bucks",
    "cent": "cent cents",
    "euro": "euro euros eur",
    "pounds": "gbp sterling",
    "rupee": "rupee rupees rs",
    "am": "am",
    "pm": "pm",
}
_BY_NAME = {name: unit for unit, names in _NAMES.items() for name in names.split()}
_COMPOUND = {"mph": (("mi", 1), ("h", -1)), "kmph": (("km", 1), ("h", -1))}
_LETTERS = {"N", "J", "W", "V", "A", "K", "C", "F"}
_POWER_WORDS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_COUNTING = frozenset({
    "ways", "way", "different", "possible", "distinct", "total", "integers", "integer", "numbers",
    "number", "values", "value", "solutions", "solution", "pairs", "pair", "triples", "people",
    "students", "arrangements", "outcomes", "possibilities", "choices", "combinations",
    "permutations", "in", "the", "of", "all", "are", "is", "about", "approximately", "positive",
    "points", "items", "sets", "subsets", "per", "each", "and",
})  # fmt: skip
_SUFFIX = re.compile(
    r"""(?x)
    (?: \\% | \\pmod\{([0-9]+)\} | \\(?: euro | pounds | \$ )
      | \^\\circ[ ]? (?: \\text\{ )? ([CF])? \}?
      | ( (?: [\s/]* (?: \\cdot[ ]? )? \\text\{[^{}]*\} (?: \^ (?: -?[0-9] | \{-?[0-9]+\} ) )? )+ )
    ) $
    """
)
_ANGLE_INSIDE = re.compile(r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])|\\circ")
_PREFIX = re.compile(r"([+-]?)(?:\\(\$|euro|pounds) ?)([+-]?)(?=[0-9.\\(])")
_PIECE = re.compile(r"(/)?(?:\\cdot ?)?\\text\{([^{}]*)\}(?:\^\{?(-?[0-9]+)\}?)?")
_NONE = re.compile(
    r"""(?x)
    (?!no$) no (?: [ ](?: real | such | integer | valid ) )?
      (?: [ ](?: solution | value | number | root ) s? )? (?: [ ]exists? )?
    | none | (?: the[ ] )? empty[ ]set | there[ ](?: is | are )[ ]no (?: [ ]real )? [ ]solutions?
    | impossible
    """
)
_MONTH = (
    r"(january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?)"
)
_DAY = re.compile(
    rf"{_MONTH}[ ,]*([0-9]{{1,2}})(?: ?(?:st|nd|rd|th))?(?:[ ,]+([0-9]{{4}}))?"
    rf"|([0-9]{{1,2}})(?: ?(?:st|nd|rd|th))?(?: of)? {_MONTH}(?:[ ,]+([0-9]{{4}}))?",
    re.IGNORECASE,
)
_PRODUCTS = ("mg", "ms", "gm", "pa", "rs", "mi", "lb", "ml")
_SPOKEN = re.compile(r"[a-z][a-z]*[aeiou][a-z]*(?<=[a-z]{4})")
_SHORT = re.compile(
    r"[^aeiou][aeiou][^aeiou]|egg|pie|ace|[kmgt]b|kj|kn|kw|kwh|mw|mhz|rpm|mpg|bpm|sq|cu|odd|all|or|and|to|per|of|is"
)
_UNDEFINED = re.compile(r"dne|undefined|does not exist|not defined|doesn'?t exist")


def unit_of(text: str) -> tuple[str, str]:
    r"""Take the unit off an expression.

    Returns:
        The rest, and the unit by its one name: "%", "deg", "cm^2", "$", ...; "?" and the words
        where it is none that is known; "" without one.

    >>> unit_of(r"5\text{square cm}"), unit_of(r"\$32"), unit_of(r"10\text{ways}")
    (('5', 'cm^2'), ('32', '$'), ('10', ''))
    """
    front = _PREFIX.match(text)
    if front:
        unit = {"$": "$", "euro": "euro", "pounds": "pounds"}[front[2]]
        rest = front[1] + front[3] + text[front.end() :]
        return unit_of(rest)[0], unit
    found = _SUFFIX.search(text)
    if found is None or not text[: found.start()].strip():
        return text, ""
    rest = text[: found.start()].rstrip()
    if found[1]:
        return rest, f"mod {found[1]}"
    if found[3]:
        return rest, _named(found[3])
    if found[0].startswith("\\%"):
        return rest, "%"
    if found[0].startswith("^"):
        if _ANGLE_INSIDE.search(rest):  # the sine of 45 degrees has no unit
            return text, ""
        return rest, {"C": "celsius", "F": "fahrenheit"}.get(found[2] or "", "deg")
    return rest, {"\\$": "$"}.get(found[0], found[0].strip("\\"))


def _named(text: str) -> str:
    known: list[tuple[str, int]] = []
    unknown: list[str] = []
    sign = 1
    for slash, words, power in _PIECE.findall(text):
        sign = -1 if slash else sign
        single = _single(words)
        if power and single:  # \text{m/s}^2: of the last one
            word, exponent, below = single[-1]
            single[-1] = word, exponent * int(power), below
        for word, exponent, below in single:
            sign = -1 if below else sign
            name = word if word in _LETTERS else _BY_NAME.get(word.lower().replace(".", ""))
            if name in _COMPOUND:
                known += [(n, sign * exponent * e) for n, e in _COMPOUND[name]]
            elif name is None:
                unknown.append(word.lower().strip("."))
            else:
                known.append((name, sign * exponent))
    if known and not (len(known) == 1 and known[0][0] == "unit" and unknown):
        plain = [k for k in known if k[0] != "unit"] or known
        return " ".join(sorted(n if e == 1 else f"{n}^{e}" for n, e in plain))
    words = [w for w in unknown if w not in _COUNTING]
    return "?" + " ".join(words) if words else ""


def _single(words: str) -> list[tuple[str, int, bool]]:
    """Each word with its power ("square", "cubed") and whether it stands below ("per", "/")."""
    found: list[tuple[str, int, bool]] = []
    waiting, below = 1, False
    for token in re.findall(r"[A-Za-z.%]+(?:\^?[0-9])?|/", words):
        word, power = re.fullmatch(r"(/|[A-Za-z.%]+)\^?([0-9]?)", token).groups()  # type: ignore[union-attr]
        low = word.lower()
        if low in ("squared", "cubed") and found:
            found[-1] = (found[-1][0], _POWER_WORDS[low], found[-1][2])
        elif low in _POWER_WORDS:
            waiting = _POWER_WORDS[low]
        elif low in ("/", "per", "an", "a") or (low == "each"):
            below = below or low in ("/", "per")
        else:
            found.append((word, int(power or waiting), below))
            waiting = 1
    return found


def alike(first: str, second: str) -> bool:
    """Whether two units may stand for one: a missing one for any, unknown words by a common one."""
    if not first or not second or first == second:
        return True
    if first[0] == "?" and second[0] == "?":
        common = {w.rstrip("s") for w in first[1:].split()}
        return bool(common & {w.rstrip("s") for w in second[1:].split()})
    bare = {u.partition("^")[0] for u in (first, second)}
    if "unit" in bare:  # "square units" of what was drawn in cm
        return True
    return "?" in (first[0], second[0])


def is_word(text: str, *, apart: bool) -> bool:
    """Whether letters behind a number are a unit or what was counted, rather than a product.

    >>> is_word("cm", apart=False), is_word("ways", apart=False), is_word("ab", apart=True)
    (True, True, False)
    """
    low = text.lower()
    if low in _BY_NAME:
        return apart or low not in _PRODUCTS
    return bool(_SPOKEN.fullmatch(low)) or (apart and bool(_SHORT.fullmatch(low)))


def word_value(words: str) -> int | None:
    """The number that a word is, up to ninety."""
    return NUMBER_WORDS.get(words.strip().lower())


def is_day(words: str) -> bool:
    """Whether a text is a month and a day, with a year or without."""
    return _DAY.fullmatch(words) is not None


def words_of(words: str) -> str:
    """An answer in words, whatever the case, blanks and articles.

    >>> words_of("the  Ellipse."), words_of("4th of July, 2020")
    ('ellipse', 'jul 4 2020')
    """
    if day := _DAY.fullmatch(words.strip(" .")):
        month, number, year = (day[1], day[2], day[3]) if day[1] else (day[5], day[4], day[6])
        return f"{month[:3].lower()} {int(number)} {year or ''}".strip()
    low = re.sub(r"[\s.,;:!?\"'~-]+", " ", words.lower()).strip()
    low = re.sub(r"^(?:the|a|an) ", "", low) or low
    if _NONE.fullmatch(low):
        return "none"
    return "undefined" if _UNDEFINED.fullmatch(low.replace("doesn t", "doesn't")) else low

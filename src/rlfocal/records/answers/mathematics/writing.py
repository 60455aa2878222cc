r"""One way of writing an expression: the same signs, commands, braces and blanks.

Nothing is dropped that could distinguish two answers: units, names ("x = 5"), bases and percent
signs stay, and `structure` reads them. Only spelling goes: sizes, spacing, thousands separators,
Unicode look-alikes, dfrac and tfrac, wrapped letters, the final stop.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import accumulate

from rlfocal.records.answers.mathematics.literals import number_value, number_written
from rlfocal.records.answers.mathematics.units import is_day, is_word

__all__ = ["written"]

_SIGNS = {
    **dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}\N{EM DASH}\N{HYPHEN}\N{NON-BREAKING HYPHEN}", "-"),
    **dict.fromkeys("\N{DIVISION SIGN}\N{FRACTION SLASH}\N{DIVISION SLASH}", "/"),
    **dict.fromkeys("\N{MIDDLE DOT}\N{DOT OPERATOR}", r"\cdot "),
    **dict.fromkeys("\N{PRIME}\N{RIGHT SINGLE QUOTATION MARK}", "'"),
    **dict.fromkeys("\N{ZERO WIDTH SPACE}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}", ""),
    "\N{MULTIPLICATION SIGN}": r"\times ",
    "\N{INFINITY}": r"\infty ",
    "\N{LESS-THAN OR EQUAL TO}": r"\le ",
    "\N{GREATER-THAN OR EQUAL TO}": r"\ge ",
    "\N{NOT EQUAL TO}": r"\ne ",
    "\N{PLUS-MINUS SIGN}": r"\pm ",
    "\N{MINUS-OR-PLUS SIGN}": r"\mp ",
    "\N{UNION}": r"\cup ",
    "\N{INTERSECTION}": r"\cap ",
    "\N{ELEMENT OF}": r"\in ",
    "\N{EMPTY SET}": r"\emptyset ",
    "\N{DEGREE SIGN}": r"^\circ ",
    "\N{DOUBLE-STRUCK CAPITAL R}": r"\mathbb{R}",
    "\N{ALMOST EQUAL TO}": r"\approx ",
    "\N{FULLWIDTH PERCENT SIGN}": "%",
    "\N{POUND SIGN}": r"\pounds ",
    "\N{EURO SIGN}": r"\euro ",
}
_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip
for _letter in _GREEK:
    _unicode = _letter.upper().replace("LAMBDA", "LAMDA")
    _SIGNS[unicodedata.lookup(f"GREEK SMALL LETTER {_unicode}")] = f"\\{_letter} "
_TABLE = str.maketrans(_SIGNS)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_RAISED_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_LOWERED_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_VULGAR = re.compile("[¼½¾⅐-⅞↉]")
_ROOT = re.compile(r"([√∛∜])\s*(?:([0-9.]+|[a-zA-Z]|\\pi)|\(([^()]*)\))")
_ROOT_OF = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}

_SAME_COMMAND = {
    name: written_so
    for written_so, names in {
        "frac": "dfrac tfrac cfrac", "binom": "dbinom tbinom", "le": "leq leqslant", "ne": "neq",
        "ge": "geq geqslant", "emptyset": "varnothing", "infty": "infin", "cdot": "ast",
        "cup": "bigcup", "i": "imath", "\\dots": "ldots", "": "mathbin mathord", "/": "div",
        "[": "lbrack", "]": "rbrack", "(": "lparen", ")": "rparen", "\\{": "lbrace",
        "\\}": "rbrace", "|": "lvert rvert vert", "<": "lt", ">": "gt", ":": "colon",
        "^\\circ": "degree textdegree", "\\$": "textdollar dollar", "\\%": "percent",
        "\\text{and}": "land wedge", "\\text{or}": "lor vee",
    }.items()
    for name in names.split()
}  # fmt: skip
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z%$])")
_TEXT_COMMAND = re.compile(
    r"""(?x)
    \\ (?: text (?: bf | it | rm | sf | tt | normal )? | math (?: rm | bf | it | sf | tt )
      | mbox | boldsymbol | bm | operatorname\*? | rm | bf | emph | hbox | fbox | boxed )
    \s* \{ ( (?: [^{}] | \{[^{}]*\} ){0,200} ) \}
    """
)
_TEXT_PIECE = re.compile(r"\\text\{[^{}]*\}")
_NOT_WORDS = re.compile(r"[\s~]+")
_FUNCTIONS = (
    "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|max|min|gcd|lcm"
)
_UNLIKE = re.compile(r"(?<![0-9)}])!=")  # 4!=24 is an equation
_MODULO = re.compile(
    r"""(?x)
    \(? (?: \\[pb]?mod | \\text\{\(?mod\} | \bmod(?=[0-9]) ) [ ]? \{? ([0-9]+) \}? \)?
    """
)
_BRACED_ONE = re.compile(r"([\^_])\{([0-9a-zA-Z])\}")
_LONE_POINT = re.compile(r"(?<![0-9])\.(?=[0-9])")
_BLANK_IN_COMMAND = re.compile(r"(\\[a-zA-Z]+) +(?=[a-zA-Z])")
_BLANKS = re.compile(r"\s+")
_ROW_SPACING = re.compile("\1\\\\?\\[-?[0-9.]+[a-z]{2}\\]")
_ONE_WORD = re.compile(r"\A(?:\\text\{([A-Za-z]{2,})\}|\(([A-Z])\))\Z")
_STOPS = re.compile(r"(?:(?<!\\)[.,;:?\s])+$")
_AND_SO_ON = re.compile(r",(?:\s*\\text\{(?:and|or)\})|\\text\{and\}")


def written(text: str) -> str:
    r"""Bring one expression to the one way of writing it.

    >>> written(r"\left( \dfrac12 ,\ 1{,}000 \right)")
    '(\\frac{1}{2},1000)'
    """
    text = _plain_signs(text)
    # A row of a matrix ends on two backslashes; elsewhere they are one that was escaped twice.
    text = text.replace("\\\\", "\1") if "\\begin" in text else _DOUBLED.sub(r"\\", text)
    text = _rewritten(text, _SPELLING)
    text = _ORDINAL.sub(r"\1\\text{\2}", _unwrapped(text))
    text = _MAGNITUDE.sub(_power_of_ten, _words(_dollars(text)))
    text = _rewritten(text, _ARGUMENTS)
    text = _without_blanks(text)
    text = text.replace("**", "^").replace("*", "\\cdot ").replace("<=", "\\le ")
    text = _MODULO.sub(lambda f: rf"\pmod{{{f[1]}}}", text)
    text = _without_blanks(_UNLIKE.sub(r"\\ne ", text.replace(">=", "\\ge ")))
    text = _BRACED_ONE.sub(r"\1\2", text)
    text = _LONE_POINT.sub("0.", text)
    text = _AND_SO_ON.sub(lambda f: "," if f[0][-4:] != "{or}" else r"\text{or}", text)
    text = _outer(_STOPS.sub("", text))
    text = _ONE_WORD.sub(r"\1\2", _ROW_SPACING.sub("\1", text).replace("\1", "\\\\"))
    value = number_value(text)
    return text if value is None else number_written(value)


def _one_number(found: re.Match[str]) -> str:
    text, start, end = found.string, found.start(), found.end()
    if text[:start].endswith(("(", "[", "\\{")) and text[end:].startswith((")", "]", "\\}")):
        return found[0]  # (100,200) is a point
    return found[1] + re.sub("[^0-9]", "", found[2])


def _same_command(found: re.Match[str]) -> str:
    other = _SAME_COMMAND.get(found[1])
    if other is None:
        return found[0]
    return f"\\{other}" if other.isalpha() else other + (" " if other[-1:].isalpha() else "")


_Put = str | Callable[[re.Match[str]], str]
_Rules = tuple[tuple[re.Pattern[str], _Put], ...]


def _rules(*rows: tuple[str, _Put]) -> _Rules:
    return tuple((re.compile(pattern), put) for pattern, put in rows)


_SPELLING = _rules(
    (
        r"(?<![0-9.,])([1-9][0-9]{0,2})"
        r"((?:(?:,\\!|\{,\}\\?!?|\\[,;:!>]|\\ |~| |,|'|_)[0-9]{3})+)(?![0-9])",
        _one_number,  # 1{,}000
    ),
    (
        r"(?<![0-9./^_])([0-9]+)(?: +| ?\\ | and )([0-9]+)/([0-9]+)(?![0-9])",
        r"\1\\frac{\2}{\3}",  # 2 1/2
    ),
    (
        r"""(?x) \\(?: q?quad | thinspace | enspace | displaystyle | textstyle | limits | mathstrut
              | hfill | nobreak ) (?![a-zA-Z])
            | \\[hv]space\*?\{[^{}]*\} | \\[hv]?phantom\{[^{}]*\}""",
        " ",
    ),
    (r"\\(?:left|right|middle|big|Big|bigg|Bigg)[lrm]?(?![a-zA-Z])\s*\.?(?=$|[^0-9])", ""),
    (r"\\[,!;:>]|\\ |~|\{,\}", lambda found: "," if found[0] == "{,}" else " "),
    (r"\\(?:text)?color\s*\{[^{}]*\}", ""),
    (
        r"""(?x) \A \s* \\(?: text | mbox | textbf | mathrm ) \s* \{ [^{}]* [a-z]{2} [^{}]*?
            (?: \b (?: is | are | equals ) | [:=] ) \s* \} \s* (?=\S)  # \text{The area is }""",
        "",
    ),
    (r"\\([a-zA-Z]+)", _same_command),
)
"""How the same is written in several ways, words aside."""
_ARGUMENTS = _rules(
    (r"(?:\{\})?\^\s*(?:\{\s*\\circ\s*\}|\\circ)(?![a-zA-Z])", r"^\\circ "),
    (
        r"\\text\{cis\} ?"
        r"(\((?:[^()]*)\)|[0-9.]+(?:\^\\circ)?|\\pi|\\frac\{[^{}]*\}\{[^{}]*\}(?:\\pi)?)",
        r"(\\cos{\1}+i\\sin{\1})",
    ),
    (rf"(?<![\\a-zA-Z])(?<!\\text\{{)({_FUNCTIONS})(?![a-zA-Z])", r"\\\1 "),
    (
        r"(?<![\\a-zA-Z{])(pi|infinity|infty|theta)(?![a-zA-Z])",
        lambda found: r"\infty " if found[1][:3] == "inf" else rf"\{found[1]} ",
    ),
    (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (r"\\frac\s*(\\pi)\s*([0-9])", r"\\frac{\1}{\2}"),
    (
        r"\\sqrt\s*(\[[^\[\]]*\])?\s*([0-9a-zA-Z]|\\[a-zA-Z]+)",
        lambda found: rf"\sqrt{found[1] or ''}{{{found[2]}}}",
    ),
    (
        r"\\frac\s*(?:([0-9a-zA-Z])|(\{[^{}]*\}))\s*([0-9a-zA-Z])",
        lambda found: rf"\frac{found[2] or '{' + found[1] + '}'}{{{found[3]}}}",
    ),
    (r"\\frac\s*([0-9a-zA-Z])\s*(?=\{)", r"\\frac{\1}"),
)
"""Names of functions and constants, and the braces around what they are of."""
_NUMBER_FIRST = re.compile(r"[-+$0-9.,:/ ]*[0-9][-+0-9.,:/ %]*(?:[A-Za-z.]+[ ]?){0,3}")
_UNIT_POWERS = re.compile(r"(?:[A-Za-z]+(?:\^(?:[0-9]|\{-?[0-9]\}))?[ /]*)+")
_POWERS = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MAGNITUDE = re.compile(r"(?<=[0-9])\s*\\text\{(thousand|million|billion|trillion)((?: [^{}]*)?)\}")
_LETTER_UNITS = set("mgslhLJNVWAKCFTH")
_LETTER_AFTER_NUMBER = re.compile(r"\A([-+0-9.,/ ]*[0-9]) +([mgslLhJNWVK])[.\s]*\Z")
_ONLY_WORDS = re.compile(r"[A-Za-z][A-Za-z'\-]*(?:,? [A-Za-z'\-]+)*")
_TRAILING_UNIT = re.compile(
    r"([0-9}%)])(\s*)(?<![a-zA-Z])((?:[A-Za-z]{2,}[.]?)(?:[ /-](?:[A-Za-z]+[.]?))*)"
    r"((?:\^\{?-?[0-9]\}?)?)(?=[.\s]*$)"
)
_ORDINAL = re.compile(r"([0-9])\s*\^\s*(?:\{\s*)?\\text\{(st|nd|rd|th)\}(?:\s*\})?")


def _rewritten(text: str, rules: _Rules) -> str:
    for pattern, put in rules:
        text = pattern.sub(put, text)
    return text


def _plain_signs(text: str) -> str:
    if text.isascii():
        return text
    text = _RAISED_RUN.sub(lambda f: f"^{{{f[0].translate(_RAISED)}}}", text)
    text = _LOWERED_RUN.sub(lambda f: f"_{{{f[0].translate(_LOWERED)}}}", text)
    text = _VULGAR.sub(_vulgar, text)
    text = _ROOT.sub(lambda f: f"{_ROOT_OF[f[1]]}{{{f[2] or f[3]}}}", text)
    return unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)


def _vulgar(found: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", found[0]).partition("\N{FRACTION SLASH}")
    return rf"\frac{{{above}}}{{{below}}}"


def _unwrapped(text: str) -> str:
    r"""Every text command becomes \text{...}; around a letter, number or formula it goes."""
    for _ in range(4):
        following = _TEXT_COMMAND.sub(_unwrapped_one, text)
        if following == text:
            break
        text = following
    return text


def _unwrapped_one(found: re.Match[str]) -> str:
    inside = _NOT_WORDS.sub(" ", found[1]).strip()
    bare = inside.strip(" .,;:")
    before = found.string[: found.start()].rstrip(" ~\\,;")[-1:]
    is_behind_number = bool(before) and before in "0123456789}%)"
    if re.fullmatch(_FUNCTIONS, bare):
        is_unit = is_behind_number and bare in ("min", "sec")
        is_last = not re.match(r"\s*[a-zA-Z({\\]", found.string[found.end() :])
        return rf"\text{{{bare}}}" if is_unit and is_last else f"\\{bare} "
    if re.fullmatch(r"\(?[A-Za-z]\)?", bare):
        is_unit = is_behind_number and bare in _LETTER_UNITS
        return (
            bare if not is_unit or found.string[found.end() :][:1] == "_" else rf"\text{{{bare}}}"
        )
    if is_behind_number and "{" in inside and _UNIT_POWERS.fullmatch(inside):  # m s^{-2}
        return re.sub("[A-Za-z]+", lambda word: rf"\text{{{word[0]}}}", inside)
    if re.search(r"[\\{}]", inside) or _NUMBER_FIRST.fullmatch(bare):  # \text{5 cm} is 5 cm
        return f" {inside} "
    if is_behind_number and re.search("[A-Za-z]", bare):
        return rf"\text{{{bare}}}"
    return rf"\text{{{bare}}}" if re.search(r"[A-Za-z]{2}|[a-z]\.[a-z]", bare) else f" {inside} "


def _power_of_ten(found: re.Match[str]) -> str:
    rest = found[2].strip()
    return rf"\times 10^{{{_POWERS[found[1]]}}}" + (rf"\text{{{rest}}}" if rest else "")


def _words(text: str) -> str:
    r"""Bare words become \text{...} where they are a unit, a conjunction or all there is."""
    if is_day(spoken := _BLANKS.sub(" ", re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)).strip(" .")):
        return rf"\text{{{spoken}}}"
    bare = _TEXT_PIECE.sub("", text)
    text = _LETTER_AFTER_NUMBER.sub(r"\1\\text{\2}", text)
    text = re.sub(r"(?<![\\a-zA-Z{])(and|or)(?![a-zA-Z}])", r"\\text{\1}", text)
    if "\\" in bare.replace("\\%", "").replace("\\$", ""):
        return _TRAILING_UNIT.sub(_unit_behind, text)
    stripped = text.strip(" .")
    if _ONLY_WORDS.fullmatch(stripped) and re.search("[A-Za-z]{2}", stripped):
        joined = _BLANKS.sub(" ", stripped)
        return joined if joined.isalpha() else rf"\text{{{joined}}}"
    return _TRAILING_UNIT.sub(_unit_behind, text)


def _unit_behind(found: re.Match[str]) -> str:
    """Words behind a number; letters that are multiplied with it stay what they are."""
    before, blank, words, power = found.groups()
    if not is_word(re.split("[ ./-]", words)[0], apart=bool(blank)):
        return found[0]
    return rf"{before}\text{{{words}}}{power}"


def _dollars(text: str) -> str:
    text = text.replace("\\$", "\N{DOLLAR SIGN}\0")
    if len(re.findall(r"\$(?!\0)", text)) % 2:
        text = re.sub(r"\$(?!\0)(?=\s*[0-9.])", "$\0", text, count=1)
    text = re.sub(r"\$(?!\0)", " ", text).replace("$\0", "\\$")
    return re.sub(r"(?<!\\)%", r"\\%", text)


def _without_blanks(text: str) -> str:
    pieces = []
    start = 0
    for found in _TEXT_PIECE.finditer(text):
        pieces += [_squeezed(text[start : found.start()]), found[0]]
        start = found.end()
    return "".join([*pieces, _squeezed(text[start:])])


def _squeezed(text: str) -> str:
    """Without blanks, except the one that ends a command's name."""
    kept = _BLANK_IN_COMMAND.sub("\\1\0", _BLANKS.sub(" ", text))
    return kept.replace(" ", "").replace("\0", " ")


def _outer(text: str) -> str:
    """Braces around everything mean nothing."""
    while text[:1] == "{" and text[-1:] == "}":
        depths = list(accumulate((sign == "{") - (sign == "}") for sign in text))
        if depths.index(0) != len(text) - 1 if 0 in depths else True:
            break
        text = text[1:-1]
    return text

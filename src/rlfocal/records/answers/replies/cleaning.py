r"""What every kind of answer is read from: a reply without its thinking and its typography.

Three steps, each linear in the text and each safe on any text: `without_thinking` (in `thinking`)
cuts what a reasoning model thought before it answered, `even` brings Unicode to one form, `plain`
takes off markup (emphasis, code marks, LaTeX wrappers). None of them knows a kind of answer.
"""

from __future__ import annotations

import re
import unicodedata

from rlfocal.records.answers.replies.thinking import without_thinking

__all__ = ["clean", "even", "plain", "unwrapped", "without_thinking"]

_ZERO_WIDTH = dict.fromkeys(
    [0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF]
)
_TYPOGRAPHY = {
    **_ZERO_WIDTH,
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63\uff0d"), "-"),
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u00b4"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f«»\u2033「」『』"), '"'),
    ord("º"): "°",
    ord("İ"): "I",  # the only letter whose lower case has another length
    0x2044: "/",  # fraction slash
    0x066B: ".",  # Arabic separators
    0x066C: ",",
}
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_RAISED_RUN = re.compile(f"[{_RAISED}]+")
_RAISED_PLAIN = str.maketrans(_RAISED, "0123456789+-")
_LOWERED_RUN = re.compile(r"(?<=[0-9])[₀-₉]+")
_APART = re.compile(
    r"""(?x)
    [\xbc-\xbe\u2150-\u215f\u2189]  # fractions
    | [\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3192-\u3195]  # in circles and brackets
    | [\u3220-\u3229\u3248-\u324f\u3251-\u325f\u3280-\u3289\u32b1-\u32bf]
    | [\u3371-\u33df]  # squared units
    """
)
_FOREIGN_DIGITS = re.compile(r"[^\D0-9]")

_HTML = re.compile(r"</?(?:b|i|u|em|strong|p|div|span|code|sub|sup|center|mark|h[1-6])>|<br\s*/?>")
_STARS = re.compile(
    r"""(?x)
    \*\* (?! (?<= [0-9)]\*\* ) [0-9({-] )  # but not in 2**3
    | (?<![\w_]) __ (?=[^_]) | (?<=[^_]) __ (?![\w_])
    """
)
_ITALIC = {
    sign: re.compile(
        rf"""(?x)
        (?<! [\w{sign}] ) [{sign}] (?= [^\s{sign}] )
        ( [^{sign}\n]{{1,200}} )
        (?<= [^\s{sign}] ) [{sign}] (?! [\w{sign}] )
        """
    )
    for sign in "*_"
}
_BULLET = re.compile(r"(?<=\n)[ \t]*[-*•][ \t]+(?=\S)")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.MULTILINE)
_WRAPPER = re.compile(
    r"""(?x)
    \\ (?: (?: text | math ) (?: bf | it | rm | tt | sf | normal ) | text | emph | underline
      | operatorname | mbox | hbox | bm | boldsymbol | bf | rm ) \*? \s*
    \{ ( [^{}]{0,1000} ) \}
    """
)
_DELIMITER = re.compile(r"\\[()\[\]]|\$\$")
_DOUBLE_BRACES = re.compile(r"\{\{([^{}]{0,1000})\}\}")
_SPACING = re.compile(r"\\[,;:! ]|\\(?:quad|qquad|displaystyle|left|right|bigl?|bigr?)(?![a-zA-Z])")
_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|,\\!|\\!|~)(?=[0-9]{3}(?![0-9]))")


def clean(text: str) -> str | None:
    r"""Take off thinking, typography and markup.

    Returns:
        The rest, without leading or trailing white space; None where the thinking was cut off, so
        that there is no answer.

    >>> clean("<think>9? No.</think> It is \\text{B}, **not** C.")
    'It is B, not C.'
    """
    rest = without_thinking(text)
    return None if rest is None else plain(even(rest)).strip()


def even(text: str) -> str:
    """Bring Unicode to one form: NFKC, one minus sign, one kind of quotes, no zero-width marks.

    Raised digits become exponents and fractions keep their distance, where NFKC alone would glue
    them to the digit before: 10² is 10^2 and 2½ is 2 1/2.
    """
    if text.isascii():
        return text
    text = _RAISED_RUN.sub(lambda run: "^" + run[0].translate(_RAISED_PLAIN), text)
    text = _LOWERED_RUN.sub(lambda run: "_" + unicodedata.normalize("NFKC", run[0]), text)
    text = _FOREIGN_DIGITS.sub(lambda digit: str(unicodedata.digit(digit[0])), text)
    text = _APART.sub(_apart, text)
    return unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHY)).translate(_TYPOGRAPHY)


def _apart(found: re.Match[str]) -> str:
    """A character that stands for several, or for a number, with its distance."""
    if found[0] < "\u3371":
        return f" {unicodedata.normalize('NFKC', found[0])} "
    return " " + unicodedata.normalize("NFKC", found[0].translate(_RAISED_PLAIN))


def plain(text: str) -> str:
    r"""Take off markup: emphasis, code marks, HTML, LaTeX delimiters, wrappers and spacing.

    `$` stays, because it is a currency too, and so does `\boxed`, which marks the answer.
    """
    if "\\" in text or "{,}" in text:
        text = _without_latex(text)
    if "{{" in text:
        text = _DOUBLE_BRACES.sub(r"{\1}", text)
    if "<" in text:
        text = _HTML.sub(" ", text)
    if "**" in text or "__" in text:
        text = _STARS.sub("", text)
    if "\n" in text:
        text = _BULLET.sub("", text)
    if "`" in text:
        text = _FENCE.sub("", text).replace("`", "")
    for sign, italic in _ITALIC.items():
        if sign in text:
            text = italic.sub(r"\1", text)
    return text


def _without_latex(text: str) -> str:
    text = _THOUSANDS.sub(",", text)
    text = _DELIMITER.sub(" ", text.replace("\\%", "%").replace("\\$", "$"))
    for _ in range(3):  # wrappers in wrappers
        text, found = _WRAPPER.subn(r"\1", text)
        if not found:
            break
    text = _SPACING.sub(" ", text.replace("\\!", ""))
    return text


def unwrapped(text: str, wrapper: re.Pattern[str], layers: int) -> str:
    """Take off boxes, quotes and brackets around all of a text.

    Args:
        text: cleaned.
        wrapper: matches all of a text, and what it holds in one of its groups.
        layers: wrappers within wrappers, at most.
    """
    for _ in range(layers):
        found = wrapper.fullmatch(text)
        if found is None:
            break
        text = next(group for group in found.groups() if group is not None).strip()
    return text

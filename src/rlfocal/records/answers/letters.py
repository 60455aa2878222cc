r"""Which letter of an option a piece of a reply names.

Reads what stands at one place: a letter in brackets, bold or bare, several of them, a Roman
numeral, an English word that is only a letter. Knows nothing of where in a reply to look.
"""

from __future__ import annotations

import itertools
import re

from rlfocal.records.answers.replies.settling import SEVERAL

__all__ = ["bare", "is_joined", "is_roman", "leading", "named", "standing"]

_FILLER = (
    r"(?:(?:the|la|le|el|die|der|das|l'|o|a)\s?(?=\S{2,}))?(?:(?:correct|right|best|most likely|"
    r"final|following|only|first|richtige|bonne)\s)*"
    r"(?:(?:indeed|clearly|probably|likely|most likely|definitely|therefore|then|also|simply|"
    r"actually|either|both)\s)*"
    r"(?:(?:option|choice|letter|answer|alternative|statement|opci[oó]n|letra|lettre|"
    r"buchstabe|antwort|opzione|lettera|opção|选项|選項|选|選)\s?[:\-]?)*"
)
_AT = re.compile(
    rf"[\s\"'*_:$\-]*{_FILLER}\s*[\"'*]*(?P<open>[(\[{{<]+\s*)?[\"'*]*(?P<letter>[A-Za-z])"
    r"(?![A-Za-zÀ-ɏ0-9_]|'[a-zA-Z])(?!-[A-Za-z0-9])(?!\.[A-Za-z]\b)[\"'*$]*(?P<close>\s*[)\]}>]+)?",
    re.IGNORECASE,
)
_FURTHER = re.compile(
    r"""(?x)
    \s* (?P<join> ,\s*(?: and | or )? | and | or | & | / | \+ | und | oder | et | ou | y | o | e
      | 和 | 或 | 、 | ; ) \s*
    ["'*]* (?: option\s )? [(\[]? (?P<letter>[A-Z]) (?![A-Za-z0-9_']) [)\]]?
    (?P<next> \s+[a-z']+ | [\u4e00-\u9fff] )?
    """
)
_ROMAN = re.compile(r"[\s,]*(?:and|or|&|,)?\s*(?:I{2,3}|IV|VI{0,3}|IX)\b|\s+only\b")
_GLUED = re.compile(r"[\s\"'*(\[{]*([A-Z]{2,6})(?![A-Za-z0-9])")
_CONNECTIVE = re.compile(
    r"\s+(?:because|since|as|is|are|was|for|due|with|which|where|by|i\.e|so|but|not|based|given|if|"
    r"from|that|over|rather|instead|and|or|only|seems|would|weil|car|porque|parce|on|at|when|than|"
    r"would|has|may|might|must|in|per|according|after|considering|here|then|thus)\b"
)
_WORDLIKE = re.compile(r"[^\S\n]+[A-Za-zÀ-ɏ']*[a-zà-ɏ]")
_SINGULAR = re.compile(
    r"\s+(?:is|was|has|does|would|could|can|cannot|may|might|seems|gives|fails|describes|"
    r"represents|refers|means|contradicts|[a-z]{3,}(?:s|ed)|isn't|doesn't|can't|won't|think|am|will)$"
)
_GOES_ON = re.compile(r"\s+(?:(?:is|because|since)\b|(?:and|or)\s[(\[]?[A-Z](?![A-Za-z']))")
_SECOND_OPTION = re.compile(r"(?:^|\s)[\"'*]*[(\[]?B[)\].:](?=\s|\*)")
_JOINED = re.compile(
    r"""(?x)
    [)\]"'*]* \s* (?: , | and | or | & | / | \+ | ; | ,\s*and | ,\s*or | 和 | 或 | 、 ) \s*
    (?: option\s )? [(\["'*]*
    """
)
_BARE = re.compile(
    r"""(?xi)
    (?: (?: the\s )? (?: (?: correct | right | final )\s )?
      (?: option | choice | letter | answer ) \s? [:\-]? \s? )?
    [(\[{<"'*$]* \s* ([A-Za-z]) \s* [)\]}>"'*$.:,;!]*
    """
)
_LEADING = re.compile(
    r"""(?x)
    [\s"'*]* (?: option\s | choice\s )?
    (?: [(\[{] \s* ([A-Za-z]) \s* [)\]}]
      | ([A-Z]) (?= [).:,] | \s*\n | \s+-\s | \s+\(?(?: because | since )\b
          | \s\([^()]{1,200}\)\.?$ | $ )
      | ([b-hj-z]) (?= [).:]\s ) )
    [.:,)]*
    """
)
_STANDING = re.compile(
    r"""(?x)
    (?<! [A-Za-zÀ-ɏ0-9_'\\-] ) (?<! N/ ) (?! N/A )
    (?: (?P<option> (?: option | choice | letter | 选 | 選 | 选项 ) \s? [(\[]? )
      | (?P<open> [(\[] ) )?
    (?P<letter> [A-Z] )
    (?! [A-Za-zÀ-ɏ0-9_'=] | -[A-Za-z0-9] | \s= | \([a-z0-9] | \.[A-Z]\b )
    (?P<close> [)\]] )?
    """
)
_SAID = re.compile(r"(?:\bis|\bbe|choose|pick|select|:|=)$")


def named(text: str, letters: str) -> str | None:
    r"""Read the letter that a text begins with, behind a mark of an answer.

    Args:
        text: what follows the mark.
        letters: of the options.

    Returns:
        The letter, upper case; `SEVERAL` for "A and C", a Roman numeral or a letter of no option;
        None where the text begins with no letter.

    >>> named("(C) 12 m/s, and A is its negative.", "ABCD"), named("a dog", "ABCD")
    ('C', None)
    """
    found = _AT.match(text)
    if found is None:
        return _glued(text, letters)
    letter, rest = found["letter"], text[found.end() :]
    is_enclosed = bool(found["open"] and found["close"])
    if not is_enclosed and not _stands(letter, rest):
        return None
    if letter == "I" and not is_enclosed and is_roman(rest):
        return SEVERAL
    if is_joined(rest, letter.upper(), letters):
        return SEVERAL
    return letter.upper() if letter.upper() in letters else SEVERAL


def _stands(letter: str, rest: str) -> bool:
    """Whether a bare letter is no word: "A dog", "I think", "a", "s'il"."""
    following = _WORDLIKE.match(rest)
    if letter.islower():
        return not following or (letter not in "aiyoe" and _CONNECTIVE.match(rest) is not None)
    return letter not in "AI" or not following or _CONNECTIVE.match(rest) is not None


def is_joined(rest: str, letter: str, letters: str) -> bool:
    """Say whether a letter's text goes on with another letter that is meant too ("A and C").

    >>> is_joined(" and C.", "A", "ABCD"), is_joined(", and B is wrong", "A", "ABCD")
    (True, False)
    """
    further = _FURTHER.match(rest)
    if further is None or further["letter"] not in letters or further["letter"] == letter:
        return False
    following = further["next"] or ""
    if further["letter"] == "I" and following.strip() not in ("", "are", "is"):
        return False  # "B, I think"
    if following and not following.isascii():
        return further["join"] not in ",;" or following in "都均皆也和与及或"
    if further["join"].strip() == ",":
        return following.strip() in ("", "and", "or", "are")
    return not _SINGULAR.match(following)


def is_roman(rest: str) -> bool:
    """Say whether an I is a Roman numeral, by what follows it ("I and II", "I only")."""
    return _ROMAN.match(rest) is not None


def _glued(text: str, letters: str) -> str | None:
    """Several letters without anything between them, as in "Answer: AC"."""
    found = _GLUED.match(text)
    if found is None:
        return None
    given = found[1]
    ascending = all(a < b for a, b in itertools.pairwise(given))
    is_roman = set(given) <= set("IVX")
    return SEVERAL if is_roman or (ascending and set(given) <= set(letters)) else None


def bare(text: str) -> str | None:
    """The letter of a text that is one letter as a whole, upper case: b, (B), B., **B**, [B].

    >>> bare("Option (b)."), bare("ab")
    ('B', None)
    """
    found = _BARE.fullmatch(text)
    return found[1].upper() if found else None


def leading(text: str, letters: str) -> str | None:
    """The letter that a reply begins with, before it explains: "B. It is ...", or "B" alone.

    A list of the options begins with a letter too, but has others on its further lines.
    """
    found = _LEADING.match(text)
    if found is None:
        return None
    letter = (found[1] or found[2] or found[3]).upper()
    rest = text[found.end() :]
    if letter == "I" and not found[1] and text[found.end() - 1 : found.end()] == ",":
        return None  # "I, for one, ..."
    behind = text[found.end(1) + 1 if found[1] else max(found.end(2), found.end(3)) :]
    if is_joined(behind, letter, letters) or (letter == "I" and is_roman(rest)):
        return SEVERAL
    is_list = letter == "A" and (bool(found[1]) or found.end(2) < found.end())
    if letter not in letters or (is_list and _SECOND_OPTION.search(rest)):
        return None
    return letter


def standing(text: str, letters: str) -> str | None:
    """The last letter that stands alone, as MMLU-Pro's evaluation takes it; no English words.

    >>> standing("Neither A nor B, so H", "ABCDEFGH"), standing("A dog", "ABCD")
    ('H', None)
    """
    last: re.Match[str] | None = None
    several = False
    for found in _STANDING.finditer(text):
        is_marked = bool(found["option"] or (found["open"] and found["close"]))
        if found["letter"] not in letters or not (is_marked or _is_letter(text, found)):
            continue
        several = (
            last is not None
            and last["letter"] != found["letter"]
            and _JOINED.fullmatch(text, last.end(), found.start("letter")) is not None
        )
        last = found
    if last is None:
        return None
    return SEVERAL if several else last["letter"]


def _is_letter(text: str, found: re.Match[str]) -> bool:
    letter, rest = found["letter"], text[found.end() : found.end() + 40]
    if letter not in "AI":
        return True
    if letter == "A" and _GOES_ON.match(rest):
        return True
    if _WORDLIKE.match(rest):
        return False
    before = text[max(0, found.start() - 16) : found.start()].rstrip()
    if letter == "I":
        return bool(_SAID.search(before)) and not is_roman(rest)
    return bool(before) or not _WORDLIKE.match(rest)

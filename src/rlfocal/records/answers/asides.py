"""Which number of a sentence is meant, and which only says of what: asides.

"She pays $45 for 3 books", "12 of the 30", "21 in 2021", "12 = 5 + 7": the last number is not what
was asked for. Everything looks at most `REACH` characters back, within one sentence.
"""

from __future__ import annotations

import re

from rlfocal.records.answers.numerals import Numeral, numerals

__all__ = ["SENTENCE", "is_weak", "meant", "sentence_start", "without_reasons"]

REACH = 200
"""Characters before a number in which its sentence begins."""

_LABELLED = re.compile(
    r"(?:steps?|rules?|notes?|equations?|eq\.|figures?|fig\.|tables?|sections?|chapters?|parts?|"
    r"options?|questions?|problems?|pages?|lines?|no\.|#|cases?|schritte?|étapes?|pasos?|checked|"
    r"method|version)\s?$",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"[.!?](?=\s+[^\s0-9])|[.!?](?=\s+[0-9]+\s+[a-z])|[。;]|\n")
_ORDINAL = frozenset({"st", "nd", "rd", "th"})
_VARIABLES = frozenset("xyzn")
_OUT_OF = re.compile(
    r"\s(?:of|(?:[a-z]+\s){0,3}out\sof|(?:[a-z]+\s)?of\s(?:the|her|his|their|these|all))\s"
    r"(?:(?:the|a total of|all)\s)?"
)
_PRICED = re.compile(
    r"\s(?:in total |altogether )?(?:for|on|after|with|including)\s"
    r"(?:the |an? |all |his |her |these )?"
)
_OF_WHAT = re.compile(
    r"""(?x)
    # "$5 sweets for each of the 3 children", "5 cups are enough for all 3", "5, or about 3"
    \s[a-z]+ (?: [ ][a-z]+ )?
      \s(?: for | to | among | between | with | from | by | on | in | of )[ ]
      (?: each[ ]of[ ] )? (?: the | his | her | their | its | these | those | all )
      (?: [ ](?: other | remaining ) )? \s
    | \s[a-z]+[ ](?: is | are | will[ ]be )[ ](?: needed | required | enough )[ ]
      (?: for | to[ ][a-z]+ ) (?: [ ](?: the | all ) )? \s
    | [^.;=]{0,20} ,\sor\s (?: (?: about | roughly | exactly | just )[ ] )?
    # "15 apples after giving away 3", "12 nails to fix all 3"
    | [^.,;=]{0,60}? \s(?:
        (?: after | before | by | without | when | while )[ ][a-z]{2,}ing\s (?: [a-z]+\s ){0,2}
        | to[ ][a-z]{3,}[ ] (?: [a-z]+[ ] )? (?: the | his | her | their | all )[ ] (?: [a-z]+[ ] )?
      )
    """
)
_PURPOSE = re.compile(
    r"[^.;=0-9]{0,60}?\sto (?!get|obtain|find|give|yield|be\b|an?\b|the\b)[a-z]+ [^.;=0-9]{0,30}"
)
_NEED = re.compile(r"\b(?:needs?|takes?|requires?|must|ha(?:s|ve) to|should)\b[^.;=]{0,60}$")
_CHECK = re.compile(
    r"""(?x)
    (?: (?<=[:(]) | (?<=[:(]\s) | (?<=^) | (?<=[.!?\n]\s) | (?<=\n) )
    [$(]? [0-9][0-9.,]* \)? (\s?=\s?)
    [$(]* [0-9][0-9.,]* (?: \)? \s? [-+*/x\u00d7] \s? [$(]* [0-9][0-9.,]* )+ \)? $
    """
)
_PARTS = re.compile(
    r"[0-9][0-9.,]*[^.:=\n0-9]{0,40}:\s[^=+*/:\n0-9]{0,20}[0-9][^=+*/:\n]*(?:,|\band)\s"
    r"[^=+*/:\n0-9]{0,10}$"
)
_AT_RATE = re.compile(r"\bat (?:a (?:rate|speed|price|cost) of )?$")
_EACH = re.compile(r"\s(?:[a-z]+\s)?(?:an?|per|each|every)\b")
_NTH = re.compile(r"\b(?:day|week|month|grade|year|level|room|round|age)\s$", re.IGNORECASE)
_FOR = re.compile(r"\b(?:for|in|over|after|within|during|every|per|of|since|by)\s(?:the\s|all\s)?$")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_SPAN = re.compile(r"[\s-](?:second|minute|hour|day|week|month|year|night)s?\b")
_OFFER = re.compile(
    r"""(?xi)
    (?<=[.!?\n]) \s* (?: please[ ] )?
    (?: let[ ]me[ ]know | feel[ ]free | would[ ]you[ ]like | i[ ]hope | hope[ ]this
      | if[ ]you[ ](?: want | have | need | would | like ) | is[ ]there[ ]anything )\b
    [^\n]* \s* $
    """
)
_REMARK = re.compile(r"\s*\([^()=\n]{1,120}\)\.?\s*$")
_REASON = re.compile(
    r",?\s(?:since|because|given that|as (?:it|there|she|he|they|each|the))\s"
    r"(?:(?!\bso\b|\bthus\b|\btherefore\b|=|\btotal)[^.\n]|\.(?=[0-9]))*\.?\s*$"
)


def meant(text: str, before: Numeral | None, last: Numeral) -> Numeral:
    """Choose between the last number of a text and the one before it.

    >>> first, second = numerals(text := "She pays $45 for 3 books.")
    >>> meant(text, first, second) is first
    True
    """
    start = sentence_start(text, last.start)
    parts = _PARTS.search(text, start, last.start)  # the 7 of "7 animals: 3 cats and 4 dogs"
    if parts is not None and (total := next(numerals(text, parts.start()), None)) is not None:
        return total
    if (checked := _checked(text, start, last)) is not None:
        return checked
    if before is None:
        return last
    if before.start >= start and _is_aside(text, start, before, last):
        return before
    return before if _OUT_OF.fullmatch(text, before.end, last.start) else last


def _is_aside(text: str, start: int, before: Numeral, last: Numeral) -> bool:
    """Whether the last number of a sentence only says for what the one before it holds."""
    between = (before.end, last.start)
    if (
        _is_time(text, last)
        or _NTH.search(text, max(0, last.start - 8), last.start)  # "on day 3"
        or (_AT_RATE.search(text, start, last.start) and _EACH.match(text, last.end))
        or _OF_WHAT.fullmatch(text, *between)
        or (before.currency and not last.currency and _PRICED.fullmatch(text, *between))
    ):
        return True
    is_purpose = _PURPOSE.fullmatch(text, *between) is not None
    return is_purpose and _NEED.search(text, start, before.start) is not None


def _checked(text: str, start: int, last: Numeral) -> Numeral | None:
    """The 12 of "12 = 5 + 7", where a sentence ends on a calculation that comes to nothing."""
    sum_ = _CHECK.search(text, start, last.end)
    if sum_ is None or text[last.end :].lstrip(" )").startswith("="):
        return None
    found = next(numerals(text, sum_.start()), None)
    is_left = found is not None and found.value is not None and found.start < sum_.start(1)
    return found if is_left else None


def without_reasons(text: str) -> str:
    """Cut what a reply ends on beside its answer: an offer, a reason, a remark in brackets.

    >>> without_reasons("She has 15 left, since 5 x 3. Let me know if you want all 4 steps.")
    'She has 15 left'
    """
    for end in (_OFFER, _REMARK, _REASON):
        found = end.search(text, max(0, len(text) - 2 * REACH))
        if found is not None:
            start = 0 if end is _OFFER else sentence_start(text, found.start())
            if end is _REMARK and text[found.start() - 1 : found.start()] in (".", "!", "?"):
                start = 0
            if any(character.isdigit() for character in text[start : found.start()]):
                text = text[: found.start()]
    return text


def is_weak(text: str, found: Numeral) -> bool:
    """Whether a number only counts something in the text itself (a step, a rank)."""
    if found.tail.lower() in _ORDINAL or found.tail in _VARIABLES:
        return True
    return _LABELLED.search(text, max(0, found.start - 16), found.start) is not None


def _is_time(text: str, found: Numeral) -> bool:
    """Whether a number only says when, or for how long ("$18 in 3 days", "12 cats in 2021")."""
    if _FOR.search(text, max(0, found.start - 12), found.start) is None:
        return False
    is_year = _YEAR.fullmatch(text, found.start, found.end) is not None
    return is_year or _SPAN.match(text, found.end) is not None


def sentence_start(text: str, place: int) -> int:
    """Where the sentence of a place begins, at most `REACH` characters before it."""
    start = 0
    for end in SENTENCE.finditer(text, max(0, place - REACH), place):
        start = end.end()
    return start or max(0, place - REACH)

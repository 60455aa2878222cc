"""The names in a server's words, told apart: those that it refuses and those that it would take.

Many refusals list what is supported. A name in such a list is not refused, and a name that was
never sent is no reason to leave another one out. Knows sentences, and nothing of requests.
"""

from __future__ import annotations

import re

from rlfocal.pool.openai.replies.errors.words import pattern

__all__ = ["refused_in", "without_offers"]

_QUOTE = r"[\"'`\u2018\u2019\u201c\u201d]"
_WORD = rf"{_QUOTE}?[a-z_][\w.\-\[\]]*{_QUOTE}?(?![\w\"'`])"
_NAME = (
    _WORD + r"(?!\s+(?:is|are|was|were|not|isn't|aren't|cannot|can't|does|do|must|should|may)\b)"
)
_NEXT = r"(?:\s*[,|/]\s*(?:(?:and|or)\s+)?|\s+(?:and|or|&)\s+|\s*\n\s*[-*\u2022]\s*)"
_LIST = rf"(?P<list>{_NAME}(?:{_NEXT}{_NAME})*)"
_OFFERS = pattern(
    r"(?<![a-z])(?:supported|supports?|allowed|allows|accepted|accepts|permitted|permits|"
    r"recogni[sz]ed|expected|possible|valid|known|available|permissible|acceptable)(?![a-z])"
    r"[^.:;=\n\[({]{0,50}?(?:[:=]|\b(?:are|is|include)\b:?)[\s\[({]{0,6}" + _LIST
)
_CHOICES = pattern(
    r"(?:(?:expected|must be|should be|can be|choose)\s+(?:one of|any of|from|between|either)|"
    r"did you mean)[\s:\[({]{0,6}(?:the following\W{0,4})?" + _LIST
)
_ONLY = pattern(
    rf"\bonly\s+(?P<list>{_WORD}(?:{_NEXT}{_WORD})*)\s+(?:(?:param\w*|fields?)\s+)?"
    r"(?:are|is|may be|can be)\s+(?:support|allow|accept|permit|valid)"
)
_DENIED = pattern(r"(?:\bnot|n't|no longer|\bnever|\bcannot)\b[^.,:;\n]{0,40}$")
_AMONG = pattern(r"(?:one of|among|\bin|part of)\s+(?:\w+\s+){0,3}$")
_REFUSED = pattern(
    r"(?:(?<![a-z])(?:unsupported|unrecogni[sz]ed|unknown|unexpected|disallowed|invalid|extra)|"
    r"\bnot (?:a )?(?:support\w*|allow\w*|permit\w*|recogni\w*|known|valid))[ ]+(?:\w+[ ]+){0,2}?"
    r"(?:param\w*|fields?|arg\w*|keyword arg\w*|keys?|propert\w+|options?|names?)(?:\(s\))?"
    r"(?:[ ]+(?:supplied|names?|given|found|provided|passed))?[ ]?(?P<colon>[:=])?[ \[({]{0,4}"
    + _LIST
    + r"(?P<end>\s*(?:[.,;)\]}]|$))?"
)


def without_offers(words: str) -> str:
    """Words without the lists of what is supported, allowed or expected.

    >>> without_offers("Unsupported parameter: seed. Supported parameters: top_p, stop")
    'Unsupported parameter: seed. Supported parameters: ...'
    >>> without_offers("these fields are not supported: seed, stop")
    'these fields are not supported: seed, stop'
    """
    for offer in (_OFFERS, _CHOICES, _ONLY):
        words = offer.sub(_cut, words)
    return words


def _cut(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - 80) : found.start()]
    if _DENIED.search(before) and not _AMONG.search(before):
        return found[0]
    start, end = (at - found.start() for at in found.span("list"))
    return f"{found[0][:start]}...{found[0][end:]}"


def refused_in(words: str) -> list[str]:
    """Names that words call unsupported, unknown or the like, as they are written there.

    >>> refused_in("Unsupported parameters: seed, 'enable_thinking'. Supported: stop")
    ['seed', 'enable_thinking']
    >>> refused_in("unknown field in the request")
    []
    """
    names: list[str] = []
    for found in _REFUSED.finditer(words):
        items = [item for item in re.split(_NEXT, found["list"]) if item]
        for item in items:
            is_name = re.search(rf"{_QUOTE}|_|[a-z][A-Z]", item) is not None
            if is_name or (found["end"] is not None and (found["colon"] or len(items) > 1)):
                names.append(re.sub(_QUOTE, "", item).strip("."))
    return names

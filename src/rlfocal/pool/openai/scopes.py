"""How far a refusal of a field goes: whether it is for good, of one value, or of one request.

What one client may not ask for is no reason to take a field from all others. Knows sentences and
values, and nothing of what becomes of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from rlfocal.pool.openai.replies.errors.words import pattern

__all__ = ["Scope", "depends_on", "scope_of", "speaks_of_turns"]

Scope = Literal["field", "value", "request"]
"""Refused whatever is sent; at the value that was sent; beside what else was sent."""

_SENTENCE = re.compile(r"(?:[.!?;]\s+|\n)")
_NOUN = r"(?:field|param|arg|key|propert|option|input|name|setting|attribute)"
_UNKNOWN = pattern(
    rf"(?:unsupported|unrecogni[sz]ed|unknown|unexpected|disallowed|extra\w*|additional)[ _]"
    rf"(?:[a-z`'\"]+[ _]){{0,2}}?{_NOUN}|cannot find field|no such {_NOUN}"
)
"""Said of nothing but a field."""
_DEFAULT_ONLY = pattern(
    r"only the default|\bfixed (?:at|to)\b|"
    r"only \(?-?\d[\d.]*\)? (?:is|are) (?:allow|support|accept|permit|valid)"
)
"""Of every value but the one that counts without it."""
_CONDITION = pattern(
    r"\b(?:when(?:ever)?|if|unless|while|together|both|either|combin\w+|alongside|along with|"
    r"at the same time|simultaneously|mutually|exclusive|(?:only|exactly|at most) one of|"
    r"conflict\w*|incompatible|requires?|required|depends? on|in the presence of|because|"
    r"instead of|as well as)\b|"
    r"\b(?:with|without|for)\b(?! (?:this|the|that|your|our|a|an|model|models|value|parameter|"
    r"either|any|all|most|some|deployment|endpoint|engine|provider|\W))(?! ?model)"
)
"""That it depends on what else is sent."""
_OF_A_MODEL = pattern(
    r"\b(?:when|if|while|for|with)\b (?:using |you (?:use|are using) |calling )?(?:the |this |"
    r"these |your |that |our )?(?:[\w./:`'\"-]+ )?"
    r"(?:model|deployment|endpoint|engine|provider|server|api|version)s?\b"
)
_NAME_OF_A_MODEL = (
    r"(?:(?=[\w./:-]*\d)|(?=[\w./:]*-)(?!(?:non|multi|tool|function|json|pre|top|one|two|zero|built|"
    r"real|stream\w*|structured|long|short|low|high|auto|parallel|image|audio|web|code|file|"
    r"reasoning|thinking)-)(?![\w./:-]*-(?:modes?|call\w*|use|outputs?|format|effort|requests?)\b))"
    r"[a-z][\w./:-]*\w"
)
"""One word with a digit or a hyphen, which a feature's name seldom has."""
_OF_NAMED_MODELS = pattern(
    rf"\b(?:for|with)\b ['\"`]?(?:model )?{_NAME_OF_A_MODEL}['\"`]?"
    rf"(?:,? (?:and|or) ['\"`]?{_NAME_OF_A_MODEL}['\"`]?)?"
    r"(?=[.,;!)]?(?:\s*$|[\n;,]|[.!)] )| models?\b)|"
    r"\b(?:for|with)\b (?:all |any |some |our |the |these )?"
    r"(?:(?!(?:with|for|in|on|and|or|of|to|by|if|when|tools?|stream\w*|thinking|is|are)\b)"
    r"[\w./:`'\"-]+ ){1,3}models?\b|"
    r"\b(?:because|since)\b (?:the |this |your |that |it\b|[\w./:-]*\d)(?:(?!\b(?:when|if|while|"
    r"unless|with|without|together)\b)[^.;\n])*?\b(?:model|deployment|endpoint|engine|provider)s?\b"
)
"""Why, or where, a field is never taken; the clause ends before what it depends on besides."""
_NEEDS_ANOTHER = pattern(
    r"\brequires? (?:(?:the|a|an|another) )?(?:[\w.-]+ ){0,2}?(?:model|api|api[- ]version|endpoint|"
    r"deployment|provider|plan|tier|beta|access|account|organi[sz]ation)s?\b"
)
"""What no request can have."""
_TOGETHER = pattern(
    r"\b(?:both|either|together|at the same time|simultaneously|mutually|only one of)\b"
)
"""Whatever the values of what is there."""
_LEAST_STEM = 5
"""Letters of a part of a field's name by which it may be told: "reasoning", but not "top"."""
_OF_A_VALUE = pattern(
    r"unsupported value|invalid value|supported values?|allowed values?|valid values?|"
    r"accepted values?|possible values?|\bvalues? (?:of|for|is|are|must|should|at)\b|"
    r"TYPE_\w+|\benum\b|unknown variant|expected one of|"
    r"less than|greater than|at (?:most|least)|maximum|minimum|between|\brange|too (?:large|big|"
    r"high|small|low|long|many|few)|exceed|up to|[<>]=?\s*\d|must (?:not )?(?:be|have|contain)\b|"
    r"should (?:not )?(?:be|have|contain)\b|does not support ['\"`\u2018\u201c]"
)
_OF_SOME = (
    r"(?:white ?space|empty|blank|duplicated?|negative|positive|non[- ]?\w+|null|nested|large|"
    r"small|multiple|many|some|these|such|certain|single|more than \w+|long\w*|short\w*|invalid)"
)
"""Which of a field's values, as words before it."""
_OF_THE_FIELD = pattern(
    r"unsupported|(?:not|n't|no longer|cannot|never)\s(?:be |currently |yet )*(?:support|permit|"
    r"allow|accept|recogni[sz]|implement|enabled|available|take|used?\b|set\b|known|a valid)|"
    r"forbidden|deprecated|disabled|obsolete|extraneous|(?:was|were|been) (?:removed|dropped|"
    r"retired)|no [\w ]{1,30}? (?:that |which )?supports?\b|without support for|"
    r"(?:may|must|should) (?:not be|be (?:omitted|unset|removed|absent|left out|null))|"
    r"invalid (?:field|param|arg|key|propert|option|attribute)"
)
_TURNS = pattern(r"\b(?:messages?|turns?|roles?|prefill\w*|images?|prompts?|conversations?)\b")
_LEAST_VALUE = 2
"""Characters of a value that is looked for: less is met by chance."""


def scope_of(words: str, name: str, value: Any, *, model: str = "") -> Scope:
    """How far a refusal goes.

    Args:
        words: the server's own.
        name: the field of the body that they refuse.
        value: what was sent for it.
        model: who was asked, as the server may call it; empty where that is not known.

    >>> scope_of("Unsupported parameter: 'seed' is not supported with this model.", "seed", 3)
    'field'
    >>> scope_of("'reasoning_effort' does not support 'minimal'", "reasoning_effort", "minimal")
    'value'
    >>> scope_of("temperature may only be set to 1 when thinking is enabled.", "temperature", 0)
    'request'
    """
    if _DEFAULT_ONLY.search(words):
        return "field"
    if model:  # its name may be any word
        own_name = rf"\b(for|with) ['\"`]?{re.escape(model)}['\"`]?(?![\w-])"
        words = re.sub(own_name, r"\1 this model", words)
    sentences = [found for found in _SENTENCE.split(words) if found.strip()]
    own = re.compile(rf"(?<![a-z]){_any_case(name)}", re.IGNORECASE)
    about = [found for found in sentences if own.search(found)]
    codes = [found for found in sentences if " " not in found.strip()]
    for told in (about, about + codes, sentences):
        if (scope := _scope_in("\n".join(told), name, value)) is not None:
            return scope
    return "value"


def _scope_in(told: str, name: str, value: Any) -> Scope | None:
    """What some sentences say of it; None where they leave it open."""
    needs = _NEEDS_ANOTHER.search(told)
    rest = told
    for always in (_OF_NAMED_MODELS, _OF_A_MODEL, _NEEDS_ANOTHER):
        rest = always.sub(" ", rest)
    if _CONDITION.search(rest):
        return "request"
    if _UNKNOWN.search(told):
        return "field"
    some = re.compile(rf"\b{_OF_SOME}\W+(?:\w+\W+)?{_any_case(name)}", re.IGNORECASE)
    if _OF_A_VALUE.search(told) or some.search(told) or any(_is_in(told, v) for v in _said(value)):
        return "value"
    is_denied = re.search(rf"\bnot\W+{_any_case(name)}", told, re.IGNORECASE)
    return "field" if is_denied or needs or _OF_THE_FIELD.search(told) else None


def _any_case(name: str) -> str:
    """A pattern for a name, as servers write it: topP for top_p."""
    return re.escape(name).replace("_", "_?")


def _said(value: Any) -> Iterator[str]:
    """How a value may be told."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)


def _is_in(told: str, value: str) -> bool:
    if len(value.strip()) < _LEAST_VALUE or len(value) > 200:
        return False
    return re.search(rf"(?<![\w.]){re.escape(value)}(?!\w)", told, re.IGNORECASE) is not None


def speaks_of_turns(words: str) -> bool:
    """True where what a refusal depends on may be in the turns."""
    return _TURNS.search(words) is not None


def depends_on(words: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields of a request whose values a refusal may be about; of others it counts that they are.

    Of numbers it does not where fields exclude each other, whatever their values.

    >>> fields = {"temperature": 0.5, "top_p": 0.9, "reasoning_effort": "low", "max_tokens": 64}
    >>> depends_on("temperature may only be 1 with reasoning", fields)
    ('temperature', 'reasoning_effort')
    >>> depends_on("temperature and top_p cannot both be specified", fields)
    ()
    """
    is_of_all = _TOGETHER.search(words) is not None
    found = []
    for name, value in fields.items():
        is_number = isinstance(value, int | float)
        stems = [] if is_number else [stem for stem in name.split("_") if len(stem) >= _LEAST_STEM]
        own = "|".join(map(_any_case, (name, *stems)))
        if not (is_number and is_of_all) and re.search(rf"(?<![a-z])(?:{own})", words, re.I):
            found.append(name)
    return tuple(found)

"""Which field of a request a server refuses, out of what it says in place of a reply.

Read only where it names a field that was sent and says that it does not take it: a value out of
range is the user's to mend, and a prompt that is too long is nobody's field. Knows the words of
servers; what is done about a refusal is `dialect`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rlfocal.pool.openai.offers import refused_in, without_offers
from rlfocal.pool.openai.replies.errors.words import objects_in, pattern, said_in, words_of

__all__ = ["LIMITS", "Refusal", "mentioned_in", "named_parameter", "refusal_in"]

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens")
"""Names under which servers are told the most tokens of a reply."""
_LIMITS_BARE = frozenset({name.replace("_", "") for name in LIMITS} | {"numpredict", "npredict"})
_NEVER_NAMED = frozenset({"model", "messages", "prompt"})
"""Words of every other sentence of an error."""
_HARMLESS = frozenset({"seed", "stream_options"})
"""Whatever is wrong with their value, a reply without them is as good."""
_REPEATED = ("input", "ctx", "body")
"""Where what was sent may be repeated, and with it every name."""
_MOST_READ = 4000
"""Characters of words, or of a whole reply, in which a name is looked for."""

_REFUSES = pattern(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|forbidden|extra[ _](?:input|field|param|arg)|"
    r"additional propert|only the default|no such (?:field|param|arg)|cannot find field|"
    r"invalid (?:field|param|arg|key|propert|option|attribute)|deprecated|incompatible|disabled|"
    r"only (?:be )?(?:allow|support|permit|valid|used|set\b)|"
    r"only [\w.()'\"` ]{1,30}(?:is|are) (?:allow|support|accept|permit|valid)|"
    r"mutually exclusive|cannot (?:both |also )?be|"
    r"(?:may|must|should) (?:not be|be (?:omitted|unset|removed|absent|left out|null))|"
    r"(?:not|n't|no longer|cannot|never)\s(?:be |currently |yet )*"
    r"(?:support|permit|allow|accept|recogni[sz]|implement|enabled|available|take|used?\b|set\b|"
    r"known|a valid (?:field|param|arg))|without support for|\bfixed (?:at|to)\b|not both|"
    r"(?:only|at most|exactly) one of|(?:was|were|been) (?:removed|dropped|retired)|obsolete|"
    r"no [\w ]{1,30}? (?:that |which )?supports?\b"
)
_RANGE = pattern(
    r"less than|greater than|at (?:most|least)|maximum|minimum|between|range|too (?:large|big|high|"
    r"small|low|long|many)|exceed|up to|[<>]=?\s*\d|must be (?:a|an|positive|of type|one of)\b"
)
_OF_THE_FIELD = pattern(
    r"unsupported|unrecogni[sz]ed|unknown|extra[ _]|(?:not|n't) support|not permitted|"
    r"only the default|not both|(?:only|at most|exactly) one of"
)
"""What is said of a field and not of its value."""
_NOT_THE_END = pattern(
    r"strictly positive|positive|greater than 0|above 0|>\s*0|non-?zero|must not be 0|range|"
    r"between|\(0[.,;]|>=?\s*0|<=?\s*1"
)
_GREEDY = pattern(
    r"greedy|do_sample|temperature (?:is|=|of) ?0|"
    r"must be (?:set to |equal to |exactly )?1(?:\.0+)?\b(?!\s*(?:or|and|to)\b)"
)
_NO_EFFECT: Mapping[str, float] = {"temperature": 0, "top_p": 1}
"""Ends of ranges that some servers leave out, and where leaving the field out says the same."""
_OTHER_NAMES = {
    "stream": "stream(?:ing)?",
    "stop": "stop(?:[_ ]?sequences?|[_ ]?words?)?",
    "stream_options": "stream[_ ]?options",
}
_LABEL = (
    r"(?:param(?:eter)?s?|arg(?:ument)?s?|fields?|keys?|propert(?:y|ies)|options?|inputs?|keyword|"
    r"kwargs?|supplied|support|allow|accept|recogni[sz]e|permitted|unknown|unsupported|"
    r"unrecogni[sz]ed|unexpected|forbidden|setting|name|body|request|loc)"
)
_AFTER = (
    r"(?:fields?|param\w*|arg\w*|option|is|are|was|does|do|cannot|can't|may|must|should|isn't|"
    r"aren't|not|extra|unsupported)\b"
)
_INSTEAD = pattern(
    r"(?:use|try|replaced (?:by|with)|renamed to|in favou?r of|did you mean|prefer|set|specify|"
    r"send)\s+(?:the\s+)?(?:param\w*\s+|field\s+|argument\s+)?[\"'`]?([a-z_]*tokens[a-z_]*|n_predict|"
    r"num_predict)\b"
)
_WANTED = re.compile(
    rf"(?:missing|required|must (?:set|provide|specify|include|pass))\b.{{0,60}}?"
    rf"(?<!\w)({'|'.join(LIMITS)})(?!\w)|(?<!\w)({'|'.join(LIMITS)})(?!\w)\W{{1,3}}"
    r"(?:(?:the |this )?(?:field|param\w*|argument)?\s?(?:is )?(?:required|missing)|"
    r"must be (?:set|provided|specified|given))",
    re.IGNORECASE | re.DOTALL,
)
"""A limit that has to be told under this name."""
_NO_SYSTEM = re.compile(
    r"(?:system|developer)['\"`]?\s*(?:roles?|messages?|prompts?|instructions?|turns?)?\b.{0,40}?"
    r"(?:\bnot\b|n't\b|\bun|\bin(?:valid|compat)|\bcannot\b|\bno longer\b)|"
    r"(?:not|n't|cannot)\s(?:support|allow|accept|have|use|handle|permit|include)\w*.{0,40}?"
    r"\b(?:system|developer)\b|"
    r"(?:unsupported|unknown|invalid|unexpected|unrecogni[sz]ed|illegal|bad)\b.{0,30}?"
    r"\b(?:role|value|author|variant)\b.{0,20}?\b(?:system|developer)\b|"
    r"only\b.{0,40}?\buser\b.{0,40}?\broles?\b|roles? must alternate|"
    r"alternat\w+ .{0,20}?\buser\b|must (?:start|begin) with (?:a |the )?['\"`]?user|"
    r"first (?:message|turn|content)\b.{0,40}?\buser\b|"
    r"\brole\b.{0,60}?\b(?:should be|must be|one of|expected)\b(?!.{0,80}\bsystem\b)"
    r".{0,40}?\buser\b",
    re.IGNORECASE | re.DOTALL,
)
_LONG = pattern(r"context|prompt|too long|input length|sequence length")
"""It is not the fault of a field where the request is too long."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server does not take."""

    names: tuple[str, ...] = ()
    """Fields of the body, as they were sent, the surest first."""
    instead: str | None = None
    """The name that it wants in place of a limit's."""
    system: bool = False
    """It knows no turn of the system."""
    most: int | None = None
    """It takes so many log-probabilities."""
    words: str = ""
    """The server's own."""


def named_parameter(words: str, sent: Collection[str]) -> str | None:
    """The field of a request that a server's words say it does not take.

    Args:
        words: the server's own.
        sent: names of the fields of the body.

    Returns:
        One of `sent`; None where the words refuse none of them.

    >>> named_parameter("Unrecognized request argument supplied: seed", ["seed", "model"])
    'seed'
    >>> named_parameter("maximum context length is 4096 tokens", ["max_tokens"]) is None
    True
    """
    return _named(without_offers(words), sent) if _is_of_field(words) else None


def _is_of_field(words: str) -> bool:
    """Whether words refuse a field, and not only its value."""
    in_range = _RANGE.search(words) and not _OF_THE_FIELD.search(words)
    return _REFUSES.search(words) is not None and not in_range


def refusal_in(raw: bytes, body: Mapping[str, Any]) -> Refusal | None:
    """What of a request a server refuses.

    Args:
        raw: its reply of status 400 or more.
        body: what it was sent.

    Returns:
        None where it refuses no part of the request by name.
    """
    text, found, words = _read(raw)
    names = [name for name in _pointed_at(found, words, body) if name in body]
    system = _has_system(body) and _NO_SYSTEM.search(words) is not None
    if not (names or system):  # there "user" and the like are roles
        names = [name for name in [_named_by(words, text, body)] if name is not None]
    if (refused := refused_in(words)) and not system:
        names = _of_those(refused, names, body)
    most = _most(words, body)
    instead = _INSTEAD.search(words)
    named = instead[1].lower() if instead and instead[1].lower() not in names else None
    if (wanted := _wanted(words, body)) is not None:
        names, named = wanted
    if not (names or system or most):
        return None
    return Refusal(tuple(dict.fromkeys(names)), named, system, most, words)


def mentioned_in(raw: bytes, body: Mapping[str, Any]) -> str | None:
    """The field of a request that a server complains of in any way; None where there is none.

    Args:
        raw: its reply of status 400 or more.
        body: what it was sent.
    """
    _, found, words = _read(raw)
    refused = refused_in(words)
    if _LONG.search(words):
        return None
    if refused and not _of_those(refused, [], body):
        return next((field for name in refused for field in _around(name, body)), None)
    places = (node.get("param") for node in objects_in(found, apart=_REPEATED))
    pointed = (place for place in places if isinstance(place, str) and place in body)
    return next((p for p in pointed if p not in _NEVER_NAMED), None) or _named(
        without_offers(words), body
    )


def _read(raw: bytes) -> tuple[str, Any, str]:
    """A reply's text, what it is as JSON, and everything said there."""
    text = raw.decode("utf-8-sig", "replace")
    found = _parsed(text)
    words = said_in(text) if found is None else "\n".join(_all_words(found))
    return text, found, words[:_MOST_READ]


def _of_those(refused: list[str], names: list[str], body: Mapping[str, Any]) -> list[str]:
    """Of the fields that were found, those that a server calls unknown.

    None where it calls so what was never sent.
    """
    ours = [field for name in refused for field in _fields_of(name, body)]
    if ours and all(field in _NEVER_NAMED for field in ours):
        return names
    return [name for name in names if name in ours] or [
        field for field in ours[:1] if field not in _NEVER_NAMED
    ]


def _fields_of(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    """The field of a body that goes by a name."""
    parts = {_bare(part) for part in re.split(r"[.\[\]]", name)}
    for field in body:
        is_limit = field in LIMITS and not parts.isdisjoint(_LIMITS_BARE)
        is_stop = field == "stop" and any(part.startswith("stop") for part in parts)
        if _bare(field) in parts or is_limit or is_stop:
            yield field


def _around(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Fields that have one of this name within."""
    for field, value in body.items():
        if isinstance(value, Mapping) and any(_bare(key) == _bare(name) for key in value):
            yield field


def _bare(name: object) -> str:
    return str(name).replace("_", "").lower()


def _wanted(words: str, body: Mapping[str, Any]) -> tuple[list[str], str] | None:
    """The limit that was sent, and the name under which a server wants it."""
    told = _WANTED.search(words)
    wanted = (told[1] or told[2]).lower() if told else None
    sent = [name for name in LIMITS if name in body]
    return (sent, wanted) if wanted and sent and wanted not in sent else None


def _named_by(words: str, text: str, body: Mapping[str, Any]) -> str | None:
    """The field that words name; or of a value at the end of a range, one that is not taken."""
    plain = without_offers(words)
    if _is_of_field(words) and (name := _named(plain, body)) is not None:
        return name
    is_greedy = body.get("temperature") == 0 and _GREEDY.search(words) is not None
    if is_greedy and _named(plain, body.keys() & {"top_p"}) is not None:
        return "top_p"  # the likeliest token is the same whatever it says
    if _NOT_THE_END.search(words):
        at_end = [name for name, value in _NO_EFFECT.items() if body.get(name) == value]
        if (name := _named(plain, at_end)) is not None:
            return name
    # Where what was sent is repeated, every name is met.
    of_field = _REFUSES.search(words) and not _RANGE.search(words) and '"messages"' not in text
    by_text = _named(without_offers(text[:_MOST_READ]), body) if of_field else None
    return by_text or _named(plain, _HARMLESS & body.keys())


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _all_words(found: Any) -> Iterator[str]:
    """Everything said, codes included; a router's copy of another server's words, too."""
    yield words_of(found)[:600]
    for node in objects_in(found, apart=_REPEATED):
        for name in ("code", "type", "message", "detail", "raw", "reason", "msg"):
            if isinstance(value := node.get(name), str):
                yield value[:2000].replace('\\"', '"').replace("_forbidden", " forbidden")


def _pointed_at(found: Any, words: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Fields that a server points at: OpenAI's `param`, pydantic's `loc`."""
    for node in objects_in(found, apart=_REPEATED):
        said = " ".join(str(node.get(k))[:300] for k in ("type", "msg", "message", "code"))
        places = [node.get("param"), node.get("parameter"), node.get("field")]
        names = [re.split(r"[.\[/]", p.strip("/$."))[0] for p in places if isinstance(p, str)]
        if isinstance(place := node.get("loc"), list | tuple) and place:
            inner = [str(part) for part in place if part not in ("body", "__root__")]
            names += inner[:1]
        for name in names:
            if name in _NEVER_NAMED:
                continue
            refuses = _REFUSES.search(said) or _REFUSES.search(words)
            of_value = _RANGE.search(said) and not _OF_THE_FIELD.search(said)
            at_end = name in _NO_EFFECT and body.get(name) == _NO_EFFECT[name]
            if name in _HARMLESS or at_end or (refuses and not of_value):
                yield name


def _named(words: str, sent: Collection[str]) -> str | None:
    """The field that words name: the most clearly, then the first, then the longest."""
    found = []
    for name in sent:
        if name in _NEVER_NAMED:
            continue
        own = _OTHER_NAMES.get(name, re.escape(name).replace("_", "_?"))  # or topP
        if not re.search(own, words, re.IGNORECASE):
            continue
        bare = "_" in name or name in ("temperature", "seed", "logprobs")
        ways = (
            rf"[\"'`\u2018\u201c]{own}(?:[.\[][\w.\[\]]*)?[\"'`\u2019\u201d]",
            rf"\b{_LABEL}\W{{0,5}}{own}(?!\w)|(?<![\w.]){own}\W{{1,3}}{_AFTER}|"
            rf":\s*{own}\W*$",
            rf"(?<!\w){own}(?!\w)" if bare else r"(?!)",
        )
        for rank, way in enumerate(ways):
            if match := re.search(way, words, re.IGNORECASE):
                found.append((rank, match.start(), -len(name), name))
                break
    return min(found)[-1] if found else None


def _has_system(body: Mapping[str, Any]) -> bool:
    turns = body.get("messages") or ()
    return any(turn.get("role") in ("system", "developer") for turn in turns)


def _most(words: str, body: Mapping[str, Any]) -> int | None:
    """How many log-probabilities a server gives, where it says so because more were asked for."""
    sent = body.get("top_logprobs") or body.get("logprobs")
    if type(sent) is not int or not (
        _RANGE.search(words) and _named(words, ["top_logprobs", "logprobs"])
    ):
        return None
    numbers = [int(found) for found in _NUMBER.findall(words[:600]) if len(found) < 6]
    return max((n for n in numbers if 0 < n < sent), default=None)

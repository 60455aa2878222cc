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

from rlfocal.pool.replies.words import said_in, words_of

__all__ = ["LIMITS", "Refusal", "named_parameter", "refusal_in"]

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens")
"""Names under which servers are told the most tokens of a reply."""
_NEVER_NAMED = frozenset({"model", "messages", "prompt"})
"""Words of every other sentence of an error."""
_HARMLESS = frozenset({"seed", "stream_options"})
"""Whatever is wrong with their value, a reply without them is as good."""
_DEPTH = 6

_REFUSES = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|forbidden|extra[ _](?:input|field|param|arg)|"
    r"additional propert|only the default|no such (?:field|param|arg)|cannot find field|"
    r"invalid (?:field|param|arg|key|propert|option)|deprecated|incompatible|disabled|"
    r"mutually exclusive|cannot (?:both |also )?be|(?:may|must|should) (?:not be|be (?:omitted|"
    r"unset|removed|absent|left out|null))|"
    r"(?:not|n't|no longer|cannot|never)\s(?:be |currently |yet )*(?:support|permit|allow|accept|"
    r"recogni[sz]|implement|enabled|available|a valid (?:field|param|arg)|take|used?\b|set\b|"
    r"known)|without support for",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"less than|greater than|at (?:most|least)|maximum|minimum|between|range|too (?:large|big|high|"
    r"small|low|long|many)|exceed|up to|[<>]=?\s*\d|must be (?:a|an|positive|of type|one of)\b",
    re.IGNORECASE,
)
_OF_THE_FIELD = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|extra[ _]|(?:not|n't) support|not permitted|"
    r"only the default",
    re.IGNORECASE,
)
"""What is said of a field and not of its value."""
_NOT_ZERO = re.compile(
    r"strictly positive|positive|greater than 0|above 0|>\s*0|non-?zero|must not be 0|range|"
    r"between",
    re.IGNORECASE,
)
_LABEL = (
    r"(?:param(?:eter)?s?|arg(?:ument)?s?|fields?|keys?|propert(?:y|ies)|options?|inputs?|keyword|"
    r"kwargs?|supplied|support|allow|accept|recogni[sz]e|permitted|unknown|unsupported|"
    r"unrecogni[sz]ed|unexpected|forbidden|setting|name|body|request|loc)"
)
_AFTER = r"(?:is|are|was|does|do|cannot|can't|may|must|should|isn't|aren't|not|extra|unsupported)\b"
_INSTEAD = re.compile(
    r"(?:use|try|replaced (?:by|with)|renamed to|in favou?r of|did you mean|prefer|set|specify|"
    r"send)\s+(?:the\s+)?(?:param\w*\s+|field\s+|argument\s+)?[\"'`]?([a-z_]*tokens[a-z_]*|n_predict|"
    r"num_predict)\b",
    re.IGNORECASE,
)
_NO_SYSTEM = re.compile(
    r"(?:system|developer)['\"`]?\s*(?:roles?|messages?|prompts?|instructions?|turns?)?\b.{0,40}?"
    r"(?:\bnot\b|n't\b|\bun|\bin(?:valid|compat)|\bcannot\b|\bno longer\b)|"
    r"(?:not|n't|cannot)\s(?:support|allow|accept|have|use|handle|permit|include)\w*.{0,40}?"
    r"\b(?:system|developer)\b|"
    r"(?:unsupported|unknown|invalid|unexpected|unrecogni[sz]ed|illegal|bad)\b.{0,30}?"
    r"\b(?:role|value|author)\b.{0,20}?\b(?:system|developer)\b|"
    r"only\b.{0,40}?\buser\b.{0,40}?\broles?\b|roles? must alternate|"
    r"must (?:start|begin) with (?:a |the )?['\"`]?user",
    re.IGNORECASE | re.DOTALL,
)
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
    if not _REFUSES.search(words) or (_RANGE.search(words) and not _OF_THE_FIELD.search(words)):
        return None
    return _named(words, sent)


def refusal_in(raw: bytes, body: Mapping[str, Any]) -> Refusal | None:
    """What of a request a server refuses.

    Args:
        raw: its reply of status 400 or more.
        body: what it was sent.

    Returns:
        None where it refuses no part of the request by name.
    """
    text = raw.decode("utf-8-sig", "replace")
    found = _parsed(text)
    words = said_in(text) if found is None else " ".join(_all_words(found))
    pointed = [name for name in _pointed_at(found, words, body) if name in body]
    by_words = named_parameter(words, body)
    names = [*pointed, *([by_words] if by_words is not None else [])]
    at_zero = not names and body.get("temperature") == 0 and _NOT_ZERO.search(words)
    if at_zero and _named(words, ["temperature"]):
        names.append("temperature")
    if not names and (harmless := _named(words, _HARMLESS & body.keys())):
        names.append(harmless)
    system = _has_system(body) and _NO_SYSTEM.search(words) is not None
    most = _most(words, body)
    if not (names or system or most):
        return None
    instead = _INSTEAD.search(words)
    named = instead[1].lower() if instead and instead[1].lower() not in names else None
    return Refusal(tuple(dict.fromkeys(names)), named, system, most)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _all_words(found: Any) -> Iterator[str]:
    """Everything said, codes included; a router's copy of another server's words, too."""
    yield words_of(found)
    for node in _nodes(found):
        for name in ("code", "type", "message", "detail", "raw", "reason", "msg"):
            if isinstance(value := node.get(name), str):
                yield value[:2000].replace('\\"', '"').replace("_forbidden", " forbidden")


def _nodes(found: Any) -> Iterator[Mapping[str, Any]]:
    level = [found]
    for _ in range(_DEPTH):
        below: list[Any] = []
        for node in level[:64]:
            if isinstance(node, Mapping):
                yield node
                # What was sent may be repeated there, and names everything.
                below += [v for k, v in node.items() if k not in ("input", "ctx", "body")]
            elif isinstance(node, list):
                below += node[:16]
        level = below


def _pointed_at(found: Any, words: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Fields that a server points at: OpenAI's `param`, pydantic's `loc`."""
    for node in _nodes(found):
        said = " ".join(str(node.get(k)) for k in ("type", "msg", "message", "code"))
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
            at_zero = name == "temperature" and body.get(name) == 0
            if name in _HARMLESS or at_zero or (refuses and not of_value):
                yield name


def _named(words: str, sent: Collection[str]) -> str | None:
    """The field that words name: the most clearly, then the first, then the longest."""
    found = []
    for name in sent:
        if name in _NEVER_NAMED:
            continue
        own = "stream(?:ing)?" if name == "stream" else re.escape(name)
        bare = "_" in name or name in ("temperature", "seed", "logprobs")
        ways = (
            rf"[\"'`\u2018\u201c]{own}(?:\.\w+)*[\"'`\u2019\u201d]",
            rf"\b{_LABEL}\W{{0,5}}{own}(?!\w)|(?<![\w.]){own}\W{{1,3}}{_AFTER}",
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

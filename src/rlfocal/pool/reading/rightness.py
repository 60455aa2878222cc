"""Whether a verifier calls a reply right or wrong."""

from __future__ import annotations

import json
import re

__all__ = ["rightness"]

_MARKUP = re.compile(r"[*_`~\"\u201c\u201d\u2018\u00ab\u00bb|>#\[\](){}]+|\\boxed|\\text")
_GOOD = r"right|rightly|correct|correctly|accurate|valid|true"
_BAD = r"wrong|wrongly|incorrect|incorrectly|inaccurate|invalid|false|mistaken"
_SAID = re.compile(
    r"(?i)(?P<no>(?:\b(?:not|never|nothing|neither|nor)|\b\w+n't)\s+(?:[\w']+\s+){0,3}?)?"
    rf"\b(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))\b"
)
_FAULTS = re.compile(
    r"(?i)(?P<no>\b(?:no|not any|without|without any|free of|free from|zero)\s+(?:\w+\s+)?)?"
    r"\b(?:mistakes?|errors?|flaws?)\b"
)
_YES_NO = re.compile(r"(?i)(?:^|[,:]\s*)(yes|no)\b(?=\W*$|\s*[,.!:;\u2013\u2014-])")
_ATTRIBUTE = re.compile(
    rf"(?i)\b(?:{_GOOD})\s+(?:answer|result|value|solution|option|choice|number|reply|one|sum|"
    r"letter)\s*(?:is|was|would|should|will|=|:)"
)
"""What the right answer would be: nothing about the reply."""
_ASKED = re.compile(r"(?i)\bright or wrong\s*[:=?]")
"""The question, said again before the answer."""
_HALF = re.compile(
    rf"(?i)\b(?:partially|partly|half|mostly|almost|nearly|somewhat)\W+(?:{_GOOD}|{_BAD})\b"
    rf"|\b(?:unsure|not sure|not certain|unclear|depends|whether|either)\b"
    rf"|\b(?:{_GOOD})\s+or\s+(?:{_BAD})\b"
)
_LEAD = (
    r"(?:(?:so|thus|hence|therefore|yes|no|i|say|the|this|that|final|reply|answer|response|it|its|"
    r"is|verdict|judge?ment|conclusion|result|right or wrong)\b[\s:=,\-]*)*"
)
_BARE = re.compile(rf"(?i)^\W*{_LEAD}(?P<not>not\s+)?(?:{_GOOD}|{_BAD}|yes|no)\W*$")

_MOST_BARE = 200
"""Characters of a line that may hold nothing but a verdict."""


def rightness(text: str) -> bool | None:
    """Whether a reply is called right; None where that is not clear.

    A line that holds nothing but a verdict counts before others, the last line before earlier ones.

    >>> rightness("It is not right."), rightness("There are no mistakes: 8 + 9 = 17. Correct!")
    (False, True)
    >>> rightness("The correct answer is 17."), rightness("Right or wrong, I cannot say.")
    (None, None)
    """
    lines = [plain for line in text.splitlines() if (plain := _MARKUP.sub(" ", line).strip())]
    bare = [_of(line) if _is_bare(line) else None for line in lines]
    if bare and bare[-1] is not None:
        return bare[-1]
    if (told := _in_object(text)) is not None:
        return told
    if bare and bare[0] is not None and set(bare) <= {bare[0], None}:
        return bare[0]
    for line in reversed(lines):
        parts = [part for part in re.split(r"(?<=[.!?;])\s+", line) if part]
        for part in (parts[-1], parts[0]):
            if _is_bare(part):
                return _of(part)
        for part in reversed(parts):
            if _speaks(part):
                return _of(part)
    return None


def _is_bare(part: str) -> bool:
    return len(part) <= _MOST_BARE and _BARE.match(part) is not None


def _senses(part: str) -> set[bool]:
    part = _ASKED.sub(" ", _ATTRIBUTE.sub(" ", part.replace("\u2019", "'")))
    found = {bool(said["good"]) != bool(said["no"]) for said in _SAID.finditer(part)}
    found |= {bool(said["no"]) for said in _FAULTS.finditer(part)}
    return found | {said.lower() == "yes" for said in _YES_NO.findall(part)}


def _speaks(part: str) -> bool:
    return bool(_senses(part)) or _is_half(part)


def _of(part: str) -> bool | None:
    senses = _senses(part)
    return senses.pop() if len(senses) == 1 and not _is_half(part) else None


def _is_half(part: str) -> bool:
    return _HALF.search(_ASKED.sub(" ", part)) is not None


def _in_object(text: str) -> bool | None:
    """What the last JSON object says, such as {"correct": false}."""
    for written in reversed(re.findall(r"\{[^{}]*\}", text)):
        try:
            values = json.loads(written)
        except ValueError:
            continue
        found = {told for name, value in values.items() if (told := _told(name, value)) is not None}
        if len(found) == 1:
            return found.pop()
    return None


def _told(name: str, value: object) -> bool | None:
    if isinstance(value, bool):
        senses = _senses(name.replace("_", " "))
        return senses.pop() == value if len(senses) == 1 else None
    return _of(value) if isinstance(value, str) and _is_bare(value) else None

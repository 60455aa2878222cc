"""What a judge has said: which of the replies that it read.

Judges are told to say a number, or right or wrong, and nothing else. Most say more: what is read is
the line that holds nothing but a verdict, else what is called the best, else the only one that is
named. Where two are left, or a number may be part of a sum, nothing is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from rlfocal.pool.reading.rightness import rightness
from rlfocal.pool.reading.settings import Form
from rlfocal.pool.reading.wording import unmarked

__all__ = ["verdict_of"]

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
_WHAT = r"(?:reply|response|answer|option|candidate|assistant|solution|number|choice|no\.|nr\.?)"
_MARKUP = re.compile(r"[*_`~\"'\u201c\u201d\u2018\u2019\u00ab\u00bb|]+|\\boxed|^\s*(?:#+\s+|>+)")
_BRACKETED = re.compile(r"\[\[\s*(\d+)\s*\]\]")
_OBJECT = re.compile(r"\{[^{}]*\}")
_NUMBER = re.compile(r"(?<![\w.,/%-])\d+(?![\w/%]|[.,]\d)")
_MENTION = re.compile(
    rf"(?i)(?:\b{_WHAT}\s{{0,3}}|#\s{{0,3}})[#(\[{{]{{0,3}}\s{{0,3}}(\d+)(?!\w|[.,]\d)"
)
_SEVERAL = re.compile(
    r"(?i)\b(?:replies|responses|answers|numbers)\s+(\d+(?:\s*(?:,|and|&|or)\s*\d+)+)"
)
_LEAD = (
    r"(?:(?:so|thus|hence|therefore|and|i|my|the|final|best|better|is|are|would|be|choose|pick|"
    r"select|prefer|say|conclusion|judge?ment|verdict|winner|decision|vote|for|number|choice|"
    r"answer|reply|response|option|candidate|overall|best_reply)\b[\s:=\-]*)*"
)
_BARE = re.compile(rf"(?i)^\W*{_LEAD}(?:{_WHAT}\s*)?[\W_]*(?<![-\u2212])(\d+)[\W_]*$")
_FIRST_OF_ALL = re.compile(r"^\W*(\d+(?:\s*>\s*(?:reply\s*)?\d+)+)\W*$|(?i:ranking)\W+(\d+)\s*>")
_GAP = r"[^.,;!?\d\n]{0,40}?"
_CHOSEN = (
    re.compile(
        r"(?i)\b(?:best|better|choose|chose|pick|select|prefer|winner|verdict|vote|go with)\b"
        rf"(?P<gap>{_GAP})\s*[#(\[]*(?P<n>\d+)(?!\w|[.,]\d)"
    ),
    re.compile(
        r"(?i)(?<![\w.,=+*/-])(?P<n>\d+)\b\s*(?:is|was|seems|looks|gives|wins|provides)\b"
        rf"(?P<gap>{_GAP})\b(?:best|better|the winner|preferable|superior|most)\b"
    ),
    re.compile(
        r"(?i)^\W*(?:reply\s*|#\s*)?(?P<n>\d+)(?P<gap>)\s*[,:\-]?\s*(?:because|since|as it)\b"
    ),
)
_TURNED = re.compile(r"(?i)\b(?:not|never|neither|nor|no|than|worse|less|except|over)\b|n't")
_AGAINST = re.compile(
    r"(?i)^[^.,;!?\n]{0,40}?(?:\b(?:not|wrong|incorrect|worse|worst|mistaken|false|fails)\b|n't)"
)
_BEFORE = re.compile(
    r"(?i)(?:\b(?:not|neither|nor|worse|worst|except|than|over|unlike)\b|n't)[^.,;!?\n]{0,12}$"
)
_NOBODY = re.compile(r"(?i)\b(?:neither|none|no reply|no one|nobody)\b")
_VERDICT = re.compile(r"(?i)best|better|choice|chosen|winner|verdict|reply|response|number|index")
"""In the name of a JSON field that holds one, beside scores and the like."""
_NEAR = 80
"""Characters around a number that may turn its sense."""
_MOST_BARE = 200
"""Characters of a line that may hold nothing but a verdict."""
_MANY_DIGITS = 9


def verdict_of(form: Form, text: str, n_shown: int) -> int | None:
    """Which of the replies shown a judge has named.

    Args:
        form: "judge", "pairwise" or "verify".
        text: its reply, without what it has thought before.
        n_shown: replies it was shown.

    Returns:
        0 to n_shown - 1, in the order shown; -1 for none of them, as of a reply called wrong; None
        where it says nothing of the kind.

    >>> verdict_of("judge", "Reply 2.", 3), verdict_of("judge", "I cannot say.", 3)
    (1, None)
    >>> verdict_of("judge", "1 and 2 are wrong. The best reply is **3**", 3)
    2
    >>> verdict_of("pairwise", "Neither convinces me.", 2)
    -1
    >>> verdict_of("verify", "Wrong", 1), verdict_of("verify", "It is correct.", 1)
    (-1, 0)
    """
    text = unmarked(text)
    if form == "verify":
        right = rightness(text)
        return None if right is None or n_shown < 1 else 0 if right else -1
    found = _named(text, n_shown)
    if found is None:
        return None
    return found - 1 if 0 <= found <= n_shown else None


def _named(text: str, n_shown: int) -> int | None:
    """The number of the reply that is named, 0 for none of them; None where that is not clear."""
    lines = [plain for line in text.splitlines() if (plain := _plain(line))]
    bare = [
        (_int(n) if 1 <= _int(n) <= n_shown else None) if n else None for n in map(_bare, lines)
    ]
    if bare and bare[-1] is not None:
        return bare[-1]
    for told in (_in_objects(text), [_int(n) for n in _BRACKETED.findall(text)]):
        if told:
            return told[-1] or None
    if bare and bare[0] is not None and set(bare) <= {bare[0], None}:
        return bare[0]
    for line in reversed(lines):
        if chosen := _chosen(line):
            return _only(chosen)
    whole = "\n".join(lines)
    for_it, against = _mentioned(whole)
    if for_it:
        return _only(for_it)
    if _NOBODY.search(whole):
        return 0
    return None if against else _only({_int(n) for n in _NUMBER.findall(whole)})


def _int(digits: str) -> int:
    """A number; one of many digits is one that was not shown."""
    return int(digits) if len(digits) < _MANY_DIGITS else 10**_MANY_DIGITS


def _only(numbers: set[int]) -> int | None:
    """The one, where there is one; 0 is no reply's number."""
    return next(iter(numbers)) or None if len(numbers) == 1 else None


def _plain(line: str) -> str:
    """A line without marks of emphasis, numbers written in digits."""
    line = _MARKUP.sub("", line).strip()
    for n, (word, ordinal) in enumerate(zip(_WORDS, _ORDINALS, strict=True), start=1):
        line = re.sub(rf"(?i)\b({_WHAT})\s+{word}\b", rf"\1 {n}", line)
        line = re.sub(rf"(?i)\b{ordinal}\s+(?:{_WHAT}|one)(?!\w)", f"reply {n}", line)
    return line


def _bare(line: str) -> str | None:
    found = _BARE.match(line) if len(line) <= _MOST_BARE else None
    return None if found is None else found[1]


def _chosen(line: str) -> set[int]:
    """Numbers that are called the best in a line."""
    if ranked := _FIRST_OF_ALL.search(line):
        return {_int(re.findall(r"\d+", ranked[0])[0])}
    return {
        _int(found["n"])
        for pattern in _CHOSEN
        for found in pattern.finditer(line)
        if not _TURNED.search(found["gap"]) and not _is_turned_before(line, found)
    }


def _mentioned(text: str) -> tuple[set[int], set[int]]:
    """Numbers of replies that are spoken of, well or without a word; and those spoken ill of."""
    for_it, against = set[int](), set[int]()
    for found in _MENTION.finditer(text):
        (against if _is_ill(text, found) else for_it).add(_int(found[1]))
    for found in _SEVERAL.finditer(text):
        (against if _is_ill(text, found) else for_it).update(
            _int(n) for n in re.findall(r"\d+", found[1])
        )
    return for_it, against


def _is_ill(text: str, found: re.Match[str]) -> bool:
    behind = text[found.end() : found.end() + _NEAR]
    return _AGAINST.match(behind) is not None or _is_turned_before(text, found)


def _is_turned_before(text: str, found: re.Match[str]) -> bool:
    return _BEFORE.search(text[max(0, found.start() - _NEAR) : found.start()]) is not None


def _in_objects(text: str) -> Sequence[int]:
    """The number in the last JSON object with just one, or just one under a verdict's name."""
    for found in reversed(_OBJECT.findall(text)):
        numbers = dict(_numbers(found))
        named = [n for name, n in numbers.items() if _VERDICT.search(name)]
        for told in (named, list(numbers.values())):
            if len(told) == 1:
                return told
    return ()


def _numbers(written: str) -> Iterator[tuple[str, int]]:
    try:
        values = json.loads(written)
    except ValueError:
        return
    for name, value in values.items():
        if isinstance(value, int) and not isinstance(value, bool):
            yield name, value
        elif isinstance(value, str) and (named := _bare(_plain(value))) is not None:
            yield name, _int(named)

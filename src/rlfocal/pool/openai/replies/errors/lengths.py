"""Whether a server refuses a request for its length, by its words.

One list for all who ask: of which kind a failure is, what clients are told, whether a member is at
fault. Knows nothing of statuses and codes.
"""

from __future__ import annotations

from rlfocal.pool.openai.replies.errors.words import pattern

__all__ = ["advises_less", "has_no_room", "is_too_long"]

_NO_ROOM = (
    r"context[- _](?:length|window|size)|(?:prompt|input|request) (?:is |was )?too (?:long|large)|"
    r"max(?:imum)? (?:context|model|sequence) len|"
    # DashScope: Range of input length should be [1, 30720]
    r"range of (?:the )?(?:input|prompt|messages?) length|"
    r"(?:input|prompt|sequence)[ _]length (?:should|must|cannot|can't|may not|has to) be|"
    r"longer than the (?:max\w* )?(?:model|context)|"
    r"超长|过长|超[出过].{0,12}(?:长度|上下文)|(?:长度|上下文).{0,8}超[出过]"
)
_NO_ROOM_OR_RATE = (
    # TGI: `inputs` tokens + `max_new_tokens` must be <= 4096
    r"\binputs?\b\W{1,4}(?:tokens\b[^.]{0,40}\bmust be (?:<=?|less than|at most) ?\d|"
    r"must (?:be|have) (?:<=?|(?:less|fewer) than|at most|no more than) ?\d+ (?:tokens|char))|"
    r"tokens?.{0,8}超[出过].{0,8}模型"
)
"""What may be said of a minute's limit as well."""
_ADVICE = r"reduce (?:the |your )(?:length|prompt|input|message)|must be reduced"
_MORE = (
    r"context[-_ ]*limit|(?:exceed|beyond|over)\w*[^.]{0,40}\bcontext\b|"
    r"max(?:imum)?[-_ ]?(?:model[-_ ]len|prompt[-_ ]len|input[-_ ]?(?:len|token)|sequence[-_ ]len|"
    r"context|seq[-_ ]len)|(?:prompt|input|messages?|conversation|request)\b[^.]{0,40}"
    r"(?:\btoo (?:long|large|many tokens)|\bexceed\w*[^.]{0,40}(?:tokens?|length|limit))|"
    r"too many (?:input |prompt )?tokens\b(?! per)|contextlength|contextwindow|contextsize|"
    r"tokens?.{0,8}超[出过]|超[出过].{0,12}tokens?|"
    r"(?:total|requested)\W(?:\w+\W){0,4}?tokens?\b[^.]{0,40}\bexceed"
)
_HAS_NO_ROOM, _ADVISES_LESS = pattern(_NO_ROOM), pattern(_ADVICE)
_HAS_NO_ROOM_OR_RATE = pattern(f"{_NO_ROOM}|{_NO_ROOM_OR_RATE}")
_TOO_LONG = pattern(f"{_NO_ROOM}|{_NO_ROOM_OR_RATE}|{_ADVICE}|{_MORE}")


def has_no_room(words: str, *, is_limited: bool = False) -> bool:
    """True where a request would be too long at any time: a minute's limit says other things.

    Args:
        words: the server's own.
        is_limited: they are of a rate, it seems: then only what is never said of one counts.

    >>> has_no_room("This model's maximum context length is 4096 tokens")
    True
    >>> has_no_room("40,000 tokens per minute. Please reduce the prompt length, or try later.")
    False
    """
    known = _HAS_NO_ROOM if is_limited else _HAS_NO_ROOM_OR_RATE
    return known.search(words) is not None


def advises_less(words: str) -> bool:
    """True where words ask for a shorter request, be it for its length or for a minute's limit."""
    return _ADVISES_LESS.search(words) is not None


def is_too_long(words: str) -> bool:
    """Whether words that refuse a request, and for no rate, are about its length.

    >>> is_too_long("Range of input length should be [1, 30720]")
    True
    >>> is_too_long("temperature must be at most 1")
    False
    """
    return _TOO_LONG.search(words) is not None

"""Text that comes among events and is no JSON: does it keep a connection alive, or is it an error?

Servers write both into streams, in words of their own. Nothing here knows of events or replies.
"""

from __future__ import annotations

import re

from rlfocal.pool.openai.replies.errors.words import pattern

__all__ = ["holds_a_piece", "is_alive", "is_end", "is_error_name", "tells_of_an_error"]

_MOST = 200
"""Characters of what may keep a connection alive."""
_ALIVE = frozenset({
    "ping", "pong", "keep", "keepalive", "alive", "heartbeat", "heart", "hb", "processing",
    "processed", "start", "started", "starting", "begin", "began", "open", "opened", "opening",
    "connected", "connecting", "connection", "established", "ready", "ok", "okay", "waiting",
    "wait", "queued", "queue", "queueing", "loading", "loaded", "thinking", "working", "generating",
    "running", "pending", "streaming", "init", "initializing", "idle", "noop", "nop", "tick",
    "progress", "warming", "hold", "stand", "preparing", "hello", "event", "comment", "buffering",
})  # fmt: skip
"""One of these has to be among the words."""
_BESIDE = frozenset({
    "openrouter", "beat", "the", "a", "an", "your", "my", "this", "request", "requests", "model",
    "is", "are", "was", "be", "been", "has", "have", "still", "in", "of", "at", "on", "to", "for",
    "by", "up", "position", "please", "just", "moment", "moments", "more", "server", "worker",
    "stream", "data", "response", "reply", "message", "now", "yet", "not", "and", "it", "we", "you",
    "with", "slot", "gpu", "seconds", "second", "s", "ms",
})  # fmt: skip
"""These may stand beside them."""
_LETTERS = re.compile(r"[^\W\d_]+")
_IN_JSON = re.compile(r'[{}]|"\s*:|\A\s*[\[\]],?\s*\Z')
_DONE = pattern(r"\W*done\W*|\s*\[(end|eof|eos|finish(ed)?|complete[d]?|stop)\]\s*")
_ERROR = pattern(
    r"error|exception|traceback|\bfail|failure|time[ds]?[- ]?out|\bdied\b|crash|\babort|"
    r"unavailable|overload|out of memory|\bOOM\b|\bkilled\b|refused|connection (was )?(reset|lost)|"
    r"bad gateway|too many|rate limit|denied|unauthori[sz]ed|forbidden|not found|cannot|"
    r"terminated|disconnected|\bpanic|\b(status|http|code)\W*[45]\d\d\b|<html|<!doctype"
)
_ERROR_NAME = pattern(r"err(or)?\b|error|exception|fail|abort")
_PIECE = re.compile(r'\A\s*\[?\s*\{|"(choices|delta|content|tool_calls)"\s*:')


def is_end(text: str) -> bool:
    """Whether it is the word that ends a stream."""
    return len(text) < 64 and _DONE.fullmatch(text) is not None


def is_alive(text: str) -> bool:
    """Whether it says nothing but that there is still somebody there.

    >>> is_alive("[PING]"), is_alive("Still thinking..."), is_alive("The answer is 17.")
    (True, True, False)
    """
    if len(text) > _MOST or _IN_JSON.search(text):
        return False
    if not any(char.isalnum() for char in text):
        return True
    words = [word.lower() for word in _LETTERS.findall(text)]
    are_known = bool(words) and set(words) <= _ALIVE | _BESIDE
    return are_known and not _ALIVE.isdisjoint(words) and not tells_of_an_error(text)


def tells_of_an_error(text: str) -> bool:
    """Whether words sound as if something had failed.

    >>> tells_of_an_error("ERROR: worker died"), tells_of_an_error("lorem ipsum")
    (True, False)
    """
    return _ERROR.search(text[:4096]) is not None


def is_error_name(name: str) -> bool:
    """Whether an event of this name is an error, whatever it says."""
    return _ERROR_NAME.search(name) is not None


def holds_a_piece(text: str) -> bool:
    """Whether what cannot be read was meant to be a piece of a reply.

    >>> holds_a_piece('{"choices": oops}'), holds_a_piece("[PING]")
    (True, False)
    """
    return _PIECE.search(text[:4096]) is not None

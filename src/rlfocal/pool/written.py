"""JSON is written once for all calls of a request, where the same thing is sent many times.

A schema of 300 kB takes 20 ms to write, and is needed for the price and the body of every call.
Outside of `writing_once` nothing is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["body_bytes", "json_of", "once", "writing_once"]

_SHORT = 1024
"""Characters of a text that is written sooner than found."""
_kept: ContextVar[dict[Any, tuple[Any, str]] | None] = ContextVar("kept", default=None)


@contextmanager
def writing_once() -> Iterator[None]:
    """Keep what is written inside, also by tasks begun there; nothing of it may be changed."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def once(what: str, about: Any, make: Callable[[], str]) -> str:
    """A text that is made once.

    Args:
        what: kind of text.
        about: of what; texts are the same where they are equal, all else where it is one object.
        make: makes it.
    """
    kept = _kept.get()
    if kept is None:
        return make()
    name = (what, about if isinstance(about, str) else id(about))
    found = kept.get(name)
    if found is None:
        # With what it is about, or another object could come to have its id.
        found = kept[name] = about, make()
    return found[1]


def json_of(value: Any) -> str:
    r"""A value as JSON, in ASCII.

    >>> json_of({"a": [1, "é"]})
    '{"a": [1, "\\u00e9"]}'
    """
    if isinstance(value, dict | list | tuple) and value:
        return once("json", value, lambda: json.dumps(value))
    if isinstance(value, str) and len(value) > _SHORT:
        return once("json", value, lambda: json.dumps(value))
    return json.dumps(value)


def body_bytes(body: Mapping[str, Any]) -> bytes:
    """A request's body.

    >>> body_bytes({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 1})
    b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 1}'
    """
    pieces: list[str] = []  # joined once: each copy of a long prompt takes a millisecond
    _put(body, pieces, {"messages": _put_turns})
    return "".join(pieces).encode("ascii")


_Put = Callable[[Any, list[str]], None]


def _put(parts: Mapping[str, Any], pieces: list[str], how: Mapping[str, _Put]) -> None:
    between = "{"
    for name, value in parts.items():
        pieces += [between, json.dumps(name), ": "]
        if name in how:
            how[name](value, pieces)
        else:
            pieces.append(json_of(value))
        between = ", "
    pieces.append("}" if parts else "{}")


def _put_turns(turns: Any, pieces: list[str]) -> None:
    """They are made anew for each call, of parts that are not."""
    pieces.append("[")
    for k, turn in enumerate(turns):
        pieces.append(", " if k else "")
        _put(turn, pieces, {"content": _put_content})
    pieces.append("]")


def _put_content(value: Any, pieces: list[str]) -> None:
    if not isinstance(value, list):
        pieces.append(json_of(value))
        return
    pieces += ["[", ", ".join(map(json_of, value)), "]"]

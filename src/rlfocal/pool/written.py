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
    parts = {k: _turns(v) if k == "messages" else json_of(v) for k, v in body.items()}
    return _object(parts).encode("ascii")


def _turns(turns: Any) -> str:
    """They are made anew for each call, of parts that are not."""
    found = (_object({k: _of_turn(v) for k, v in turn.items()}) for turn in turns)
    return f"[{', '.join(found)}]"


def _of_turn(value: Any) -> str:
    if isinstance(value, list):  # made anew as well
        return f"[{', '.join(map(json_of, value))}]"
    return json_of(value)


def _object(parts: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(k)}: {v}" for k, v in parts.items()) + "}"

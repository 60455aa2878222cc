"""A reply that comes in pieces, put together again: server-sent events in OpenAI's words.

Knows nothing of connections; it is fed bytes as they come. What it makes in the end is the reply
that the server would have sent in one piece, so one reader serves both.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rlfocal.pool.types import Api

__all__ = ["StreamedReply"]

_CALLS = 128
"""Calls of tools in one reply; more are not read."""


class StreamedReply:
    """One streamed reply.

    Args:
        api: which shape the pieces have.
        tell: told of each piece of text.
    """

    def __init__(self, api: Api, tell: Callable[[str], None]) -> None:
        self._api, self._tell = api, tell
        self._rest = b""
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish: Any = None
        self._usage: Any = None
        self._logprobs: Any = None
        self._error: Any = None
        self._done = False

    def feed(self, part: bytes) -> None:
        """Take what has come; lines may be cut anywhere."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            self._take(line.strip())

    def reply(self) -> dict[str, Any] | None:
        """The whole reply; None where it broke off or was no stream of events."""
        self._take(self._rest.strip())
        self._rest = b""
        if self._error is not None:
            return {"error": self._error}
        if not self._done and self._finish is None:
            return None
        text = "".join(self._texts)
        choice: dict[str, Any] = {"finish_reason": self._finish, "logprobs": self._logprobs}
        if self._api == "chat":
            calls = [self._calls[index] for index in sorted(self._calls)]
            choice["message"] = {"content": text} | ({"tool_calls": calls} if calls else {})
        else:
            choice["text"] = text
        return {"choices": [choice], "usage": self._usage}

    def _take(self, line: bytes) -> None:
        """One line: data of an event; comments (a colon first) keep connections alive."""
        if not line.startswith(b"data:"):
            return
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            self._done = True
            return
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            self._error = {"message": "an event that is no JSON"}
            return
        if isinstance(found, dict):
            self._read(found)

    def _read(self, found: dict[str, Any]) -> None:
        if found.get("error"):
            self._error = found["error"]
            return
        if found.get("usage"):
            self._usage = found["usage"]
        choices = found.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        if choice.get("finish_reason") is not None:
            self._finish = choice["finish_reason"]
        if self._logprobs is None and choice.get("logprobs"):
            self._logprobs = choice["logprobs"]
        delta = choice.get("delta") if self._api == "chat" else choice
        name = "content" if self._api == "chat" else "text"
        if not isinstance(delta, dict):
            return
        text = delta.get(name)
        if isinstance(text, str) and text:
            self._texts.append(text)
            self._tell(text)
        calls = delta.get("tool_calls")
        for part in calls if isinstance(calls, list) else ():
            self._call(part)

    def _call(self, part: Any) -> None:
        """A piece of a tool's call: the first brings id and name, all bring pieces of arguments."""
        index = part.get("index") if isinstance(part, dict) else None
        function = part.get("function") if isinstance(part, dict) else None
        if type(index) is not int or not isinstance(function, dict) or len(self._calls) > _CALLS:
            return
        call = self._calls.setdefault(
            index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        if isinstance(part.get("id"), str):
            call["id"] = part["id"]
        for name in ("name", "arguments"):
            if isinstance(piece := function.get(name), str):
                call["function"][name] += piece

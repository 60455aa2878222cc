"""A query to an ensemble."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.types import Response

__all__ = ["FREE_WORDS", "LiveQuery", "as_called"]

FREE_WORDS = "open"
"""A kind of answer beside those of the records: replies are compared by meaning."""


@dataclass(frozen=True)
class LiveQuery(Question):
    """One query, with the conversation in which it is asked."""

    answers: str | None = None
    """Kind of answer that the question has; None for the ensemble's."""

    @property
    def has_images(self) -> bool:
        """True where only members that take images can be asked."""
        return bool(self.images) or any(turn.parts for turn in self.history)

    @property
    def has_tools(self) -> bool:
        """True where a reply may be a call of tools: it is then given verbatim, never merged."""
        return bool(self.extra.get("tools")) and not self.choices


def as_called(reply: Response) -> str:
    r"""The canonical answer of a reply where tools are offered: equal for equal calls.

    >>> call = {"function": {"name": "add", "arguments": '{"b": 2, "a": 1}'}}
    >>> as_called(Response("", tool_calls=(call,)))
    '[["add", {"a": 1, "b": 2}]]'
    >>> as_called(Response(" It is\n3. "))
    'It is 3.'
    """
    if not reply.tool_calls:
        return " ".join(reply.text.split())
    calls = []
    for call in reply.tool_calls:
        function = call["function"]
        try:
            arguments = json.loads(function["arguments"])
        except (ValueError, RecursionError):
            arguments = function["arguments"]
        calls.append([function["name"], arguments])
    return json.dumps(calls, sort_keys=True)

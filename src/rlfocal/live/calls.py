"""Replies where tools are offered: what they call, compared as meant, and given on so that it runs.

A call that a model writes into its text is a call. One that breaks what its function asks for is no
answer, here as in recorded data; where there is no other, it is given all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from rlfocal.errors import ConfigError
from rlfocal.live.state import Reply
from rlfocal.pool.asking.question import Question
from rlfocal.pool.types import JsonObject, Response
from rlfocal.records.answers.replies.cleaning import without_thinking
from rlfocal.records.calls import spoken
from rlfocal.toolcalls import (
    NO_CALL,
    Call,
    Fault,
    Outcome,
    ToolCallExtractor,
    Violation,
    read_calls,
    read_text,
)
from rlfocal.toolcalls.telling import as_told

__all__ = ["Called", "as_many_call", "called", "in_one_line", "tools_of"]

_MADE_UP = (Fault.UNKNOWN_FUNCTION, Fault.UNKNOWN_ARGUMENT)
"""Faults whose place is named by a model, not by a schema."""
_UNWANTED = "not what tool_choice or parallel_tool_calls asks for"
_MOST_FAULTS, _LONGEST = 3, 64
_KEPT = 1 << 16
"""Characters of tools whose reading is kept: it takes thirty times their size."""


class Called(NamedTuple):
    """A reply as read."""

    answer: str | None
    """Canonical calls, `NO_CALL` for words alone; None for what cannot be read or made."""
    reply: Response
    """As it is given on: calls written in text, or not as APIs write them, stand as calls."""
    faulty: str = ""
    """Of a reply that is no answer, since it breaks what functions or the request ask for: its
    canonical calls."""
    fault: str = ""
    """In what, in words."""


def called(question: Question, reply: Response) -> Called:
    """Read a reply to a question that offers tools.

    >>> offered = {"tools": [{"type": "function", "function": {
    ...     "name": "add", "parameters": {"properties": {"a": {"type": "integer"}}}}}]}
    >>> found = called(Question("1 + 1 =", extra=offered), Response("[add(a='1')]"))
    >>> found.answer, found.reply.tool_calls[0]["function"]["arguments"]
    ('[{"arguments":{"a":1},"name":"add"}]', '{"a": 1}')
    """
    if not reply.tool_calls and question.extra.get("tool_choice") == "none":
        # What it shows is no call.
        return Called(NO_CALL if without_thinking(reply.text) else None, reply)
    extractor = _extractor(tools_of(question))
    if extractor is None:
        return Called(_as_they_stand(reply), reply)
    if reply.tool_calls:
        reading = read_calls(reply.tool_calls, extractor.tools)
    else:
        reading = read_text(spoken(reply.text), extractor.tools, truncated=reply.finish == "length")
    if reading.outcome is Outcome.NO_CALL:
        if _is_wanted(reading.calls, question.extra):
            return Called(NO_CALL, reply)
        return Called(None, reply, NO_CALL, _UNWANTED)
    meant = extractor.meant(reading)
    if meant is None:
        return Called(None, reply)
    given = _as_calls(reply, meant.calls, question.call_ids)
    if not _is_wanted(meant.calls, question.extra):
        return Called(None, given, meant.form, _UNWANTED)
    if meant.faults:
        return Called(None, given, meant.form, _in_words(meant.faults))
    return Called(meant.form, given)


def _in_words(faults: Sequence[Violation]) -> str:
    """What is wrong, without anything that a model has made up: it is kept with the trace."""
    said = list(dict.fromkeys(map(_one_in_words, faults[:_MOST_FAULTS])))
    more = len(faults) - len(said)
    return "; ".join([*said, *([f"{more} more"] if more else [])])


def _one_in_words(fault: Violation) -> str:
    if fault.fault in _MADE_UP:
        return fault.fault.value
    argument = re.split(r"[.\[]", fault.place, maxsplit=1)[0]
    return f"{fault.fault.value} '{argument[:_LONGEST]}'"


def as_many_call(replies: Iterable[Reply | None]) -> bool:
    """Whether as many members call something, well or not, as answer in words.

    Equal calls agree in all that they say, words only in that nothing is called: so words that lead
    may be a minority that says unlike things.

    >>> words, call = Reply((NO_CALL,), 0.0), Reply(('[{"arguments":{},"name":"f"}]',), 0.0)
    >>> as_many_call([words, words, call]), as_many_call([words, None, call])
    (False, True)
    """
    said = [
        one.answer or (one.faulty.answer if one.faulty else None)
        for one in replies
        if one is not None
    ]
    n_words = said.count(NO_CALL)
    return len(said) - said.count(None) - n_words >= n_words


def in_one_line(reply: Response) -> str:
    r"""What a reply says or calls, as the answer of a member that nobody is compared with.

    >>> in_one_line(Response(" It is\n3. "))
    'It is 3.'
    """
    return " ".join(reply.written.split())


def tools_of(question: Question) -> str:
    """The tools that a question offers, as JSON; written once however often they are needed."""
    extra = question.extra
    return extra.written["tools"] if isinstance(extra, JsonObject) else json.dumps(extra["tools"])


def _extractor(tools: str) -> ToolCallExtractor | None:
    """Reads calls; None where what is offered cannot be read."""
    return _kept_extractor(tools) if len(tools) <= _KEPT else _new_extractor(tools)


def _new_extractor(tools: str) -> ToolCallExtractor | None:
    try:
        return ToolCallExtractor(tools, lenient=True)
    except ConfigError:
        return None


_kept_extractor = lru_cache(maxsize=64)(_new_extractor)
"""Agents send the same tools with every request."""


def _as_they_stand(reply: Response) -> str | None:
    """The calls of a reply where no schema says what they mean."""
    if not reply.tool_calls:
        return NO_CALL if reply.text.strip() else None
    calls = []
    for call in reply.tool_calls:
        arguments = call["function"]["arguments"]
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
        calls.append([call["function"]["name"], arguments])
    return json.dumps(calls, sort_keys=True)


def _is_wanted(calls: Sequence[Call], extra: Mapping[str, Any]) -> bool:
    """Whether the request leaves room for such a reply."""
    choice, names = extra.get("tool_choice"), {call.name for call in calls}
    if choice == "none" and names:
        return False
    if choice == "required" and not names:
        return False
    if isinstance(choice, Mapping) and names != {choice.get("function", {}).get("name")}:
        return False
    return extra.get("parallel_tool_calls") is not False or len(calls) <= 1


def _as_calls(reply: Response, calls: Sequence[Call], taken: Collection[str]) -> Response:
    """The reply with its calls as APIs write them; what is so already stays as it is."""
    told = list(reply.tool_calls)
    given = as_told(calls, told, taken, of=reply.text)
    if given == told:
        return reply
    if told:
        return replace(reply, tool_calls=tuple(given))
    return replace(reply, text="", tool_calls=tuple(given), finish="tool_calls")

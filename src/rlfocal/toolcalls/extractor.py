"""Answers that are tool calls: from a reply to one string that equal calls share.

It keeps the laws of every kind of answer (`rlfocal.records.answers.Extractor`): a canonical form
is left unchanged, no text raises, and time is linear in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rlfocal.toolcalls.canonical import NO_CALL, all_normalised, form_of
from rlfocal.toolcalls.checking import GRAVE, Violation, violations
from rlfocal.toolcalls.functions import Tools, tools_from
from rlfocal.toolcalls.parsing import (
    MAX_TEXT,
    Call,
    Outcome,
    Reading,
    read_calls,
    read_text,
    read_whole,
)

__all__ = ["Meant", "ToolCallExtractor"]


class Meant(NamedTuple):
    """Calls as their functions mean them."""

    form: str
    """One string for all calls that mean the same."""
    calls: tuple[Call, ...]
    """In the reply's order, with their functions' own names, as the schemas write arguments."""
    faults: tuple[Violation, ...]
    """How they break what their functions ask for, so that they are no answer."""


class ToolCallExtractor:
    """The calls of replies to one request, against the functions that it offers.

    Args:
        tools: the functions, in any shape that `tools_from` reads.
        lenient: a function whose schema cannot be read takes any arguments.

    Raises:
        ConfigError: something in `tools` is no function; unless `lenient`, a schema is none.

    >>> tools = {"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}
    >>> ToolCallExtractor(tools).extract("Sure: ```[f(n='5')]```")
    '[{"arguments":{"n":5},"name":"f"}]'
    >>> ToolCallExtractor(tools).extract("Hello! What can I do for you?")
    '[]'
    """

    def __init__(self, tools: object, *, lenient: bool = False) -> None:
        self.tools: Tools = tools_from(tools, lenient=lenient)

    def read(self, answer: str) -> str | None:
        """Return the canonical form of a text that is calls as a whole, or an empty list."""
        reading = read_whole(answer, self.tools)
        return None if reading is None else self.form(reading)

    def extract(self, text: str, *, truncated: bool = False) -> str | None:
        """Return the canonical form of the calls in a reply.

        Args:
            text: what a member said.
            truncated: it was cut off at its limit of tokens.

        Returns:
            `"[]"` for prose without an attempt at a call: to call nothing is an answer, too; None
            for an attempt that cannot be read, for calls that break what their functions ask for
            (`Meant.faults`), and for no text at all.
        """
        return self.form(read_text(text, self.tools, truncated=truncated))

    def of_calls(self, tool_calls: Sequence[object] | None) -> str | None:
        """Return the canonical form of the `tool_calls` of a message of OpenAI's."""
        return self.form(read_calls(tool_calls, self.tools))

    def equal(self, a: str, b: str) -> bool:
        """Say whether both are the same calls; what cannot be read equals nothing."""
        first = self.extract(a)
        return first is not None and first == self.extract(b)

    def form(self, reading: Reading) -> str | None:
        """Return the canonical form of what was read; None where that is no answer."""
        if reading.outcome is Outcome.NO_CALL:
            return NO_CALL
        meant = self.meant(reading)
        return None if meant is None or meant.faults else meant.form

    def meant(self, reading: Reading) -> Meant | None:
        """Return calls as they are meant, faulty or not; None where they are too long or deep."""
        if reading.outcome is not Outcome.CALLS:
            return None
        try:
            calls = all_normalised(reading.calls, self.tools)
            form = form_of(calls)
        except ValueError:  # too deep
            return None
        if len(form) > MAX_TEXT:
            return None
        faults = violations(calls, self.tools, as_written=True)
        return Meant(form, calls, tuple([one for one in faults if one.fault in GRAVE]))

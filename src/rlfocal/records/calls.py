"""The calls that a label or an answer stands for, where a query offers functions to be called.

What two members call alike is equal only against what was offered: a number may be asked for as a
text, and an argument may have a default.
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records.answers.replies.cleaning import without_thinking
from rlfocal.toolcalls import ToolCallExtractor, sends_call

__all__ = ["TOOL_CALLS", "CallReader", "call_extractor", "calls_in", "spoken"]

TOOL_CALLS = "tool-calls"
"""What the kind of answers to such queries is called; their tasks have no kind beside it."""


@lru_cache(maxsize=1024)
def call_extractor(tools: str) -> ToolCallExtractor:
    """Reads calls of these functions, given as JSON.

    Raises:
        ConfigError: it is no JSON, or no functions.
    """
    return ToolCallExtractor(tools)


def calls_in(tools: str, text: str, *, truncated: bool = False) -> str | None:
    """Canonical calls of an answer, or of a whole reply without what is thought in it.

    None where there are none that can be made.
    """
    return call_extractor(tools).extract(spoken(text), truncated=truncated)


def spoken(text: str) -> str:
    """A reply without what is thought in it; a call that has a channel of its own stays."""
    return text if sends_call(text) else without_thinking(text) or ""


class CallReader:
    """Reads labels and answers of queries with functions.

    Args:
        queries: normalised.
    """

    def __init__(self, queries: pa.Table) -> None:
        there = "tools" in queries.column_names
        self._tools = queries["tools"] if there else pa.nulls(queries.num_rows, pa.string())
        self._ids = queries["query_id"]

    def label(self, text: str, row: int) -> str | None:
        """Canonical calls of a label; None where it holds none that can be read."""
        reader = call_extractor(self._offered(row))
        found = reader.read(text)
        return reader.extract(text) if found is None else found

    def answer(self, text: str, row: int) -> str | None:
        """Canonical calls of an answer, or of a whole reply; None where there are none to make."""
        return calls_in(self._offered(row), text)

    def _offered(self, row: int) -> str:
        tools: str = self._tools[row].as_py()
        try:
            call_extractor(tools)
        except ConfigError as exc:
            raise RecordError(f"queries: tools of query '{self._ids[row]}': {exc}") from exc
        return tools

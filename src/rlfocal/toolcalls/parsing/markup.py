"""Calls in the markup of models, wherever a reply has it: from mark to mark, in one pass.

Three kinds of them: an envelope around calls that are written as anywhere (JSON, Python); in an
envelope a name, a mark, and arguments as JSON or as keys and values in tags; elements that name
their function and hold its arguments as elements, or as JSON. What is marked and cannot be read
is an attempt: the first such ends the pass, so that nothing is read twice.

Sources, for the forms alone: the parsers of tool calls that vLLM and SGLang have for each family.

Departures: a text in a tag is itself where its schema takes a text, else the JSON that it is, else
itself; so the schema reads it like a text in quotes. Marks in code are shown, not meant, unless a
block of code holds calls of functions offered, or a mark that is never only shown.
"""

from __future__ import annotations

import json
import re

from rlfocal.toolcalls.functions import Tools
from rlfocal.toolcalls.parsing.invocations import Element, Invocation, value_at
from rlfocal.toolcalls.parsing.marks import MARK, Mark, Sort, closing, is_left, stands_anywhere
from rlfocal.toolcalls.parsing.reader import Unreadable
from rlfocal.toolcalls.parsing.shapes import Call, Inner, Place, calls_of
from rlfocal.toolcalls.schema import Schema
from rlfocal.toolcalls.values import JSON, decoded, tidy

__all__ = ["has_orphans", "marked_calls"]

_SPOT = re.compile(
    rf"""
    (?P<fence>```[ \t]*+(?P<language>[\w+-]{{0,20}}+)[ \t]*+\n?)
  | (?P<inline>(?<!`)(?P<ticks>`{{1,2}})(?!`)[^`\n]++(?P=ticks)(?!`))
  | {MARK.pattern}
    """,
    re.VERBOSE,
)
_CODE, _FENCE = "tool_code", "```"
"""The language of a block of code that Gemini and Gemma call functions in; what closes it."""
_PRINTING = (_CODE, _FENCE, "python_tag")
"""What opens code in which to print a call is to make it."""
_REMARK = (
    r"(?:\#|//)(?:[^\n<\[`]|`(?!``)|\[(?!/?TOOL_CALLS)"
    r"|<(?![/|\uff5c]|[\w:-]{0,30}(?:call|function|invoke)))*+|/\*(?:[^*]|\*(?!/))*+\*/"
)
"""A comment in code; a mark ends it, too, since a mark is no part of the code around it."""
_GAP = re.compile(rf"(?:[\s,;]|{_REMARK}|```[\w+-]{{0,20}}[ \t]*\n|```(?=\s|\Z|<))*+")
_CODE_GAP = re.compile(rf"(?:[\s,;]|{_REMARK})*+")
_SPACE = re.compile(r"\s*+")
_NAME = re.compile(r"(?:call:[ ]?)?(?P<name>[^\W\d][\w./$-]{0,200})(?::\d{1,6})?\s*+")
_BEGUN = re.compile(r"[\[{]|(?P<name>[^\W\d][\w./$-]{0,200})\s?(?:[({]|(?P<mark>\[[A-Z_]{1,9}\]))")
"""How another call begins after one that nothing closes."""
_PRINT = re.compile(r"print\s?\(\s*+(?=[^\W\d])")
_TYPES = ("function", "tool")
"""What DeepSeek and Step write before a name: the type of the tool."""
_DELIMITED = re.compile(r"<\|\"\|>(.*?)<\|\"\|>|<escape>(.*?)<escape>", re.DOTALL)
"""A text as Gemma's functions have it."""
_NOISE = "]<]minimax[>["
"""What MiniMax-M3 writes before every tag."""


def marked_calls(text: str, tools: Tools, inner: Inner, *, truncated: bool) -> list[Call] | None:
    """The calls that a reply marks as such, in their order; None where it marks none.

    Args:
        text: a reply, or a block of code in one.
        tools: the functions offered.
        inner: reads a text that is calls and nothing else.
        truncated: the text was cut off.

    Raises:
        Unreadable: what is marked is no call, or no whole one.
    """
    text = text.replace(_NOISE, "")
    if "call:" in text:
        text = _DELIMITED.sub(lambda found: json.dumps(found[1] or found[2] or ""), text)
    return _Markup(text, tools, inner, truncated=truncated).calls()


def has_orphans(text: str) -> bool:
    """Whether a text has, outside of code, the end of a call whose beginning is lost.

    >>> has_orphans('{"a": 1}</tool_call>'), has_orphans("Which city?</tool_call>")
    (True, False)
    """
    at = 0
    while spot := _SPOT.search(text, at):
        at = spot.end()
        if spot["fence"] is not None:
            end = text.find("```", at)
            at = at if end < 0 else end + 3
        elif spot["inline"] is None and is_left(spot):
            return True
    return False


class _Markup:
    """Reads one text."""

    def __init__(self, text: str, tools: Tools, inner: Inner, *, truncated: bool) -> None:
        self.text, self.tools, self.inner, self.truncated = text, tools, inner, truncated
        self.is_unclosed = False
        self.open_tags: set[str] = set()

    def calls(self) -> list[Call] | None:
        """The calls of the text; None where nothing is marked."""
        found: list[Call] = []
        is_marked, at = False, 0
        while spot := _SPOT.search(self.text, at):
            if spot["fence"] is not None:
                calls, at = self._fence(spot)
            elif spot["inline"] is not None:
                # A call in it is meant only where nobody would write it to show it.
                ticks = spot.start() + len(spot["ticks"])
                calls, at = None, ticks if stands_anywhere(spot["inline"]) else spot.end()
            else:
                calls, at = self._marked(spot)
            if calls is not None:
                is_marked = True
                found += calls
        if self.is_unclosed and not found:
            raise Unreadable
        return found if is_marked else None

    def _fence(self, spot: re.Match[str]) -> tuple[list[Call] | None, int]:
        if spot["language"] == _CODE:
            return self._envelope(Mark(Sort.OPEN, _FENCE, spot.end()))
        end = self.text.find("```", spot.end())
        if end < 0:
            return None, spot.end()
        code = self.text[spot.end() : end]
        try:
            calls = _Markup(code, self.tools, self.inner, truncated=False).calls()
        except Unreadable:
            if self._means_call(code):
                raise
            calls = None
        else:
            names = () if calls is None else (self.tools.named(call.name) for call in calls)
            if not any(names) and not stands_anywhere(code):
                calls = None
        return calls, end + 3

    def _means_call(self, code: str) -> bool:
        """Whether a block of code has a mark that counts anywhere, or names a function offered."""
        marks = (Mark.of(one) for one in MARK.finditer(code))
        return stands_anywhere(code) or any(
            one.sort is Sort.CALL and self.tools.named(one.value) for one in marks
        )

    def _marked(self, spot: re.Match[str]) -> tuple[list[Call] | None, int]:
        """What a mark outside of calls opens."""
        mark = Mark.of(spot)
        if mark.sort is Sort.OPEN:
            return self._envelope(mark)
        if mark.sort is Sort.CALL:
            return self._call(mark) if self._is_meant(mark) else (None, mark.end)
        if mark.is_orphan and not mark.is_closing and self._is_part(mark, spot):
            raise Unreadable
        return None, mark.end

    def _is_part(self, mark: Mark, spot: re.Match[str]) -> bool:
        """Whether a mark is a part of a call whose beginning is lost, and not told of."""
        if mark.sort is Sort.BETWEEN:
            return is_left(spot)
        name = mark.name.rstrip("=")
        if name not in self.open_tags and closing(self.text, name, mark.end):
            return True
        self.open_tags.add(name)  # nothing closes another one later, either
        return False

    def _is_meant(self, mark: Mark) -> bool:
        """Whether an element is a call, and no XML of another kind, or a word of a sentence."""
        if self.tools.named(mark.value) is not None or (mark.value and mark.name == "function="):
            return True
        at = self._after(_SPACE, mark.end)
        within = self._mark_at(at)
        goes_on = self.text.startswith("{", at) or (within and within.sort is Sort.PARAMETER)
        return mark.name == "invoke" and bool(mark.value and goes_on)

    def _mark_at(self, at: int) -> Mark | None:
        found = MARK.match(self.text, at)
        return None if found is None else Mark.of(found)

    def _after(self, gap: re.Pattern[str], at: int) -> int:
        found = gap.match(self.text, at)
        return at if found is None else found.end()

    def _envelope(self, opened: Mark) -> tuple[list[Call], int]:
        """The calls up to a closing mark, and where the text goes on."""
        found: list[Call] = []
        gap = _CODE_GAP if opened.name == _FENCE else _GAP
        at, is_over, is_read = opened.end, False, False
        while not is_over:
            at = self._after(gap, at)
            end = at
            calls, at, is_over = self._next(opened, at, is_first=not is_read)
            found += calls
            # An empty list is something read, too: it says that nothing is called.
            is_read = is_read or bool(calls) or (not is_over and self._mark_at(end) is None)
        self.is_unclosed = self.is_unclosed or (not is_read and at == len(self.text) == end)
        if not is_read and self.text[opened.end : end].strip():
            raise Unreadable
        return found, at

    def _next(self, opened: Mark, at: int, *, is_first: bool) -> tuple[list[Call], int, bool]:
        """What comes next in an envelope, where the text goes on, and whether it is over."""
        if at == len(self.text):
            if self.truncated:
                raise Unreadable
            return [], at, True
        if opened.name == _FENCE and self.text.startswith(_FENCE, at):
            return [], at + len(_FENCE), True
        mark = self._mark_at(at)
        if mark is None:
            if opened.has_no_end and not is_first and not self._begins(at):
                return [], at, True
            return *self._written(at, prints=opened.name in _PRINTING), False
        if mark.sort is Sort.CALL:
            return *self._call(mark), False
        if mark.sort not in (Sort.END, Sort.OPEN, Sort.BETWEEN):
            raise Unreadable
        return [], mark.end, mark.sort is Sort.END

    def _begins(self, at: int) -> bool:
        """Whether another call follows after one that nothing closes, and no words."""
        begun = _BEGUN.match(self.text, at)
        if begun is None:
            return False
        is_by_name = begun["name"] is not None and begun["mark"] is None
        return not is_by_name or self.tools.named(begun["name"]) is not None

    def _written(self, at: int, *, prints: bool) -> tuple[list[Call], int]:
        """One call, or a list of them, without a mark before it."""
        printed = _PRINT.match(self.text, at) if prints else None
        if printed is not None and self.tools.named("print") is None:
            elements, end = self._elements(printed.end())
            end = self._after(_SPACE, end)
            if not self.text.startswith(")", end):
                raise Unreadable
            return self._read(elements), end + 1
        head = _NAME.match(self.text, at)
        if head is not None and not self.text.startswith("(", head.end()):
            return self._headed(head)
        elements, end = self._elements(at if head is None else head.start("name"))
        return self._read(elements), end

    def _headed(self, head: re.Match[str]) -> tuple[list[Call], int]:
        """The call that a name begins, marks and arguments after it."""
        at, is_marked = self._between(head.end())
        if is_marked and head["name"] in _TYPES:
            mark = self._mark_at(at)
            if mark is not None and mark.sort is Sort.CALL:
                return self._call(mark)
            if own := _NAME.match(self.text, at):
                head = own
                at, _ = self._between(own.end())
        arguments, end = self._arguments(head["name"], at)
        return self._read([{"name": head["name"], "arguments": arguments}]), end

    def _between(self, at: int) -> tuple[int, bool]:
        """Where the text goes on after the marks at a place, and whether there are any."""
        is_marked = False
        while (mark := self._mark_at(at)) is not None and mark.sort is Sort.BETWEEN:
            at, is_marked = self._after(_SPACE, mark.end), True
        return at, is_marked

    def _arguments(self, name: str, at: int) -> tuple[dict[str, JSON], int]:
        """The arguments after a name: as JSON, in a fence or not, as pairs of tags; or none."""
        begins = self._after(_GAP, at)
        if self.text.startswith("{", begins):
            return self._object(begins)
        found: dict[str, JSON] = {}
        while (mark := self._mark_at(at)) is not None and mark.sort is Sort.KEY:
            at = self._after(_SPACE, self._pair(name, mark, found))
        if not found and not (mark and mark.sort is Sort.END and self.tools.named(name)):
            raise Unreadable  # one without arguments has to be closed
        return found, at

    def _pair(self, name: str, key: Mark, found: dict[str, JSON]) -> int:
        """Read a key and its value into the arguments found, and return where they end."""
        written, at = self._until(key)
        mark = self._mark_at(self._after(_SPACE, at))
        if mark is None or mark.sort is not Sort.VALUE:
            raise Unreadable
        text, end = self._until(mark)
        self._keep(found, name, written.strip(), text)
        return end

    def _call(self, mark: Mark) -> tuple[list[Call], int]:
        """The call that an element is, and where it ends."""
        found: dict[str, JSON] = {}
        name, at, is_said = mark.value, mark.end, False
        while not mark.is_empty:
            at = self._after(_SPACE, at)
            within = self._mark_at(at)
            if within is None and self.text.startswith("{", at) and not is_said:
                (found, at), is_said = self._object(at), True
            elif within is None:
                if at < len(self.text) or self.truncated or not is_said:
                    raise Unreadable
                break
            elif within.name == "parameters":  # around the arguments
                at = within.end
            elif within.sort in (Sort.END, Sort.OPEN, Sort.CALL):
                if within.sort is not Sort.END and not is_said:
                    raise Unreadable
                closes = within.sort is Sort.END and within.name == mark.name.rstrip("=")
                at = within.end if closes else at
                break  # it is over, even where nothing closes it
            elif not name and within.value == "tool_name":  # Anthropic's first form
                name, at = self._until(within)
                name = name.strip()
            else:
                at, is_said = self._argument(name, within, found), True
        return self._read([{"name": name, "arguments": found}]), at

    def _argument(self, name: str, mark: Mark, found: dict[str, JSON]) -> int:
        """Read an argument that a mark opens into those found, and return where it ends."""
        if mark.sort is Sort.KEY:
            return self._pair(name, mark, found)
        if not mark.value:
            raise Unreadable
        text, end = ("", mark.end) if mark.is_empty else self._until(mark)
        self._keep(found, name, mark.value, text, mark.is_text)
        return end

    def _until(self, mark: Mark) -> tuple[str, int]:
        """What a tag holds, and where the text goes on after the tag that closes it."""
        name = mark.name.rstrip("=") if mark.sort is not Sort.OTHER else mark.value
        closed = closing(self.text, name, mark.end)
        if closed is None:
            raise Unreadable
        return self.text[mark.end : closed.start()], closed.end()

    def _keep(
        self,
        found: dict[str, JSON],
        name: str,
        key: str,
        text: str,
        is_text: bool | None = None,
    ) -> None:
        """Add an argument of a function to those found, its value as its schema has it."""
        function = self.tools.named(name)
        schema = None
        if function is not None:
            others = function.parameters.additional
            schema = function.parameters.properties.get(
                tidy(key), others if isinstance(others, Schema) else None
            )
            if _holds_other(text, tidy(key), function.parameters):
                raise Unreadable  # nothing closes its own tag
        if key in found:
            raise Unreadable
        text = text.removeprefix("\n").removesuffix("\n")
        found[key] = text if is_text else _valued(text, schema, is_text=is_text)

    def _object(self, at: int) -> tuple[dict[str, JSON], int]:
        elements, end = self._elements(at)
        if len(elements) != 1 or not isinstance(elements[0], dict):
            raise Unreadable
        return elements[0], end

    def _elements(self, at: int) -> tuple[list[Element], int]:
        """The JSON value, list or call that begins at a place, and where it ends."""
        read = value_at(self.text, at)
        if read is None:
            raise Unreadable
        return read

    def _read(self, elements: list[Element]) -> list[Call]:
        for one in elements:
            if isinstance(one, Invocation) and self.tools.named(one.name) is None:
                own, _, method = one.name.rpartition(".")  # Llama's brave_search.call(...)
                one.name = own if method == "call" and self.tools.named(own) else one.name
        calls = calls_of(elements, self.tools, self.inner, at=Place.MARKED)
        if calls is None:
            raise Unreadable
        return calls


def _valued(text: str, schema: Schema | None, *, is_text: bool | None) -> JSON:
    """What a text in a tag stands for: itself where a text is wanted, else the JSON that it is."""
    schemas = schema.flat() if schema is not None and is_text is None else ()
    if any("string" in one.kinds or one.enum for one in schemas):
        is_null = text.strip() == "null" and any("null" in one.kinds for one in schemas)
        return None if is_null else text  # tags have no other way to write it
    value = decoded(text)
    return text if isinstance(value, (ValueError, str)) else value


def _holds_other(text: str, key: str, schema: Schema) -> bool:
    """Whether a value has a tag in it that opens another argument of the same function."""
    if "param" not in text:
        return False
    marks = map(Mark.of, MARK.finditer(text))
    names = {tidy(one.value) for one in marks if one.sort is Sort.PARAMETER}
    return not names.isdisjoint(schema.properties.keys() - {key})

r"""What marks a call in the markup that models are trained on: tags, tokens, words in brackets.

A table of words and of the brackets that they stand in, so that a model of tomorrow is read as
well. `<tool_call>` (Hermes, Qwen, GLM), `<|tool_call|>` (Granite, Phi), `<|tool_call>` (Gemma 4),
`<longcat_tool_call>`, `<seed:tool_call>`, `<minimax:tool_call>`, `<TOOLCALL>` (Nemotron),
`<function_calls>` (Anthropic, OLMo), `<|tool_calls_section_begin|>` (Kimi),
`<\uff5ctool\u2581calls\u2581begin\uff5c>` (DeepSeek), `<\uff5cDSML\uff5cfunction_calls>`
(DeepSeek-V3.2), `<|tool_call_start|>` (LFM2), `<start_function_call>` (FunctionGemma),
`<|action_start|>` (InternLM), `<|START_ACTION|>` (Cohere), `<|tools_prefix|>` (Apertus),
`<|python_tag|>` (Llama), `[TOOL_CALLS]` (Mistral) open what holds calls. `<invoke name="f">`
(Anthropic, MiniMax, DeepSeek-V3.2, Step), `<function=f>` (Llama, Qwen3-Coder, Seed),
`<function name="f">` (MiniCPM) open one call.

It knows neither functions nor what stands between the marks.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

__all__ = [
    "MARK",
    "Mark",
    "Sort",
    "closing",
    "ends_in_mark",
    "is_left",
    "said_marks",
    "stands_anywhere",
]

_NAMESPACE = "(?:[|\uff5c]{1,2}DSML[|\uff5c]{1,2}|[A-Za-z][\\w-]{0,20}:)?"
MARK = re.compile(
    rf"""
    \[(?P<square>/?(?:TOOL_CALLS|ARGS))\] | \[(?P<id>CALL_ID)\]\s?\w{{0,40}}
  | <(?P<bar>[|\uff5c])(?P<token>/?[A-Za-z][\w\u2581/-]{{0,40}})[|\uff5c]?>
  | <(?P<left>/?[A-Za-z]\w{{0,40}})\|>
  | <(?P<slash>/)?{_NAMESPACE}(?P<tag>[A-Za-z][\w.-]{{0,64}})(?P<more>[=\s/][^<>]{{0,300}})?>
    """,
    re.VERBOSE,
)
_CLOSING = re.compile(rf"</{_NAMESPACE}(?P<tag>[A-Za-z][\w.-]{{0,64}})\s{{0,3}}>")
_ANYWHERE = re.compile(
    r"<\|?(?:tool_calls?|function_calls?|tool_call_begin)\|?>"
    r"|\[TOOL_CALLS\]|<function=[\w.$-]{1,200}>"
)
_CALLS = r"(?:tool|function)_?calls?(?:_section)?"
_OPEN = re.compile(
    rf"(?:[a-z0-9]{{1,20}}_)?{_CALLS}(?:_(?:begin|start))?|(?:begin|start)_(?:of_)?{_CALLS}"
    r"|action_start|start_action|tools_prefix|python_tag|python_start|tool_code"
)
_END = re.compile(
    rf"(?:[a-z0-9]{{1,20}}_)?{_CALLS}_(?:end|stop)|end_(?:of_)?{_CALLS}"
    r"|action_end|end_action|tools_suffix|python_end"
)
_BETWEEN = frozenset(
    {"tool_sep", "tool_call_argument_begin", "args", "call_id", "plugin", "constrain"}
)
"""What stands between the name of a function and its arguments, or before both."""
_ORPHANS = frozenset({"tool_sep", "tool_call_argument_begin", "invoke", "arg_key", "arg_value"})
_GROUPS = ("square", "id", "token", "left", "tag")
_NAMED = re.compile(r"\s*=\s*[\"']?(?P<value>[^\"'=]{1,200}?)[\"']?\s*/?\s*")
_ATTRIBUTE = re.compile(
    r"\s(?P<key>[A-Za-z]{1,20})\s?=\s?(?:\"(?P<value>[^\"]*)\"|'(?P<other>[^']*)')"
)
_BROKEN = re.compile(
    rf"<(?:[|\uff5c](?:tool|DSML)|/?{_NAMESPACE}(?:invoke\s|function=|{_CALLS}))[^<>\n]{{0,200}}\Z"
)
_CALLED = re.compile(r"\w\([^()\n]{0,200}\)\Z")
"""What may be a call at the end of a text; words in brackets have a space before them."""
_LAST = 300
"""Characters at the end of a text in which a mark may be that is not whole."""


class Sort(Enum):
    """What a mark does."""

    OPEN = auto()
    """Calls follow."""
    END = auto()
    """They have ended: any closing mark says so, and the end of a turn."""
    CALL = auto()
    """One call follows, of the function that the mark names."""
    PARAMETER = auto()
    """Its value follows."""
    KEY = auto()
    """The name of an argument follows; then its value."""
    VALUE = auto()
    BETWEEN = auto()
    OTHER = auto()


_PAIR = {"arg_key": Sort.KEY, "arg_value": Sort.VALUE}
_TAGS = {
    "invoke": Sort.CALL,
    "function": Sort.CALL,
    "parameter": Sort.PARAMETER,
    "param": Sort.PARAMETER,
}


class Mark(NamedTuple):
    """A mark in a text."""

    sort: Sort
    name: str
    """In small letters, without its brackets and its namespace."""
    end: int
    """Where the text after it begins."""
    value: str = ""
    """The function or the argument that it names; empty for none."""
    is_text: bool | None = None
    """Whether it says that a value is a text (`string="true"`); None where it says nothing."""
    is_empty: bool = False
    """It closes itself (`<invoke name="f"/>`)."""
    is_closing: bool = False
    has_no_end: bool = False
    """What it opens ends by itself, so that words may follow."""
    is_orphan: bool = False
    """By itself it can be nothing but a part of a call whose beginning is lost."""

    @classmethod
    def of(cls, found: re.Match[str]) -> Mark:
        """What a match of `MARK` means."""
        written = next(filter(None, map(found.group, _GROUPS)))
        name = written.replace("\u2581", "_").lower()
        is_closing = bool(found["slash"]) or name[0] == "/" or found["left"] is not None
        name, end = name.lstrip("/"), found.end()
        if _END.fullmatch(name) or (is_closing and _OPEN.fullmatch(name)):
            return cls(Sort.END, name, end, is_closing=True, is_orphan=True)
        if _OPEN.fullmatch(name):
            has_no_end = found["square"] is not None or name == "python_tag"
            return cls(Sort.OPEN, name, end, has_no_end=has_no_end)
        if name in _BETWEEN:
            return cls(Sort.BETWEEN, name, end, is_orphan=name in _ORPHANS)
        if is_closing or found["tag"] is None:  # a token is where a turn ends
            return cls(Sort.END, name, end, is_closing=is_closing, is_orphan=name in _ORPHANS)
        if name in _PAIR:
            return cls(_PAIR[name], name, end, is_orphan=True)
        return cls._tag(found, name)

    @classmethod
    def _tag(cls, found: re.Match[str], name: str) -> Mark:
        """An opening tag that may name something."""
        more, end = found["more"] or "", found.end()
        is_empty, more = more.endswith("/"), more.removesuffix("/")
        sort = _TAGS.get(name, Sort.OTHER)
        if sort is Sort.OTHER:
            return cls(sort, name, end, "" if more.strip() else found["tag"], is_empty=is_empty)
        if named := _NAMED.fullmatch(more):
            return cls(sort, f"{name}=", end, named["value"], None, is_empty, is_orphan=True)
        said = {one["key"]: one["value"] or one["other"] or "" for one in _ATTRIBUTE.finditer(more)}
        value = said.get("name", "").strip()
        if not value and (name != "invoke" or more.strip()):
            return cls(Sort.OTHER, name, end)
        is_text = {"true": True, "false": False}.get(said.get("string", "").lower())
        return cls(sort, name, end, value, is_text, is_empty)


def closing(text: str, name: str, start: int) -> re.Match[str] | None:
    """The first tag from a place on that closes one of this name, whatever its namespace.

    >>> closing("a </x:b> </b>", "b", 0).span()
    (2, 8)
    """
    tags = _CLOSING.finditer(text, start)
    return next((one for one in tags if one["tag"].lower() == name.lower()), None)


def is_left(found: re.Match[str]) -> bool:
    """Whether a match of `MARK` is left of a call whose beginning is lost, and no word of prose.

    What ends a call stands after what may be one; what stands in it, next to a name or arguments.

    >>> [is_left(MARK.search(text)) for text in ("f()</invoke>", "a </invoke> b", "f<tool_sep>")]
    [True, False, True]
    """
    mark, text = Mark.of(found), found.string
    if not mark.is_orphan:
        return False
    before = text[max(found.start() - _LAST, 0) : found.start()]
    if mark.sort is Sort.BETWEEN:
        return text[mark.end : mark.end + 1] == "{" or before[-1:].isalnum()
    before = before.rstrip()
    return before.endswith(("}", "]", ">", "```")) or _CALLED.search(before) is not None


def said_marks(text: str) -> int:
    """How many marks of calls a text has, whether or not they are meant.

    >>> said_marks("<invoke name='f'> <b> </tool_call>")
    2
    """
    marks = (Mark.of(one) for one in MARK.finditer(text))
    return sum(one.is_orphan or one.sort in (Sort.OPEN, Sort.CALL) for one in marks)


def stands_anywhere(text: str) -> bool:
    """Whether a text has a mark that is never only shown: such a one counts in code, too.

    >>> stands_anywhere("`<tool_call>`"), stands_anywhere('`<invoke name="f">`')
    (True, False)
    """
    return _ANYWHERE.search(text) is not None


def ends_in_mark(text: str) -> bool:
    """Whether a text ends within a mark.

    >>> ends_in_mark("I look. <invoke name="), ends_in_mark("if x <y")
    (True, False)
    """
    return _BROKEN.search(text, max(len(text) - _LAST, 0)) is not None

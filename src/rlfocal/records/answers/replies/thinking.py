r"""What a reasoning model thought before it answered, cut off; linear in, and safe on, any text.

How models mark it, as a table of words and of the brackets that they stand in, so that a model of
tomorrow is read as well: `<think>` (DeepSeek-R1, Qwen), `<longcat_think>`, `<mm:think>`,
`<antThinking>`; `<|START_THINKING|>` (Cohere), `<|thought_start|>` (MiniCPM),
`<|begin_of_thought|>` (Sky-T1), `<|think|>` (Solar); `<|channel>thought` (Gemma); `[THINK]`
(Magistral); `◁think▷` (Kimi); `<details type="reasoning">` (Open WebUI); channels (gpt-oss's
harmony format); "Here is my thought process:" (Granite). Chat templates that write the opening tag
themselves leave the closing one alone in the reply.

A tag in code, in quotes, or called a tag is only spoken of.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["without_thinking"]

_WORDS = frozenset({
    "think", "thinks", "thinking", "thought", "thoughts", "reason", "reasoning", "reasonings",
    "analysis", "reflection", "reflect", "cot", "scratchpad", "monologue", "rationale",
    "deliberation", "introspection", "ponder", "pondering",
})  # fmt: skip
_ANSWERS = frozenset({
    "answer", "final", "response", "reply", "solution", "output", "content", "result", "box",
})  # fmt: skip
_BEGIN, _END = frozenset({"begin", "start"}), frozenset({"end", "stop", "close", "suffix"})
_BY_NAME = {"innerprefix": "open", "innersuffix": "close"}
"""Tokens of Apertus, which hold no word of thinking."""
_ATTRIBUTE = (
    r"""\s{1,4}[\w:-]{1,40}\s?=\s?(?:"[^"<>\n]{0,200}"|'[^'<>\n]{0,200}'|[^\s<>"'&]{1,80})"""
)
_MARK = re.compile(
    r"(?:<|&lt;|\\u003c)[ ]{0,2}(?P<slash>[/\\])?[ ]{0,2}(?P<tag>[A-Za-z][\w:.-]{0,40})"
    rf"(?P<more>(?:{_ATTRIBUTE}){{0,8}})[ ]{{0,2}}(?P<empty>/)?(?:>|&gt;|\\u003e)"
    r"(?P<head>\s{0,3}<summary>[^<>\n]{0,80}</summary>)?"
    r"|<[|\uff5c](?P<slash2>/)?(?P<token>[A-Za-z][\w\u2581 -]{0,40})[|\uff5c]>"
    r"|<\|(?P<left>[A-Za-z]\w{0,40})>(?:\s?(?P<channel>[a-z]{3,20})\b)?|<(?P<right>[A-Za-z]\w{0,40})\|>"
    r"|◁(?P<slash3>/)?(?P<triangle>[A-Za-z]\w{0,40})▷"
    r"|\[(?P<slash4>/)?(?P<square>[A-Za-z]\w{2,40})\]"
)
_HTML = frozenset({"details", "div", "section", "aside", "span", "blockquote"})
"""Elements that hold thinking where an attribute or a heading says so."""
_THINKS = re.compile(r"\b(?:think|thought|reason)", re.IGNORECASE)
_SEGMENT = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_CODE = re.compile(
    r"^[ \t]{0,3}(?P<fence>```|~~~)[^\n`]*$|(?<!`)(`{1,2})(?!`)[^`\n]{1,200}\2(?!`)", re.MULTILINE
)
_LONGEST_CODE = 204
"""Characters of code within a line, its marks included."""
_FENCE = re.compile(r"^[ \t]{0,3}(?:```|~~~)(?P<language>[^\n`]*)$", re.MULTILINE)
_SPOKEN_OF = re.compile(r"[ ]?(?:tags?|tokens?|markers?|elements?|blocks?)\b")
_QUOTES = "`'\"\u201c\u2018"
_UNQUOTES = "`'\"\u201d\u2019"

_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w*)(?:(?!<\|(?:message|channel)\|>)[^\n]){0,160}<\|message\|>"
)
_PROCESS = re.compile(
    r"[\s*#]{0,8}here(?: is|['\u2019]s) my (?:thought process|thinking(?: process)?|thoughts|"
    r"reasoning(?: process)?)\s?:",
    re.IGNORECASE,
)
_ITS_REPLY = re.compile(
    r"\*{0,2}\bhere(?: is|['\u2019]s) my (?:final )?(?:response|answer|reply)\s?:\*{0,2}",
    re.IGNORECASE,
)
_TURN_HEAD = re.compile(
    r"\s*(?:<\|im_start\|>\s*assistant\s*|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>"
    r"|<start_of_turn>\s*model\s*|<\|(?:start|begin)\|>\s*assistant\s*|<\|assistant\|>|\[/INST\]"
    r"|<s>|<bos>|<\|begin_of_text\|>|<\uff5cAssistant\uff5c>)\s*"
)
_TURN_END = re.compile(
    r"<\|(?:im_end|im_start|eot_id|end|return|endoftext|end_of_text|eom_id|user|start|call)\|>"
    r"|</s>|<end_of_turn>|<eos>|<\uff5c(?:end\u2581of\u2581sentence|User)\uff5c>|\[INST\]"
)


class _Mark(NamedTuple):
    """A mark of thinking, or of the answer after it."""

    sort: str
    """open, close, answer (an answer begins here), drop (of no meaning)."""
    name: str
    """To tell which closing mark belongs to which opening one."""


def without_thinking(text: str) -> str | None:
    """Cut what the model thought.

    A closing tag without an opening one ends a thought that began with the reply; an opening tag
    without a closing one begins a thought that was cut off.

    Returns:
        What is said outside of thoughts; None where the last thought was cut off.

    >>> without_thinking("so 7</think>It is 8.")
    'It is 8.'
    >>> without_thinking("<think>so 7") is None
    True
    >>> without_thinking("It is 8. (I left out `<think>`.)")
    'It is 8. (I left out `<think>`.)'
    """
    if process := _PROCESS.match(text):
        reply = _ITS_REPLY.search(text, process.end())
        text = text[reply.end() :] if reply else text
    if not any(sign in text for sign in ("<", "[", "◁", "&lt;", "\\u003c", "assistantfinal")):
        return text
    spoken = _final_channel(text)
    said = None if spoken is None else _Reading(spoken).said()
    return None if said is None else _one_turn(said)


class _Reading:
    """One way through a text, from mark to mark."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._start = text, 0, 0
        self._said: list[str] = []
        self._thinks: str | None = None
        """Name of the mark that has opened the thought; None outside of one."""
        self._within: set[str] = set()
        self._again: int | None = None
        """End of an opening mark within the thought, which may be a closing one without slash."""
        fences = [(f.start(), f.end(), not f["language"].strip()) for f in _FENCE.finditer(text)]
        self._has_code = "`" in text or "~~~" in text
        self._fence_end: dict[int, tuple[int, int]] = {}
        """Start of each block of code → where its inside ends, and it itself."""
        bare: tuple[int, int] | None = None
        for start, end, is_bare in reversed(fences):
            if bare is not None:
                self._fence_end[start] = bare
            bare = (start, end) if is_bare else bare

    def said(self) -> str | None:
        """What is said outside of thoughts; None where the last one is not over."""
        while found := _MARK.search(self._text, self._at):
            if self._thinks is None and self._passes_code(found.start()):
                continue
            self._at = found.end()
            if not self._quoted(found):
                self._meet(found)
        if self._thinks is not None:
            if self._again is None:
                return None
            self._start = self._again
        return "".join(self._said) + self._text[self._start :]

    def _passes_code(self, before: int) -> bool:
        """Move on over code that holds the next mark or stands before it; False where none does."""
        if not self._has_code:
            return False
        code = _CODE.search(self._text, self._at, min(before + _LONGEST_CODE, len(self._text)))
        if code is None or code.start() > before:
            return False
        inside, end = code.end(), code.end()
        if code["fence"] is not None:
            inside, end = self._fence_end.get(code.start(), (inside, end))
        holds_it = code["fence"] is not None and code.end() <= before < inside
        self._at = code.end() if holds_it and self._is_meant(code, before) else end
        return True

    def _is_meant(self, code: re.Match[str], at: int) -> bool:
        """True for a mark in a block of code that ends a thought, or where all is in the block."""
        mark = _MARK.match(self._text, at)
        meaning = None if mark is None else _meaning(mark)
        if meaning is not None and meaning.sort == "close":
            return True  # an unfinished block of the thought
        return not (self._text[: code.start()] + self._text[code.end() : at]).strip()

    def _quoted(self, found: re.Match[str]) -> bool:
        """True where a mark is only spoken of."""
        before = self._text[found.start() - 1 : found.start()]
        after = self._text[found.end() : found.end() + 1]
        if before and after and _QUOTES.find(before) == _UNQUOTES.find(after) >= 0:
            return True
        return self._thinks is None and bool(_SPOKEN_OF.match(self._text, found.end()))

    def _meet(self, found: re.Match[str]) -> None:
        mark = _meaning(found)
        if mark is None:
            return
        if self._thinks is None:
            self._meet_outside(found, mark)
        elif mark.sort == "open":
            self._within.add(mark.name)
            after = self._text[found.end() : found.end() + 1]
            if mark.name == self._thinks and after and after not in " .,;:!?)":
                self._again = found.end()
        elif mark.sort == "answer" or (mark.sort == "close" and self._closes(mark)):
            self._thinks, self._start = None, found.end()

    def _closes(self, mark: _Mark) -> bool:
        if mark.name in _HTML:
            return mark.name == self._thinks
        return mark.name == self._thinks or mark.name not in self._within

    def _meet_outside(self, found: re.Match[str], mark: _Mark) -> None:
        if mark.sort == "open":
            if found["square"] and not self._counts(found):
                return
            self._said.append(self._text[self._start : found.start()])
            self._thinks, self._again = mark.name, None
            self._within.clear()
        elif mark.sort == "close":
            if mark.name not in _HTML:
                self._said.clear()
                self._start = found.end()
        else:
            self._said.append(self._text[self._start : found.start()])
            self._start = found.end()

    def _counts(self, found: re.Match[str]) -> bool:
        """A word in square brackets may be a heading: such a thought begins a reply, and ends."""
        if found["square"].upper().startswith("THINK"):
            return True
        begins = found.start() == len(self._text) - len(self._text.lstrip())
        return begins and f"[/{found['square']}]" in self._text


def _meaning(found: re.Match[str]) -> _Mark | None:
    """What a mark means; None for one that has to do neither with thinking nor with answers."""
    slash = bool(found["slash"] or found["slash2"] or found["slash3"] or found["slash4"])
    if (tag := found["tag"]) is not None:
        return _of_tag(found, tag, closes=slash)
    if (left := found["left"]) is not None:
        thinks = _words(left) & _WORDS or {found["channel"]} & _WORDS
        return _Mark("open", left) if thinks else None
    if (right := found["right"]) is not None:
        return _Mark("close", right) if right == "channel" or _words(right) & _WORDS else None
    if (token := found["token"]) is not None:
        return _of_token(token, closes=slash)
    name = found["triangle"] or found["square"]
    if not _words(name) & _WORDS or _words(name) & _ANSWERS:
        return None
    return _Mark("close" if slash else "open", name.lower())


def _of_tag(found: re.Match[str], tag: str, *, closes: bool) -> _Mark | None:
    name = tag.lower()
    if name in _HTML:
        says = f"{found['more']}{found['head'] or ''}"
        if closes:
            return _Mark("close", name)
        return _Mark("open", name) if _THINKS.search(says) else None
    words = _words(tag)
    if not words & _WORDS or words & _ANSWERS:
        return None
    if found["empty"]:
        return _Mark("drop", name)
    ends = closes or bool(words & _END)
    return _Mark("close" if ends else "open", _root(words) or name)


def _of_token(token: str, *, closes: bool) -> _Mark | None:
    words = _words(token)
    if sort := _BY_NAME.get("".join(_SEGMENT.findall(token)).lower()):
        return _Mark(sort, "inner")
    ends = closes or bool(words & _END)
    if words & _ANSWERS and words <= _ANSWERS | _BEGIN | _END | {"of"}:
        return _Mark("drop" if ends else "answer", "answer")
    if not words & _WORDS:
        return None
    return _Mark("close" if ends else "open", _root(words))


def _root(words: set[str]) -> str:
    return "_".join(sorted(words - _BEGIN - _END - {"of"}))


def _words(name: str) -> set[str]:
    """The words that a name is made of, in small letters."""
    words = {word.lower() for word in _SEGMENT.findall(name)}
    return words | {"scratchpad"} if {"scratch", "pad"} <= words else words


def _final_channel(text: str) -> str | None:
    """What gpt-oss says in its channel "final"; the text itself where it has no channels."""
    final, any_channel = None, False
    for channel in _CHANNEL.finditer(text):
        any_channel = True
        if channel[1] == "final":
            final = text[channel.end() :]
    if any_channel:
        return final
    # Servers that drop special tokens leave the names of the channels.
    if text.lstrip().startswith("analysis") and "assistantfinal" in text:
        return text.rpartition("assistantfinal")[2]
    return text


def _one_turn(text: str) -> str:
    """The first turn of the assistant, without the marks of its beginning and end."""
    at = 0
    while head := _TURN_HEAD.match(text, at):
        at = head.end()
    text = text[at:]
    first = len(text) - len(text.lstrip())
    ends = (end.start() for end in _TURN_END.finditer(text))
    return text[: next((end for end in ends if end > first), len(text))]

"""What of a conversation's turns reaches a member.

Clients send back what any server has given them, so there is more in a turn than OpenAI's API has
words for. What is not known is dropped and told, what is known to mean something to the member
that gave it is passed on, and null is the same as absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.fields import Told, is_shallow, refuse_names
from rlfocal.gateway.wire.turns import IMAGES, TEXTS, THOUGHTS, Object, Part, ToolCall, Turn
from rlfocal.pool.asking.passed_back import EXTRA, giver_of
from rlfocal.pool.types import Message

__all__ = ["Conversation", "read_turns"]


@dataclass(frozen=True)
class Conversation:
    """What was said so far."""

    system: tuple[str, ...]
    """What the system or the developer says, message by message."""
    turns: tuple[Message, ...]
    """All others."""


_OF_ASSISTANT = (
    "reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks",
    "prefix", "partial",
)  # fmt: skip
"""Of the assistant's turns: what it thought, and that it should go on from there. The member that
gave it may want it; others cannot use it."""
_NO_CONTENT: tuple[Any, ...] = ("", None, [], {}, False)


def read_turns(turns: Sequence[Turn], told: Told, *, member: str | None) -> Conversation:
    """Read a conversation.

    Args:
        turns: of the body.
        told: is told of what has no effect.
        member: who is asked by name; None for an ensemble.

    Raises:
        ApiError: 400, naming what cannot be taken.
    """
    reader = _Reader(told, member)
    system, others = [], []
    for k, turn in enumerate(turns):
        message = reader.read(turn, f"messages.{k}")
        if turn.role in ("system", "developer"):
            system.append(message.content)
        else:
            others.append(message)
    return Conversation(tuple(system), tuple(others))


class _Reader:
    """Reads turns in order; knows which calls of tools still lack their results."""

    def __init__(self, told: Told, member: str | None) -> None:
        self._told, self._member = told, member
        self._n_calls = 0
        self._open: dict[str, str] = {}
        """Id → function, of calls whose results have not come."""

    def read(self, turn: Turn, path: str) -> Message:
        """Read one; `path` is where it stands."""
        text, parts = self._content(turn, path)
        role = turn.role
        if role in ("system", "developer"):
            extra = self._dropped(turn, path, ())
            self._drop_name(turn)
            return Message("system", text)
        if role == "assistant":
            extra = self._dropped(turn, path, _OF_ASSISTANT if self._member else ())
            calls = self._calls(turn, path)
            if calls:
                extra["tool_calls"] = calls
            extra |= self._passed_back(turn.extra_content, "messages[].extra_content", path)
            text = text or turn.refusal or ""
        else:
            extra = self._dropped(turn, path, ())
            for name in ("tool_calls", "function_call", "extra_content", "refusal"):
                if getattr(turn, name) not in _NO_CONTENT:
                    self._told.add(f"messages[].{name}")
        if role in ("tool", "function"):
            extra["tool_call_id"] = self._answered(turn, path)
            self._drop_name(turn, whole=role == "tool")
            return Message("tool", text, extra, parts)
        if turn.tool_call_id:
            self._told.add("messages[].tool_call_id")
        if turn.name and self._member:
            extra["name"] = turn.name
        else:
            self._drop_name(turn)
        return Message("assistant" if role == "assistant" else "user", text, extra, parts)

    def _drop_name(self, turn: Turn, *, whole: bool = True) -> None:
        if turn.name and whole:
            self._told.add("messages[].name")

    def _dropped(self, turn: Turn, path: str, passed: Sequence[str]) -> dict[str, Any]:
        """Fields that nobody here knows: those that are passed on; of the others it is told."""
        found = turn.model_extra or {}
        refuse_names(found, (), f"{path}.")
        kept = {}
        for name, value in found.items():
            if name in passed and value is not None:
                _check_depth(value, f"{path}.{name}")
                kept[name] = value
            elif value not in _NO_CONTENT:
                self._told.add(f"messages[].{name}")
        return kept

    def _passed_back(self, given: Mapping[str, Any] | None, name: str, path: str) -> Object:
        """What hangs on a turn or a call, where somebody gets to see it."""
        if not given:
            return {}
        giver = giver_of(given)
        wanted = giver is not None if self._member is None else giver in (None, self._member)
        if not wanted:
            self._told.add(name)
            return {}
        _check_depth(given, f"{path}.{EXTRA}")
        return {EXTRA: dict(given)}

    # Content -----------------------------------------------------------------------------------

    def _content(self, turn: Turn, path: str) -> tuple[str, tuple[Object, ...]]:
        """The text; and all parts, where one of them is an image."""
        if turn.content is None or isinstance(turn.content, str):
            return turn.content or "", ()
        read: list[Object] = []
        for k, piece in enumerate(turn.content):
            part = Part(type="text", text=piece) if isinstance(piece, str) else piece
            found = self._part(part, f"{path}.content.{k}")
            if found is not None:
                read.append(found)
        text = "".join(part["text"] for part in read if "text" in part)
        if all("text" in part for part in read):
            return text, ()
        if turn.role not in ("user", "tool"):
            raise ApiError(
                400, "unsupported_parameter",
                f"'{path}.content': images are taken in messages of the user and of tools only",
                param=f"{path}.content",
            )  # fmt: skip
        return text, tuple(read)

    def _part(self, part: Part, path: str) -> Object | None:
        """One part in the shape in which it is passed on; None for what a model thought."""
        kind = part.type
        if kind in THOUGHTS:
            self._told.add(f"messages[].content[].{kind}")
            return None
        if kind in IMAGES or (not kind and part.image_url is not None):
            return self._image(part, path)
        said = part.refusal if kind == "refusal" and part.refusal is not None else part.text
        if kind and kind not in TEXTS:
            shown = f"parts of type '{kind}'" if kind in _OTHER_PARTS else "parts of this type"
            raise ApiError(
                400, "unsupported_parameter",
                f"'{path}': {shown} are not taken: text and images only, as parts of type 'text' "
                "and 'image_url'",
                param=f"{path}.type",
            )  # fmt: skip
        if said is None:
            raise ApiError(
                400, "missing_parameter", f"'{path}.text' is missing", param=f"{path}.text"
            )
        self._drop_of_part(part, path)
        return {"type": "text", "text": said}

    def _drop_of_part(self, part: Part, path: str, *known: str) -> None:
        found = part.model_extra or {}
        refuse_names(found, (), f"{path}.")
        for name, value in found.items():
            if name not in known and value not in _NO_CONTENT:
                self._told.add(f"messages[].content[].{name}")

    def _image(self, part: Part, path: str) -> Object:
        given = part.image_url
        url = given.get("url") if isinstance(given, dict) else given
        detail = given.get("detail") if isinstance(given, dict) else None
        self._drop_of_part(part, path, "detail")
        detail = detail or (part.model_extra or {}).get("detail")
        if not isinstance(url, str) or not _ADDRESS.match(url):
            raise ApiError(
                400, "invalid_value",
                f"'{path}.image_url': give the image as data (data:image/png;base64,...) or by an "
                "https address",
                param=f"{path}.image_url",
            )  # fmt: skip
        if isinstance(given, dict):
            for name in given.keys() - {"url", "detail"}:
                self._told.add(f"messages[].content[].image_url.{name}")
        known = {"detail": detail} if detail in ("low", "high", "auto") else {}
        return {"type": "image_url", "image_url": {"url": url, **known}}

    # Calls of tools ----------------------------------------------------------------------------

    def _calls(self, turn: Turn, path: str) -> list[Object]:
        given = list(turn.tool_calls or ())
        if turn.function_call is not None and not given:
            given = [ToolCall(function=turn.function_call)]
        return [self._call(call, f"{path}.tool_calls.{k}") for k, call in enumerate(given)]

    def _call(self, call: ToolCall, path: str) -> Object:
        if call.type not in (None, "", "function"):
            raise ApiError(
                400, "unsupported_parameter",
                f"'{path}': only calls of functions are taken (type 'function')",
                param=f"{path}.type",
            )  # fmt: skip
        function = call.function
        if function is None:
            raise ApiError(
                400, "missing_parameter", f"'{path}.function' is missing", param=f"{path}.function"
            )
        for holder, name in ((call, "tool_calls[]"), (function, "tool_calls[].function")):
            found = holder.model_extra or {}
            refuse_names(found, (), f"{path}.")
            for unknown, value in found.items():
                if value not in _NO_CONTENT:
                    self._told.add(f"messages[].{name}.{unknown}")
        arguments = function.arguments
        if not isinstance(arguments, str):
            _check_depth(arguments, f"{path}.function.arguments")
            arguments = json.dumps(arguments or {}, ensure_ascii=False)
        id_ = call.id or f"call_{self._n_calls}"
        self._open[id_] = function.name
        self._n_calls += 1
        kept = self._passed_back(call.extra_content, f"messages[].tool_calls[].{EXTRA}", path)
        named = {"name": function.name, "arguments": arguments}
        return {"id": id_, "type": "function", "function": named, **kept}

    def _answered(self, turn: Turn, path: str) -> str:
        """The id of the call of which this is the result."""
        if turn.tool_call_id:
            self._open.pop(turn.tool_call_id, None)
            return turn.tool_call_id
        for id_, function in self._open.items():
            if turn.name in (None, "", function):
                del self._open[id_]
                return id_
        raise ApiError(
            400, "missing_parameter",
            f"'{path}.tool_call_id' is missing: it says which of the assistant's calls has this "
            "result",
            param=f"{path}.tool_call_id",
        )  # fmt: skip


def _check_depth(value: Any, path: str) -> None:
    if not is_shallow(value):
        raise ApiError(400, "invalid_value", f"'{path}' is nested too deeply", param=path)


_OTHER_PARTS = frozenset({
    "file", "input_file", "input_audio", "audio", "audio_url", "video", "video_url", "image",
    "document", "tool_use", "tool_result",
})  # fmt: skip
_ADDRESS = re.compile(
    r"data:image/[\w.+-]+;base64,[A-Za-z0-9+/=_\s-]+\Z|https://\S{1,8192}\Z", re.I
)

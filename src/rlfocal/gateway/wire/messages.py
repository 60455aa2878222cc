"""What of a conversation's turns reaches a member.

Clients send back what any server has given them, so there is more in a turn than OpenAI's API has
words for. What is not known is dropped, and the reply names it; what is known to mean something to
the member that gave it is passed on, and null is the same as absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.fields import NOTHING, IgnoredFields, has_bad_name
from rlfocal.gateway.wire.parts import Content, check_depth, note_dropped, read_content
from rlfocal.gateway.wire.turns import CalledFunction, Object, ToolCall, Turn
from rlfocal.pool.asking.passed_back import DETAILS, EXTRA, giver_of
from rlfocal.pool.types import Message

__all__ = ["Conversation", "read_turns"]


@dataclass(frozen=True)
class Conversation:
    """What was said so far."""

    system: tuple[str, ...]
    """What the system or the developer says to an ensemble, message by message."""
    turns: tuple[Message, ...]
    """All others; of a member that is asked by its name those, too, in their places."""


_OF_ASSISTANT = (
    "reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks",
    "prefix", "partial",
)  # fmt: skip
"""Of the assistant's turns: what it thought, and that it should go on from there. The member that
gave it may want it; others cannot use it."""


def read_turns(
    turns: Sequence[Turn], ignored: IgnoredFields, *, member: str | None
) -> Conversation:
    """Read a conversation.

    Args:
        turns: of the body.
        ignored: gets what has no effect.
        member: who is asked by name; None for an ensemble.

    Raises:
        ApiError: 400, naming what cannot be taken.
    """
    reader = _Reader(ignored, member)
    system, others = [], []
    for k, turn in enumerate(turns):
        for message in reader.read(turn, f"messages.{k}"):
            if message.role == "system" and member is None:
                system.append(message.content)
            else:
                others.append(message)
    return Conversation(tuple(system), tuple(others))


class _Reader:
    """Reads turns in order; knows which calls of tools still lack their results."""

    def __init__(self, ignored: IgnoredFields, member: str | None) -> None:
        self._ignored, self._member = ignored, member
        self._n_calls = 0
        self._open: dict[str, str] = {}
        """Id → function, of calls whose results have not come."""

    def read(self, turn: Turn, path: str) -> list[Message]:
        """Read one; `path` is where it stands. Results of tools become turns of their own."""
        content = read_content(turn, self._ignored, path)
        role = turn.role
        if role in ("system", "developer"):
            self._dropped(turn, path)
            if turn.name:
                self._ignored.add("messages[].name")
            return [Message("system", content.text)]
        if role == "assistant":
            return [self._said(turn, content, path)]
        self._dropped(turn, path)
        extra: dict[str, Any] = {}
        for name in ("tool_calls", "function_call", "extra_content", "refusal"):
            if getattr(turn, name) not in NOTHING:
                self._ignored.add(f"messages[].{name}")
        if role in ("tool", "function"):
            extra["tool_call_id"] = self._answered(turn, path)
            if turn.name and role == "tool":
                self._ignored.add("messages[].name")
            return [Message("tool", content.text, extra, content.sent)]
        results = [self._result(id_, text, path) for id_, text in content.results]
        if results and not content.parts:
            return results
        if turn.tool_call_id:
            self._ignored.add("messages[].tool_call_id")
        self._name(turn, extra)
        return [*results, Message("user", content.text, extra, content.sent)]

    def _said(self, turn: Turn, content: Content, path: str) -> Message:
        """What the assistant said and called."""
        extra = self._dropped(turn, path, _OF_ASSISTANT if self._member else DETAILS)
        for name in DETAILS:
            if name in extra and not self._keep_details(extra, name):
                self._ignored.add(f"messages[].{name}")
        if calls := self._calls(turn, content, path):
            extra["tool_calls"] = calls
        extra |= self._passed_back(turn.extra_content, "messages[].extra_content", path)
        if turn.tool_call_id:
            self._ignored.add("messages[].tool_call_id")
        self._name(turn, extra)
        return Message("assistant", content.text or turn.refusal or "", extra)

    def _result(self, id_: str, text: str, path: str) -> Message:
        found = Turn(role="tool", tool_call_id=id_ or None)
        return Message("tool", text, {"tool_call_id": self._answered(found, path)})

    def _name(self, turn: Turn, extra: dict[str, Any]) -> None:
        """Pass the name of who speaks on to a member; no other has a use for it."""
        if turn.name and self._member:
            extra["name"] = turn.name
        elif turn.name:
            self._ignored.add("messages[].name")

    def _dropped(self, turn: Turn, path: str, passed: Sequence[str] = ()) -> dict[str, Any]:
        """Those of the fields that nobody here knows which are passed on; the others are noted."""
        if not (found := turn.model_extra):
            return {}
        note_dropped(found, self._ignored, "messages[]", path, known=tuple(passed))
        kept = {}
        for name in passed:
            if (value := found.get(name)) is None:
                continue
            check_depth(value, f"{path}.{name}")
            if has_bad_name(value):
                self._ignored.add(f"messages[].{name}")
            else:
                kept[name] = value
        return kept

    def _keep_details(self, extra: dict[str, Any], name: str) -> bool:
        """Keep of thoughts what somebody gets to see; whether that is all of them."""
        given: Any = extra.pop(name)
        if not isinstance(given, list):
            extra |= {name: given} if self._member else {}
            return self._member is not None
        kept = [one for one in given if self._is_seen(one)]
        if kept:
            extra[name] = kept
        return len(kept) == len(given)

    def _is_seen(self, given: Any) -> bool:
        """Whether something that a member gave is shown to one that is asked."""
        giver = giver_of(given)
        return giver is not None if self._member is None else giver in (None, self._member)

    def _passed_back(self, given: Mapping[str, Any] | None, name: str, path: str) -> Object:
        """What hangs on a turn or a call, where somebody gets to see it."""
        if not given:
            return {}
        check_depth(given, f"{path}.{EXTRA}")
        if not self._is_seen(given) or has_bad_name(given):
            self._ignored.add(name)
            return {}
        return {EXTRA: dict(given)}

    # Calls of tools ----------------------------------------------------------------------------

    def _calls(self, turn: Turn, content: Content, path: str) -> list[Object]:
        given = list(turn.tool_calls or ())
        if turn.function_call is not None and not given:
            given = [ToolCall(function=turn.function_call)]
        if content.calls and given:  # some clients write each of them twice
            self._ignored.add("messages[].content[].tool_use")
        elif content.calls:
            given = [_as_call(call) for call in content.calls]
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
            note_dropped(holder.model_extra or {}, self._ignored, f"messages[].{name}", path)
        arguments = function.arguments
        if not isinstance(arguments, str):
            check_depth(arguments, f"{path}.function.arguments")
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


def _as_call(found: Object) -> ToolCall:
    function = CalledFunction(name=found["name"], arguments=found["arguments"])
    return ToolCall(id=found["id"] or None, function=function)

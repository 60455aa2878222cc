"""A reply that comes in pieces, put together again: what the server would have sent in one.

So one reader serves both. Knows nothing of bytes or connections; it is given events.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rlfocal.pool.openai.replies.beside import OF_REPLY, BesidePieces
from rlfocal.pool.openai.replies.bounds import Bounds
from rlfocal.pool.openai.replies.call_pieces import CallPieces
from rlfocal.pool.openai.replies.calls import MOST_CALLS, called_in
from rlfocal.pool.openai.replies.errors.reading import Complaint, complaint_in
from rlfocal.pool.openai.replies.strays import is_alive, is_error_name, tells_of_an_error
from rlfocal.pool.openai.replies.texts import refusal_of, text_of, thinking_of, thoughts_field
from rlfocal.pool.openai.replies.tokens import joined
from rlfocal.pool.openai.replies.usage import merged, usages_of
from rlfocal.pool.openai.replies.whole import choice_of, index_of, only_choice, unwrapped
from rlfocal.pool.types import Api

__all__ = ["Pieces"]

_MOST_OTHERS = 1 << 16
"""Pieces of other choices that are kept."""
_MOST_LISTED = 1 << 12
"""Pieces in one list."""
_STATUS = re.compile(r"(http_?)?(status_?)?code|status", re.IGNORECASE)
_FAILURE = re.compile(r"err|err_?(msg|code|no)|.*error.*|exception", re.IGNORECASE)
_NONE = frozenset({"0", "none", "null", "false", "ok", "success", "200"})
_WITH_EACH = ("stop", "tool_calls", "function_call")
"""Reasons that some servers give with each piece."""
_KEPT = ("id", "prompt_filter_results", "promptFeedback", *OF_REPLY)


class Pieces:
    """The pieces of one reply.

    Args:
        api: which shape they have; the other one is understood, too.
        bounds: how much of them is read.
        tell: told of each piece of text; None for nobody.
        offered: names of the tools that may be called.
        tell_thought: told of each piece of what is thought; None for nobody.
    """

    def __init__(
        self,
        api: Api,
        bounds: Bounds,
        tell: Callable[[str], None] | None,
        offered: Iterable[str] = (),
        tell_thought: Callable[[str], None] | None = None,
    ) -> None:
        self._api, self._bounds, self._tell = api, bounds, tell
        self._tell_thought = tell_thought
        self._texts, self._held, self._n_characters = list[str](), "", 0
        self._thoughts, self._refusals = list[str](), list[str]()
        self._thoughts_as, self._beside = "", BesidePieces()
        self._calls, self._old_calls = CallPieces(offered), CallPieces()
        self._usage: dict[str, Any] = {}
        self._logprobs: Any = None
        self._kept: dict[str, Any] = {}
        self._more_since_finish = False
        self.finish: Any = None
        """The reason that it ended for, once there is one."""
        self.goes_on_after_finish = False
        """A server that gives a reason with each piece: then it says nothing."""
        self._is_alone = False
        """The reason, or a count, came after the pieces, or with the last of such as had none."""
        self._says_without = self._thinks_without = False
        """Pieces came without a reason: this server gives it at the end only."""
        self.has_usage = self.has_final_usage = False
        self.complaint: Complaint | None = None
        """The first error among the pieces."""
        self.is_spoiled = False
        """An error came before the end."""
        self.is_noisy = False
        """Text in no known form came before the end."""
        self._is_guess = False
        """What was taken for an error may be none: then more of the reply comes after it."""
        self._is_garbled = self._is_garbled_late = False
        self._is_found, self._others = False, list[dict[str, Any]]()
        """Pieces of other choices than the one asked for, as long as that one has not come."""
        self.n_read = 0
        """Pieces of a reply."""

    @property
    def is_overlong(self) -> bool:
        """More has come than can be meant."""
        n = self._n_characters + self._calls.n_characters + self._old_calls.n_characters
        many = max(len(self._calls), len(self._old_calls)) > MOST_CALLS
        return n > self._bounds.text or many

    def take(self, found: Any, event: str = "") -> None:
        """Take one event's JSON."""
        if not found:
            if is_error_name(event):
                self.take_text("", event)
            return
        if isinstance(found, list):
            for item in found[:_MOST_LISTED]:
                self.take(item, event)
            return
        found = unwrapped(found)
        if isinstance(found, str):
            if found.strip() and (is_error_name(event) or not is_alive(found)):
                self.take_text(found, event)
                self._complain(Complaint(found))
        elif isinstance(found, dict):
            self._take_object(found, event)

    def _take_object(self, found: dict[str, Any], event: str) -> None:
        complaint = complaint_in(found, event=event)
        hidden = None if complaint else _failure_in(found)
        if complaint is not None:
            self._weigh(complaint, found, event)
        elif hidden is not None:
            self._weigh(hidden, {"error": found}, event)
        else:
            self._read(found)

    def take_text(self, text: str, event: str = "") -> None:
        """Take what is no JSON: an error in plain words, or text of unknown meaning."""
        if self.is_over:
            return
        is_error = is_error_name(event) or tells_of_an_error(text)
        self.is_spoiled |= is_error and (self.n_read > 0 or is_error_name(event))
        self.is_noisy |= self.n_read > 0

    def take_unreadable(self) -> None:
        """A piece of the reply cannot be read."""
        if self.is_over:
            self._is_garbled_late = True
        else:
            self._is_garbled = True

    @property
    def is_garbled(self) -> bool:
        """A piece of the reply is lost."""
        return self._is_garbled or (self._is_garbled_late and self.goes_on_after_finish)

    @property
    def is_over(self) -> bool:
        """Said to be for certain; whatever comes now takes nothing away.

        A common reason with the first that was said, or before it, may be one of many: some servers
        give one with each piece.
        """
        return self._is_alone and not self.goes_on_after_finish

    @property
    def is_likely_over(self) -> bool:
        """A reply where nothing more comes: a reason was given, and more than thoughts came.

        Never of a server that has gone on after a reason.
        """
        is_ended = self.finish is not None and not self.goes_on_after_finish
        return is_ended and (self._is_alone or self._sizes()[0] > 0)

    def _weigh(self, complaint: Complaint, found: Mapping[str, Any], event: str) -> None:
        """What is worded like an error may only tell how things stand: "loading model"."""
        is_guess = not (
            complaint.number
            or is_error_name(event)
            or tells_of_an_error(complaint.words)
            or any(
                found.get(name) for name in ("error", "errors", "detail", "base_resp", "choices")
            )
            or found.get("success") is False
            or "error" in (found.get("type"), found.get("object"), found.get("status"))
        )
        if is_guess and is_alive(complaint.words) and self.n_read:
            return
        # Before anything of a reply, an error may be of a server that another one stood in for.
        is_within = self.n_read > 0 or bool(found.get("choices"))
        self.is_spoiled |= is_within and not (is_guess or self.is_over)
        self._is_guess = is_guess if self.complaint is None else self._is_guess and is_guess
        self._complain(complaint)

    def _complain(self, complaint: Complaint) -> None:
        self.complaint = self.complaint or complaint

    def end(self) -> None:
        """Nothing more comes: where there is one choice only, its number does not matter."""
        others, self._others = self._others, []
        if self._is_found or not others:
            return
        number = index_of(only_choice(others[0]) or {})
        for found in others:
            choice = only_choice(found, number)
            if choice is not None:
                self._choose(choice)

    def whole(self) -> dict[str, Any]:
        """The reply, in one piece; nothing more comes."""
        self._flush()
        text, thoughts = "".join(self._texts), "".join(self._thoughts)
        message: dict[str, Any] = {"content": text}
        if thoughts and self._thoughts_as:
            message[self._thoughts_as] = thoughts
        elif thoughts:  # in no field of their own, but in parts
            message["content"] = [{"type": "thinking", "thinking": thoughts}, text]
        if refusals := "".join(self._refusals):
            message["refusal"] = refusals
        if calls := self._calls.as_json() or self._old_calls.as_json():
            message["tool_calls"] = calls
        message |= self._beside.as_json()
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return {
            **self._kept,
            "choices": [choice | ({"logprobs": self._logprobs} if self._logprobs else {})],
            "usage": self._usage,
        }

    def _flush(self) -> None:
        """Half of a character, whose other half never came."""
        held, self._held = self._held, ""
        if held and self._tell is not None and not self.is_overlong:
            self._tell(held)

    def _read(self, found: dict[str, Any]) -> None:
        self.n_read += 1
        for name in _KEPT:
            if found.get(name):
                self._kept.setdefault(name, found[name])
        if usages := usages_of(found):
            self._usage = merged([self._usage, *usages])
            self.has_usage = True
            self.has_final_usage |= not found.get("choices") and bool(self._texts)
            self._is_alone |= not found.get("choices") and self.finish is not None
        choice = choice_of(found)
        if choice is not None:
            self._is_found = True
            self._choose(choice)
        elif found.get("choices") and not self._is_found and len(self._others) < _MOST_OTHERS:
            self._others.append(found)

    def _choose(self, choice: dict[str, Any]) -> None:
        said, thought = self._sizes()
        delta = choice.get("delta")
        if isinstance(delta, dict) and delta:
            self._add(delta)
            self._beside.add(delta)
        elif isinstance(message := choice.get("message"), dict):
            self._add_rest(message)
            self._beside.replace(message)
        if (text := text_of(choice.get("text"))) and not delta:
            self._say(text)
        self._calls.add(choice.get("tool_calls"))  # beside the message
        if more := choice.get("logprobs"):
            self._logprobs = joined(self._logprobs, more) if self._logprobs else more
        said_now, thought_now = self._sizes()
        finish = choice.get("finish_reason", choice.get("stop_reason"))
        self._end(finish, said=said_now > said, thought=thought_now > thought)

    def _sizes(self) -> tuple[int, int]:
        """How much was said, or called, and how much was thought."""
        calls = sum(part.n_characters + len(part) for part in (self._calls, self._old_calls))
        return self._n_characters + len(self._refusals) + calls, len(self._thoughts)

    def _end(self, finish: Any, *, said: bool, thought: bool) -> None:
        if self.finish is not None and (said or thought):
            self._more_since_finish = self.goes_on_after_finish = True
        if finish is None or finish == "" or finish == "null":
            self._says_without |= said
            self._thinks_without |= thought
            return
        # The first word counts; where it was said too early, the last one does.
        if self.finish is None or self._more_since_finish:
            self.finish, self._more_since_finish = finish, False
        more = self._thinks_without if thought else any(self._sizes())
        is_last = self._says_without if said else more
        self._is_alone |= is_last or str(finish).lower() not in _WITH_EACH

    def _add(self, delta: dict[str, Any]) -> None:
        self._say(text_of(delta.get("content")) or text_of(delta.get("text")) or "")
        if thought := thinking_of(delta):
            self._thoughts.append(thought)
            if isinstance(delta.get(own := thoughts_field(delta)), str):
                self._thoughts_as = self._thoughts_as or own
            if self._tell_thought is not None:
                self._tell_thought(thought)
        if refusal := refusal_of(delta):
            self._refusals.append(refusal)
        self._calls.add(delta.get("tool_calls") or called_in(delta.get("content")))
        if isinstance(old := delta.get("function_call"), Mapping):
            self._old_calls.add([{"function": old}])

    def _add_rest(self, message: dict[str, Any]) -> None:
        """Take all of a reply so far, sent in place of a new piece: only its rest is passed on."""
        rest = dict(message)
        text, before = text_of(message.get("content")) or "", "".join(self._texts)
        self._texts = [before]
        if before and text.startswith(before):
            rest["content"] = text[len(before) :]
        if len(self._calls):
            rest.pop("tool_calls", None)
        if thinking_of(message) == "".join(self._thoughts):
            rest = {k: v for k, v in rest.items() if not k.startswith(("reasoning", "thinking"))}
        self._add(rest)

    def _say(self, text: str) -> None:
        if not text:
            return
        if self._is_guess:
            self.complaint, self._is_guess = None, False
        self._texts.append(text)
        self._n_characters += len(text)
        if self._tell is None or self.is_overlong:
            return
        # Half of a character waits for its other half.
        text, self._held = self._held + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        if text:
            self._tell(text)


def _failure_in(found: Mapping[str, Any]) -> Complaint | None:
    """An error that has none of the usual names."""
    if found.get("choices") or found.get("usage"):
        return None
    wrong = [value for name, value in found.items() if _is_failure(name, value)]
    if not wrong:
        return None
    words = [value for value in (found.get("message"), *wrong) if isinstance(value, str)]
    told = {"message": words[0]} if words else {}
    return complaint_in({**found, "object": "error", **told})


def _is_failure(name: str, value: Any) -> bool:
    if _STATUS.fullmatch(name) and isinstance(value, int):
        return 400 <= value < 600
    if not value or not _FAILURE.fullmatch(name):
        return False
    return not (isinstance(value, str | int) and str(value).lower() in _NONE)

"""Replies in OpenAI's shape: whole ones, pieces of a stream, and what we add to them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from rlfocal.deliberation.trace import CallRecord, Trace
from rlfocal.live import Answer
from rlfocal.pool.openai.replies.beside import OF_REPLY

__all__ = ["Counts", "Shape", "calls_in", "counts_of", "encode", "known_confidence", "of_reply"]

_SHORT = 64
"""Characters of an answer that is shown as such; a longer one is a whole reply."""


class Shape:
    """How one request's reply is written, as far as it has come.

    Args:
        id: of the request.
        created: seconds since 1970.
        model: as the client wrote it.
        trace: what has happened so far.
        explain: whether the trace is part of the reply.
        ignored: fields of the request that had no effect.
        overhead_s: seconds so far in which no member was waited for.
    """

    def __init__(
        self,
        *,
        id: str,
        created: int,
        model: str,
        trace: Trace,
        explain: bool,
        ignored: Sequence[str],
        overhead_s: float,
    ) -> None:
        self.id, self.created, self.model = id, created, model
        self._trace, self._explain, self._ignored = trace, explain, ignored
        self._overhead_s = overhead_s
        self._calls, self._usd = trace.calls, trace.usd
        self._counts = counts_of(self._calls)

    def whole(self, done: Answer) -> dict[str, Any]:
        """The reply in one piece."""
        return self._head("chat.completion") | {
            "choices": [_choice(k, one) for k, one in enumerate((done, *done.others))],
            "usage": self.usage(),
            **of_reply(done),
            "rlfocal": self.extension(done),
        }

    def first(self) -> dict[str, Any]:
        """The piece by which a stream begins."""
        return self._piece({"role": "assistant", "content": ""})

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of the text."""
        return self._piece({"content": text})

    def thought(self, thought: str) -> dict[str, Any]:
        """A piece of what is thought."""
        return self._piece({"reasoning_content": thought})

    def rest(
        self, done: Answer, *, include_usage: bool, thoughts_are_told: bool = False
    ) -> Iterator[dict[str, Any]]:
        """What a stream ends with: the text unless it was streamed, calls of tools, the end.

        Args:
            done: what there is.
            include_usage: whether the tokens are told at the end.
            thoughts_are_told: whether what it thought was streamed.
        """
        for k, one in enumerate((done, *done.others)):
            if k:
                yield self._piece({"role": "assistant", "content": ""}, index=k)
            if one.reasoning and (k or not thoughts_are_told):
                yield self._piece({"reasoning_content": one.reasoning}, index=k)
            if one.text and not one.streamed:
                yield self._piece({"content": one.text}, index=k)
            if more := _beside(one):
                yield self._piece(more, index=k)
            if one.tool_calls:
                calls = [{"index": n, **call} for n, call in enumerate(one.tool_calls)]
                yield self._piece({"tool_calls": calls}, index=k)
            last = self._piece({}, finish=one.finish, index=k)
            is_end = k == len(done.others)
            yield last | (of_reply(done) | {"rlfocal": self.extension(done)} if is_end else {})
        if include_usage:
            yield self._head("chat.completion.chunk") | {"choices": [], "usage": self.usage()}

    def usage(self) -> dict[str, Any]:
        """Tokens of all members together, as far as their servers have counted them."""
        n_prompt, n_completion, _ = self._counts
        found: dict[str, Any] = {
            "prompt_tokens": n_prompt,
            "completion_tokens": n_completion,
            "total_tokens": n_prompt + n_completion,
        }
        if (n_cached := self.n_cached) is not None:
            found["prompt_tokens_details"] = {"cached_tokens": n_cached}
        if (n_thinking := self.n_thinking) is not None:
            found["completion_tokens_details"] = {"reasoning_tokens": n_thinking}
        return found

    @property
    def n_cached(self) -> int | None:
        """Of all prompts' tokens, those that came from caches; None where no server says."""
        told = [c.n_cached_tokens for c in self._calls if c.n_cached_tokens is not None]
        return sum(told) if told else None

    @property
    def n_thinking(self) -> int | None:
        """Of all replies' tokens, those of thoughts; None where no server says."""
        told = [c.n_thinking_tokens for c in self._calls if c.n_thinking_tokens is not None]
        return sum(told) if told else None

    def extension(self, done: Answer) -> dict[str, Any]:
        """What OpenAI's API has no words for."""
        trace, calls = self._trace, self._calls
        known: dict[str, Any] = {
            "answer": _short(done.answer),
            "confidence": known_confidence(done),
            "price": trace.price,
            "n_calls": len(calls),
            "n_rounds": len(trace.rounds),
            "cost_usd": self._usd,
            "uncertain_cost_usd": trace.uncertain_cost_usd,
            "n_unpriced": self._counts.n_unpriced,
            "overhead_ms": round(1000 * self._overhead_s, 3),
            "members": [_member(call) for call in calls],
            "stopped": trace.stopped,
        }
        if trace.unlike:
            known |= {"unlike": trace.unlike, "learned_confidence": trace.learned_confidence}
        if trace.circuit_open:
            known["circuit_open"] = trace.circuit_open
        if trace.nothing_to_read:
            known["nothing_to_read"] = trace.nothing_to_read
        if trace.held_back is not None:
            known["held_back"] = trace.held_back.as_json()
        if self._ignored:
            known["ignored"] = list(self._ignored)
        if self._explain:
            # What servers said of their failures names them.
            written = known["trace"] = trace.as_json()
            for call in calls_in(written):
                if call.get("failure") is not None:
                    call.pop("detail", None)
        return known

    def headers(self) -> dict[str, str]:
        """What is known of a reply, for who reads no bodies."""
        calls = self._calls
        used = [
            f"{quote(call.member)}={call.n_prompt_tokens or 0}/{call.n_completion_tokens or 0}/"
            f"{'?' if call.cost_usd is None else format(call.cost_usd, '.8g')}"
            for call in calls[:64]
        ]
        return {
            "x-rlfocal-id": self.id,
            "x-rlfocal-calls": str(len(calls)),
            "x-rlfocal-rounds": str(len(self._trace.rounds)),
            "x-rlfocal-cost-usd": format(self._usd, ".8g"),
            "x-rlfocal-usage": ", ".join(used),
        }

    def _piece(
        self, delta: Mapping[str, Any], *, finish: str | None = None, index: int = 0
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": dict(delta), "logprobs": None, "finish_reason": finish}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def _choice(index: int, done: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": done.text, "refusal": None}
    if done.tool_calls:
        message |= {"content": done.text or None, "tool_calls": list(done.tool_calls)}
    if done.reasoning:
        message["reasoning_content"] = done.reasoning
    message |= _beside(done)
    if done.refusal:
        message["content"] = done.text or None
    return {"index": index, "message": message, "logprobs": None, "finish_reason": done.finish}


def _beside(done: Answer) -> dict[str, Any]:
    """What a message holds beside its text, calls and thoughts."""
    found = {name: value for name, value in done.beside.items() if name not in OF_REPLY}
    return found | ({"refusal": done.refusal} if done.refusal else {})


def of_reply(done: Answer) -> dict[str, Any]:
    """What a member asked by its name gave beside its message."""
    return {name: done.beside[name] for name in OF_REPLY if name in done.beside}


class Counts(NamedTuple):
    """What servers have counted."""

    n_prompt_tokens: int
    n_completion_tokens: int
    n_unpriced: int
    """Replies without a known price."""


def counts_of(calls: Sequence[CallRecord]) -> Counts:
    """Tokens and replies of all members together, as far as their servers have counted them."""
    n_prompt = n_completion = n_unpriced = 0
    for call in calls:
        n_prompt += call.n_prompt_tokens or 0
        n_completion += call.n_completion_tokens or 0
        n_unpriced += call.failure is None and call.cost_usd is None
    return Counts(n_prompt, n_completion, n_unpriced)


def calls_in(trace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls in a trace that has been written as plain values, the synthesis included."""
    calls = []
    for part in trace["rounds"]:
        calls += part["asked"]
    return [*calls, trace["synthesis"]] if "synthesis" in trace else calls


def known_confidence(done: Answer) -> float | None:
    """Of an ensemble's answer; None where nobody knows it.

    So it is with replies of members asked by name, and with what asks to confirm a call.
    """
    return None if math.isnan(done.confidence) else done.confidence


def encode(value: Any) -> bytes:
    """JSON in UTF-8; what is no Unicode is replaced."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _member(call: CallRecord) -> dict[str, Any]:
    known: dict[str, Any] = {
        "member": call.member,
        "answer": _short(call.answer),
        "cost_usd": call.cost_usd,
        "prompt_tokens": call.n_prompt_tokens,
        "completion_tokens": call.n_completion_tokens,
        "latency_ms": None if call.latency_s is None else round(1000 * call.latency_s, 1),
    }
    if call.n_cached_tokens is not None:
        known["cached_tokens"] = call.n_cached_tokens
    if call.n_thinking_tokens is not None:
        known["reasoning_tokens"] = call.n_thinking_tokens
    if call.read is not None:
        known["read"] = [list(names) for names in call.read]
    if call.verdict is not None:
        known["verdict"] = list(call.verdict)
    return known if call.failure is None else known | {"failure": call.failure}


def _short(answer: str | None) -> str | None:
    return answer if answer is not None and len(answer) <= _SHORT else None

"""A whole reply in OpenAI's words, read into a `Response` or the reason why there is none.

Liberal in shape (text in parts, missing keys, words of its own for how it ended) and strict in
meaning: what holds no text and no call is no reply. Knows nothing of connections or of keys; what
it shows of a server's words goes through the caller's hands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.openai.http_failures import filtered_error, in_place_error
from rlfocal.pool.openai.replies.beside import beside_of
from rlfocal.pool.openai.replies.bounds import LEAST_TEXT, Bounds
from rlfocal.pool.openai.replies.calls import MOST_CALLS, calls_of, is_argument
from rlfocal.pool.openai.replies.errors.reading import (
    Upstream,
    complaint_in,
    error_for,
    own_complaint,
)
from rlfocal.pool.openai.replies.events import loads
from rlfocal.pool.openai.replies.logprobs import first_logprobs, logprobs_in
from rlfocal.pool.openai.replies.texts import (
    refusal_of,
    text_of,
    thinking_of,
    thoughts_field,
    whole_characters,
)
from rlfocal.pool.openai.replies.tokens import token_logprobs
from rlfocal.pool.openai.replies.usage import merged, read_usage, usages_of
from rlfocal.pool.types import Api, Finish, Request, Response

__all__ = ["choice_of", "index_of", "is_failed", "only_choice", "read_object", "unwrapped"]

_AT_THE_LIMIT = frozenset({
    "length", "max_tokens", "model_length", "max_length", "max_output_tokens", "token_limit",
    "length_limit", "max_new_tokens",
})  # fmt: skip
_HELD_BACK = frozenset({
    "content_filter", "content_filtered", "content-filter", "contentfilter", "safety", "recitation",
    "blocklist", "prohibited_content", "spii", "image_safety", "moderation", "sensitive", "refusal",
    "guardrail_intervened", "guardrails", "error_toxic", "language", "blocked",
})  # fmt: skip
_BROKEN = frozenset({
    "abort", "aborted", "error", "cancelled", "canceled", "insufficient_system_resource", "failed",
    "network_error", "timeout", "internal_error", "server_error", "engine_error", "error_limit",
    "malformed_function_call", "unexpected_tool_call", "overloaded",
})  # fmt: skip
_FINE = frozenset({"", "stop", "tool_calls"})
_HELD_BACK_PARTS = re.compile("filter|moderat|safety|prohibited|blocked|guardrail|toxic")
_BROKEN_PARTS = re.compile("cancel|abort|error|overload")
"""All other words for how a reply ended are taken for an end like any other."""


def read_object(
    found: Any,
    request: Request,
    upstream: Upstream,
    *,
    api: Api = "chat",
    latency_s: float = 0.0,
) -> Response:
    """Read a reply that has been parsed.

    Args:
        found: what JSON said.
        request: what was asked.
        upstream: who answered.
        api: which shape the reply should have; the other one is understood, too.
        latency_s: seconds that it took to come.

    Raises:
        MemberError: it holds no usable response.
    """
    if not (isinstance(found, dict) and "choices" in found):
        found = unwrapped(found)
    choice = choice_of(found) or only_choice(found)
    complaint = complaint_in(found)
    message = _message(choice or {})
    if choice and (complaint is None or _is_whole(choice, message)):
        # An error beside a reply that says how it ended is no more than a remark; its own is one.
        is_clean = "error" not in choice and "error" not in message
        complaint = None if is_clean else own_complaint(choice, message)
    if complaint is not None:
        raise error_for(complaint, None, upstream)
    if not isinstance(found, dict) or choice is None:
        raise _no_choice(found, upstream)
    text = message.get("content") if api == "chat" else choice.get("text")
    if not isinstance(text, str):
        text = _text(choice, message, api, upstream)
    if not text.isascii():
        text = whole_characters(text)
    # Tools that were not offered cannot be called: such a reply is an odd one.
    calls = calls_of(message, reply_id=found.get("id")) if request.extra.get("tools") else ()
    if (calls or len(text) > LEAST_TEXT) and _is_too_long(
        text, calls, bounds := Bounds.of(request)
    ):
        raise bounds.error(upstream.where)
    told = logprobs_in(choice) if request.n_logprobs or request.logprobs else None
    logprobs = first_logprobs(told) if request.n_logprobs else None
    # By name, whatever can be given on is; elsewhere it has to be an answer.
    verbatim, refusal = request.verbatim, whole_characters(refusal_of(message))
    beside = beside_of(found, message)
    is_said = bool(text.strip() or calls or (verbatim and (refusal or beside.get("images"))))
    finish = _finish(choice, upstream, calls=bool(calls), may_be_cut=verbatim and is_said)
    if calls and finish != "length" and not verbatim:
        _check_arguments(calls, upstream)
    if not (is_said or logprobs):
        raise _empty(choice, message, finish, upstream)
    usages = usages_of(found)
    usage = read_usage(usages[0] if len(usages) == 1 else merged(usages), has_output=is_said)
    thinking = thinking_of(message)
    return Response(
        text=text,
        finish=finish,
        n_prompt_tokens=usage.n_prompt,
        n_completion_tokens=usage.n_completion,
        n_cached_tokens=usage.n_cached,
        n_thinking_tokens=usage.n_thinking,
        first_logprobs=logprobs,
        tokens=token_logprobs(told, text) if request.logprobs and told else None,
        latency_s=latency_s,
        cost_usd=usage.cost_usd,
        tool_calls=calls,
        reasoning=thinking if thinking.isascii() else whole_characters(thinking),
        thoughts_as=own if isinstance(message.get(own := thoughts_field(message)), str) else "",
        refusal=refusal,
        beside=beside,
    )


def unwrapped(found: Any) -> Any:
    """The reply within a list of one, or within the box that some gateways put around it."""
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, str) and found.lstrip().startswith("{"):
        with suppress(ValueError):
            found = loads(found)  # made into text twice
    if isinstance(found, dict) and "choices" not in found:
        for name in ("result", "data", "response", "body"):
            inner = found.get(name)
            if isinstance(inner, dict) and isinstance(inner.get("choices"), list):
                return inner
    return found


def choice_of(found: Any) -> dict[str, Any] | None:
    """The choice that was asked for: the one with index 0, or the first without an index.

    Some servers put the text into one choice and the calls into another of the same index: what
    the first lacks is taken from the others.
    """
    choices = found.get("choices") if isinstance(found, dict) else None
    listed = choices if isinstance(choices, list) else []
    same = []
    for choice in listed:
        if isinstance(choice, dict) and (not choice.get("index") or index_of(choice) == 0):
            same.append(choice)
    if len(same) <= 1:
        return same[0] if same else None
    joined = dict(same[0])
    for other in same[1:8]:
        for name, value in other.items():
            if name in ("message", "delta") and isinstance(value, dict):
                mine = joined.get(name)
                joined[name] = _filled(mine, value) if isinstance(mine, dict) else value
            elif not joined.get(name):
                joined[name] = value
    return joined


def _filled(message: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**message, **{name: v for name, v in other.items() if v and not message.get(name)}}


def only_choice(found: Any, number: int | None = None) -> dict[str, Any] | None:
    """The only choice, or the one with a number, where none is the one that was asked for."""
    choices = found.get("choices") if isinstance(found, dict) else None
    listed = [c for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []
    if number is not None:
        return next((choice for choice in listed if index_of(choice) == number), None)
    return listed[0] if len(listed) == 1 else None


def index_of(choice: Mapping[str, Any]) -> int:
    """Which of several choices it is; 0 where it does not say."""
    index = choice.get("index")
    if isinstance(index, str) and index.isdecimal():
        return int(index[:9])
    return index if isinstance(index, int) and not isinstance(index, bool) else 0


def is_failed(finish: Any) -> bool:
    """Whether a reply ended because something broke, or was held back."""
    word = str(finish).strip().lower()
    return _is_broken(word) or _is_held_back(word)


def _is_broken(word: str) -> bool:
    return word in _BROKEN or _BROKEN_PARTS.search(word) is not None


def _is_held_back(word: str) -> bool:
    return word in _HELD_BACK or _HELD_BACK_PARTS.search(word) is not None


def _is_whole(choice: Mapping[str, Any], message: Mapping[str, Any]) -> bool:
    """Whether it says something, and that it ended as it should."""
    said = text_of(message.get("content")) or text_of(choice.get("text"))
    finish = str(choice.get("finish_reason") or "null").strip().lower()
    is_ended = finish not in ("null", "none", "unknown") and not is_failed(finish)
    return is_ended and bool(said or message.get("tool_calls"))


def _no_choice(found: Any, upstream: Upstream) -> MemberError:
    if not isinstance(found, dict):
        return upstream.error(
            "the reply is not the JSON object it should be; see the server's log", Failure.MALFORMED
        )
    if _is_filtered_prompt(found):
        return filtered_error(upstream.where, None)
    return upstream.error(
        "the reply lacks what OpenAI's API promises (choices, text); check base_url and api",
        Failure.MALFORMED,
    )


def _is_filtered_prompt(found: Mapping[str, Any]) -> bool:
    """Azure's way to say so, and Gemini's."""
    for result in found.get("prompt_filter_results") or ():
        inner = result.get("content_filter_results") if isinstance(result, dict) else None
        for verdict in inner.values() if isinstance(inner, dict) else ():
            if isinstance(verdict, dict) and verdict.get("filtered") is True:
                return True
    feedback = found.get("promptFeedback") or found.get("prompt_feedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("message", "delta"):
        if isinstance(found := choice.get(name), dict):
            beside = choice.get("tool_calls")
            return (
                {**found, "tool_calls": beside} if beside and not found.get("tool_calls") else found
            )
    return {}


def _text(
    choice: Mapping[str, Any], message: Mapping[str, Any], api: Api, upstream: Upstream
) -> str:
    """The text, in this API's place or, where that is empty, in the other one's."""
    places = [("content", message), ("text", choice)]
    for name, place in places if api == "chat" else places[::-1]:
        if place.get(name) is not None:
            text = text_of(place[name])
            if text is None:
                raise upstream.error(
                    f"its {name} is neither text nor parts with text; check base_url and api",
                    Failure.MALFORMED,
                )
            return text
    if not message and "text" not in choice:
        raise _no_choice({}, upstream)
    return ""


def _is_too_long(text: str, calls: tuple[dict[str, Any], ...], bounds: Bounds) -> bool:
    """Whether there are too many calls, or more characters than a reply may have."""
    n_characters = len(text) + sum(len(call["function"]["arguments"]) for call in calls)
    return n_characters > bounds.text or len(calls) > MOST_CALLS


def _check_arguments(calls: tuple[dict[str, Any], ...], upstream: Upstream) -> None:
    """Arguments that are no JSON cannot be used, and may be of two calls made one."""
    for call in calls:
        if not is_argument(call["function"]["arguments"]):
            raise upstream.error(
                f"it calls '{upstream.show(call['function']['name'])}' with arguments that are no "
                "JSON; ask again, or use another model",
                Failure.MALFORMED,
            )


def _finish(
    choice: Mapping[str, Any], upstream: Upstream, *, calls: bool, may_be_cut: bool
) -> Finish:
    found = choice.get("finish_reason", choice.get("stop_reason"))
    word = found.strip().lower() if isinstance(found, str) else ""
    if word in _FINE:
        return "tool_calls" if calls else "stop"
    if _is_held_back(word):
        if may_be_cut:
            return "content_filter"
        raise filtered_error(upstream.where, None)
    if _is_broken(word):
        raise in_place_error(
            upstream.where, Failure.SERVER_ERROR, detail=f"finish_reason '{upstream.show(word)}'"
        )
    if word in _AT_THE_LIMIT:
        return "length"
    return "tool_calls" if calls else "stop"


def _empty(
    choice: Mapping[str, Any], message: Mapping[str, Any], finish: Finish, upstream: Upstream
) -> MemberError:
    refusal = refusal_of(message)
    if refusal:
        what = f"it refuses ({upstream.show(refusal)}); put the question otherwise"
    elif message.get("tool_calls") or choice.get("finish_reason") == "tool_calls":
        return upstream.error(
            "it wants tools to be called and names none that was offered; only text can be used, "
            "or a call of a tool in the request",
            Failure.MALFORMED,
        )
    elif thinking_of(message):
        what = "an empty reply: it only thought; raise max_tokens, or have it think less"
    elif finish == "length":
        what = "an empty reply that ended at the limit of tokens; raise max_tokens"
    else:
        what = "an empty reply; check template, stop and max_tokens"
    return upstream.error(what, Failure.EMPTY)

"""From a request's bytes to what is asked of whom; whatever is wrong has a name and a remedy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rlfocal.errors import nearest
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.body import (
    IGNORED,
    SAMPLING,
    Assistant,
    ChatBody,
    Content,
    Extension,
    Instruction,
    Tool,
)
from rlfocal.live import LiveQuery
from rlfocal.pool.types import PASSED_ON, Message

__all__ = ["ENSEMBLE", "ChatRequest", "first_mistake", "read_json", "read_request", "request_of"]

ENSEMBLE = "rlfocal"
"""The model that is all members together."""


@dataclass(frozen=True)
class ChatRequest:
    """One chat completion, checked."""

    model: str
    """As the client wrote it."""
    member: str | None
    """Who is asked by name; None for the ensemble."""
    price: float | None
    """Of a call, lambda; None for the checkpoint's own."""
    query: LiveQuery
    sampling: Mapping[str, Any]
    """Settings of `SAMPLING` that a member asked by name takes over."""
    stream: bool
    include_usage: bool
    extension: Extension
    deadline_s: float
    ignored: tuple[str, ...] = field(default=())
    """Fields that had no effect."""


def read_json(body: bytes) -> Any:
    """Parse a body.

    Raises:
        ApiError: it is not JSON.
    """

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is no JSON")

    def finite(text: str) -> float:
        value = float(text)
        # It could not be written as JSON again.
        return value if math.isfinite(value) else refuse("an endless number")

    try:
        found = json.loads(body.decode("utf-8-sig"), parse_constant=refuse, parse_float=finite)
        if _HALF.search(body):
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # errors of Unicode are ValueErrors
        raise ApiError(
            400, "invalid_json",
            "the body is not JSON, nested too deeply, or holds half of a character (a lone "
            "surrogate); send UTF-8",
        ) from None  # fmt: skip
    return found


_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""Begins one of the two halves in which JSON may write a rare character."""


def first_mistake(exc: ValidationError) -> ErrorDetails:
    """The first of what does not fit, without the value: that may be a key, or a prompt.

    Raises:
        ApiError: there are so many that to look at them would hold up everybody else.
    """
    if exc.error_count() > _MOST_MISTAKES:
        raise ApiError(
            400, "invalid_value",
            f"{exc.error_count()} fields are unknown or do not fit; see /openapi.json",
        )  # fmt: skip
    return exc.errors(include_input=False, include_url=False, include_context=False)[0]


_MOST_MISTAKES = 1000


def read_request(body: bytes, members: Collection[str], settings: GatewaySettings) -> ChatRequest:
    """Read a chat completion.

    Args:
        body: as it came.
        members: names by which members can be asked.
        settings: limits.

    Raises:
        ApiError: 400 or 404, naming the field and the remedy, never its value.
    """
    found = read_json(body)
    if not isinstance(found, dict):
        raise ApiError(400, "invalid_type", "the body should be a JSON object")
    return request_of(found, members, settings)


def request_of(
    found: Mapping[str, Any], members: Collection[str], settings: GatewaySettings
) -> ChatRequest:
    """Read a chat completion that has been parsed; as `read_request`.

    Raises:
        ApiError: 400 or 404, naming the field and the remedy, never its value.
    """
    _check_counts(found, settings)
    try:
        chat = ChatBody(**found)
    except (ValidationError, TypeError) as exc:
        raise _refusal(exc) from None
    _check_sizes(chat, settings)
    member, price = _model(chat.model, members)
    extension = chat.rlfocal or Extension()
    if member is not None and extension.choices is not None:
        raise ApiError(
            400, "unsupported_parameter",
            f"a member asked by its name gets your messages as they are; ask '{ENSEMBLE}', or "
            "leave the choices out",
            param="rlfocal.choices",
        )  # fmt: skip
    unused = IGNORED if member is not None else (*IGNORED, *SAMPLING)
    deadline = extension.deadline_ms
    deadline_s = settings.deadline_s if deadline is None else deadline / 1000
    return ChatRequest(
        model=chat.model,
        member=member,
        price=price,
        query=_query(chat, extension, whole=member is not None),
        sampling={name: value for name in SAMPLING if (value := getattr(chat, name)) is not None},
        stream=bool(chat.stream),
        include_usage=bool(chat.stream_options and chat.stream_options.include_usage),
        extension=extension,
        deadline_s=min(deadline_s, settings.most_deadline_s),
        ignored=tuple(name for name in unused if getattr(chat, name) is not None),
    )


def _refusal(exc: ValidationError | TypeError) -> ApiError:
    """The first mistake as a client is told of it."""
    if not isinstance(exc, ValidationError):
        return ApiError(400, "invalid_type", "the body's fields should be named by strings")
    first = first_mistake(exc)
    first_part, *others = first["loc"]
    named = others[-1:] if first["type"] == "extra_forbidden" else []
    between = others[: len(others) - len(named)]
    path = [first_part, *(part for part in between if part not in _ROLES), *named]
    param = ".".join(map(str, path))
    if first["type"] == "extra_forbidden":
        known = Extension.model_fields if path[:1] == ["rlfocal"] else ChatBody.model_fields
        hint = nearest(str(path[-1])[:64], known) if len(path) <= 2 else "leave it out"
        return ApiError(
            400, "unknown_parameter", f"unknown field '{param[:128]}'; {hint}", param=param[:128]
        )
    if first["type"] == "missing":
        return ApiError(400, "missing_parameter", f"'{param}' is missing", param=param)
    told = first["msg"]
    if first["type"] == "union_tag_invalid":  # pydantic would repeat what it found
        told = "role should be one of system, developer, user, assistant, tool"
    return ApiError(400, "invalid_value", f"'{param[:128]}': {told}", param=param[:128])


_ROLES = {
    "system", "developer", "user", "assistant", "tool", "str", "list[TextPart]", "constrained-str",
    "list[constrained-str]", "dict[str,any]",
}  # fmt: skip
"""Parts of a path that name a kind and no field."""


def _check_counts(found: Mapping[str, Any], settings: GatewaySettings) -> None:
    """Before each is looked at."""
    allowed = {"messages": settings.most_messages, "tools": settings.most_tools}
    for name, most in allowed.items():
        given = found.get(name)
        if isinstance(given, list) and len(given) > most:
            raise ApiError(
                400, f"too_many_{name}", f"{len(given)} {name}; at most {most} are taken",
                param=name,
            )  # fmt: skip


def _check_sizes(chat: ChatBody, settings: GatewaySettings) -> None:
    size = sum(len(_text(turn.content)) for turn in chat.messages)
    size += sum(map(len, (chat.rlfocal and chat.rlfocal.choices) or ()))
    if size > settings.most_characters:
        raise ApiError(
            400, "context_length_exceeded",
            f"messages and choices of {size} characters; at most {settings.most_characters} are "
            "taken",
            param="messages",
        )  # fmt: skip
    for name in _DEEP:
        if not _is_shallow(getattr(chat, name)):
            raise ApiError(
                400, "invalid_value", f"{name} is nested more than {_MOST_DEPTH} levels deep",
                param=name,
            )  # fmt: skip
    for name in ("max_tokens", "max_completion_tokens"):
        value = getattr(chat, name)
        if value is not None and value > settings.most_tokens:
            raise ApiError(
                400, "invalid_value",
                f"{name} is too large; at most {settings.most_tokens} are allowed", param=name,
            )  # fmt: skip


_DEEP = sorted(PASSED_ON)
_MOST_DEPTH = 64


def _is_shallow(value: Any) -> bool:
    """Whether something that is passed on can be written again as deep as it is nested."""
    level = [value]
    for _ in range(_MOST_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


_PRICE = re.compile(r"[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|\.[0-9]+")


def _model(name: str, members: Collection[str]) -> tuple[str | None, float | None]:
    """Member and price that a model's name stands for."""
    if name == ENSEMBLE:
        return None, None
    if name in members:
        return name, None
    head, colon, tail = name.partition(":")
    if head == ENSEMBLE and colon:
        price = float(tail) if _PRICE.fullmatch(tail) else math.inf
        if price < math.inf:
            return None, price
        raise ApiError(
            400, "invalid_value",
            f"after '{ENSEMBLE}:' stands the price of a call as a fraction of what a right answer "
            f"is worth, such as '{ENSEMBLE}:0.02'",
            param="model",
        )  # fmt: skip
    known = [ENSEMBLE, *members]
    raise ApiError(
        404, "model_not_found",
        f"no model of that name; {nearest(name[:64], known)}", param="model",
    )  # fmt: skip


def _query(chat: ChatBody, extension: Extension, *, whole: bool) -> LiveQuery:
    """The question and what came before it."""
    system = [_text(turn.content) for turn in chat.messages if isinstance(turn, Instruction)]
    turns = [turn for turn in chat.messages if not isinstance(turn, Instruction)]
    asked = [turn for turn in turns if turn.role == "user"]
    if not asked or not _text(asked[-1].content).strip():
        raise ApiError(
            400, "missing_parameter", "no user message with a text: there is nothing to answer",
            param="messages",
        )  # fmt: skip
    extra = {name: value for name in PASSED_ON if (value := getattr(chat, name)) is not None}
    # A question that is not put last, or with tools, stands in a conversation that no template
    # could be filled with.
    whole = whole or bool(chat.tools) or turns[-1].role != "user"
    whole = whole or any(isinstance(turn, Tool) for turn in turns)
    history = [_message(turn) for turn in turns]
    wanted = [n for n in (chat.max_tokens, chat.max_completion_tokens) if n is not None]
    return LiveQuery(
        prompt=_text(asked[-1].content),
        choices=tuple(extension.choices or ()),
        task=extension.task,
        history=tuple(history if whole else history[:-1]),
        system="\n\n".join(filter(None, system)),
        answers=extension.answers,
        whole=whole,
        extra=extra,
        most_tokens=min(wanted, default=None),
    )


def _message(turn: Any) -> Message:
    text = _text(turn.content)
    if isinstance(turn, Assistant) and turn.tool_calls:
        unsent: Any = {"index": True, "function": {"parsed_arguments"}}
        calls = [call.model_dump(exclude=unsent) for call in turn.tool_calls]
        return Message("assistant", text, {"tool_calls": calls})
    if isinstance(turn, Tool):
        return Message("tool", text, {"tool_call_id": turn.tool_call_id})
    return Message(turn.role, text)


def _text(content: Content | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    parts: Sequence[Any] = content
    return "".join(part.text for part in parts)

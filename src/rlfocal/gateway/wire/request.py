"""From a request's bytes to what is asked of whom; whatever is wrong has a name and a remedy."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from rlfocal.errors import nearest
from rlfocal.gateway.effects.reading import read_rules
from rlfocal.gateway.effects.rules import ClientRule, Rules
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.body import NO_PLACE, OPTIONAL, SAMPLING, ChatBody, Extension
from rlfocal.gateway.wire.fields import (
    IgnoredFields,
    is_shallow,
    refuse_inner,
    refuse_names,
    sort_out,
    unknown_field,
)
from rlfocal.gateway.wire.messages import Conversation, read_turns
from rlfocal.gateway.wire.models import ENSEMBLE, who_is_asked
from rlfocal.gateway.wire.parsing import first_mistake
from rlfocal.gateway.wire.tools import read_format, read_tools
from rlfocal.pool.asking.question import Question
from rlfocal.pool.types import JsonObject, Message

__all__ = ["ChatRequest", "Context", "origin_of", "request_of"]


@dataclass(frozen=True)
class Context:
    """What a body is read with."""

    members: Collection[str]
    """Names by which members can be asked."""
    settings: GatewaySettings
    """Limits."""
    owner: str = ""
    """Id of the API key that asks."""


@dataclass(frozen=True)
class ChatRequest:
    """One chat completion: what the client sent, checked, and what is asked of whom.

    The two stay apart: in one record a client could write what only the gateway may conclude.
    """

    body: ChatBody
    """As the client sent it, or as its dialect was translated."""
    extension: Extension
    """The body's, or the defaults."""
    member: str | None
    """Who is asked by name; None for the ensemble."""
    price: float | None
    """Of a call, lambda; None for the checkpoint's own."""
    question: Question
    deadline_s: float
    ignored: tuple[str, ...] = ()
    """Fields that had no effect, in whole or in part."""
    unknown: frozenset[str] = frozenset()
    """Fields of the question's `extra` that OpenAI's API does not have: a server may."""
    rules: Rules = field(default_factory=Rules)
    """For calls of tools."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Paths of fields → what the client called them, in a dialect that was translated."""

    def as_sent(self, path: str) -> str:
        """A field as its client called it."""
        return origin_of(path, self.origins)


def origin_of(path: str, origins: Mapping[str, str]) -> str:
    """What a client called a field, by the longest part of its path that is known.

    >>> origin_of("response_format.type", {"response_format": "text.format"})
    'text.format.type'
    """
    name, colon, more = path.partition(":")
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        origin = origins.get(".".join(parts[:n]))
        if origin is not None:
            return ".".join([origin, *parts[n:]]) + colon + more
    return path


def request_of(found: Mapping[str, Any], context: Context) -> ChatRequest:
    """Read a chat completion that has been parsed.

    Raises:
        ApiError: 400 or 404, naming the field and the remedy, never its value.
    """
    settings = context.settings
    given = _without_nulls(found)
    refuse_names(given, ChatBody.model_fields)
    _check_counts(given, settings)
    try:
        body = ChatBody.model_validate(given)
    except ValidationError as exc:
        raise _refusal(exc) from None
    member, price = who_is_asked(body.model, context.members)
    extension = body.rlfocal or Extension()
    _check_fit(body, extension, member, settings)
    ignored = IgnoredFields()
    extra: dict[str, Any] = {}
    if body.tools or body.tool_choice or body.parallel_tool_calls:
        extra = read_tools(body.tools, body.tool_choice, body.parallel_tool_calls, ignored)
    offered = extra.get("tools", ())
    rules = read_rules(
        extension.tools or {}, settings.tools, body.tools, offered, by_name=member is not None
    )
    if body.response_format is not None:
        extra["response_format"] = read_format(body.response_format, ignored)
    question = _question_of(body, extension, ignored, member, settings)
    unknown: dict[str, Any] = {}
    if body.model_extra:
        unknown = sort_out(
            body.model_extra, ChatBody.model_fields, ignored, by_name=member is not None
        )
    if member is not None:
        extra |= unknown
        extra |= _optional(body, ignored)
    question = replace(question, extra=JsonObject(extra))
    _check_sizes(question, settings)
    _note_unused(body, ignored, member, keeps_sessions=settings.sessions > 0)
    deadline = extension.deadline_ms
    deadline_s = settings.deadline_s if deadline is None else deadline / 1000
    return ChatRequest(
        body,
        extension,
        member,
        price,
        question,
        min(deadline_s, settings.most_deadline_s),
        ignored=ignored.names,
        unknown=frozenset(unknown),
        rules=rules,
    )


def _optional(chat: ChatBody, ignored: IgnoredFields) -> dict[str, Any]:
    """What a member that is asked by its name gets of OpenAI's other fields."""
    given = [name for name in OPTIONAL if name in chat.model_fields_set]
    extra = {name: value for name in given if (value := getattr(chat, name)) is not None}
    for name, value in extra.items():
        if name == "metadata":  # flat, as OpenAI has it; what is nested could set a server
            extra[name] = {k: v for k, v in value.items() if not isinstance(v, dict | list)}
            for inner in value.keys() - extra[name].keys():
                ignored.add(f"metadata.{inner}")
        elif name == "logit_bias" and all(isinstance(v, int | float) for v in value.values()):
            continue
        elif isinstance(value, dict):
            refuse_inner(name, value if name != "web_search_options" else _without_place(value))
    return extra


_OF_A_PLACE = ("country", "region", "city", "timezone")


def _without_place(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a search without where the user is: that region is none of a server's."""
    found = dict(options)
    place = found.get("user_location")
    if isinstance(place, dict):
        found["user_location"] = place = _unplaced(place)
        if isinstance(inner := place.get("approximate"), dict):
            place["approximate"] = _unplaced(inner)
    return found


def _unplaced(place: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in place.items() if not (k in _OF_A_PLACE and isinstance(v, str))}


def _without_nulls(found: Mapping[str, Any]) -> dict[str, Any]:
    """Null means absent, in our own extension, too."""
    given = {name: value for name, value in found.items() if value is not None}
    if isinstance(own := given.get("rlfocal"), dict) and None in own.values():
        given["rlfocal"] = {name: value for name, value in own.items() if value is not None}
    return given


def _note_unused(
    chat: ChatBody, ignored: IgnoredFields, member: str | None, *, keeps_sessions: bool
) -> None:
    """What of the fields that we know has no effect."""
    unused = NO_PLACE if member is not None else (*NO_PLACE, *OPTIONAL, *SAMPLING)
    given = chat.model_fields_set
    if keeps_sessions and chat.prompt_cache_key:
        given = given - {"prompt_cache_key"}
    for name in [name for name in unused if name in given]:
        value = getattr(chat, name)
        # None of log-probabilities is what everybody gets.
        if value is not None and not (name in NO_PLACE and not value):
            ignored.add(name)
    if chat.stream_options is not None:
        others = chat.stream_options.model_extra or {}
        refuse_names(others, (), "stream_options.")
        for name, value in others.items():
            if value is not None:
                ignored.add(f"stream_options.{name}")


def _check_fit(
    chat: ChatBody, extension: Extension, member: str | None, settings: GatewaySettings
) -> None:
    """Refuse what the ensemble, or the member that is asked, cannot do."""
    if member is not None and extension.choices is not None:
        raise ApiError(
            400, "unsupported_parameter",
            f"a member asked by its name gets your messages as they are; ask '{ENSEMBLE}', or "
            "leave the choices out",
            param="rlfocal.choices",
        )  # fmt: skip
    n = chat.n or 1
    if member is None and n > 1:
        raise ApiError(
            400, "unsupported_parameter",
            "an ensemble gives one answer; leave n out, or ask a member by its name", param="n",
        )  # fmt: skip
    if n > settings.most_calls:
        raise ApiError(
            400, "invalid_value",
            f"n is too large; at most {settings.most_calls} replies are made for one request",
            param="n",
        )  # fmt: skip


_DEPTH_OF_RULES = 4
"""Of "rlfocal.tools.NAME.effect"."""


def _refusal(exc: ValidationError) -> ApiError:
    """The first mistake, as an error for the client."""
    first = first_mistake(exc)
    path = list(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":  # in our own extension only
        known = Extension if len(path) < _DEPTH_OF_RULES else ClientRule
        return unknown_field(".".join(path)[:128], nearest(path[-1][:64], known.model_fields))
    # Parts of a path that name the kind of a value, and no field, look like tags.
    param = ".".join(part for part in path if not part.startswith("<"))
    if first["type"] == "missing":
        return ApiError(400, "missing_parameter", f"'{param}' is missing", param=param)
    return ApiError(400, "invalid_value", f"'{param[:128]}': {first['msg']}", param=param[:128])


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


def _check_sizes(question: Question, settings: GatewaySettings) -> None:
    """Of all that is read and passed on. Images are bounded by the body's length alone."""
    for name, value in question.extra.items():
        if not is_shallow(value):
            raise ApiError(
                400, "invalid_value", f"{name} is nested too deeply to be passed on", param=name
            )
    size = len(question.system) + (0 if question.whole else len(question.prompt))
    size += sum(map(len, question.choices))
    for turn in question.history:
        size += len(turn.content)
    for extra in filter(None, (question.extra, *[turn.extra for turn in question.history])):
        size += len(json.dumps(extra, ensure_ascii=False))
    if size > settings.most_characters:
        raise ApiError(
            400, "context_length_exceeded",
            f"messages, tools and choices of {size} characters are over the maximum context length "
            f"here: at most {settings.most_characters} are taken",
            param="messages",
        )  # fmt: skip


def _question_of(
    chat: ChatBody,
    extension: Extension,
    ignored: IgnoredFields,
    member: str | None,
    settings: GatewaySettings,
) -> Question:
    """The question and what came before it."""
    said = read_turns(chat.messages, ignored, member=member)
    said, asked = _question(said, by_name=member is not None)
    turns = said.turns
    # A question that is not put last, or with tools, stands in a conversation that no template
    # could be filled with.
    whole = member is not None or bool(chat.tools) or turns[-1].role != "user"
    whole = whole or "tool" in [turn.role for turn in turns]
    images = asked.parts and not whole
    return Question(
        prompt=asked.content,
        choices=tuple(extension.choices or ()),
        task=extension.task,
        history=turns if whole else turns[:-1],
        system="\n\n".join(filter(None, said.system)),
        answers=extension.answers,
        whole=whole,
        most_tokens=_most_tokens(chat, ignored, settings),
        images=tuple([part for part in asked.parts if part["type"] != "text"]) if images else (),
    )


def _question(said: Conversation, *, by_name: bool) -> tuple[Conversation, Message]:
    """The conversation, and the turn that asks something.

    Where no user says anything, the last word of the system is the question; a member that is asked
    by its name gets what there is.
    """
    asked = [
        turn for turn in said.turns if turn.role == "user" and (turn.content.strip() or turn.parts)
    ]
    if asked:
        return said, asked[-1]
    texts = [text for text in said.system if text.strip()]
    if by_name and any(turn.content.strip() or turn.extra for turn in said.turns):
        system = [turn.content for turn in said.turns if turn.role == "system"]
        return said, Message("user", system[-1] if system else said.turns[-1].content)
    if texts and not any(turn.role == "user" for turn in said.turns):
        question = Message("user", texts.pop())
        return Conversation(tuple(texts), (*said.turns, question)), question
    raise ApiError(
        400, "missing_parameter", "no message with a text: there is nothing to answer",
        param="messages",
    )  # fmt: skip


def _most_tokens(chat: ChatBody, ignored: IgnoredFields, settings: GatewaySettings) -> int | None:
    """Of a reply; more than may be asked for is shortened, as agents ask for a lot by default."""
    wanted = []
    for name in ("max_tokens", "max_completion_tokens"):
        value = getattr(chat, name)
        if value is not None and value > settings.most_tokens:
            ignored.add(f"{name}: shortened to {settings.most_tokens}")
        if value is not None:
            wanted.append(min(value, settings.most_tokens))
    return min(wanted, default=None)

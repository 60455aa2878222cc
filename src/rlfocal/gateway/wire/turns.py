"""The shape of one turn of a conversation, as clients of all kinds send it.

A turn may have fields that nobody here knows: `rlfocal.gateway.wire.messages` says what becomes of
them. Where a value may be of two kinds, the one that was sent is held against what it should be, so
that a mistake is told in the words of that kind.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from rlfocal.gateway.wire.fields import is_shallow

__all__ = [
    "IMAGES",
    "TEXTS",
    "THOUGHTS",
    "CalledFunction",
    "Id",
    "Lenient",
    "Named",
    "Object",
    "Part",
    "Short",
    "Some",
    "Text",
    "ToolCall",
    "Turn",
    "kinds",
]

_T = TypeVar("_T")
Short = Annotated[str, Field(max_length=256)]


def _written(value: Any) -> Any:
    return str(value) if type(value) is int and abs(value) < 10**18 else value


Id = Annotated[str, BeforeValidator(_written), Field(max_length=16_384)]
"""A number may be one, too. Some clients keep a model's signature in the name of a call."""
Some = Annotated[list[_T], Field(fail_fast=True)]
"""A list of which the first mistake is told: half a million of them would take seconds to tell."""
Object = dict[str, Any]
_MOST_PARTS, _MOST_CALLS = 1024, 128
TEXTS = ("text", "input_text", "output_text", "refusal")
IMAGES = ("image_url", "input_image")
THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
"""Types of parts; those of the last kind are dropped."""


class Lenient(BaseModel):
    """What may have fields that nobody here knows."""

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)


_TAGS: tuple[tuple[type, str], ...] = (
    (str, "<text>"), (list, "<list>"), (dict, "<object>"), (BaseModel, "<object>"),
)  # fmt: skip
"""They never look like a field's name, so that they can be left out of its path."""
Text = Annotated[str, Tag("<text>")]
Named = Annotated[Object, Tag("<object>")]


def _tag(value: Any) -> str | None:
    for kind, tag in _TAGS:
        if isinstance(value, kind):
            return tag
    return None


def kinds(message: str) -> Discriminator:
    """Chooses among a text, a list and an object by what is there.

    Args:
        message: of a value that is none of those that may be there.
    """
    return Discriminator(_tag, custom_error_type="kind", custom_error_message=message)


class Part(Lenient):
    """A piece of a message: a text, an image, or what is refused in plain words."""

    type: Annotated[Short | None, WithJsonSchema({"enum": [*TEXTS, *IMAGES, *THOUGHTS, None]})] = (
        None
    )
    text: str | None = None
    refusal: str | None = None
    image_url: Annotated[Text | Named, kinds("should hold a url")] | None = None


Piece = Annotated[
    Text | Annotated[Part, Tag("<object>")],
    kinds("should be an object with a type, such as {'type': 'text', ...}"),
]
Content = Annotated[
    Text | Annotated[list[Piece], Field(fail_fast=True, max_length=_MOST_PARTS), Tag("<list>")],
    kinds("should be a text or a list of parts"),
]


class CalledFunction(Lenient):
    """Which function was called, with what."""

    name: Short
    arguments: Annotated[Text | Named, kinds("should be JSON in a text, or an object")] | None = (
        None
    )
    parsed_arguments: Any = None
    """As OpenAI's client reads them; not passed on."""

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, found: Any) -> Any:
        given = found.get("arguments") if isinstance(found, dict) else None
        if isinstance(given, list) and is_shallow(given):
            return {**found, "arguments": json.dumps(given, ensure_ascii=False)}
        return found


class ToolCall(Lenient):
    """One call of a tool."""

    id: Id | None = None
    type: Short | None = None
    function: CalledFunction | None = None
    index: int | None = None
    """Some servers number calls in whole replies, too, and clients send back what they got."""
    extra_content: Object | None = None


class Turn(Lenient):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content | None = None
    name: Id | None = None
    tool_calls: Annotated[list[ToolCall], Field(fail_fast=True, max_length=_MOST_CALLS)] | None = (
        None
    )
    tool_call_id: Id | None = None
    function_call: CalledFunction | None = None
    """As calls of tools were once written; read as one of them."""
    refusal: str | None = None
    extra_content: Object | None = None
    parsed: Any = None
    """As OpenAI's client reads the text; not passed on."""

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, found: Any) -> Any:
        """What some clients write otherwise, as everybody writes it."""
        if not isinstance(found, dict):
            return found
        role, made = found.get("role"), dict(found)
        if isinstance(role, str) and role in _ROLES:
            role = made["role"] = _ROLES[role]
        if role == "tool" and found.get("role") in _OF_RESULTS and not found.get("tool_call_id"):
            role = made["role"] = "user"  # they know no calls, so that there is none to answer
        if "content" in found:
            made["content"] = _content(found["content"], is_result=role in ("tool", "function"))
        return made


_ROLES = {
    "human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant",
    "tool-call": "assistant", "tool_call": "assistant", "tool-response": "tool",
    "tool_response": "tool", "tool-result": "tool", "tool_result": "tool", "observation": "tool",
    "ipython": "tool",
}  # fmt: skip
"""Other names that frameworks and templates have for them."""
_OF_RESULTS = {name for name, role in _ROLES.items() if role == "tool"}


def _content(given: Any, *, is_result: bool) -> Any:
    """A part alone is a list of one, no part is none, and a tool may give any JSON."""
    if isinstance(given, dict) and _is_part(given):
        return [given]
    if isinstance(given, list) and all(
        one is None or isinstance(one, str) or _is_part(one) for one in given
    ):
        return [one for one in given if one is not None]
    if is_result and given is not None and not isinstance(given, str) and is_shallow(given):
        return json.dumps(given, ensure_ascii=False)
    return given


def _is_part(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("type"), str) or isinstance(value.get("text"), str)

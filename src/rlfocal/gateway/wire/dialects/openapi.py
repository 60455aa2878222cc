"""The other dialects in OpenAPI's words: of their bodies only what is surely checked.

The APIs that they follow are described by those who made them, at much greater length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["REFUSALS", "dialect_paths"]

REFUSALS = (400, 401, 404, 408, 413, 415, 422, 429, 500, 502, 503, 504)
_Schema = dict[str, Any]


def _maybe(**schema: Any) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_OBJECTS: _Schema = {"type": "array", "items": {"type": "object"}}
_TEXT: _Schema = {"type": "string"}
_COMMON: _Schema = {
    "model": {"type": "string", "maxLength": 256},
    "stream": _maybe(type="boolean"),
    "rlfocal": {"anyOf": [{"$ref": "#/components/schemas/Extension"}, {"type": "null"}]},
}
_TOKENS: _Schema = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": -1}, _TEXT]}
"""A number may be written in a text, and -1 is how some clients write that they name no bound."""
_COUNT: _Schema = {"anyOf": [*_TOKENS["anyOf"], {"type": "null"}]}
_PROMPTS: _Schema = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1}
_TURN: _Schema = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["user", "assistant", "system"]},
        "content": {"anyOf": [_TEXT, _OBJECTS]},
    },
}


def _body(required: list[str], **properties: Any) -> _Schema:
    return {
        "type": "object", "required": ["model", *required], "properties": _COMMON | properties,
    }  # fmt: skip


def _reply(**properties: Any) -> _Schema:
    found = {
        "id": _TEXT,
        "model": _TEXT,
        "usage": {"type": "object"},
        "rlfocal": {"type": "object"},
    }
    properties = found | properties
    return {"type": "object", "required": list(properties), "properties": properties}


_COMPLETIONS = (
    "Answer a prompt",
    _body(["prompt"], prompt={"anyOf": [_TEXT, _PROMPTS]}, max_tokens=_COUNT),
    _reply(object={"const": "text_completion"}, created={"type": "integer"}, choices=_OBJECTS),
)
_RESPONSES = (
    "Answer a conversation, as OpenAI's Responses do",
    _body(
        ["input"], input={"anyOf": [_TEXT, _OBJECTS]}, instructions=_maybe(type="string"),
        max_output_tokens=_COUNT, text=_maybe(type="object"), reasoning=_maybe(type="object"),
        tools={"anyOf": [_OBJECTS, {"type": "null"}]},
    ),
    _reply(
        object={"const": "response"}, created_at={"type": "integer"}, output=_OBJECTS,
        status={"enum": ["completed", "incomplete"]},
    ),
)  # fmt: skip
_MESSAGES = (
    "Answer a conversation, as Anthropic's Messages do",
    _body(
        ["messages", "max_tokens"], messages={"type": "array", "items": _TURN, "minItems": 1},
        max_tokens=_TOKENS,
        system={"anyOf": [_TEXT, _OBJECTS, {"type": "null"}]},
        tools={"anyOf": [_OBJECTS, {"type": "null"}]},
    ),
    _reply(
        type={"const": "message"}, role={"const": "assistant"}, content=_OBJECTS,
        stop_reason=_TEXT,
    ),
)  # fmt: skip
_FAILED: _Schema = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message", "code"],
            "properties": {"type": _TEXT, "message": _TEXT, "code": _TEXT},
        },
    },
}


def dialect_paths(operation: Callable[..., _Schema], error: _Schema) -> dict[str, _Schema]:
    """The paths of the other dialects.

    Args:
        operation: makes one, of a summary, a reply and more.
        error: as OpenAI's clients read it.
    """
    found = {
        "/v1/completions": (_COMPLETIONS, error),
        "/v1/responses": (_RESPONSES, error),
        "/v1/messages": (_MESSAGES, _FAILED),
    }
    return {
        path: {
            "post": operation(
                summary, reply, body=body, events=True, refusals=REFUSALS, error=failed
            )
        }
        for path, ((summary, body, reply), failed) in found.items()
    }

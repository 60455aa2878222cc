"""What can be asked, in OpenAPI's words, made from the types that are checked."""

from __future__ import annotations

from functools import cache
from typing import Any

import rlfocal
from rlfocal.gateway.feedback import Judgement
from rlfocal.gateway.wire.body import ChatBody
from rlfocal.gateway.wire.dialects.openapi import REFUSALS, dialect_paths

__all__ = ["describe"]

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": "string"},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}
_COMPLETION: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage", "rlfocal"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "usage": {"type": "object"},
        "rlfocal": {"type": "object"},
    },
}
_MODEL: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    },
}
_MODELS: dict[str, Any] = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
}
_JUDGED: dict[str, Any] = {
    "type": "object",
    "required": ["id", "earned", "members"],
    "properties": {
        "id": {"type": "string"},
        "earned": {"type": "number", "minimum": 0, "maximum": 1},
        "members": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
    },
}
_STATUS: dict[str, Any] = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}},
}


@cache
def describe() -> dict[str, Any]:
    """The whole description."""
    schemas: dict[str, Any] = {}
    body = _schema(ChatBody, schemas)
    judgement = _schema(Judgement, schemas)
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rlfocal",
            "version": rlfocal.__version__,
            "description": "Several LLMs behind one OpenAI-compatible endpoint.",
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/chat/completions": {
                "post": _operation(
                    "Answer a conversation", _COMPLETION, body=body, events=True,
                    refusals=REFUSALS,
                )
            },
            **dialect_paths(_operation, _ERROR),
            "/v1/models": {"get": _operation("List models", _MODELS, refusals=(401, 503))},
            "/v1/models/{name}": {
                "get": _operation("Show a model", _MODEL, refusals=(401, 404, 503))
                | {"parameters": [name]}
            },
            "/v1/feedback": {
                "post": _operation(
                    "Judge an answer", _JUDGED, body=judgement,
                    refusals=(400, 401, 404, 408, 409, 413, 415, 503),
                )
            },
            "/healthz": {"get": _operation("Is it there?", _STATUS) | {"security": []}},
            "/readyz": {
                "get": _operation("Could it answer?", _STATUS) | {"security": []}
                | {"responses": {"200": _content(_STATUS), "503": _content(_STATUS)}}
            },
        },
    }  # fmt: skip


def _schema(kind: type[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= found.pop("$defs", {})
    schemas[kind.__name__] = found
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _operation(
    summary: str,
    reply: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    events: bool = False,
    refusals: tuple[int, ...] = (),
    error: dict[str, Any] = _ERROR,
) -> dict[str, Any]:
    good = _content(reply)
    if events:
        # Without a schema: some read it as that of each event, others as that of the whole text.
        good["content"]["text/event-stream"] = {}
    responses = {"200": good} | {str(status): _content(error) for status in refusals}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"description": "As described.", "content": content}

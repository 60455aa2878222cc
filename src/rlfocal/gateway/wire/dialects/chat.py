"""/v1/chat/completions, the dialect that the others are translated to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.dialects.dialect import Writer, data_event
from rlfocal.gateway.wire.replies import Shape
from rlfocal.gateway.wire.request import ChatRequest, Context, request_of
from rlfocal.live import Answer

__all__ = ["DONE", "STILL", "Chat", "OpenAi", "OpenAiWriter"]

DONE = b"data: [DONE]\n\n"
STILL = b": still at it\n\n"


class OpenAi:
    """What OpenAI's dialects have in common."""

    id_prefix = "chatcmpl-"

    def headers(self, shape: Shape) -> dict[str, str]:
        """By which OpenAI's clients name a request."""
        return {"x-request-id": shape.id}

    def error(self, error: ApiError) -> dict[str, Any]:
        """OpenAI's error object."""
        return error.as_json()


class Chat(OpenAi):
    """Chat completions."""

    def read(self, found: Mapping[str, Any], context: Context) -> tuple[ChatRequest, Writer]:
        """As it is."""
        chat = request_of(found, context)
        return chat, _Writer(chat)


class OpenAiWriter:
    """What OpenAI's streams of chunks have in common."""

    tells_thoughts = False

    def __init__(self, chat: ChatRequest) -> None:
        options = chat.body.stream_options
        self.include_usage = bool(options and options.include_usage)

    def thought(self, thought: str, shape: Shape) -> bytes:
        """Nothing: there is no place for it."""
        return b""

    def still(self) -> bytes:
        """A comment: clients pass it over."""
        return STILL

    def failed(self, shape: Shape, error: ApiError) -> bytes:
        """The error, and the end."""
        return data_event(error.as_json()) + DONE


class _Writer(OpenAiWriter):
    tells_thoughts = True

    def __init__(self, chat: ChatRequest) -> None:
        super().__init__(chat)
        self._has_thought = False

    def whole(self, shape: Shape, done: Answer) -> dict[str, Any]:
        return shape.whole(done)

    def first(self, shape: Shape) -> bytes:
        return data_event(shape.first())

    def piece(self, text: str, shape: Shape) -> bytes:
        return data_event(shape.piece(text))

    def thought(self, thought: str, shape: Shape) -> bytes:
        self._has_thought = True
        return data_event(shape.thought(thought))

    def rest(self, shape: Shape, done: Answer) -> Iterator[bytes]:
        rest = shape.rest(
            done, include_usage=self.include_usage, thoughts_are_told=self._has_thought
        )
        for chunk in rest:
            yield data_event(chunk)
        yield DONE

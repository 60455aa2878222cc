"""/v1/chat/completions, the dialect that the others are translated to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.dialects.dialect import Writer, data_event
from rlfocal.gateway.wire.replies import Completion, Shape
from rlfocal.gateway.wire.request import ChatRequest, request_of

__all__ = ["DONE", "STILL", "Chat", "OpenAi"]

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

    def read(
        self,
        found: Mapping[str, Any],
        members: Collection[str],
        settings: GatewaySettings,
        *,
        owner: str = "",
    ) -> tuple[ChatRequest, Writer]:
        """As it is."""
        chat = request_of(found, members, settings)
        return chat, _Writer(chat.include_usage)


@dataclass(frozen=True)
class _Writer:
    include_usage: bool

    def whole(self, shape: Shape, done: Completion) -> dict[str, Any]:
        return shape.whole(done)

    def first(self, shape: Shape) -> bytes:
        return data_event(shape.first())

    def piece(self, text: str, shape: Shape) -> bytes:
        return data_event(shape.piece(text))

    def still(self) -> bytes:
        return STILL

    def rest(self, shape: Shape, done: Completion) -> Iterator[bytes]:
        for chunk in shape.rest(done, include_usage=self.include_usage):
            yield data_event(chunk)
        yield DONE

    def failed(self, shape: Shape, error: ApiError) -> bytes:
        return data_event(error.as_json()) + DONE

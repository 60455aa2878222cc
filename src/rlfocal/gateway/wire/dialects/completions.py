"""/v1/completions: a prompt in, a text out; the prompt is asked as what a user says.

Members answer conversations, so a prompt is answered and not continued, and what only a model that
continues texts can do (a suffix, an echo) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.dialects.chat import DONE, OpenAi, OpenAiWriter
from rlfocal.gateway.wire.dialects.dialect import Writer, data_event
from rlfocal.gateway.wire.dialects.translating import Translation, mistake, unsupported
from rlfocal.gateway.wire.replies import Shape
from rlfocal.gateway.wire.request import ChatRequest, Context
from rlfocal.live import Answer

__all__ = ["Completions"]

_IGNORED = ("best_of", "logprobs")
_OWN = {"prompt", "suffix", "echo", *_IGNORED}
_OTHERS = ("messages", "tools", "tool_choice", "parallel_tool_calls", "response_format")
"""Fields of chat completions that would change what this one means."""


class Completions(OpenAi):
    """Text completions."""

    id_prefix = "cmpl-"

    def read(self, found: Mapping[str, Any], context: Context) -> tuple[ChatRequest, Writer]:
        """As a conversation of one message."""
        given = {name: value for name, value in found.items() if value is not None}
        made = Translation({name: value for name, value in given.items() if name not in _OWN})
        for name in _OTHERS:
            if found.get(name) is not None:
                raise unsupported(name, "is for /v1/chat/completions")
        if found.get("suffix"):
            raise unsupported("suffix", "members do not fill in the middle; leave it out")
        if found.get("echo"):
            raise unsupported("echo", "the prompt is not repeated; leave it out")
        for name in _IGNORED:
            if found.get(name) is not None:
                made.ignore(name)
        made.turn({"role": "user", "content": _prompt(found)}, "prompt")
        made.origins["messages"] = made.origins["messages.0.content"] = "prompt"
        chat = made.read(context, may_be_several=True)
        return chat, _Writer(chat)


def _prompt(found: Mapping[str, Any]) -> str:
    prompt = found.get("prompt")
    if prompt is None:
        raise ApiError(400, "missing_parameter", "'prompt' is missing", param="prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list):
        raise mistake("prompt", "should be a string")
    if prompt and all(isinstance(one, str) for one in prompt):
        raise unsupported("prompt", "holds several prompts; send one in each request")
    raise unsupported("prompt", "tokens are not read; send the text as a string")


class _Writer(OpenAiWriter):
    def whole(self, shape: Shape, done: Answer) -> dict[str, Any]:
        every = enumerate((done, *done.others))
        return self._head(shape) | {
            "choices": [_choice(k, one.text or one.refusal, one.finish) for k, one in every],
            "usage": shape.usage(),
            "rlfocal": shape.extension(done),
        }

    def first(self, shape: Shape) -> bytes:
        return b""

    def piece(self, text: str, shape: Shape) -> bytes:
        return self._told(shape, _choice(0, text, None))

    def rest(self, shape: Shape, done: Answer) -> Iterator[bytes]:
        for k, one in enumerate((done, *done.others)):
            if (told := one.text or one.refusal) and not one.streamed:
                yield self._told(shape, _choice(k, told, None))
            is_end = k == len(done.others)
            more = {"rlfocal": shape.extension(done)} if is_end else {}
            yield self._told(shape, _choice(k, "", one.finish), more)
        if self.include_usage:
            yield data_event(self._head(shape) | {"choices": [], "usage": shape.usage()})
        yield DONE

    def _told(
        self, shape: Shape, choice: dict[str, Any], more: Mapping[str, Any] | None = None
    ) -> bytes:
        return data_event(self._head(shape) | {"choices": [choice]} | dict(more or {}))

    def _head(self, shape: Shape) -> dict[str, Any]:
        return {
            "id": shape.id, "object": "text_completion", "created": shape.created,
            "model": shape.model,
        }  # fmt: skip


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}

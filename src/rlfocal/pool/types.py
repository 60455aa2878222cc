"""What is sent to an LLM and what comes back, whoever serves it.

An `Endpoint` sends one request and returns one response or raises one `MemberError`. Everything
else (retries, limits, meters, breakers) is an endpoint around an endpoint with one job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, Self

from rlfocal.tokens import TokenLogprobs

__all__ = [
    "OURS",
    "PASSED_ON",
    "Api",
    "Endpoint",
    "Finish",
    "JsonObject",
    "Message",
    "Request",
    "Response",
    "Role",
    "SystemAs",
    "Wording",
]

Api = Literal["chat", "completions"]
"""Chat turns, or one text that the model goes on with (for models without a chat template)."""
Role = Literal["system", "developer", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls", "content_filter"]
"""How a usable response ended: by itself or at a stop text, at the limit of tokens, with tools
to be called, or where its server's filter held the rest back."""
SystemAs = Literal["system", "developer", "user"]
"""The role by which a server is told who the model is; "user": as the beginning of a user's turn,
for models that know no such role."""
PASSED_ON = frozenset({"tools", "tool_choice", "parallel_tool_calls", "response_format"})
"""What changes a reply so much that whoever asks an ensemble means all its members to have it."""
OURS = frozenset({"model", "messages", "prompt", "stream", "stream_options", "n", "max_tokens"})
"""Fields of a body that follow from the rest of a `Request`; `Request.extra` may not hold them."""


class JsonObject(dict[str, Any]):
    r"""A JSON object that is written once, however often it is sent; it is not changed any more.

    A schema of 300 kB takes 20 ms to write, an image of a MB as long, and both are sent to every
    member of an ensemble.

    >>> JsonObject(type="text", text="é").text
    '{"type": "text", "text": "\\u00e9"}'
    """

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """These fields: the same object where it is one of these."""
        return fields if isinstance(fields, cls) else cls(fields)

    def with_fields(self, more: Mapping[str, Any]) -> JsonObject:
        """A copy with more fields or other values; what stays is not written again."""
        found = JsonObject({**self, **more})
        found.written = {**self.written, **JsonObject(more).written}
        return found

    @cached_property
    def written(self) -> dict[str, str]:
        """Name of a field → its value as JSON, in ASCII."""
        return {name: json.dumps(value) for name, value in self.items()}

    @cached_property
    def text(self) -> str:
        """All of it as JSON, in ASCII."""
        return json.dumps(self)


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Role
    content: str
    """Its text; of a turn in parts, that of all its texts."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More of a turn: "tool_calls" of the assistant's, "tool_call_id" of a tool's, ..."""
    parts: tuple[Mapping[str, Any], ...] = ()
    """Content in parts, sent in place of the text where there is more than text: images."""

    def as_json(self) -> dict[str, Any]:
        """As OpenAI's chat API wants it."""
        content = list(self.parts) if self.parts else self.content
        return {"role": self.role, "content": content, **self.extra}

    @cached_property
    def text(self) -> str:
        """The same as JSON, in ASCII; written once for all whom it is sent to."""
        if not self.parts or "content" in self.extra:
            return json.dumps({"role": self.role, "content": self.content, **self.extra})
        written = ", ".join([JsonObject.of(part).text for part in self.parts])
        return f'{json.dumps({"role": self.role, **self.extra})[:-1]}, "content": [{written}]}}'


@dataclass(frozen=True, slots=True)
class Wording:
    """How a server's fields and roles differ from OpenAI's."""

    max_tokens_field: str = "max_tokens"
    """The field that limits the tokens of a response."""
    drop: frozenset[str] = frozenset()
    """Fields of the body that are left out."""
    system_as: SystemAs = "system"
    kept: frozenset[str] = frozenset()
    """Fields that the pool asks for by name: they are sent, or the call fails."""
    one_alternative: bool = False
    """Of a chat server that tells many likely tokens beside each one unless it is asked for one."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of one model.

    A model without a chat template (the completions API) gets the contents joined as they are.
    """

    messages: tuple[Message, ...]
    model: str = ""
    """As the server calls it; empty where it serves only one."""
    max_tokens: int = 512
    """Most tokens of the response."""
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    """For servers that draw reproducibly; others ignore it."""
    stop: tuple[str, ...] = ()
    """The response ends before the first of these texts."""
    n_logprobs: int = 0
    """How many of the likeliest first tokens to return with log-probabilities; 0 for none."""
    logprobs: bool = False
    """Whether to return the log-probability of each of its tokens, where the server can."""
    n_options: int = 0
    """Of a question whose options' letters are looked for among these tokens; 0 where unknown."""
    on_text: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """Called with each piece of the reply's text as it comes; None to have it in one piece."""
    on_thought: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """The same of what it thinks before, where its server tells that apart and streams."""
    verbatim: bool = field(default=False, compare=False)
    """Whether all that can be given on is a reply, as of a member that is asked by its name: a
    refusal, calls with arguments that are no JSON, a text that was held back midway. Else these
    are failures."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the body that are passed on as they are; none of `OURS`."""
    wording: Wording = Wording()
    """How it is put for the server at hand."""

    def __post_init__(self) -> None:
        if ours := self.extra.keys() & OURS:
            raise ValueError(f"extra must not hold {sorted(ours)}: they follow from the rest")

    @property
    def text(self) -> str:
        """The contents joined: what a model without a chat template reads."""
        return "".join([message.content for message in self.messages])


@dataclass(frozen=True, slots=True)
class Response:
    """A member's full reply."""

    text: str
    finish: Finish = "stop"
    n_prompt_tokens: int | None = None
    """None where the server does not say."""
    n_completion_tokens: int | None = None
    n_cached_tokens: int | None = None
    """Of the prompt's, those that the server read from its cache; None where it does not say."""
    n_thinking_tokens: int | None = None
    """Of the completion's, those that it thought with; None where the server does not say."""
    first_logprobs: Mapping[str, float] | None = None
    """Token → log-probability, of the first token; None where not asked for or not given."""
    tokens: TokenLogprobs | None = None
    """Of the whole text; None where not asked for or not given."""
    latency_s: float = 0.0
    """From sending to the last byte, waiting in our own queues left out."""
    cost_usd: float | None = None
    """None where the price is not known: "unpriced", never free."""
    n_attempts: int = 1
    """Times it was sent, failed ones included."""
    unsettled_usd: float = 0.0
    """What it may cost beyond `cost_usd`, at most: its server has not counted its tokens."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """As the model wrote them, where the request offers tools."""
    reasoning: str = ""
    """What it thought before, where the server tells that apart from the text."""
    thoughts_as: str = ""
    """The field of the message in which the server told that; empty where in none of its own."""
    refusal: str = ""
    """Why the model says that it will not answer, where the server tells that apart."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What else there is, by the server's names: "reasoning_details", "thinking_blocks",
    "annotations", "images", "citations", "search_results", each a list."""

    @property
    def written(self) -> str:
        """Its text, and its calls of tools as JSON, as a model would write them."""
        if not self.tool_calls:
            return self.text
        functions = [call["function"] for call in self.tool_calls]
        kept = [{name: f.get(name) for name in ("name", "arguments")} for f in functions]
        calls = json.dumps(kept, ensure_ascii=False)
        return f"{self.text}\n{calls}" if self.text.strip() else calls


class Endpoint(Protocol):
    """Somebody who answers requests."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request.

        Args:
            request: what to send.
            timeout_s: seconds for all of it; at the end of them the call is cancelled.

        Raises:
            MemberError: there is no usable response; `failure` says why.
        """
        ...

    async def close(self) -> None:
        """Give back connections and memory; the endpoint is not used afterwards."""
        ...

    async def __aenter__(self) -> Any:
        """Open it; what is to be asked: the endpoint itself, or the one that it has made."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        ...

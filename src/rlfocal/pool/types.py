"""What is sent to an LLM and what comes back, whoever serves it.

An `Endpoint` sends one request and returns one response or raises one `MemberError`. Everything
else (retries, limits, meters, breakers) is an endpoint around an endpoint with one job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = ["PASSED_ON", "Api", "Endpoint", "Finish", "Message", "Request", "Response", "Role"]

Api = Literal["chat", "completions"]
"""Chat turns, or one text that the model goes on with (for models without a chat template)."""
Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls"]
"""How a usable response ended: by itself or at a stop text, at the limit of tokens, or with tools
to be called."""
PASSED_ON = frozenset({"tools", "tool_choice", "parallel_tool_calls", "response_format"})
"""What `Request.extra` may hold."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    content: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More of a turn with tools: "tool_calls" of the assistant's, "tool_call_id" of a tool's."""

    def as_json(self) -> dict[str, Any]:
        """As OpenAI's chat API wants it."""
        return {"role": self.role, "content": self.content, **self.extra}


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
    on_text: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """Told of each piece of the reply as it comes; None to have it in one piece."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of OpenAI's chat API that are passed on as they are, `PASSED_ON` only."""

    def __post_init__(self) -> None:
        if unknown := self.extra.keys() - PASSED_ON:
            raise ValueError(f"extra must hold {sorted(PASSED_ON)} only, got {sorted(unknown)}")

    @property
    def text(self) -> str:
        """The contents joined: what a model without a chat template reads."""
        return "".join(message.content for message in self.messages)


@dataclass(frozen=True, slots=True)
class Response:
    """A member's full reply."""

    text: str
    finish: Finish = "stop"
    n_prompt_tokens: int | None = None
    """None where the server does not say."""
    n_completion_tokens: int | None = None
    first_logprobs: Mapping[str, float] | None = None
    """Token → log-probability, of the first token; None where not asked for or not given."""
    latency_s: float = 0.0
    """From sending to the last byte, waiting in our own queues left out."""
    cost_usd: float | None = None
    """None where nobody knows the price: "unpriced", never free."""
    n_attempts: int = 1
    """Times it was sent, failed ones included."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """As the model wrote them, where the request offers tools."""


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
        """The endpoint itself."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        ...

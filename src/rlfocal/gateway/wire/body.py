"""The shape of a chat completion's body: what OpenAI's clients send, and our own extension.

What is not named here is refused, at any depth that we read: there is no field by which a client
could name a server, a host or a key. What we do not read (tools' schemas, formats) is passed on as
data to servers that the pool file names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "IGNORED",
    "SAMPLING",
    "Assistant",
    "ChatBody",
    "Extension",
    "Instruction",
    "Tool",
    "User",
]

_T = TypeVar("_T")
Short = Annotated[str, Field(max_length=256)]
Some = Annotated[list[_T], Field(fail_fast=True)]
"""A list of which the first mistake is told: half a million of them would take seconds to tell."""
Object = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class TextPart(_Strict):
    """A piece of a message."""

    type: Literal["text"]
    text: str


Content = str | Some[TextPart]


class Instruction(_Strict):
    """What the system or the developer says."""

    role: Literal["system", "developer"]
    content: Content
    name: Short | None = None


class User(_Strict):
    """What the user says."""

    role: Literal["user"]
    content: Content
    name: Short | None = None


class CalledFunction(_Strict):
    """Which function was called, with what."""

    name: Short
    arguments: str
    parsed_arguments: Any = None
    """As OpenAI's client reads them; not passed on."""


class ToolCall(_Strict):
    """One call of a tool."""

    id: Short
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None
    """Some servers number calls in whole replies, too, and clients send back what they got."""


class Assistant(_Strict):
    """What the model said before."""

    role: Literal["assistant"]
    content: Content | None = None
    tool_calls: Some[ToolCall] | None = None
    refusal: str | None = None
    name: Short | None = None
    # Empty, as clients have them in replies that they send back.
    annotations: Annotated[list[Object], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None
    parsed: Any = None
    """As OpenAI's client reads the text; not passed on."""


class Tool(_Strict):
    """What a tool returned."""

    role: Literal["tool"]
    content: Content
    tool_call_id: Short


Turn = Annotated[Instruction | User | Assistant | Tool, Field(discriminator="role")]


class StreamOptions(_Strict):
    """Of a stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Extension(_Strict):
    """What OpenAI's API has no words for: the object "rlfocal" in the body."""

    choices: Annotated[list[str], Field(min_length=2, max_length=26)] | None = None
    """Options of a multiple choice question; the reply is the text of one of them."""
    task: Short = ""
    """As the training data call it."""
    answers: Literal["number", "math", "date", "text", "open"] | None = None
    """What an open question is answered with; null for what the checkpoint was trained on."""
    max_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """No call is made that could bring the cost over it."""
    deadline_ms: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    """For the whole request."""
    explain: bool = False
    """Whether the reply holds the trace."""


class ChatBody(_Strict):
    """The body of POST /v1/chat/completions."""

    model: Short
    messages: Annotated[Some[Turn], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Short | Annotated[list[Short], Field(max_length=4)] | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    tools: Some[Object] | None = None
    tool_choice: Short | Object | None = None
    parallel_tool_calls: bool | None = None
    response_format: Object | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Object | None = None
    modalities: Some[Literal["text"]] | None = None
    reasoning_effort: Short | None = None
    verbosity: Short | None = None
    service_tier: Short | None = None
    store: bool | None = None
    metadata: Object | None = None
    user: Short | None = None
    safety_identifier: Short | None = None
    prompt_cache_key: Short | None = None
    rlfocal: Extension | None = None


SAMPLING = ("temperature", "top_p", "seed", "stop")
"""Taken over for a member that is asked by its name; members of an ensemble are asked as they were
in training."""
IGNORED = (
    "presence_penalty", "frequency_penalty", "logit_bias", "reasoning_effort", "verbosity",
    "service_tier", "store", "metadata", "user", "safety_identifier", "prompt_cache_key",
)  # fmt: skip
"""Read for clients' sake, and of no effect."""

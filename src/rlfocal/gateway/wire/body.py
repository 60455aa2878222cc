"""The shape of a chat completion's body: what OpenAI's clients send, and our own extension.

Fields that are not named here are sorted by `rlfocal.gateway.wire.fields`; in our own extension
they are mistakes. What we do not read (tools' schemas, formats) is passed on as data to servers
that the pool file names.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Tag

from rlfocal.gateway.effects.rules import ClientRule
from rlfocal.gateway.wire.turns import Id, Lenient, Named, Object, Short, Some, Text, Turn, kinds

__all__ = [
    "NO_PLACE",
    "OPTIONAL",
    "SAMPLING",
    "ChatBody",
    "Extension",
]

MOST_STOPS, _LONGEST_STOP = 256, 4096
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(?:\.0{1,18})?", re.ASCII)
_REAL = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})", re.ASCII)


def _whole(value: Any) -> Any:
    """A whole number, also where it is written as another kind of number or in a text."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.partition(".")[0])
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _real(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _REAL.fullmatch(value) else value


def _at_most(value: Any) -> Any:
    """Of tokens: -1 is how some clients write that they name no bound."""
    value = _whole(value)
    return None if type(value) is int and value == -1 else value


def _stops(value: Any) -> Any:
    """Without what ends nothing."""
    return [one for one in value if one not in (None, "")] if isinstance(value, list) else value


Count = Annotated[int | None, BeforeValidator(_whole)]
Real = Annotated[float | None, BeforeValidator(_real)]
Stop = Annotated[str, Field(max_length=_LONGEST_STOP)]


Tokens = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_at_most)]


class StreamOptions(Lenient):
    """Options of a stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Extension(BaseModel):
    """What OpenAI's API has no words for: the object "rlfocal" in the body."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    choices: Annotated[list[str], Field(min_length=2, max_length=26)] | None = None
    """Options of a multiple choice question; the reply is the text of one of them."""
    task: Short = ""
    """As the training data call it."""
    answers: Literal["number", "math", "date", "text", "open"] | None = None
    """What an open question is answered with; null for what the checkpoint was trained on."""
    max_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """No call is made that could bring the cost over it."""
    deadline_ms: Annotated[Count, Field(ge=1, lt=2**31)] = None
    """For the whole request."""
    explain: bool = False
    """Whether the reply holds the trace."""
    tools: dict[Short, ClientRule] | None = None
    """Name of an offered tool → whether its calls change something, how sure members have to be of
    one, and what the reply is where they are not."""


class ChatBody(Lenient):
    """The body of POST /v1/chat/completions."""

    model: Short
    messages: Annotated[Some[Turn], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens = None
    max_completion_tokens: Tokens = None
    temperature: Annotated[Real, Field(ge=0, le=2)] = None
    top_p: Annotated[Real, Field(ge=0, le=1)] = None
    seed: Annotated[Count, Field(ge=-(2**63), lt=2**63)] = None
    stop: Annotated[
        Annotated[
            Annotated[Stop, Tag("<text>")]
            | Annotated[list[Stop], Field(max_length=MOST_STOPS, fail_fast=True), Tag("<list>")],
            kinds("should be a text or a list of texts"),
        ]
        | None,
        BeforeValidator(_stops),
    ] = None
    n: Annotated[Count, Field(ge=1)] = None
    """Replies; more than one of a member that is asked by its name only."""
    logprobs: bool | None = None
    top_logprobs: Annotated[Count, Field(ge=0)] = None
    tools: Some[Object] | None = None
    tool_choice: Annotated[Text | Named, kinds("should be a text or an object")] | None = None
    parallel_tool_calls: bool | None = None
    response_format: Object | None = None
    modalities: Some[Literal["text"]] | None = None
    presence_penalty: Real = None
    frequency_penalty: Real = None
    logit_bias: Object | None = None
    reasoning_effort: Short | None = None
    verbosity: Short | None = None
    prediction: Object | None = None
    web_search_options: Object | None = None
    service_tier: Short | None = None
    store: bool | None = None
    metadata: Object | None = None
    user: Id | None = None
    safety_identifier: Id | None = None
    prompt_cache_key: Id | None = None
    """Of an ensemble's client: its session, in which the same members are asked first."""
    prompt_cache_retention: Short | None = None
    audio: Object | None = None
    rlfocal: Extension | None = None


SAMPLING = ("temperature", "top_p", "seed", "stop")
"""Taken over for a member that is asked by its name; members of an ensemble are asked as they were
in training."""
OPTIONAL = (
    "presence_penalty", "frequency_penalty", "logit_bias", "reasoning_effort", "verbosity",
    "prediction", "web_search_options", "service_tier", "store", "metadata", "user",
    "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
)  # fmt: skip
"""Passed on to a member that is asked by its name, and of no effect on an ensemble; but that
`prompt_cache_key` names a session there."""
NO_PLACE = ("logprobs", "top_logprobs", "audio")
"""Of no effect: replies have no place for it."""

"""Kinds of endpoints that a pool file may name: a server, files run in this process, a library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rlfocal.pool.servers import Count, OpenAISettings, Positive, Served
from rlfocal.pool.types import Api

__all__ = ["KINDS", "BlendSettings", "EndpointSettings", "LiteLlmSettings", "LlamaCppSettings"]


class LlamaCppSettings(Served):
    """A GGUF file, run in this process by llama.cpp."""

    kind: Literal["llama-cpp"]
    path: Path = Field(description="the GGUF file")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What the file must hash to; null to take it as it is."""
    api: Api = "chat"
    n_threads: Count = 1
    n_context: Count = 2048
    """Tokens of prompt and response together."""
    concurrency: Count = 1


class LiteLlmSettings(Served):
    """Whatever the litellm library reaches; it finds keys by its own environment variables."""

    kind: Literal["litellm"]


Method = Literal["equal", "confidence", "policy", "spans", "values"]


class BlendSettings(Served):
    """Several GGUF files that write one reply together, run in this process by llama.cpp."""

    kind: Literal["blend"]
    parts: tuple[str, ...] = Field(description="names of llama-cpp endpoints, two or more")
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | Method = "equal"
    """One for each; or how what comes next is decided: all alike, each by how sure it is, by a
    trained policy; the span that the others find likeliest; the token that leads to most."""
    policy: Path | None = None
    """The file that `rlfocal blend train` wrote; for weights = "policy"."""
    span: Count | None = None
    """Tokens for which weights hold, or that are written at once; null for 8 of "spans" and 1
    elsewhere; a policy has its own."""
    sharpness: Positive = 1.0
    """Of "confidence": how much more the surer is heard."""
    reward: str | None = None
    """Of "values": "module:function" of a prompt and a reply, or "verify:ENDPOINT", a llama-cpp
    endpoint that says how likely the reply is right."""
    candidates: Count = 1
    """Of "values": tokens of each model that are tried."""
    horizon: Annotated[int, Field(ge=0, le=4096, strict=True)] = 16
    """Of "values": tokens that a trial goes on for at most."""
    kl: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Of "values": what a nat costs by which a span is likelier to its model than to the first."""
    concurrency: Literal[1] = 1
    """Each model keeps one text in its cache."""
    files: Mapping[str, LlamaCppSettings] = Field(default={}, exclude=True, repr=False)
    """The endpoints that `parts` and `reward` name; filled in where a pool file is read."""

    @field_validator("parts")
    @classmethod
    def _several(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) < 2:
            raise ValueError("a blend is of two llama-cpp endpoints or more")
        if twice := [name for name in value if value.count(name) > 1]:
            raise ValueError(f"'{twice[0]}' stands there twice; leave one out")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> BlendSettings:
        if isinstance(self.weights, tuple):
            if len(self.weights) != len(self.parts):
                raise ValueError(f"{len(self.weights)} weights of {len(self.parts)} endpoints")
            if not sum(self.weights):
                raise ValueError("weights are all 0; raise one")
        needed = {"policy": "policy", "values": "reward"}
        for weights, name in needed.items():
            if (getattr(self, name) is not None) != (self.weights == weights):
                raise ValueError(f'weights = "{weights}" and {name} = "..." belong together')
        if self.weights == "policy" and self.span is not None:
            raise ValueError("a policy has its span from training; leave span out")
        return self

    @model_validator(mode="after")
    def _nothing_idle(self) -> BlendSettings:
        only = {
            "sharpness": "confidence", "candidates": "values", "horizon": "values", "kl": "values",
        }  # fmt: skip
        for name, weights in only.items():
            if name in self.model_fields_set and self.weights != weights:
                raise ValueError(f'{name} is of weights = "{weights}"; leave it out')
        if self.reward is not None and self.reward.startswith("verify:") and not self.verifier:
            raise ValueError('reward = "verify:" lacks the name of an endpoint')
        if given := [name for name in ("drop", "extra_body") if getattr(self, name)]:
            raise ValueError(f"{given[0]} is of servers; leave it out")
        return self

    @property
    def verifier(self) -> str | None:
        """The endpoint that judges replies; None for none."""
        name = (self.reward or "").removeprefix("verify:")
        return name if name != (self.reward or "") else None


EndpointSettings = OpenAISettings | LlamaCppSettings | LiteLlmSettings | BlendSettings
KINDS: Mapping[str, type[EndpointSettings]] = {
    "openai": OpenAISettings, "llama-cpp": LlamaCppSettings, "litellm": LiteLlmSettings,
    "blend": BlendSettings,
}  # fmt: skip

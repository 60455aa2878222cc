"""Kinds of endpoints that a pool file may name: a server, a file run in this process, a library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from rlfocal.pool.servers import Count, OpenAISettings, Served
from rlfocal.pool.types import Api

__all__ = ["KINDS", "EndpointSettings", "LiteLlmSettings", "LlamaCppSettings"]


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


EndpointSettings = OpenAISettings | LlamaCppSettings | LiteLlmSettings
KINDS: Mapping[str, type[EndpointSettings]] = {
    "openai": OpenAISettings, "llama-cpp": LlamaCppSettings, "litellm": LiteLlmSettings,
}  # fmt: skip

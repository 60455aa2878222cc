"""What is traced, and where to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlfocal.settings import Settings

__all__ = ["TracingSettings"]


class TracingSettings(Settings):
    """The table `[tracing]` of the limits; it needs the extra `otel`."""

    ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of requests that are traced, where the client's `traceparent` does not say; 0: tracing
    is off, whatever clients send."""
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] = (
        "http://127.0.0.1:4318/v1/traces"
    )
    """Where OTLP over HTTP is taken. Headers with keys come from OTEL_EXPORTER_OTLP_HEADERS."""
    service: Annotated[str, Field(min_length=1)] = "rlfocal"
    """`service.name` of all gateways."""
    to_members: bool = True
    """Whether members' servers are told the trace, by `traceparent`."""
    prompts: bool = False
    """Whether prompts and replies stand in the traces."""

"""What a gateway allows and how long it waits; every default is safe for a team."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from rlfocal.gateway.effects.rules import HouseRule
from rlfocal.gateway.tracing.settings import TracingSettings
from rlfocal.settings import Settings, read_toml

__all__ = ["GatewaySettings", "read_settings"]

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class GatewaySettings(Settings):
    """The file that `rlfocal serve --config` names."""

    most_body_bytes: Count = 1 << 20
    """Of a request; a longer one is refused before it is parsed."""
    body_timeout_s: Positive = 20.0
    """For a request's body to arrive."""
    body_grace_s: Positive = 2.0
    """After which it must have come with at least..."""
    body_bytes_per_s: Count = 4096
    """...so many bytes a second; a reply that is taken more slowly is broken off, too."""
    most_messages: Count = 256
    most_characters: Count = 400_000
    """Of all messages together."""
    most_tokens: Count = 16_384
    """That a client may ask a reply to have."""
    most_tools: Count = 128
    most_calls: Count = 64
    """Calls that one request may lead to, repeats not counted."""
    in_flight: Count = 256
    """Requests under way at once; more are turned away. Of bodies on their way one key has an
    eighth of it, so that slow ones are in nobody's way."""
    most_connections: Count = 8192
    """Open at once, and never more than half of the descriptors that the process may have; beyond
    it, those that ask for nothing are closed, the oldest first."""
    send_timeout_s: Positive = 30.0
    """For a client to take something of what is sent."""
    most_unsent_bytes: Count = 128 << 20
    """That wait for clients to take them, all together; beyond it, those that wait longest are
    closed."""
    deadline_s: Positive = 60.0
    """Of a request that names none."""
    most_deadline_s: Positive = 600.0
    notice_s: Annotated[float, Field(ge=0)] = 0.0
    """After SIGTERM, in which requests are taken as ever, but for /readyz, which says 503: for a
    balancer to notice and to ask others."""
    drain_s: Positive = 60.0
    """Then, for what is under way to end; what has not by then is broken off."""
    keep_alive_s: Positive = 5.0
    """A stream that has nothing to say yet sends a comment this often."""
    remember: Count = 200
    """Judged answers that the statistics of members are taken of."""
    least_remembered: Count = 20
    """With fewer of them the statistics are those of training."""
    poll_s: Positive = 1.0
    """How often feedback, keys and policies of other processes are looked for."""
    circuit_failures: Count = 5
    """In a row, after which a member is left alone..."""
    circuit_cool_down_s: Positive = 30.0
    """...for so long."""
    circuit_fair_s: Positive = 5.0
    """A call that was given less time than this may time out without being counted."""
    sessions: Annotated[int, Field(ge=0)] = 8192
    """Of clients (`prompt_cache_key`), of which each process remembers who was asked first; one API
    key has at most an eighth of them; 0 for none."""
    session_s: Positive = 3600.0
    """After its last request, until a session is forgotten."""
    keep_requests: Count = 100_000
    """Rows of the log of requests; older ones are deleted."""
    keep_prompts: bool = False
    """Whether prompts are stored with the log of requests."""
    keep_decisions: bool = False
    """Whether what the policy saw at each decision is stored, hashed words of the prompt among it:
    then the dashboard can play requests through at other prices."""
    explore: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of requests on which the policy tries what it thinks is second best, to learn; it
    keeps decisions, too."""
    synthesiser: str | None = None
    """A member that makes one reply out of several to open questions."""
    tracing: TracingSettings = TracingSettings()
    """Traces for OpenTelemetry: `ratio`, `endpoint`, `service`, `to_members`, `prompts`."""
    tools: dict[str, HouseRule] = Field(default_factory=dict)
    """Pattern of tools' names (`send_*`) → what their calls may do, and how sure members have to be
    of them: `effect`, `least_confidence`, `below`. The first that fits counts."""


def read_settings(path: Path | None) -> GatewaySettings:
    """Read the file; None for the defaults.

    Raises:
        ConfigError: it cannot be read, a key is unknown, or a value out of range.
    """
    return GatewaySettings.of(read_toml(path) if path else {}, source=str(path))

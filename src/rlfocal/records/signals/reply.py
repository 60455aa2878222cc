"""One reply as signals read it: nothing here depends on a label, or on whom nobody has asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rlfocal.tokens import TokenLogprobs

__all__ = ["SeenReply", "TokenLogprobs"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeenReply:
    """A reply and the question that it answers."""

    text: str | None
    """As it came; None where only the answer was recorded."""
    prompt: str = ""
    choices: tuple[str, ...] = ()
    answer: str | None = None
    """As it was extracted, in canonical form; None where it holds none of use."""
    kind: str = ""
    """How answers are compared: "choice", "number", ...; empty where unknown."""
    finish: str | None = None
    """"stop", "length" or "tool_calls"; None where unknown."""
    n_chars: int | None = None
    """Length of the text, which may be known where the text is not."""
    n_completion_tokens: int | None = None
    latency_s: float | None = None
    tokens: TokenLogprobs | None = None
    read: tuple[str | None, ...] | None = None
    """Of a reader: answers of those whose replies it was shown, its own first one left out; None
    for a member that reads nobody."""
    own: str | None = None
    """Of a reader: its own first answer; None where there is none."""
    given: Mapping[str, float] = field(default_factory=dict)
    """The user's own signals, by name, without the prefix `signal_`."""

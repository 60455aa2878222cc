"""Progress messages of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """One message of a run in progress."""

    phase: str
    """The part in training: "fusion", "decider", or "rivals" that may act in their place."""
    step: int
    """Steps made."""
    total: int
    """Steps at most; training may stop earlier."""
    figures: dict[str, float] = field(default_factory=dict)
    """Figures of this step, by name."""

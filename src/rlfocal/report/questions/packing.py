"""Questions packed into the page: short enough to be mailed, and unpacked where they are looked at.

An index holds what filters need; prompts and answers lie in blocks beside it, each unpacked when
one of its questions is shown. Everything is JSON, compressed and in base64. Where all of it would
be too much, long texts are shortened in the middle, by a rule that the page states.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rlfocal.markup import Html
from rlfocal.report.questions.facts import Facts

__all__ = ["BLOCK", "Limits", "Packed", "pack", "shortened"]

BLOCK = 500
"""Questions of a block."""
MAX_BYTES = 8_000_000
"""What all questions together may take in the page."""
_SAMPLE = 5
"""Blocks that tell how much all would take."""


class Limits(NamedTuple):
    """Characters of a text that are kept; longer ones keep their beginning and their end."""

    prompt: int
    reply: int


LADDER = (
    Limits(8000, 4000), Limits(8000, 2000), Limits(4000, 1000), Limits(4000, 500),
    Limits(2000, 250), Limits(1000, 120), Limits(400, 60),
)  # fmt: skip
"""From the most to the least that is kept; the first one that fits is taken."""


@dataclass(frozen=True)
class Packed:
    """What the page carries."""

    limits: Limits
    blocks: Mapping[str, str]
    """Name → base64 of compressed JSON: "index", "asked-0", "said-0", "asked-1", ..."""

    @property
    def n_bytes(self) -> int:
        """What they take in the page."""
        return sum(map(len, self.blocks.values()))

    def scripts(self) -> Html:
        """The blocks as elements that browsers keep and never run."""
        return Html(
            "\n".join(
                f'<script type="text/plain" id="questions-{name}">{text}</script>'
                for name, text in self.blocks.items()
            )
        )


def pack(facts: Facts, about: Mapping[str, Any], *, max_bytes: int = MAX_BYTES) -> Packed:
    """Pack questions, with as much of long texts as there is room for.

    Args:
        facts: all there is to show.
        about: what the viewer has to know besides: names of members, tasks, ...
        max_bytes: what all blocks may take; exceeded where even the shortest texts need more.
    """
    n_blocks = -(-len(facts) // BLOCK)
    step = max(1, n_blocks // _SAMPLE)
    limits, made = LADDER[-1], dict[int, dict[str, str]]()
    for limits in LADDER:
        made = {i: _block(facts, i, limits) for i in range(0, n_blocks, step)}
        taken = sum(len(text) for block in made.values() for text in block.values())
        if taken * n_blocks <= max_bytes * len(made):
            break
    index = {
        **about,
        "block": BLOCK,
        "limits": limits._asdict(),
        "runs": [{"strategy": run.strategy, "seed": run.seed} for run in facts.runs],
        "index": facts.index,
        "score": facts.score,
    }
    blocks = {"index": _packed(index)}
    for i in range(n_blocks):
        blocks |= made.get(i) or _block(facts, i, limits)
    return Packed(limits, blocks)


def _block(facts: Facts, i: int, limits: Limits) -> dict[str, str]:
    part = slice(i * BLOCK, (i + 1) * BLOCK)
    asked = {name: values[part] for name, values in facts.asked.items()}
    asked["prompt"] = [shortened(text, limits.prompt) for text in asked["prompt"]]
    said: dict[str, Any] = {name: values[part] for name, values in facts.said.items()}
    if "reply" in said:
        said["reply"] = [_replies(texts, limits.reply) for texts in said["reply"]]
    said["runs"] = [
        {name: values[part] for name, values in run.columns.items()} for run in facts.runs
    ]
    return {f"asked-{i}": _packed(asked), f"said-{i}": _packed(said)}


def _replies(texts: Sequence[str | None], limit: int) -> list[str | None]:
    return [None if text is None else shortened(text, limit) for text in texts]


def shortened(text: str, limit: int) -> str:
    r"""A text, or its first and last characters, with a line that tells how many are left out.

    >>> shortened("one two three", 6)
    'one\n[... 7 characters left out ...]\nree'
    """
    if len(text) <= limit:
        return text
    tail = limit // 2
    head = limit - tail
    gone = f"[... {len(text) - limit:,} characters left out ...]"
    return f"{text[:head]}\n{gone}\n{text[-tail:]}"


def _packed(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")

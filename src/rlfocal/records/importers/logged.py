"""What an importer makes of a tool's files: one `Record` for each reply, in the tool's own words.

Nothing is joined, extracted or compared here; `assembling` does that, in the same way for every
tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.tokens import TokenLogprobs

__all__ = ["Logged", "Record", "Told", "option_name"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What is known of a reply beside its text; None where it is not."""

    finish: str | None = None
    """"stop", "length" or "tool_calls"."""
    n_prompt_tokens: int | None = None
    n_completion_tokens: int | None = None
    tokens: TokenLogprobs | None = None
    signals: Mapping[str, float] = field(default_factory=dict)
    """The user's own, by the name of their column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One member's reply to one document, once.

    Several records of one member and document are its repeats (epochs, samples), in the order in
    which they come, where `repeat` tells them apart; without it, the document stands in the data
    more than once, and its k-th record belongs to the k-th of them.
    """

    member: str
    task: str
    document: str
    """What the records of one query have in common across members: a digest of the document's own
    content (question, options whatever their order, target) rather than a number in a file."""
    name: str = ""
    """How the tool calls the document, such as its number; the query is called `<task>/<name>`."""
    place: str = ""
    """File and line, for messages and notes."""
    split: str | None = None
    """Part of the data that the document belongs to, by the source's own name, such as "test"."""
    prompt: str = ""
    """The question as routers may see it: never with its answer."""
    choices: tuple[str, ...] | None = None
    """Option texts in the order of this record; None for an open question."""
    labels: tuple[str, ...] = ()
    """Accepted answers: an option's letter in the order of `choices`, or texts."""
    answer: str | None = None
    """What the tool itself extracted: a letter or a text. None: it extracted nothing, or never
    does; then the answer is looked for in `text`. Never written from the score."""
    unusable: bool = False
    """The tool looked for an answer and found none: there is none, whatever `text` holds."""
    text: str | None = None
    """The full reply."""
    samples: tuple[str | None, ...] | None = None
    """Answers (or replies, where `answer` is None) of all repeats that one record holds."""
    score: float | None = None
    """In [0, 1], as the tool judged; None where it did not."""
    by_score: bool = False
    """What the score judges cannot be found again by comparing an answer with a label (a graded
    metric, tests that were run): the reply is a text judged by its score."""
    choice_scores: tuple[float, ...] | None = None
    """One per option, in the order of `choices`."""
    repeat: int | None = None
    """Which repeat (epoch, sample) this is, where the tool says so."""
    cost_usd: float | None = None
    latency_s: float | None = None
    truncated: bool = False
    """The reply was cut off at the limit of tokens."""
    told: Told = Told()


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What was read."""

    records: Iterable[Record]
    """In the order of the files."""
    source: str
    """What wrote them, for the description: "sample logs of lm-evaluation-harness"."""
    notes: list[str] = field(default_factory=list)
    """What was left out or chosen, a line each; filled while `records` are read."""
    choice_scores_scale: str | None = None


def option_name(position: int, options: Sequence[str]) -> str:
    """An option's letter; its text where there are too many for letters."""
    return options[position] if len(options) > len(OPTION_LETTERS) else OPTION_LETTERS[position]

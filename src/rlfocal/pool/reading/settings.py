"""What a pool file says of a member that reads others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rlfocal.errors import nearest
from rlfocal.pool.asking.templates import places
from rlfocal.readers import CRITICISING, JUDGING, REFINING
from rlfocal.settings import Settings

__all__ = ["ABOUT", "LEAST_READ", "WORDING", "Form", "Reading"]

Form = Literal["aggregate", "debate", "judge", "pairwise", "verify", "criticise", "refine"]
"""What a reader does with the replies: writes a better one out of them; answers again after them;
names the best of them, of all at once or in pairs; says whether one is right; names its mistakes;
repairs the first by what the others say of it."""
ABOUT = JUDGING | {CRITICISING}
"""Forms whose reply speaks of those read: what asks for an answer is left out of their prompts."""
WORDING = 1
"""Of the words in which replies are shown; a part of the identity of who reads them. To be raised
with every change of `wording`, so that replies to other words are not taken for the same."""
LEAST_READ = 16
"""Tokens of a reply: of fewer nothing could be understood."""
_PLACES = {"question", "replies", "mark"}


class Reading(Settings):
    """Whom a member reads before it replies, and what for; nobody unless it is said."""

    reads: tuple[str, ...] = ()
    """Names of members whose replies stand in its prompt."""
    first: Annotated[bool, Field(strict=True)] | str = False
    """Its own answer beforehand: true for a member NAME-first that is asked as this one is and
    reads nobody; or the name of a member whose reply it is. It is shown as its own."""
    reading: Form = "aggregate"
    """What it does with the replies."""
    read_template: str | None = None
    """Words of one's own in place of those of `reading`: {question}, {replies}, and {mark} for the
    line between two of them."""
    read_tokens: Annotated[int, Field(ge=LEAST_READ, strict=True)] = 400
    """Most tokens shown of one reply, at four characters a token; of longer ones the beginning and
    the end."""

    @property
    def own(self) -> str | None:
        """The member whose reply is shown as its own; None for none."""
        return self.first if isinstance(self.first, str) else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """All members that it reads, its own first reply's included."""
        return self.reads if self.own is None else (*self.reads, self.own)

    @property
    def n_orders(self) -> int:
        """How often it has to be asked until each order of replies has had its turn.

        Both orders of all replies, or of each pair; once where there is no order, or it is meant.
        """
        n_read = len(self.reads)
        if self.reading == "pairwise":
            return n_read * (n_read - 1)
        return 1 if n_read < 2 or self.reading == REFINING else 2

    def of_reading(self) -> dict[str, Any]:
        """What of it a reply depends on, for a member's identity; empty for one that reads nobody.

        The order of names does not count: that in which replies are shown is drawn.
        """
        if not self.reads:
            return {}
        ordered = list(self.reads) if self.reading == REFINING else sorted(self.reads)
        found: dict[str, Any] = {"reads": ordered, "reading": self.reading}
        found |= {"read_tokens": self.read_tokens, "wording": WORDING}
        if self.own is not None:
            found["first"] = self.own
        if self.read_template is not None:
            found["read_template"] = self.read_template
        return found

    @field_validator("read_template")
    @classmethod
    def _holds_replies(cls, value: str | None) -> str | None:
        for name in places(value or ""):
            if name not in _PLACES:
                raise ValueError(f"unknown placeholder {{{name}}}; {nearest(name, _PLACES)}")
        for name in () if value is None else ("question", "replies"):
            if name not in places(value or ""):
                raise ValueError(f"{{{name}}} is missing: the model would not see it")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> Reading:
        alone: Mapping[str, bool] = {
            "first": bool(self.first), "read_template": self.read_template is not None,
        }  # fmt: skip
        for name, said in alone.items():
            if said and not self.reads:
                raise ValueError(f"'{name}' is of a member that reads others; add reads = [...]")
        if len(set(self.reads)) < len(self.reads):
            twice = next(name for name in self.reads if self.reads.count(name) > 1)
            raise ValueError(f"reads: '{twice}' stands there twice; leave one out")
        if self.own in self.reads:
            raise ValueError(f"first = '{self.own}' stands in reads, too; leave it out there")
        if self.reading == "verify" and len(self.reads) > 1:
            raise ValueError(
                'reading = "verify" says whether one reply is right: name one member in reads, or '
                'say "judge"'
            )
        if self.reading in ("judge", "pairwise") and len(self.reads) == 1:
            raise ValueError(
                f'reading = "{self.reading}" chooses between replies: name two or more in reads, '
                'or say "verify"'
            )
        return self

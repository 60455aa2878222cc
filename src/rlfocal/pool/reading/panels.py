"""`[[panels]]` of a pool file: common shapes of members that read others, in three lines.

A panel is short for ordinary members, and nothing else: its members could have been written out,
and are recorded, priced and asked like all others. The last one bears the panel's name. Knows who
reads whom; what a member is asked like, it takes from the members that the panel names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.settings import ABOUT, Form, Reading
from rlfocal.pool.servers import Count
from rlfocal.readers import JUDGING
from rlfocal.settings import Settings

__all__ = ["PANELS", "with_panels"]

_JUDGE_TOKENS = 32
"""Of a judge's reply: it is to say a number, or right or wrong."""
_FOR_ANSWERS = {"template", "choice_template", "shots", "answers", "n_logprobs", "score_tokens"}
"""Settings that ask for an answer, which whoever speaks of others' answers is not to give."""
_OWN = {"name", "samples", *Reading.model_fields}
"""Settings that a member of a panel does not take from the member whose model it has."""
_AtLeastTwo = Annotated[int, Field(ge=2, strict=True)]
_Names = Annotated[tuple[str, ...], Field(min_length=2)]


class _Made(NamedTuple):
    """A member that a panel makes."""

    base: str
    """The member whose model and settings it has."""
    name: str
    reads: tuple[str, ...]
    reading: Form
    own: str | None = None
    """The member whose reply it is shown as its own, wherever it asks for that."""


class _Panel(Settings):
    """What all kinds of panels may say."""

    kind: str
    name: Annotated[str, Field(pattern=r"^(\S(.*\S)?)?$")] = ""
    """Of its last member, and what its other members' names begin with; empty for its kind."""
    first: Annotated[bool, Field(strict=True)] = False
    """Whether each is shown its own earlier reply, too: as who has not read these yet."""
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | None = None
    samples: Count | None = None
    read_tokens: int | None = None
    read_template: str | None = None
    """All five as of a member; null for what the members named say, and for one sample."""

    one_form: ClassVar[bool] = True
    """Whether all its members do the same with what they read."""

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or self.kind

    @property
    def named(self) -> Sequence[tuple[str, str]]:
        """Key and name of each member that it speaks of."""
        raise NotImplementedError

    def made(self) -> Iterator[_Made]:
        """Its members, those first whom others read."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _is_one_form(self) -> _Panel:
        if self.read_template is not None and not self.one_form:
            raise ValueError(
                "'read_template': its members do different things with what they read; write them "
                "as [[members]] with reads instead"
            )
        return self


class _Moa(_Panel):
    """Mixture of agents: layers of members that read the layer before, and one that sums up."""

    kind: Literal["moa"]
    members: _Names = Field(description='name the members of a layer: members = ["...", "..."]')
    layers: _AtLeastTwo = 2
    """The first are the members as they are, the last is the aggregator."""
    aggregator: str = Field(description="name the member that reads the last layer")

    @property
    def named(self) -> Sequence[tuple[str, str]]:
        return [*(("members", name) for name in self.members), ("aggregator", self.aggregator)]

    def made(self) -> Iterator[_Made]:
        before = {name: name for name in self.members}
        for layer in range(2, self.layers):
            now = {base: f"{self.called}-{layer}-{base}" for base in self.members}
            for base, name in now.items():
                yield _Made(
                    base=base, name=name, reads=tuple(before.values()), reading="aggregate",
                    own=before[base],
                )  # fmt: skip
            before = now
        own = before.get(self.aggregator, self.aggregator)
        yield _Made(
            base=self.aggregator, name=self.called, reads=tuple(before.values()),
            reading="aggregate", own=own,
        )  # fmt: skip


class _Debate(_Panel):
    """Members that answer again after they have read what the others answered."""

    kind: Literal["debate"]
    first: Annotated[bool, Field(strict=True)] = True
    members: _Names = Field(description='name those who debate: members = ["...", "..."]')
    turns: _AtLeastTwo = 2
    """The first are the members as they are."""

    @property
    def named(self) -> Sequence[tuple[str, str]]:
        return [("members", name) for name in self.members]

    def made(self) -> Iterator[_Made]:
        before = {name: name for name in self.members}
        for turn in range(2, self.turns + 1):
            now = {base: f"{self.called}-{turn}-{base}" for base in self.members}
            for base, name in now.items():
                others = tuple(before[other] for other in self.members if other != base)
                yield _Made(
                    base=base, name=name, reads=others, reading="debate", own=before[base]
                )  # fmt: skip
            before = now


class _Judge(_Panel):
    """One whose model judges what others replied."""

    kind: Literal["judge"]
    judge: str = Field(description="name the member whose model judges")
    reads: tuple[str, ...] = Field(description='name those it judges: reads = ["...", "..."]')
    form: Literal["judge", "pairwise", "verify"] = "judge"

    @property
    def named(self) -> Sequence[tuple[str, str]]:
        return [("judge", self.judge), *(("reads", name) for name in self.reads)]

    def made(self) -> Iterator[_Made]:
        yield _Made(
            base=self.judge, name=self.called, reads=self.reads, reading=self.form, own=self.judge
        )


class _Refine(_Panel):
    """One replies, another names the mistakes, a third repairs them; all may be one."""

    kind: Literal["refine"]
    generator: str = Field(description="name the member whose reply is refined")
    verifier: str = ""
    """Empty for the generator."""
    refiner: str = ""
    """Empty for the generator."""

    one_form: ClassVar[bool] = False

    @property
    def named(self) -> Sequence[tuple[str, str]]:
        found = [("generator", self.generator), ("verifier", self.verifier)]
        return [(key, name) for key, name in (*found, ("refiner", self.refiner)) if name]

    def made(self) -> Iterator[_Made]:
        remarks = f"{self.called}-remarks"
        verifier, refiner = self.verifier or self.generator, self.refiner or self.generator
        # What the generator reads as a draft is its own reply already.
        yield _Made(
            base=verifier, name=remarks, reads=(self.generator,), reading="criticise",
            own=None if verifier == self.generator else verifier,
        )  # fmt: skip
        yield _Made(
            base=refiner, name=self.called, reads=(self.generator, remarks), reading="refine",
            own=None if refiner == self.generator else refiner,
        )  # fmt: skip


PANELS: Mapping[str, type[_Panel]] = {
    "moa": _Moa, "debate": _Debate, "judge": _Judge, "refine": _Refine,
}  # fmt: skip


def with_panels(
    members: Sequence[MemberSettings], panels: Sequence[Mapping[str, Any]], *, where: str
) -> tuple[MemberSettings, ...]:
    """The members of a pool, behind them those of its panels.

    Args:
        members: as the pool file has them.
        panels: tables under [[panels]]; one may name members that an earlier one makes.
        where: how messages call the file.

    Raises:
        ConfigError: a key, a kind, a member is unknown, a value is out of range, or a name is
            taken.
    """
    found = {member.name: member for member in members}
    owners = dict.fromkeys(found, "a member")
    for number, values in enumerate(panels, start=1):
        called = f"panel {number} ({values.get('name') or values.get('kind') or 'no kind'})"
        at = f"{where}: {called}"
        panel = _panel(values, at)
        for key, name in panel.named:
            if panel.named.count((key, name)) > 1:
                raise ConfigError(f"{at}: {key}: '{name}' stands there twice; leave one out")
            if name not in found:
                raise ConfigError(
                    f"{at}: {key}: '{name}' is no member of the pool; {nearest(name, found)}"
                )
        for made in panel.made():
            if made.name in found:
                raise ConfigError(
                    f"{at}: it makes a member '{made.name}', and {owners[made.name]} is called "
                    "so, too; give the panel a name of its own: name = ..."
                )
            found[made.name] = _member(panel, made, found[made.base], at)
            owners[made.name] = f"one of {called}"
    return tuple(found.values())


def _panel(values: Mapping[str, Any], at: str) -> _Panel:
    kind = values.get("kind")
    if kind is None:
        raise ConfigError(f"{at}: 'kind' is missing; say one of {', '.join(PANELS)}")
    if not isinstance(kind, str) or kind not in PANELS:
        raise ConfigError(f"{at}: kind = {kind!r}: {nearest(str(kind), PANELS)}")
    return PANELS[kind].of(values, source=at)


def _member(panel: _Panel, made: _Made, base: MemberSettings, at: str) -> MemberSettings:
    """The base's settings, over them what the shape wants, over them what the panel says."""
    left_out = _OWN | (_FOR_ANSWERS if made.reading in ABOUT else set())
    values = {n: getattr(base, n) for n in base.model_fields_set if n not in left_out}
    values |= {"name": made.name, "reads": made.reads, "reading": made.reading}
    if made.reading in JUDGING:
        values["max_tokens"] = _JUDGE_TOKENS
    if panel.first and made.own is not None:
        values["first"] = made.own
        values["reads"] = tuple(name for name in made.reads if name != made.own)
    for name in ("max_tokens", "temperature", "samples", "read_tokens", "read_template"):
        if (said := getattr(panel, name)) is not None:
            values[name] = said
    found = MemberSettings.of(values, source=f"{at}: its member '{made.name}'")
    if made.reading in JUDGING and panel.samples is None:
        return found.model_copy(update={"samples": found.n_orders})
    return found

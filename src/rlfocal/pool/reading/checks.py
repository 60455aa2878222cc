"""Who reads whom in a pool file: whether all are there and fit, and members that readers bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.endpoints import EndpointSettings, LlamaCppSettings
from rlfocal.pool.reading.settings import LEAST_READ, Reading
from rlfocal.readers import JUDGING, ReaderInfo, circle

if TYPE_CHECKING:
    from rlfocal.pool.member import MemberSettings

__all__ = ["check_reads", "check_room", "readers_of", "with_first"]

_WORDS = 100
"""Tokens, about, of what stands around the replies."""


def readers_of(members: Sequence[MemberSettings]) -> dict[str, ReaderInfo]:
    """Of members of a pool file, those that read others, by name."""
    return {
        member.name: ReaderInfo(reads=list(member.reads), first=member.own, reading=member.reading)
        for member in members
        if member.reads
    }


def with_first(members: Sequence[MemberSettings]) -> tuple[MemberSettings, ...]:
    """The members, before each with `first = true` one that is asked as it is and reads nobody."""
    alone = {name: field.default for name, field in Reading.model_fields.items()}
    found: list[MemberSettings] = []
    for member in members:
        if member.first is True:
            own = f"{member.name}-first"
            # A judge's samples are for the orders in which it is shown replies.
            alike = member.temperature == 0 or member.reading in JUDGING
            samples = 1 if alike else member.samples
            found.append(member.model_copy(update={**alone, "name": own, "samples": samples}))
            member = member.model_copy(update={"first": own})
        found.append(member)
    return tuple(found)


def check_reads(members: Sequence[MemberSettings], *, where: str) -> None:
    """Refuse readers of who is not there, and circles.

    Args:
        members: of a pool.
        where: how messages call the file.

    Raises:
        ConfigError: naming the member, whom it reads, and what to do.
    """
    inputs = {member.name: member.inputs for member in members}
    for name, read in inputs.items():
        for other in read:
            if read.count(other) > 1:
                raise ConfigError(
                    f"{where}: member '{name}' reads '{other}', which is its own first reply; "
                    "leave it out of reads"
                )
            if other not in inputs:
                raise ConfigError(
                    f"{where}: member '{name}' reads '{other}', which is no member; "
                    f"{nearest(other, inputs)}"
                )
    if way := circle(inputs):
        told = " reads ".join(f"'{member}'" for member in way)
        raise ConfigError(f"{where}: {told}: nobody could be asked first; take one out of reads")


def check_room(
    members: Sequence[MemberSettings], endpoints: Mapping[str, EndpointSettings], *, where: str
) -> None:
    """Refuse readers on GGUF files that could not be shown all that they read.

    Of other endpoints nobody knows what they take: there a prompt that is too long fails.

    Args:
        members: of a pool, each of whose readings is there.
        endpoints: by name.
        where: how messages call the file.

    Raises:
        ConfigError: naming the member, the sizes, and what to do.
    """
    by_name = {member.name: member for member in members}
    for member in members:
        served = endpoints[member.endpoint]
        if not member.reads or not isinstance(served, LlamaCppSettings):
            continue
        longest = sorted((by_name[name].max_tokens for name in member.reads), reverse=True)
        shown = longest[:2] if member.reading == "pairwise" else longest
        shown += [] if member.own is None else [by_name[member.own].max_tokens]
        read = sum(min(most, member.read_tokens) for most in shown)
        left = served.n_context - member.max_tokens - _WORDS
        if read > left:
            each = left // len(shown)
            remedy = f"lower read_tokens to {each}" if each >= LEAST_READ else "read fewer members"
            raise ConfigError(
                f"{where}: member '{member.name}' may be shown {read} tokens of replies, beside "
                f"max_tokens = {member.max_tokens} and about {_WORDS} of what is said about them, "
                f"and endpoint '{member.endpoint}' takes n_context = {served.n_context}; {remedy}, "
                "or raise n_context"
            )

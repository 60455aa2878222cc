"""Who reads whom in a pool file: whether all are there, and members that readers bring along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.reading.settings import Reading

if TYPE_CHECKING:
    from rlfocal.pool.member import MemberSettings

__all__ = ["check_reads", "with_first"]


def with_first(members: Sequence[MemberSettings]) -> tuple[MemberSettings, ...]:
    """The members, before each with `first = true` one that is asked as it is and reads nobody."""
    alone = {name: field.default for name, field in Reading.model_fields.items()}
    found: list[MemberSettings] = []
    for member in members:
        if member.first is True:
            own = f"{member.name}-first"
            samples = 1 if member.temperature == 0 else member.samples
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
            if other not in inputs:
                raise ConfigError(
                    f"{where}: member '{name}' reads '{other}', which is no member; "
                    f"{nearest(other, inputs)}"
                )
    for name in inputs:
        if path := _circle(name, inputs):
            told = " reads ".join(f"'{member}'" for member in path)
            raise ConfigError(
                f"{where}: {told}: nobody could be asked first; take one out of reads"
            )


def _circle(name: str, inputs: dict[str, tuple[str, ...]]) -> list[str]:
    """A way along which a member reads itself; empty where there is none."""
    ways, seen = [[name]], set[str]()
    while ways:
        way = ways.pop()
        for other in inputs[way[-1]]:
            if other == name:
                return [*way, name]
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []

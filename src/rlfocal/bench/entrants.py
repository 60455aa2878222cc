"""The strategies that are benchmarked: by name, or given as objects.

Checked before any job runs; every job then fits a fresh copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Reference, Strategy
from rlfocal.deliberation.registry import create, resolve
from rlfocal.errors import ConfigError

__all__ = ["Entrants"]


@dataclass(frozen=True)
class Entrants:
    """Names of strategies, with the objects of those that were not given by name."""

    names: tuple[str, ...] = ()
    own: Mapping[str, Base] = field(default_factory=dict)
    """Unfitted, by their names."""

    @classmethod
    def of(cls, strategies: Iterable[str | Base], *, always: Iterable[str] = ()) -> Self:
        """Resolve names, groups and objects.

        Args:
            strategies: names, groups of names, and unfitted strategies.
            always: names that are added.

        Raises:
            ConfigError: a name is unknown, an object is no strategy, two strategies have the same
                name, or there is none.
        """
        found: dict[str, Base | None] = {}
        for one in strategies:
            own = None if isinstance(one, str) else _checked(one)
            for name in resolve([one]) if isinstance(one, str) else [one.name]:
                if name in found and (own is not None or found[name] is not None):
                    raise ConfigError(f"two strategies are named '{name}'; rename one of them")
                found[name] = own
        for name in always:
            if found.setdefault(name) is not None:
                raise ConfigError(f"'{name}' is run by itself; give your own another name")
        if not found:
            resolve([])
        return cls(tuple(found), {name: own for name, own in found.items() if own is not None})

    def fresh(self, name: str) -> Base:
        """A new unfitted strategy.

        Raises:
            ConfigError: it cannot be made, or is no strategy.
        """
        given = self.own.get(name)
        return _checked(create(name)) if given is None else copy.deepcopy(given)

    def command(self, name: str, data: str | None) -> str | None:
        """The commands that train and serve a strategy; None where it has no name to give or serve.

        Args:
            name: of the strategy.
            data: the data as the command line names them; None where that is not known.
        """
        if name in self.own or not isinstance(self.fresh(name), Strategy):
            return None
        train = f"rlfocal train {data or 'DATA'} --strategy {name} -o CHECKPOINT"
        return f"{train} && rlfocal serve CHECKPOINT POOL.toml"


def _checked(found: object) -> Base:
    """Check that an object is a named strategy with all that jobs call.

    Raises:
        ConfigError: naming what it lacks.
    """
    if isinstance(found, type):
        raise ConfigError(f"{found.__name__} is a class; give an object of it: {found.__name__}()")
    kind = type(found).__name__
    if not isinstance(found, Base):
        raise ConfigError(
            f"{kind} is no strategy; derive its class from rlfocal.deliberation.base.Base, and "
            "write fit and decide"
        )
    if not found.name:
        raise ConfigError(f"{kind} has no name; set the class attribute `name`")
    lacking = [part for part in ("fit", "decide") if not hasattr(found, part)]
    if lacking and not isinstance(found, Reference):
        raise ConfigError(f"strategy '{found.name}' ({kind}) lacks {' and '.join(lacking)}")
    return found

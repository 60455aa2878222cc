"""Registries: things of one kind by name, those of other packages included.

A package adds one by an entry point of the registry's group, whose name is the thing's and whose
object is the thing:

    [project.entry-points."rlfocal.strategies"]
    my-vote = "my_package.vote:MyVote"

Knows where things are, nothing of what they are. Each is imported when it is first used. A user's
own function needs no package: a settings file names it, `module:function`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from rlfocal.errors import ConfigError, nearest
from rlfocal.extras import EXTRAS, not_installed

__all__ = ["Registry", "user_function"]


@dataclass(frozen=True)
class Registry:
    """The things of one kind.

    >>> kinds = Registry("rlfocal.examples", "example", {"half": "fractions:Fraction"})
    >>> kinds.load("half")(1, 2)
    Fraction(1, 2)
    >>> kinds.load("halve")
    Traceback (most recent call last):
    rlfocal.errors.ConfigError: unknown example 'halve'; did you mean 'half'? known: half
    """

    group: str
    """Of entry points."""
    what: str
    """What one of them is called in messages."""
    built_in: Mapping[str, str]
    """Name → "module:attribute". Another package cannot take such a name."""

    def names(self) -> tuple[str, ...]:
        """All names: the built-in ones, then those of other packages in order."""
        return (*self.built_in, *self.added())

    def added(self) -> tuple[str, ...]:
        """Names of what other packages have added."""
        found = {point.name for point in entry_points(group=self.group)}
        return tuple(sorted(found.difference(self.built_in)))

    def load(self, name: str) -> Any:
        """Import one.

        Raises:
            NotInstalled: it needs a package of an extra.
            ConfigError: there is none of that name, or it cannot be imported.
        """
        point = self._point(name)
        try:
            return point.load()
        except (ImportError, AttributeError) as exc:
            missing = (getattr(exc, "name", None) or "").partition(".")[0]
            if isinstance(exc, ModuleNotFoundError) and missing in EXTRAS:
                raise not_installed(f"{self.what} '{name}'", missing) from exc
            raise ConfigError(
                f"{self.what} '{name}' cannot be loaded from {point.value}: {exc}"
            ) from exc

    def _point(self, name: str) -> EntryPoint:
        if name in self.built_in:
            return EntryPoint(name, self.built_in[name], self.group)
        for point in entry_points(group=self.group):
            if point.name == name:
                return point
        raise ConfigError(f"unknown {self.what} '{name}'; {nearest(name, self.names())}")


def user_function(where: object, *, what: str, folder: Path | None = None) -> Callable[..., Any]:
    """A function of the user's own.

    Args:
        where: "module:function".
        what: what messages call it: the file and the field that name it.
        folder: in which the module may lie; one of that name elsewhere does not take its place.

    Raises:
        ConfigError: it is named otherwise, cannot be imported, or is no function.
    """
    module, _, name = where.partition(":") if isinstance(where, str) else ("", "", "")
    if not (module and name):
        raise ConfigError(f'{what} = {where!r}: should be "module:function"')
    added = [] if folder is None else [str(folder.resolve())]
    sys.path.extend(added)
    importlib.invalidate_caches()  # the module may just have been written
    try:
        found = getattr(_imported(module, folder), name)
    except Exception as exc:  # whatever a user's own code may raise
        raise ConfigError(
            f"{what} = {where!r}: cannot be loaded: {type(exc).__name__}: {exc}; the module should "
            "be installed, or lie beside the file that names it"
        ) from exc
    finally:
        for path in added:
            sys.path.remove(path)
    if not callable(found):
        raise ConfigError(f"{what} = {where!r}: is no function")
    function: Callable[..., Any] = found
    return function


def _imported(name: str, folder: Path | None) -> ModuleType:
    """A module: the one in the folder, under a name of its own, or else the installed one."""
    path = None if folder is None else folder.resolve() / f"{name.replace('.', '/')}.py"
    if path is None or not path.is_file():
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"{name}, {path}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its classes look themselves up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module

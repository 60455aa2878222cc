"""What figures depend on besides their inputs: a worker elsewhere must be of the same make."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import rlfocal
from rlfocal.errors import ConfigError

__all__ = ["check_make", "make"]

_SAME = ("numpy", "scipy", "scikit-learn", "torch", "pyarrow")
"""Packages whose other versions may give other figures."""


def make() -> dict[str, str]:
    """Versions of Python, rlfocal and packages in this process, by name; "none" for no such."""
    found = {"Python": ".".join(map(str, sys.version_info[:2])), "rlfocal": rlfocal.__version__}
    for package in _SAME:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def check_make(theirs: dict[str, str], where: str) -> None:
    """Refuse a worker whose figures might be others.

    Args:
        theirs: what `make` says there.
        where: the worker, as a message names it.

    Raises:
        ConfigError: a version is another.
    """
    others = [
        f"{name} {theirs.get(name, 'none')} (here {ours})"
        for name, ours in make().items()
        if theirs.get(name) != ours
    ]
    if others:
        raise ConfigError(
            f"{where} has {', '.join(others)}: its figures might be others; install the same "
            "versions there"
        )

"""Prints what the core and each extra take, in MB, as they are installed here (`make install`).

An extra counts what it brings beside the core, with all that it draws in; other extras that it
contains are counted too. Files are counted by the size of what they hold.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads(
    (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text("utf-8")
)["project"]


def closure(name: str, extras: frozenset[str], seen: dict[str, frozenset[str]]) -> None:
    """Add a distribution with its extras, and all that they need, to those seen."""
    name = canonicalize_name(name)
    if extras <= seen.get(name, frozenset()) and name in seen:
        return
    seen[name] = seen.get(name, frozenset()) | extras
    for line in _project(seen[name]) if name == "rlfocal" else distribution(name).requires or ():
        wanted = Requirement(line)
        chosen = ("", *seen[name])
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": e}) for e in chosen):
            closure(wanted.name, frozenset(wanted.extras), seen)


def _project(extras: frozenset[str]) -> list[str]:
    """What the checkout asks for now; an installation may be older."""
    chosen = (PROJECT["optional-dependencies"][extra] for extra in extras)
    return [*PROJECT["dependencies"], *chain.from_iterable(chosen)]


def megabytes(name: str) -> float:
    """Size of a distribution's own files."""
    paths = (file.locate() for file in distribution(name).files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    """Print the core, then every extra."""
    core: dict[str, frozenset[str]] = {}
    closure("rlfocal", frozenset(), core)
    print(f"{'core':10} {sum(map(megabytes, core)):6.0f} MB")
    for extra in PROJECT["optional-dependencies"]:
        more: dict[str, frozenset[str]] = {}
        try:
            closure("rlfocal", frozenset({extra}), more)
        except PackageNotFoundError as missing:
            print(f"{extra:10} {missing.name} is not installed")
            continue
        added = {name: megabytes(name) for name in more.keys() - core.keys()}
        most = sorted(added, key=added.__getitem__, reverse=True)[:3]
        print(f"{extra:10} {sum(added.values()):6.0f} MB more: {', '.join(most)}")


if __name__ == "__main__":
    main()

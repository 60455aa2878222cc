"""How much memory this process may still take: of the machine's, and of what limits a container."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["free_bytes"]

_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
"""Of a control group: the file of its limit, that of its use, and what in `memory.stat` is no use:
pages of files, which the system takes back when there is need."""


def free_bytes(root: Path = Path("/")) -> int | None:
    """The least of what is free; None where the system does not tell.

    Args:
        root: where the system's own files are.
    """
    return min([*_of_machine(root), *_of_groups(root)], default=None)


def _of_machine(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text("ascii").splitlines()
        found = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
        yield found["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return


def _of_groups(root: Path) -> Iterator[int]:
    """Of each control group that this process is in, and of those around it."""
    groups = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            homes, names = [groups, groups / "unified"], _V2
        elif "memory" in controllers.split(","):
            homes, names = [groups / "memory"], _V1
        else:
            continue
        own = PurePosixPath("/", path).relative_to("/")
        for home in homes:
            # In a container the path may be one outside of it: then its own group is the root.
            for group in (own, *own.parents):
                left = _left_of(home / group, *names)
                if left is not None:
                    yield left


def _left_of(group: Path, limit_name: str, used_name: str, files_name: str) -> int | None:
    """What a group may still take; None where it has no limit, or there is no such group."""
    try:
        limit, used = (int((group / name).read_text()) for name in (limit_name, used_name))
        lines = (group / "memory.stat").read_text().splitlines()
        pages = {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}
    except (OSError, ValueError):  # a limit of "max" is none
        return None
    return max(limit - used + pages.get(files_name, 0), 0)

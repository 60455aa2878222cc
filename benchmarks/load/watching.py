"""What processes use, as Linux tells it in /proc; a process counts with all that it started."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """Of a process and its descendants."""

    cpu_s: float
    """User and system, since they began."""
    resident_mb: float
    n_sockets: int
    n_files: int
    """Open, sockets among them."""
    n_threads: int


def usage_of(pid: int) -> Usage:
    """What a process and its descendants use now."""
    parts = [_own(each) for each in family(pid)]
    return Usage(
        cpu_s=sum(part.cpu_s for part in parts),
        resident_mb=sum(part.resident_mb for part in parts),
        n_sockets=sum(part.n_sockets for part in parts),
        n_files=sum(part.n_files for part in parts),
        n_threads=sum(part.n_threads for part in parts),
    )


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                parent = int(_stat(int(folder.name))[1])
                children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold spaces itself: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _own(pid: int) -> Usage:
    try:
        fields = _stat(pid)
        links = [os.readlink(link) for link in _links(pid)]
    except OSError:
        return Usage(0.0, 0.0, 0, 0, 0)
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        resident_mb=int(fields[21]) * _PAGE / 2**20,
        n_sockets=sum(link.startswith("socket:") for link in links),
        n_files=len(links),
        n_threads=int(fields[17]),
    )


def _links(pid: int) -> list[str]:
    folder = Path(f"/proc/{pid}/fd")
    return [str(link) for link in folder.iterdir() if os.path.lexists(link)]


_STATES = {"01": "open", "08": "closed by the other side", "0A": "listening"}


def connections_of(pid: int) -> list[str]:
    """TCP connections of one process, for people: ports of both ends and the state."""
    inodes = {os.readlink(link)[8:-1] for link in _links(pid) if os.path.lexists(link)}
    found = []
    for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="utf-8").splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes:
            near, far = (int(end.rpartition(":")[2], 16) for end in fields[1:3])
            found.append(f"{near} -> {far}, {_STATES.get(fields[3], fields[3])}")
    return found

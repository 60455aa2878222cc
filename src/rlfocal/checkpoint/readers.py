"""Whether members read whom they read in training: in a pool file, or in other recorded answers.

A reader that reads others, or does something else with what it reads, is another member: nothing
that was learned of it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlfocal.readers import REFINING, ReaderInfo

__all__ = ["difference"]


def difference(
    learned: Mapping[str, ReaderInfo], found: Mapping[str, ReaderInfo], *, members: Sequence[str]
) -> str:
    """In what readers differ, in words; empty where they do not.

    In which order they are named does not count, but where the first is the draft of a refiner.

    Args:
        learned: by name, those of training.
        found: those of a pool, or of other data.
        members: of whom it is asked, in order.

    >>> judge = ReaderInfo(reads=["a", "b"], reading="judge")
    >>> difference({"c": judge}, {}, members=["a", "b", "c"])
    "member 'c' read a and b (as judge) in training, and reads nobody here"
    """
    for name in members:
        was, now = learned.get(name), found.get(name)
        if _plain(was) != _plain(now):
            return (
                f"member '{name}' {_said(was, 'read')} in training, and {_said(now, 'reads')} here"
            )
    return ""


def _plain(about: ReaderInfo | None) -> tuple[object, ...] | None:
    if about is None:
        return None
    reads = about.reads if about.reading == REFINING else sorted(about.reads)
    return reads, about.first, about.reading


def _said(about: ReaderInfo | None, verb: str) -> str:
    if about is None:
        return f"{verb} nobody"
    own = "" if about.first is None else f", after {about.first} as its own"
    *others, last = about.reads if about.reading == REFINING else sorted(about.reads)
    names = f"{', '.join(others)} and {last}" if others else last
    return f"{verb} {names} (as {about.reading}{own})"

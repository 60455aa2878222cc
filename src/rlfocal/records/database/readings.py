"""Readers among stored members: whom they read, and which of their replies are of use.

A reader that was asked again, since those whom it reads say something else by now, has several
replies to a query. Of use are those that were given to what is exported beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlfocal.readers import ReaderInfo
from rlfocal.records.database.keys import shown_key_of
from rlfocal.records.database.rows import StoredResponse
from rlfocal.records.samples import agreed

__all__ = ["fresh_readings", "in_turn", "reader_of", "without"]

_PAIRWISE = "pairwise"


def reader_of(settings: Mapping[str, Any]) -> ReaderInfo | None:
    """Whom a member reads, by its stored settings; None for nobody."""
    if not settings.get("reads"):
        return None
    return ReaderInfo(
        reads=settings["reads"],
        first=settings.get("first"),
        reading=settings.get("reading", "aggregate"),
    )


def without(info: ReaderInfo, left_out: Sequence[str]) -> ReaderInfo | None:
    """A reader that does not read some; None where nobody is left."""
    reads = [name for name in info.reads if name not in left_out]
    first = None if info.first in left_out else info.first
    return info.model_copy(update={"reads": reads, "first": first}) if reads or first else None


def in_turn(members: Sequence[str], readers: Mapping[str, ReaderInfo]) -> list[str]:
    """The members, each after all of them whom it reads."""
    found: dict[str, None] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        for read in readers[name].inputs if name in readers else ():
            if read in members and read not in found and read not in above:
                add(read, (*above, name))
        found.setdefault(name)

    for name in members:
        add(name, ())
    return list(found)


def fresh_readings(
    info: ReaderInfo,
    given: Sequence[StoredResponse],
    replies: Mapping[str, Mapping[int, StoredResponse]],
) -> dict[int, StoredResponse]:
    """Of a reader's replies to one query those that were given to the replies of others.

    Args:
        info: of the reader.
        given: its replies.
        replies: member → sample → reply.

    Returns:
        By sample.
    """
    texts = {name: _typical(replies[name]) for name in info.inputs if replies.get(name)}
    return {reply.sample: reply for reply in given if _is_fresh(info, reply, texts)}


def _typical(replies: Mapping[int, StoredResponse]) -> str:
    ordered = [replies[sample] for sample in sorted(replies)]
    return ordered[agreed([reply.answer for reply in ordered])].text or ""


def _is_fresh(info: ReaderInfo, reply: StoredResponse, texts: Mapping[str, str]) -> bool:
    if reply.shown_key is None:  # imported: what it was shown came with it
        return True
    shown = reply.shown or ()
    there = [name for name in info.reads if name in texts]
    n_meant = 2 if info.reading == _PAIRWISE else len(info.reads)
    n_absent = n_meant - len(shown)
    if info.reading == _PAIRWISE:
        # One that has no reply may be left out of a pair, not one that has.
        if not set(shown) <= set(there) or n_absent > len(info.reads) - len(there):
            return False
    elif set(shown) != set(there):
        return False
    own = None if info.first is None else texts.get(info.first)
    return reply.shown_key == shown_key_of([[texts[name] for name in shown], own, n_absent])

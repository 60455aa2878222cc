"""Who reads whom: the closure, the stages, and who can be asked when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.deliberation.replay import stages
from rlfocal.errors import RecordError
from rlfocal.readers import ReaderInfo, Reads

CHAIN = {"j": ReaderInfo(reads=["a", "b"], reading="judge"), "t": ReaderInfo(reads=["j"])}


def test_hand_values() -> None:
    reads = Reads.of(["a", "b", "j", "t"], CHAIN)
    assert reads is not None
    assert reads.closure.astype(int).tolist() == [[0] * 4, [0] * 4, [1, 1, 0, 0], [1, 1, 1, 0]]
    assert reads.stage.tolist() == [0, 0, 1, 2]
    asked = np.array([[True, False, False, False], [True, True, False, False]])
    assert reads.ready(asked).tolist() == [[True, True, False, False], [True, True, True, False]]
    wanted = np.array([[False, False, False, True]] * 2)
    assert reads.expanded(wanted, asked).tolist() == [
        [False, True, True, True], [False, False, True, True],
    ]  # fmt: skip


def test_own_first_reply_is_read_too() -> None:
    reads = Reads.of(["a", "own", "r"], {"r": ReaderInfo(reads=["a"], first="own")})
    assert reads is not None
    assert reads.direct[2].tolist() == [True, True, False]
    assert reads.first.tolist() == [-1, -1, 1]
    assert reads.infos == {"r": ReaderInfo(reads=["a"], first="own")}


def test_nobody_reads() -> None:
    assert Reads.of(["a", "b"], CHAIN) is None


def test_a_circle_and_a_stranger_are_refused() -> None:
    circle = {"a": ReaderInfo(reads=["b"]), "b": ReaderInfo(reads=["a"])}
    with pytest.raises(RecordError, match="'a' reads 'b' reads 'a'"):
        Reads.of(["a", "b"], circle)
    with pytest.raises(RecordError, match="member 'j' reads 'b', which is not among the members"):
        Reads.of(["a", "j"], CHAIN)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(2, 7))
def test_every_stage_asks_only_who_can_be_asked(data: st.DataObject, n: int) -> None:
    names = [f"m{k}" for k in range(n)]
    readers = {}
    for k in range(1, n):
        read = data.draw(st.sets(st.sampled_from(names[:k])))
        if read:
            readers[names[k]] = ReaderInfo(reads=sorted(read))
    reads = Reads.of(names, readers)
    wanted = np.array([data.draw(st.lists(st.booleans(), min_size=n, max_size=n))])
    asked = np.zeros((1, n), dtype=bool)
    for now in stages(reads, wanted, asked):
        if reads is not None:
            assert not (now & asked).any()
            for k in np.flatnonzero(now[0]):
                assert all(asked[0, names.index(m)] for m in _read(readers, names[k]))
        asked = asked | now
    needed = set(np.flatnonzero(wanted[0]).tolist())
    for _ in range(n):
        needed |= {names.index(m) for k in needed for m in _read(readers, names[k])}
    assert set(np.flatnonzero(asked[0]).tolist()) == needed


def _read(readers: dict[str, ReaderInfo], name: str) -> list[str]:
    return readers[name].inputs if name in readers else []

"""What processes share is the same value there, read-only, and in memory once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import far_jobs
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rlfocal.errors import ConfigError
from rlfocal.executor import ProcessExecutor
from rlfocal.executor.mapped import mapped

ARRAYS = st.sampled_from(["float32", "int64", "bool", "uint8", "<U3"]).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_dims=3))
)


@given(st.lists(ARRAYS, max_size=5), st.text())
def test_a_value_is_the_same_where_it_is_opened(found: list[Any], text: str) -> None:
    with mapped((text, found)) as (there, file):
        back_text, back = there.value(file.number)
        assert back_text == text
        for one, other in zip(found, back, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_layouts_and_arrow_stay() -> None:
    value = [np.arange(12.0).reshape(3, 4).T, np.arange(10)[::2], pa.array(["a", None, "bc"])]
    with mapped(value) as (there, file):
        back = there.value(file.number)
        assert back[0].tolist() == value[0].tolist()
        assert back[0].flags.f_contiguous
        assert back[1].tolist() == [0, 2, 4, 6, 8]
        assert back[2].equals(value[2])


def test_arrays_begin_where_they_are_fast_to_read() -> None:
    with mapped([np.ones(3, np.uint8), np.ones(5), np.ones(7)]) as (there, _):
        assert [begin % 64 for begin, _ in there.places] == [0, 0, 0]


def test_nothing_can_be_changed_there() -> None:
    with mapped(np.zeros(4)) as (there, file), pytest.raises(ValueError, match="read-only"):
        there.value(file.number)[0] = 1


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be sent to another process"), mapped(lambda: 0):
        pass


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="asks Linux whose the memory is"
)
def test_workers_hold_no_copy_of_their_own() -> None:
    small = [
        own for _, (_, own) in ProcessExecutor(2).map(far_jobs.own_kib, [1, 2], shared=np.ones(1))
    ]
    large = np.ones(16_000_000)  # 125 MiB
    found = [result for _, result in ProcessExecutor(2).map(far_jobs.own_kib, [1, 2], shared=large)]
    assert [total for total, _ in found] == [16e6, 16e6]
    assert max(own for _, own in found) < max(small) + 60_000

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.report.drawing.scales import Scale, round_ticks, tick_labels

RANGES = st.tuples(st.floats(-1e6, 1e6, allow_subnormal=False), st.floats(1e-2, 1e6)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
COUNTS = st.integers(1, 12)


def is_round(step: float) -> bool:
    """Whether a number is 1, 2 or 5 times a power of ten."""
    digit = step / 10 ** math.floor(math.log10(step) + 1e-9)
    return any(digit == pytest.approx(d) for d in (1, 2, 5, 10))


@given(RANGES, COUNTS)
def test_ticks_cover_the_range_increase_evenly_and_are_round(
    ends: tuple[float, float], most: int
) -> None:
    low, high = ends
    ticks = round_ticks(low, high, most)
    step = ticks[1] - ticks[0]
    assert is_round(step)
    assert all(b - a == pytest.approx(step) for a, b in itertools.pairwise(ticks))
    slack = 1e-6 * step
    assert ticks[0] <= low + slack < ticks[0] + step + 2 * slack
    assert ticks[-1] >= high - slack > ticks[-1] - step - 2 * slack
    assert len(ticks) <= most + 2
    step = float(f"{step:.1g}")
    assert all(tick / step == pytest.approx(round(tick / step), abs=1e-3) for tick in ticks)


@given(RANGES, COUNTS)
def test_ticks_of_a_scale_lie_within_it(ends: tuple[float, float], most: int) -> None:
    scale = Scale(*ends, 0, 100)
    ticks = scale.ticks(most)
    assert all(-0.001 <= scale(tick) <= 100.001 for tick in ticks)
    assert ticks == sorted(set(ticks))


@given(st.floats(1e-5, 1e5), st.floats(1.2, 1e6), st.integers(2, 12))
def test_ticks_of_a_logarithmic_scale_are_round_few_and_within_it(
    low: float, ratio: float, most: int
) -> None:
    scale = Scale(low, low * ratio, 0, 100, is_log=True)
    ticks = scale.ticks(most)
    assert ticks == sorted(set(ticks))
    assert all(-0.001 <= scale(tick) <= 100.001 for tick in ticks)
    assert len(ticks) <= max(most + 2, math.log10(ratio) + 2)


def test_a_scale_maps_by_hand_values() -> None:
    up = Scale(0, 10, 100, 0)  # upwards, as in SVG
    assert [up(v) for v in (0, 5, 10, 11)] == pytest.approx([100, 50, 0, -10])
    log = Scale(1, 100, 0, 200, is_log=True)
    assert [log(v) for v in (1, 10, 100)] == pytest.approx([0, 100, 200])
    assert log.ticks(7) == [1, 2, 5, 10, 20, 50, 100]
    assert log.ticks(5) == [1, 3, 10, 30, 100]
    assert log.ticks(3) == [1, 10, 100]


def test_what_differs_much_is_shown_by_ratios_where_that_is_allowed() -> None:
    assert Scale.covering([1, 28], 0, 100, may_be_log=True).is_log
    assert not Scale.covering([1, 28], 0, 100).is_log
    assert not Scale.covering([1, 8], 0, 100, may_be_log=True).is_log
    assert not Scale.covering([0, 28], 0, 100, may_be_log=True).is_log


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=5))
def test_a_covering_scale_holds_all_values_with_room(values: list[float]) -> None:
    scale = Scale.covering(values, 0, 100)
    assert all(0 < scale(value) < 100 for value in values)


@pytest.mark.parametrize(
    ("low", "high", "is_log"), [(1, 1, False), (2, 1, False), (0, math.inf, False), (0, 1, True)]
)
def test_a_scale_that_maps_nothing_is_refused(low: float, high: float, is_log: bool) -> None:
    with pytest.raises(ValueError, match="scale needs"):
        Scale(low, high, 0, 1, is_log=is_log)


def test_labels_share_their_decimals_on_an_even_scale_only() -> None:
    assert tick_labels([0.24, 0.3]) == ["0.24", "0.30"]
    assert tick_labels([-1000, 0, 1000]) == ["\N{MINUS SIGN}1,000", "0", "1,000"]
    assert tick_labels([0.1, 10], alike=False) == ["0.1", "10"]

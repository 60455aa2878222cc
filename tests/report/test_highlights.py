from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.advice import advise
from rlfocal.bench import BenchResult, LeaderboardRow
from rlfocal.report.drawing.colours import N_HUES
from rlfocal.report.highlights import Point, efficient, highlights

POINTS = st.lists(
    st.builds(
        Point, st.sampled_from("abc"), st.integers(1, 5).map(float), st.integers(0, 5).map(float)
    ),
    min_size=1,
    max_size=12,
)


@given(POINTS)
@settings(deadline=None)
def test_exactly_the_points_that_another_one_beats_are_dominated(points: list[Point]) -> None:
    def beats(a: Point, b: Point) -> bool:
        return a.x <= b.x and a.accuracy >= b.accuracy and (a.x < b.x or a.accuracy > b.accuracy)

    expected = [not any(beats(other, point) for other in points) for point in points]
    assert efficient(points) == expected


def with_rows(result: BenchResult, *named: tuple[str, float, float, bool]) -> BenchResult:
    """The result with rows of this name, accuracy, calls, and whether it is learned."""
    row = result.rows[0]
    rows: list[LeaderboardRow] = [
        replace(row, strategy=name, accuracy=accuracy, mean_calls=calls, learned=learned)
        for name, accuracy, calls, learned in named
    ]
    return replace(result, rows=tuple(rows), frontiers={})


def test_what_matters_stands_first_and_the_dominated_stay_grey(result: BenchResult) -> None:
    found = with_rows(
        result,
        ("oracle", 0.9, 1, False), ("stacking", 0.7, 8, False), ("rl-focal", 0.69, 2, True),
        ("plurality", 0.68, 8, False), ("rl-focal-paper", 0.66, 4, True),
        ("knn-router", 0.62, 1, False), ("best-single", 0.6, 1, False), ("random", 0.3, 1, False),
    )  # fmt: skip
    assert highlights(found, None) == {
        "best-single": 1,
        "stacking": 2,
        "rl-focal": 3,
        "knn-router": 4,
    }


@given(st.integers(0, 20), st.integers(0, 3))
@settings(deadline=None, max_examples=20)
def test_every_highlighted_strategy_has_a_hue_of_its_own(
    result: BenchResult, n_simple: int, n_learned: int
) -> None:
    names = [(f"s{i}", 0.5 + 0.01 * i, 1.0 + i, False) for i in range(n_simple)]
    names += [(f"l{i}", 0.5 + 0.02 * i, 1.0 + i, True) for i in range(n_learned)]
    found = with_rows(result, ("oracle", 0.99, 1, False), *names, ("best-single", 0.5, 1, False))
    hues = highlights(found, None)
    assert sorted(hues.values()) == list(range(1, len(hues) + 1))
    assert 1 <= len(hues) <= N_HUES
    assert "oracle" not in hues


def test_the_one_advised_comes_first(result: BenchResult) -> None:
    advice = advise(result)
    assert advice is not None
    assert next(iter(highlights(result, advice))) == advice.strategy

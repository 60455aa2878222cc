from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.numbers import wilson
from rlfocal.report import figures, pool_figures
from rlfocal.report.figures import Point, Run

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
    assert figures.efficient(points) == expected


def frontier(**references: float) -> dict[str, object]:
    points = [
        Point("agreement", 2.0, 0.80, dial=0.5), Point("agreement", 1.0, 0.70, dial=0.1),
        Point("plurality", 8.0, 0.79), Point("best-single", 1.0, 0.72),
    ]  # fmt: skip
    figure = figures.frontier_figure(points, references=references, x_title="calls")
    return dict(figure.to_dict())


def test_dialled_strategies_are_lines_from_cheap_to_dear_and_others_dots() -> None:
    traces = {trace["name"]: trace for trace in frontier()["data"]}  # type: ignore[attr-defined]
    assert list(traces["agreement"]["x"]) == [1.0, 2.0]
    assert traces["agreement"]["mode"] == "lines+markers"
    assert list(traces["one setting, efficient"]["customdata"]) == ["best-single"]
    assert list(traces["one setting, dominated"]["customdata"]) == ["plurality"]


def test_a_reference_far_off_is_named_at_the_edge_and_stretches_nothing() -> None:
    layout = frontier(oracle=0.99, random=0.71)["layout"]
    low, high = layout["yaxis"]["range"]  # type: ignore[index]
    assert 60 < low < 70 < 80 < high < 85
    texts = [a["text"] for a in layout["annotations"]]  # type: ignore[index]
    assert len(layout["shapes"]) == 1, "random lies within the plot and is a line"  # type: ignore[index]
    assert any(t.startswith("oracle 99.0") and "above" in t for t in texts)
    assert any(t.startswith("random 71.0") and "plot" not in t for t in texts)


def test_cells_show_their_numbers_and_leave_the_unknown_empty() -> None:
    values = np.array([[0.5, np.nan], [1.0, 2.0]])
    figure = figures.cells_figure(values, rows=["a", "b"], columns=["1", "2"], title="t")
    assert list(figure.data[0].z[0]) == [0.5, None]
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0.5, 2.0)
    assert list(figure.layout.xaxis.ticktext) == ["1", "2"]


def test_names_that_look_like_markup_are_escaped_in_figures() -> None:
    bad = "<b>&<i>"
    figure = figures.cells_figure(np.eye(2), rows=[bad, "b"], columns=["c", "d"], title="t")
    assert figure.layout.yaxis.ticktext[0] == "&lt;b&gt;&amp;&lt;i&gt;"
    assert figure.data[0].customdata[0][0] == "&lt;b&gt;&amp;&lt;i&gt;<br>c"


def test_the_median_curve_ends_where_half_of_the_runs_have_ended() -> None:
    def run(value: float, n: int) -> Run:
        return Run("s", "r", np.arange(n, dtype=float), np.full(n, value))

    step, median = figures.median_curve([run(1, 10), run(2, 6), run(9, 3)])
    assert step.tolist() == [0, 1, 2, 3, 4, 5]
    assert median.tolist() == [2, 2, 2, 1.5, 1.5, 1.5]


def test_a_run_logged_at_other_steps_is_interpolated() -> None:
    a = Run("s", "a", np.array([0.0, 2.0]), np.array([0.0, 2.0]))
    b = Run("s", "b", np.array([0.0, 1.0, 2.0]), np.array([0.0, 3.0, 2.0]))
    step, median = figures.median_curve([a, b])
    assert step.tolist() == [0, 1, 2]
    assert median.tolist() == [0, 2, 2]


def test_one_run_has_no_thin_lines_and_several_share_their_colour() -> None:
    def run(strategy: str, value: float) -> Run:
        return Run(strategy, "r", np.array([0.0, 1.0]), np.array([0.0, value]))

    assert len(figures.training_figure([run("a", 1)], y_title="reward").data) == 1
    several = figures.training_figure([run("a", 1), run("a", 2), run("b", 1)], y_title="reward")
    assert [trace.meta["hue"] for trace in several.data] == [0, 0, 0, 1]


@pytest.mark.parametrize(("share", "n"), [(0.0, 10), (1.0, 10), (0.5, 1), (0.9, 1000)])
def test_wilson_intervals_contain_the_share_and_stay_between_0_and_1(share: float, n: int) -> None:
    low, high = wilson(np.array(share), n)
    assert 0 <= low <= share <= high + 1e-12
    assert high <= 1
    assert low < high


def test_members_are_drawn_most_accurate_first() -> None:
    figure = pool_figures.member_figure(np.array([0.2, 0.9, 0.5]), 50, members=["a", "b", "c"])
    assert list(figure.layout.yaxis.ticktext) == ["b", "c", "a"]
    assert figure.data[0].x == pytest.approx([90, 50, 20])


def test_a_wide_matrix_has_no_numbers_but_still_a_scale() -> None:
    names = [f"m{i}" for i in range(20)]
    wide = figures.cells_figure(np.eye(20), rows=names, columns=names, title="t").data[0]
    assert wide.texttemplate is None
    assert (wide.zmin, wide.zmax) == (0, 1)


def test_dots_on_one_spot_share_a_label() -> None:
    points = [Point("a", 1.0, 0.8), Point("b", 1.0, 0.8)]
    dots = figures.frontier_figure(points, references={}, x_title="calls").data[0]
    assert list(dots.text) == ["a = b", ""]

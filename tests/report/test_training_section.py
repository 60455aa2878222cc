from __future__ import annotations

import re

import numpy as np

from rlfocal.bench import History
from rlfocal.report.training import Run, median_curve, training


def run(value: float, n: int) -> Run:
    return Run("s", "r", np.arange(n, dtype=float), np.full(n, value))


def test_the_median_curve_ends_where_half_of_the_runs_have_ended() -> None:
    step, median = median_curve([run(1, 10), run(2, 6), run(9, 3)])
    assert step.tolist() == [0, 1, 2, 3, 4, 5]
    assert median.tolist() == [2, 2, 2, 1.5, 1.5, 1.5]


def test_a_run_logged_at_other_steps_is_interpolated() -> None:
    a = Run("s", "a", np.array([0.0, 2.0]), np.array([0.0, 2.0]))
    b = Run("s", "b", np.array([0.0, 1.0, 2.0]), np.array([0.0, 3.0, 2.0]))
    step, median = median_curve([a, b])
    assert step.tolist() == [0, 1, 2]
    assert median.tolist() == [0, 2, 2]


def history(strategy: str, *, fold: int = 0, **values: float) -> History:
    points = tuple({"step": float(i), **values} for i in range(300))
    return History(strategy=strategy, fold=fold, seed=0, iterations=points)


def test_what_tells_most_is_shown_and_the_rest_folds_away() -> None:
    html = training([history("a", reward=1.0, entropy=2.0, accuracy=0.5)], {})
    assert re.findall(r"<h4>([^<]*)</h4>", html) == ["reward", "accuracy", "entropy"]
    assert html.index("accuracy</h4>") < html.index("Other quantities (1)") < html.index("entropy<")


def test_one_run_has_no_thin_lines_and_several_share_their_colour() -> None:
    alone = training([history("a", reward=1.0)], {"a": 4})
    assert "line thin" not in alone
    assert 'class="series h4"' in alone
    several = training([history("a", fold=f, reward=1.0) for f in range(3)], {})
    assert several.count('class="line thin"') == 3
    assert several.count('class="series') == 1


def test_strategies_without_a_hue_get_one_that_is_free() -> None:
    html = training([history("a", reward=1.0), history("b", reward=1.0)], {"a": 1})
    assert re.findall(r'class="series (\w+)"', html) == ["h1", "h2"]


def test_long_curves_are_thinned_but_keep_their_ends() -> None:
    html = training([history("a", reward=1.0)], {})
    (path,) = re.findall(r'd="(M[^"]*)" class="line"', html)
    assert path.count("L") == 119


def test_no_curves_is_said() -> None:
    assert "left no curves" in training([history("a", reward=float("nan"))], {})

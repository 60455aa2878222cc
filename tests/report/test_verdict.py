from __future__ import annotations

from dataclasses import replace

import pytest

from rlfocal.bench import BenchResult, LeaderboardRow
from rlfocal.report.leaderboard import interval_bar, leaderboard
from rlfocal.report.verdict import verdict


def row(
    strategy: str, accuracy: float, gain: tuple[float, float, float], calls: float = 1.0
) -> LeaderboardRow:
    return LeaderboardRow(
        strategy=strategy, accuracy=accuracy, accuracy_ci=(accuracy - 0.01, accuracy + 0.01),
        mean_calls=calls, mean_cost_usd=None, mean_rounds=1.0, gain_over_best_single=gain[1],
        gain_ci=(gain[0], gain[2]), oracle_gap_closed=None, fit_s=0.1, replay_s=0.1,
        learned=strategy == "rl-focal",
    )  # fmt: skip


ORACLE = row("oracle", 0.97, (0.1, 0.13, 0.15))
BASE = row("best-single", 0.84, (0, 0, 0))


def say(result: BenchResult, *rows: LeaderboardRow) -> list[str]:
    return verdict(replace(result, rows=(ORACLE, *rows, BASE)))


def test_a_gain_whose_interval_excludes_zero_is_called_better(result: BenchResult) -> None:
    said = say(result, row("stacking", 0.905, (0.051, 0.068, 0.084), calls=8))
    assert said == [
        "On these 600 queries, stacking answered 90.5\u202f% correctly, better than the best "
        "single member (84.0\u202f%, chosen on training queries) by 6.8 points "
        "(95\u00a0% interval +5.1 to +8.4)."
    ]


@pytest.mark.parametrize("low", [-0.004, 0.0])
def test_no_gain_is_never_called_better(result: BenchResult, low: float) -> None:
    said = say(result, row("stacking", 0.845, (low, 0.005, 0.012), calls=8))
    assert len(said) == 1
    assert "no strategy is better than the best single member" in said[0]
    assert "stacking, differs by +0.5 points" in said[0]


def test_the_oracle_never_wins(result: BenchResult) -> None:
    assert "nothing to compare" in say(result)[0]


def test_the_most_accurate_need_not_be_the_one_that_is_better(result: BenchResult) -> None:
    shaky, sure = row("shaky", 0.86, (-0.01, 0.02, 0.05)), row("sure", 0.85, (0.005, 0.01, 0.015))
    said = say(result, shaky, sure)
    assert "shaky was most accurate, but only sure can be called better" in said[0]


def test_the_cheapest_winner_and_the_choice_among_many_are_told(result: BenchResult) -> None:
    rows = [
        row("stacking", 0.905, (0.05, 0.065, 0.08), calls=8),
        row("agreement", 0.902, (0.045, 0.062, 0.08), calls=2.9),
        row("rl-focal", 0.9, (0.045, 0.06, 0.08), calls=3.1),
    ]
    said = say(result, *rows)
    assert any("most accurate of 3 strategies" in text for text in said)
    assert any("2.9 a query instead of 8.0, agreement still gains 6.2 points" in t for t in said)
    assert said[-1] == (
        "RL-Focal: rl-focal reached 90.0\u202f% with 3.1 calls a query; the most accurate other "
        "strategy, stacking, reached 90.5\u202f% with 8.0."
    )


def test_the_leaderboard_says_better_exactly_where_the_interval_excludes_zero(
    result: BenchResult,
) -> None:
    rows = (
        ORACLE, row("up", 0.9, (0.01, 0.06, 0.1)), row("flat", 0.85, (-0.01, 0.01, 0.02)),
        BASE, row("down", 0.7, (-0.2, -0.14, -0.1)),
    )  # fmt: skip
    html = leaderboard(replace(result, rows=rows))
    assert html.count("▲ better") == html.count("▼ worse") == html.count("no difference<") == 1
    assert "Cost, $" not in html
    priced = tuple(replace(r, mean_cost_usd=0.0012) for r in rows)
    assert leaderboard(replace(result, rows=priced)).count("$0.0012") == 5


def test_interval_bars_share_a_scale() -> None:
    bar = interval_bar(0.5, (0.0, 1.0), (0.0, 1.0))
    assert 'x1="5.0" x2="85.0"' in bar
    assert 'cx="45.0"' in bar

"""Who acts by out-of-fold evidence: rivals must win clearly; any set of strategies may stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.protocol import Need, Spec, unmet
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import check_state
from rlfocal.errors import CheckpointError, ConfigError, NotApplicable
from rlfocal.executor import ProcessExecutor
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.best_of import BestOf
from rlfocal.strategies.verdicts import (
    Choice,
    Judged,
    Judging,
    Rival,
    Verdict,
    out_of_fold,
    settle,
)

PRICES = (0.1, 0.0)


def judged(score: list[float], cost: float = 1.0, times: int = 1) -> Judged:
    rows = np.array([score * times], dtype=np.float32)
    return Judged(np.repeat(rows, 2, axis=0), np.full((2, rows.shape[1]), cost, dtype=np.float32))


def table_of(accuracy: list[list[float]], n_queries: int = 300, seed: int = 0) -> ResponseTable:
    model = PoolModel(accuracy=accuracy, n_options=4)
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(seed)), encode=None)


# The evidence -------------------------------------------------------------------------------------


def test_each_query_is_judged_by_who_did_not_see_it() -> None:
    """Anywhere alike, and as one loop after another finds it."""
    table = table_of([[0.8, 0.5, 0.6]], n_queries=90)
    fold, rows = inner_folds(table, 3), np.flatnonzero(np.arange(90) % 4 > 0)
    names, unit_cost, mu = ("best-single", "agreement-capped"), 2.0, 0.01
    rivals = {name: Rival(Spec(name, {}), name != "best-single") for name in names}
    judging = Judging(rivals, table, fold, rows, PRICES, unit_cost, mu)
    steps = list[int]()
    found = out_of_fold(judging, on_progress=lambda step: steps.append(step.step))
    assert steps == list(range(7))
    far = out_of_fold(judging, executor=ProcessExecutor(2))
    assert list(found) == list(far) == list(names)
    for name in names:
        for p, price in enumerate(PRICES):
            for place, row in enumerate(rows.tolist()):
                fitted = create_strategy(Spec(name, {})).fit(
                    table.take(fold != fold[row]), rng=np.random.default_rng(0)
                )
                if fitted.dial:
                    fitted = fitted.at(price + mu if price else price)
                alone = replay(fitted, table.take(np.array([row])))
                expected = alone.score[0], alone.cost[0] / unit_cost, mu * alone.n_rounds[0]
                assert [part[p, place] for part in found[name]] == pytest.approx(expected)
        for here, there in zip(found[name], far[name], strict=True):
            np.testing.assert_array_equal(here, there)


# The rule -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("times", "chosen"), [(1, "own"), (36, "own"), (40, "a")])
def test_a_rival_must_win_clearly(times: int, chosen: str) -> None:
    found = {
        "own": judged([1, 0, 1, 0], times=times), "a": judged([1, 0, 1, 1], times=times),
        "b": judged([0, 0, 0, 0], times=times), "c": judged([0, 1, 1, 0], times=times),
    }  # fmt: skip
    verdict = settle(found, PRICES, free=found, clear=0.005)[0]
    # a leads by 1 / 4; its standard deviation is sqrt(3) / 4, over the square root of the queries.
    assert (verdict.chosen, verdict.rival, verdict.incumbent) == (chosen, "a", "own")
    assert verdict.rival_utility - verdict.utility == pytest.approx(0.25)
    assert verdict.standard_error == pytest.approx(3**0.5 / 4 / (4 * times) ** 0.5)
    found["a"] = judged([0, 0, 1, 1], times=times)
    level = settle(found, PRICES, free=found, clear=0.005)[0]
    assert level.chosen == "own"
    assert level.rival_utility == pytest.approx(level.utility)


def test_where_calls_cost_nothing_only_those_stand_that_do() -> None:
    found = {
        "own": judged([1, 1, 1, 1], times=40), "all": judged([1, 0, 1, 0], 4, 40),
        "one": judged([1, 0, 1, 0], times=40), "task": judged([1, 0, 0, 0], times=40),
    }  # fmt: skip
    assert settle(found, PRICES, free=("all", "one", "task"))[1].chosen == "all"
    found["task"] = judged([1, 1, 1, 1], times=40)
    verdict = settle(found, PRICES, free=("all", "one", "task"))[1]
    assert verdict.chosen == "task"
    assert "acts in place of all: it earned 50.0 points more" in verdict.explain()


def test_what_was_not_measured_neither_helps_nor_harms() -> None:
    found = {"own": judged([1, 0, np.nan, 0], times=40), "a": judged([1, 1, 0, np.nan], times=40)}
    verdict = settle(found, PRICES, free=found)[0]
    # Side by side: [1, 0] and [1, 1]; as if that lead held where only the first was measured.
    assert verdict.rival_utility - verdict.utility == pytest.approx(0.5)
    nowhere = {"own": judged([1.0, np.nan]), "a": judged([np.nan, 1.0])}
    assert settle(nowhere, PRICES, free=nowhere)[0].chosen == "own"


def test_verdicts_explain_themselves() -> None:
    kept = Verdict(0.1, "learned", "learned", 0.8, "best-single", 0.79, 0.02)
    assert kept.explain() == (
        "the learned policy acts: in cross-validation on the training queries best-single, the "
        "best of the others, earned 1.0 points less (standard error 2.0)"
    )
    assert (
        kept._replace(rival_utility=0.81)
        .explain()
        .endswith(
            "earned 1.0 points more (standard error 2.0), not clearly enough to take its place"
        )
    )
    assert (
        kept._replace(rival_utility=0.85).explain().endswith("surely enough here to take its place")
    )
    assert (
        kept._replace(rival_utility=0.8003)
        .explain()
        .endswith("best-single, the best of the others, earned as much (standard error 2.0)")
    )
    assert kept._replace(chosen="everybody", rival="everybody", rival_utility=0.85).explain() == (
        "asking everybody acts in place of the learned policy: it earned 5.0 points more (standard "
        "error 2.0) in cross-validation on the training queries"
    )
    for alone in (kept._replace(rival="learned"), kept._replace(rival_utility=-np.inf)):
        assert alone.explain() == (
            "the learned policy acts: nothing else could be compared with it in training"
        )


def test_one_price_is_the_nearest_to_all() -> None:
    only = Verdict(0.1, "a", "own", 0.8, "a", 0.9, 0.02)
    assert Choice((only,), {}).verdict(0.01) == only
    assert Choice((only,), {}).verdict(0) == only


# The strategy -------------------------------------------------------------------------------------


def test_whoever_is_clearly_better_acts_at_each_price() -> None:
    experts = table_of([[0.95, 0.3, 0.3], [0.3, 0.95, 0.3]])
    found = BestOf().fit(experts, rng=np.random.default_rng(0))
    assert found.acting.name in ("best-single-per-task", "stacking")
    assert found.acting.stands_in
    dear = found.at(0.3)
    assert dear.acting.name == "best-single-per-task"
    one = replay(dear, experts)
    rival = create_strategy(Spec("best-single-per-task", {}))
    two = replay(rival.fit(experts, rng=np.random.default_rng(0)), experts)
    np.testing.assert_array_equal(one.asked, two.asked)
    np.testing.assert_array_equal(one.chosen, two.chosen)
    assert [v["price"] for v in found.verdicts()] == pytest.approx(found.dials)


def test_where_nothing_is_better_the_first_acts() -> None:
    alike = table_of([[0.9, 0.2, 0.2]])
    found = BestOf().fit(alike, rng=np.random.default_rng(0))
    assert {v["chosen"] for v in found.verdicts()} == {"best-single"}
    assert not found.acting.stands_in


@pytest.mark.parametrize(
    "strategies",
    [
        ("best-single", "agreement-capped", "stacking"),
        ("agreement", {"name": "agreement", "settings": {"threshold": 0.0}}),
        ({"name": "best-of", "settings": {"strategies": ["plurality", "best-single"]}}, "random"),
    ],
)
def test_it_comes_back_from_disk(strategies: tuple[str, ...]) -> None:
    table = table_of([[0.8, 0.7, 0.6, 0.5], [0.5, 0.6, 0.7, 0.8]])
    found = BestOf(strategies=strategies).fit(table, rng=np.random.default_rng(0))
    state, fresh = found.state(), BestOf.of(found.spec.settings)
    axes = {"N": 4, "T": 3, "C": 4, "D": 0} | fresh.axes()
    rows = fresh.layout(state.keys())
    check_state(state, rows, axes)
    assert rows.keys() == state.keys()
    with pytest.raises(CheckpointError, match="acting"):
        check_state(state | {"acting": state["acting"] + 99}, rows, axes)
    again = fresh.restore(state)
    for price in (0.3, 0.01, 0.0):
        one, two = replay(found.at(price), table), replay(again.at(price), table)
        np.testing.assert_array_equal(one.asked, two.asked)
        np.testing.assert_array_equal(one.chosen, two.chosen)
        assert found.at(price).acting.name == again.at(price).acting.name


def test_who_cannot_run_is_left_out(make_table: Callable[..., ResponseTable]) -> None:
    scores = make_table(CandidateKind.RESPONSES, n_queries=90)
    found = BestOf().fit(scores, rng=np.random.default_rng(0))
    names = {v["rival"] for v in found.verdicts()} | {v["chosen"] for v in found.verdicts()}
    assert names <= {"best-single", "best-single-per-task"}
    with pytest.raises(NotApplicable, match="stacking: only scores are recorded"):
        BestOf(strategies=("stacking",)).fit(scores, rng=np.random.default_rng(0))
    alone = BestOf(strategies=("best-single",)).fit(scores, rng=np.random.default_rng(0))
    assert alone.acting.name == "best-single"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strategies": []}, "at least one"),
        ({"strategies": ["agreemnt"]}, "did you mean 'agreement"),
        ({"strategies": ["oracle"]}, "point of comparison"),
        ({"strategies": [{"names": "agreement"}]}, "has a 'name'"),
        ({"strategies": [{"name": "agreement", "settings": {"x": 1}}]}, "unknown setting 'x'"),
        ({"n_folds": 1}, "n_folds"),
        ({"price": 5.0}, "price"),
    ],
)
def test_settings_are_checked_before_any_work(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        BestOf.of(settings)


def test_with_one_prompt_alone_nothing_is_judged() -> None:
    table = table_of([[0.8, 0.5, 0.6]], n_queries=60)
    alike = replace(table, group=np.zeros(60, dtype=np.int64))
    with pytest.raises(NotApplicable, match="all queries are the same"):
        BestOf().fit(alike, rng=np.random.default_rng(0))
    two = replace(table, group=np.arange(60, dtype=np.int64) % 2)
    assert BestOf(n_folds=3).fit(two, rng=np.random.default_rng(0)).acting.name


@pytest.mark.parametrize("name", ["rl-focal", "posterior-threshold", "rl-focal-paper"])
def test_what_learns_a_policy_counts_prompts_and_not_queries(name: str) -> None:
    strategy, table = create_strategy(Spec(name, {})), table_of([[0.8, 0.5, 0.6]], n_queries=60)
    assert unmet(strategy, table) is None
    for n in (1, 29, 30):
        alike = replace(table, group=np.arange(60, dtype=np.int64) % n)
        assert (unmet(strategy, alike) == Need.QUERIES.value) is (n < 30)

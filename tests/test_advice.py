"""Advice on outcomes that are known query by query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.advice import Advice, advise, labels_to_settle
from rlfocal.bench import BenchResult, EvalProtocol, LeaderboardRow
from rlfocal.bench.rows import SCHEMA
from rlfocal.bench.statistics import Estimate, bootstrap_means
from rlfocal.records.tables.missing import Missing

N = 400
MEMBERS = ("gemma", "qwen", "smollm")


def scored(n_right: int, n: int = N, *, first: int = 0) -> np.ndarray:
    """float64[n]: right on `n_right` queries in a row."""
    return np.roll((np.arange(n) < n_right).astype(np.float64), first)


def result_of(
    scores: Mapping[str, np.ndarray],
    calls: Mapping[str, float],
    *,
    usd: Mapping[str, float] | None = None,
    missing: Missing | None = None,
) -> BenchResult:
    """A benchmark in which strategies had these scores and made so many calls."""
    values = np.stack(list(scores.values()), axis=1)
    means = bootstrap_means(values, np.arange(len(values)), n_resamples=500)
    names = list(scores)
    base = names.index("best-single")
    rows = []
    for i, name in enumerate(names):
        accuracy, gain = means.mean(i), means.difference(i, base)
        rows.append(
            LeaderboardRow(
                strategy=name,
                accuracy=accuracy.value,
                accuracy_ci=accuracy.ci,
                mean_calls=calls[name],
                mean_cost_usd=None if usd is None else usd[name],
                mean_rounds=1.0,
                gain_over_best_single=gain.value,
                gain_ci=gain.ci,
                oracle_gap_closed=None,
                fit_s=0.0,
                replay_s=0.0,
                command=None if name == "oracle" else f"rlfocal train d --strategy {name}",
            )
        )
    n = len(values)
    tables = [
        pa.table(
            {
                "strategy": [name] * n, "dial": pa.nulls(n, pa.float64()), "fold": [0] * n,
                "seed": [0] * n, "query_id": [f"q{i}" for i in range(n)], "group": list(range(n)),
                "task": ["t"] * n, "answer": ["x"] * n, "score": scores[name].tolist(),
                "confidence": [0.5] * n, "n_calls": [1] * n, "n_rounds": [1] * n,
                "cost": [1.0] * n, "latency_s": [0.1] * n, "asked": [[1]] * n,
                "asked_in": [[1]] * n,
            }
        ).cast(SCHEMA)
        for name in names
    ]  # fmt: skip
    return BenchResult(
        data="made up", members=MEMBERS, protocol=EvalProtocol(n_resamples=500),
        tested={"n_queries": n, "n_groups": n}, rows=tuple(rows), frontiers={}, not_applicable={},
        synthetic=True, notes=(), environment={}, per_query=pa.concat_tables(tables),
        missing=missing,
    )  # fmt: skip


def advice_on(
    scores: Mapping[str, np.ndarray], calls: Mapping[str, float], **options: object
) -> Advice:
    found = advise(result_of(scores, calls, **options))  # type: ignore[arg-type]
    assert found is not None
    return found


def test_the_cheaper_of_two_that_tie_is_taken_and_what_is_clearly_worse_is_not() -> None:
    found = advice_on(
        {
            "oracle": scored(400), "best-single": scored(300), "agreement": scored(360),
            "stacking": scored(361), "plurality": scored(355),
        },
        {"oracle": 1, "best-single": 1, "agreement": 2.9, "stacking": 6, "plurality": 6},
    )  # fmt: skip
    assert found.strategy == "agreement"
    assert found.mean_calls == 2.9
    assert found.gain is not None
    assert found.gain.value == pytest.approx(0.15)
    assert [rival.strategy for rival in found.rivals] == ["stacking"]
    assert found.n_dearer == 2
    assert found.command == "rlfocal train d --strategy agreement"


def test_no_gain_that_can_be_shown_leaves_the_best_single_member_by_its_name() -> None:
    found = advice_on(
        {"oracle": scored(380), "best-single": scored(300), "plurality": scored(200, first=101)},
        {"oracle": 1, "best-single": 1, "plurality": 3},
    )
    assert found.strategy == "best-single"
    assert found.member == "qwen"
    assert found.gain is None
    said = found.sentence()
    assert said.startswith("Use your best single model, qwen: 75.0 % [")
    assert said.endswith("] at 1 call; nothing dearer is ahead of it on these 400 labels.")


def test_the_sentence_names_the_rival_and_the_labels_that_would_settle_it() -> None:
    ahead = scored(280) + scored(
        33, first=300
    )  # right on 33 that it is not, wrong on 20 that it is
    found = advice_on(
        {"oracle": scored(400), "best-single": scored(300), "rl-focal": ahead},
        {"oracle": 1, "best-single": 1, "rl-focal": 2.5},
    )
    assert found.strategy == "best-single"
    (rival,) = found.rivals
    assert rival.lead.value == pytest.approx(13 / 400)
    error = np.sqrt(53 / 400 - (13 / 400) ** 2) / 20
    by_hand = 400 * (2.8015 * error / (13 / 400)) ** 2 - 400
    assert rival.labels_more == pytest.approx(by_hand, rel=0.15)
    assert "more would settle whether rl-focal (+3.2 points at 2.5 calls) is worth it" in (
        found.sentence()
    )


def test_dollars_can_be_spared_in_place_of_calls() -> None:
    scores = {"best-single": scored(300), "a": scored(350), "b": scored(351)}
    calls = {"best-single": 1.0, "a": 2.0, "b": 3.0}
    usd = {"best-single": 0.003, "a": 0.004, "b": 0.002}
    made = result_of(scores, calls, usd=usd)
    by_calls, by_usd = advise(made), advise(made, by="usd")
    assert by_calls is not None
    assert by_usd is not None
    assert (by_calls.strategy, by_usd.strategy) == ("a", "b")
    assert "and 2 USD per 1,000 queries" in by_usd.sentence()
    with pytest.raises(ValueError, match="not known"):
        advise(result_of(scores, calls), by="usd")


def test_no_advice_where_too_much_is_missing_or_nothing_competes() -> None:
    scores, calls = {"best-single": scored(300)}, {"best-single": 1.0}
    withheld = Missing(
        share=0.3, worst_member="qwen", worst_share=0.5, n_members=3, n_queries=N, n_complete=100
    )
    assert advise(result_of(scores, calls, missing=withheld)) is None
    alone = advise(result_of(scores, calls))
    assert alone is not None
    assert alone.sentence().endswith("nothing dearer was compared on these 400 labels.")


def test_what_cannot_be_served_is_not_advised() -> None:
    made = result_of(
        {"best-single": scored(300), "self-consistency": scored(390)},
        {"best-single": 1.0, "self-consistency": 1.0},
    )
    found = advise(made)
    assert found is not None
    assert found.strategy == "self-consistency"
    rows = tuple(
        row if row.strategy == "best-single" else replace(row, command=None) for row in made.rows
    )
    found = advise(replace(made, rows=rows))
    assert found is not None
    assert found.strategy == "best-single"


def test_nobody_is_told_to_ask_at_random_nor_to_do_more_than_one_model_for_nothing() -> None:
    ahead = {"random": scored(310), "best-single": scored(300)}
    found = advise(result_of(ahead, {"random": 1.0, "best-single": 1.0}))
    assert found is not None
    assert found.strategy == "best-single"
    level = {"logistic-router": scored(300), "best-single": scored(300)}
    found = advise(result_of(level, {"logistic-router": 1.0, "best-single": 1.0}))
    assert found is not None
    assert found.strategy == "best-single"


@given(
    right=st.lists(st.integers(0, 120), min_size=2, max_size=5),
    calls=st.lists(st.floats(1, 9), min_size=5, max_size=5),
    shifts=st.lists(st.integers(0, 119), min_size=5, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_nothing_that_costs_as_much_or_less_is_shown_to_be_better(
    right: list[int], calls: list[float], shifts: list[int]
) -> None:
    names = ["best-single", "a", "b", "c", "d"][: len(right)]
    scores = {
        name: scored(k, 120, first=shift)
        for name, k, shift in zip(names, right, shifts, strict=False)
    }
    spent = dict(zip(names, calls, strict=False))
    found = advice_on(scores, spent)
    values = np.stack(list(scores.values()), axis=1)
    means = bootstrap_means(values, np.arange(120), n_resamples=500)
    mine = names.index(found.strategy)
    for i, name in enumerate(names):
        lead = means.difference(i, mine)
        assert lead.low <= 1e-12, f"{name} is better than {found.strategy}"
        tied = means.difference(mine, i).low <= 1e-12 and not any(
            means.difference(j, i).low > 1e-12 for j in range(len(names))
        )
        if tied:
            assert spent[found.strategy] <= spent[name] * (1 + 1e-5)


def test_labels_to_settle_grow_with_the_square_of_the_error() -> None:
    assert labels_to_settle(0.05, 0.01, 400) == 0
    once = 400 + labels_to_settle(0.02, 0.02, 400)
    twice = 400 + labels_to_settle(0.02, 0.04, 400)
    assert twice == pytest.approx(4 * once, rel=1e-3)
    assert labels_to_settle(-0.02, 0.02, 400) == labels_to_settle(0.02, 0.02, 400)


def test_power_is_what_it_says() -> None:
    """With as many labels as said, a lead of that size is found in four of five samples."""
    rng, lead, n_first = np.random.default_rng(1), 0.04, 300

    def draw(n: int) -> np.ndarray:
        return rng.choice([1.0, 0.0, -1.0], size=n, p=[0.12, 0.80, 0.08])

    error = float(np.std([draw(n_first).mean() for _ in range(2000)]))
    n = n_first + labels_to_settle(lead, error, n_first)
    found = []
    for _ in range(2000):
        sample = draw(n)
        found.append(sample.mean() - 1.96 * sample.std() / np.sqrt(n) > 0)
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_plain_values_hold_the_sentence() -> None:
    found = advice_on({"best-single": scored(300)}, {"best-single": 1.0})
    plain = found.to_json()
    assert plain["sentence"] == found.sentence()
    assert plain["accuracy"] == Estimate(*found.accuracy)

"""Open answers of which only scores are known, with a judge and a writer in the pool.

As in AlpacaEval and WildBench: what a reply is worth is somebody's judgement, and no two replies
are the same answer. A judge's answer is the reply it named, so strategies that vote can use it.
"""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.summaries.reading import readings_of
from rlfocal.deliberation.protocol import unmet
from rlfocal.deliberation.registry import create, resolve
from rlfocal.deliberation.replay import replay
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, DatasetInfo, ResponseTable, build_table

VOTES = ("plurality", "weighted-vote", "mean-probability", "static-subset", "stacking", "agreement")


def open_answers(
    n_queries: int = 80, *, skill: float = 0.85, judge: bool = True, seed: int = 0
) -> Dataset:
    """Replies of x, y and z to instructions, judged between 0 and 1; z is a little better.

    The judge sees all three in both orders, and names the best with probability `skill`. The writer
    reads them, too, and writes a reply of its own, a bit worse than the best it reads.
    """
    rng = np.random.default_rng(seed)
    queries, rows = [], []
    for q in range(n_queries):
        query_id = f"q{q:03d}"
        queries.append({"query_id": query_id, "prompt": f"Write a poem about the number {q}."})
        worth = np.round(np.clip(rng.normal([0.45, 0.45, 0.5], 0.2), 0, 1), 3)
        for name, score in zip("xyz", worth, strict=True):
            rows.append({
                "query_id": query_id, "member": name, "score": float(score),
                "text": f"{name} writes about {q}", "cost_usd": 0.001,
            })  # fmt: skip
        if not judge:
            continue
        order = [str(name) for name in rng.permutation(["x", "y", "z"])]
        orders = [order, order[::-1]]
        best = "xyz"[int(worth.argmax())]
        named = [best if rng.random() < skill else str(rng.choice(one)) for one in orders]
        rows.append({
            "query_id": query_id, "member": "judge", "cost_usd": 0.0005, "text": "Reply 1.",
            "samples": [None, None], "shown": orders,
            "verdicts": [one.index(name) for one, name in zip(orders, named, strict=True)],
        })  # fmt: skip
        rows.append({
            "query_id": query_id, "member": "writer", "cost_usd": 0.002, "text": f"all about {q}",
            "score": float(np.clip(worth.max() - 0.1, 0, 1)), "samples": [None], "shown": [order],
        })  # fmt: skip
    readers = {
        "judge": ReaderInfo(reads=["x", "y", "z"], reading="judge"),
        "writer": ReaderInfo(reads=["x", "y", "z"], reading="aggregate"),
    }
    members = ["x", "y", "z", "judge", "writer"]
    info = DatasetInfo(
        answers="score only", readers=readers if judge else {}, pools={"all": members}
    )
    return Dataset("poems", queries, rows, info)


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return build_table(open_answers(160))


@pytest.fixture(scope="module")
def result(table: ResponseTable) -> BenchResult:
    names = ["best-single", *VOTES]
    return run_bench(table, names, EvalProtocol(n_folds=4, n_resamples=200))


def test_the_judge_answers_by_the_reply_it_named(table: ResponseTable) -> None:
    judge = table.members.index("judge")
    named = table.answer[:, judge]
    assert (named >= 0).all()
    assert (named < 3).all()
    score = table.member_score
    rows = np.arange(table.n_queries)
    assert (score[rows, judge] == score[rows, named]).all()
    assert score[:, judge].mean() > score[:, :3].mean(axis=0).max() + 0.05
    both = table.samples[:, judge, 0] == table.samples[:, judge, 1]
    support = table.support[:, judge]
    assert (support.max(axis=1) == np.where(both, 1, 0.5)).all()


def test_plain_votes_follow_the_judge(table: ResponseTable) -> None:
    fitted = create("plurality").fit(table, rng=np.random.default_rng(0))
    found = replay(fitted, table)
    judge = table.members.index("judge")
    # Every reply has its own vote; the one that the judge names has two.
    assert (found.chosen == table.answer[:, judge]).all()
    assert (found.n_rounds == 2).all()
    assert found.score.mean() == pytest.approx(table.member_score[:, judge].mean())


def test_rl_focal_asks_the_judge() -> None:
    table = build_table(open_answers(300))
    result = run_bench(table, ["rl-focal-prior"], EvalProtocol(n_folds=3, n_resamples=200))
    rows = {row.strategy: row for row in result.rows}
    assert rows["rl-focal-prior"].accuracy > rows["best-alone"].accuracy + 0.08


def test_where_the_judge_names_nobody_the_best_member_answers() -> None:
    data = open_answers(20)
    rows = data.responses.to_pylist()
    for row in rows:
        if row["member"] == "judge" and row["query_id"] < "q010":
            row["verdicts"] = [None, -1]
    table = build_table(Dataset("poems", data.queries, rows, data.info))
    judge = table.members.index("judge")
    assert (table.answer[:10, judge] == -1).all()
    fitted = create("plurality").fit(table, rng=np.random.default_rng(0))
    found = replay(fitted, table)
    assert (found.chosen[:10] == fitted.order_[0]).all()
    assert (found.chosen[10:] == table.answer[10:, judge]).all()


def test_selection_and_synthesis_stand_beside_the_best_that_reads_nobody(
    result: BenchResult, table: ResponseTable
) -> None:
    rows = {row.strategy: row for row in result.rows}
    alone = rows["best-alone"]
    assert alone.mean_calls == 1
    assert alone.accuracy == pytest.approx(table.member_accuracy[:3].max(), abs=0.03)
    single = rows["best-single"]
    assert single.mean_calls == 4  # the judge or the writer, and whom it reads
    for name in VOTES:
        assert name in rows, result.not_applicable
        assert rows[name].accuracy > alone.accuracy + 0.04
        assert rows[name].accuracy <= rows["oracle"].accuracy
    assert single.accuracy > alone.accuracy + 0.05


def test_every_baseline_runs_or_says_why(table: ResponseTable) -> None:
    for name in resolve(["baselines"]):
        strategy = create(name)
        if unmet(strategy, table) is None and hasattr(strategy, "decide"):
            strategy = strategy.fit(table, rng=np.random.default_rng(0))
            found = replay(strategy, table)
            assert (found.chosen >= 0).all(), name


def test_without_a_judge_nothing_can_be_voted_on() -> None:
    table = build_table(open_answers(20, judge=False))
    assert not table.comparable.any()
    for name in VOTES:
        reason = unmet(create(name), table)
        assert reason is not None
        assert "only scores are recorded" in reason


def test_its_bias_is_measured(table: ResponseTable) -> None:
    found = readings_of(table, open_answers(160))
    assert found is not None
    (judge,) = found.judges
    assert judge.n_verdicts == 320
    assert judge.consistent.value > 0.6
    assert judge.by_place[0].interval[0] < 1 / 3 < judge.by_place[0].interval[1]
    following = {one.reader: one for one in found.following}
    assert following["judge"].led_astray is not None
    assert following["writer"].led_astray is None


def test_a_judge_that_guesses_gains_nothing() -> None:
    table = build_table(open_answers(400, skill=0.0, seed=3))
    found = replay(create("plurality").fit(table, rng=np.random.default_rng(0)), table)
    assert found.score.mean() == pytest.approx(table.member_score[:, :3].mean(), abs=0.03)

"""Routers: predictions by hand and by naive loops, known experts found, prices obeyed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need, unmet
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.features import HashingEncoder
from rlfocal.numbers import shrunk_mean
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.routing import (
    HierShrinkRouter,
    KMeansRouter,
    KnnRouter,
    LogisticRouter,
    RoutedVote,
)
from rlfocal.strategies.routing.logistic import ridge_logistic
from rlfocal.strategies.routing.router import DIALS, Router, best_setting
from rlfocal.strategies.single import BestSinglePerTask, task_accuracy

ROUTERS = [KnnRouter, LogisticRouter, KMeansRouter, HierShrinkRouter]

EXPERTS = PoolModel(accuracy=[[0.9, 0.4, 0.5], [0.4, 0.9, 0.5], [0.5, 0.4, 0.9]])


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool(
    model: PoolModel, n_queries: int = 600, seed: int = 0, n_features: int = 64
) -> ResponseTable:
    return build_table(
        simulate(model, n_queries, rng=seeded(seed)), encode=HashingEncoder(n_features)
    )


def without_tasks(table: ResponseTable) -> ResponseTable:
    """Hide the tasks, so that only the text tells the topics apart."""
    return replace(table, task=np.zeros_like(table.task), tasks=("all",))


def naive_knn(router: KnnRouter, train: ResponseTable, task: int, vector: np.ndarray) -> np.ndarray:
    accuracy, score = task_accuracy(train), train.member_score
    near = []
    for q in range(train.n_queries):
        other = train.features[q]
        cosine = float(vector @ other) / float(np.linalg.norm(vector) * np.linalg.norm(other))
        near.append(cosine + (router.task_bonus if train.task[q] == task else 0.0))
    nearest = sorted(range(train.n_queries), key=lambda q: -near[q])[: router.k_]
    out = []
    for n in range(train.n_members):
        gain = sum(float(score[q, n] - accuracy[train.task[q], n]) for q in nearest)
        out.append(accuracy[task, n] + gain / (router.k_ + router.pseudo_counts))
    return np.clip(out, 0, 1)


def test_knn_agrees_with_naive_loops(rng: np.random.Generator) -> None:
    features = rng.standard_normal((300, 16)).astype(np.float32)
    table = replace(pool(EXPERTS, 300), features=features)
    train, test = table.take(np.arange(240)), table.take(np.arange(240, 300))
    router = KnnRouter(sizes=(7,), task_bonus=0.3, pseudo_counts=5.0).fit(train, rng=rng)
    router.k_ = 7
    predicted = router.predict(test.task, test.features)
    for q in range(test.n_queries):
        expected = naive_knn(router, train, int(test.task[q]), test.features[q])
        np.testing.assert_allclose(predicted[q], expected, atol=1e-5)


def test_knn_with_all_neighbours_of_one_task_is_the_shrunk_mean_score(
    rng: np.random.Generator,
) -> None:
    table = without_tasks(pool(EXPERTS, 60))
    router = KnnRouter(sizes=(3,)).fit(table, rng=rng)
    router.k_ = 3
    predicted = router.predict(table.task[:1], table.features[:1])
    near = table.features @ table.features[0]
    nearest = np.argsort(-near, kind="stable")[:3]
    # Only a unique set of neighbours has one answer worked by hand.
    if np.sort(near)[-3] > np.sort(near)[-4]:
        mean = table.member_score.mean(axis=0)
        by_hand = (table.member_score[nearest].sum(axis=0) + 20 * mean) / 23
        np.testing.assert_allclose(predicted[0], by_hand, atol=1e-5)


@pytest.mark.parametrize("make", ROUTERS)
@pytest.mark.parametrize("hidden", [False, True])
def test_router_finds_the_expert_of_each_topic(make: type[Router], hidden: bool) -> None:
    table = pool(EXPERTS, 900, n_features=256)
    topic = table.task
    if hidden:
        table = without_tasks(table)
    train, test = table.take(np.arange(600)), table.take(np.arange(600, 900))
    router = make().fit(train, rng=seeded())
    outcome = replay(router, test)
    assert outcome.n_calls.tolist() == [1] * 300
    # Hashed numbers blur the text a little; the task, where it is known, does not.
    assert (outcome.asked.argmax(axis=1) == topic[600:]).mean() > (0.9 if hidden else 0.97)
    assert outcome.score.mean() > 0.82


@pytest.mark.parametrize("make", ROUTERS)
def test_text_without_meaning_leaves_the_best_member_of_each_task(
    make: type[Router], rng: np.random.Generator
) -> None:
    features = rng.standard_normal((900, 32)).astype(np.float32)
    table = replace(pool(EXPERTS, 900), features=features)
    train, test = table.take(np.arange(600)), table.take(np.arange(600, 900))
    routed = replay(make().fit(train, rng=seeded()), test)
    per_task = replay(BestSinglePerTask().fit(train, rng=seeded()), test)
    assert (routed.asked == per_task.asked).all(axis=1).mean() > 0.97


@pytest.mark.parametrize("make", ROUTERS)
def test_permuting_members_permutes_predictions(make: type[Router]) -> None:
    table = pool(EXPERTS, 300)
    order = np.array([2, 0, 1])
    shuffled = replace(
        table,
        members=tuple(table.members[i] for i in order),
        answer=table.answer[:, order],
        support=table.support[:, order],
        cost=table.cost[:, order],
    )
    one = make().fit(table, rng=seeded()).predict(table.task, table.features)
    two = make().fit(shuffled, rng=seeded()).predict(table.task, table.features)
    np.testing.assert_allclose(one[:, order], two, atol=2e-3)


@pytest.mark.parametrize("make", ROUTERS)
def test_same_seed_same_choice_whatever_the_batches(make: type[Router]) -> None:
    table = pool(EXPERTS, 240)
    first = replay(make().fit(table, rng=seeded(3)), table)
    second = replay(make().fit(table, rng=seeded(3)), table, batch_size=37)
    np.testing.assert_array_equal(first.asked, second.asked)


@pytest.mark.parametrize("make", ROUTERS)
def test_a_task_without_training_queries_gets_the_best_member_overall(make: type[Router]) -> None:
    model = PoolModel(accuracy=[[0.9, 0.3], [0.8, 0.3], [0.7, 0.6]])
    table = pool(model, 600)
    train, test = table.take(table.task != 2), table.take(table.task == 2)
    outcome = replay(make().fit(train, rng=seeded()), test)
    assert outcome.asked[:, 0].all()


@pytest.mark.parametrize("make", ROUTERS)
def test_dial_moves_from_the_best_member_to_the_cheapest(make: type[Router]) -> None:
    model = PoolModel(accuracy=[[0.9, 0.6, 0.5]], cost_usd=[1.0, 0.1, 0.001])
    table = pool(model, 300)
    router = make().fit(table, rng=seeded())
    assert router.dials == DIALS
    costs = [float(replay(router.with_dial(dial), table).cost.mean()) for dial in router.dials]
    assert costs == sorted(costs)
    assert costs[0] == pytest.approx(0.001)
    assert costs[-1] == pytest.approx(1.0)
    # 0.3 of accuracy for 0.9 of the dearest call: worth it below a dial of 1/3, not above.
    assert replay(router.with_dial(0.2), table).asked[:, 0].mean() > 0.9
    assert replay(router.with_dial(0.5), table).asked[:, 0].mean() < 0.1
    assert router.cost_weight == 0.0


@pytest.mark.parametrize("make", ROUTERS)
def test_equal_costs_leave_nothing_to_dial(make: type[Router]) -> None:
    assert make().fit(pool(EXPERTS, 120), rng=seeded()).dials == (0.0,)


def score_only(n_queries: int = 300, *, n_features: int = 4) -> ResponseTable:
    """Member 1 is best on task 0, member 0 on task 1; scores are fractions, nothing is voted on."""
    rng = seeded(5)
    task = np.arange(n_queries) % 2
    score = np.clip(rng.normal(0.4, 0.1, (n_queries, 2)), 0, 1)
    score[np.arange(n_queries), 1 - task] += 0.3
    table = build_table(simulate(PoolModel(accuracy=[[0.5] * 2] * 2), n_queries, rng=rng))
    n_slots = table.n_candidates
    own = np.tile(np.arange(2, dtype=np.int16), (n_queries, 1))
    return replace(
        table,
        kind=np.full(n_queries, CandidateKind.RESPONSES, dtype=np.int8),
        exists=np.arange(n_slots) < np.full((n_queries, 1), 2),
        candidate_score=np.pad(score, ((0, 0), (0, n_slots - 2))).astype(np.float32),
        answer=own,
        support=(own[:, :, None] == np.arange(n_slots)).astype(np.float32),
        features=np.asarray(rng.standard_normal((n_queries, n_features)), dtype=np.float32),
    )


@pytest.mark.parametrize("make", ROUTERS)
def test_score_only_data_is_routed_on_fractional_scores(make: type[Router]) -> None:
    table = score_only()
    router = make().fit(table, rng=seeded())
    outcome = replay(router, table)
    assert (outcome.asked.argmax(axis=1) == 1 - table.task).mean() > 0.97
    assert outcome.score.mean() == pytest.approx(0.7, abs=0.03)


def test_without_text_only_the_logistic_router_runs() -> None:
    table = score_only(n_features=0)
    assert unmet(KnnRouter(), table) == Need.FEATURES.value
    assert unmet(KMeansRouter(), table) == Need.FEATURES.value
    assert unmet(HierShrinkRouter(), table) == Need.FEATURES.value
    assert unmet(LogisticRouter(), table) is None
    outcome = replay(LogisticRouter().fit(table, rng=seeded()), table)
    np.testing.assert_array_equal(outcome.asked.argmax(axis=1), 1 - table.task)


def test_a_failed_member_gives_no_answer_and_is_not_replaced() -> None:
    table = pool(EXPERTS, 120)
    router = LogisticRouter().fit(table, rng=seeded())
    silent = replace(
        table, answer=np.full_like(table.answer, -1), support=np.zeros_like(table.support)
    )
    outcome = replay(router, silent)
    assert (outcome.n_calls == 1).all()
    assert (outcome.chosen == -1).all()


@pytest.mark.parametrize("make", ROUTERS)
def test_one_training_query_is_enough(make: type[Router]) -> None:
    table = pool(EXPERTS, 30)
    router = make().fit(table.take(np.arange(1)), rng=seeded())
    assert replay(router, table).n_calls.tolist() == [1] * 30


def test_ridge_logistic_is_at_its_optimum(rng: np.random.Generator) -> None:
    inputs = rng.standard_normal((200, 5)).astype(np.float32)
    score = rng.random((200, 3)).astype(np.float32)
    offset = rng.standard_normal((200, 3)).astype(np.float32)
    start = np.zeros((5, 3), dtype=np.float32)
    weight = ridge_logistic(inputs, score, offset, penalty=4.0, start=start).astype(np.float64)
    chance = 1 / (1 + np.exp(-(offset + inputs @ weight)))
    gradient = inputs.T @ (chance - score) + 4.0 * weight
    assert np.abs(gradient).max() < 0.05 * np.abs(inputs.T @ (0.5 - score)).max()


def test_ridge_logistic_without_inputs_of_use_keeps_the_offset() -> None:
    zero = np.zeros((10, 2), dtype=np.float32)
    start = np.zeros((2, 1), dtype=np.float32)
    score = np.ones((10, 1), dtype=np.float32)
    assert not ridge_logistic(zero, score, score, penalty=1.0, start=start).any()


def test_inner_folds_keep_repeats_together_and_spread_tasks() -> None:
    table = pool(EXPERTS, 300)
    table = replace(table, group=np.arange(300) // 3 % 60)
    fold = inner_folds(table, 3)
    for group in range(60):
        assert len(set(fold[table.group == group].tolist())) == 1
    sizes = [np.bincount(table.task[fold == i], minlength=3) for i in range(3)]
    assert min(s.min() for s in sizes) > 20


def test_shrunk_mean_by_hand() -> None:
    values = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    prior = np.array([[0.5, 0.5], [0.2, 0.4], [0.3, 0.9]], dtype=np.float32)
    mean = shrunk_mean(values, np.array([0, 0, 1]), prior, pseudo_counts=2.0)
    expected = [[(2 + 1) / 4, (1 + 1) / 4], [0.4 / 3, 1.8 / 3], [0.3, 0.9]]
    np.testing.assert_allclose(mean, expected, rtol=1e-6)


def test_in_doubt_the_smoother_setting_is_kept(rng: np.random.Generator) -> None:
    base = (rng.random(400) < 0.5).astype(np.float32)
    lucky = base.copy()
    lucky[np.flatnonzero(base == 0)[0]] = 1
    lucky[np.flatnonzero(base == 1)[0]] = 0
    better = base.copy()
    better[np.flatnonzero(base == 0)[:40]] = 1
    assert best_setting(np.stack([base, lucky])) == 0
    assert best_setting(np.stack([base, lucky, better])) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KnnRouter(sizes=()), "sizes"),
        (lambda: KnnRouter(task_bonus=-1.0), "task_bonus"),
        (lambda: KMeansRouter(sizes=(0,)), "sizes"),
        (lambda: KnnRouter(task_bonus=float("nan")), "task_bonus"),
        (lambda: KnnRouter(pseudo_counts=float("inf")), "pseudo_counts"),
        (lambda: KnnRouter(max_tuning_rows=0), "max_tuning_rows"),
        (lambda: KMeansRouter(pseudo_counts=-1.0), "pseudo_counts"),
        (lambda: HierShrinkRouter(n_coarse=0), "n_coarse"),
        (lambda: HierShrinkRouter(weight=0.0), "weight"),
        (lambda: LogisticRouter(penalties=(0.0,)), "penalties"),
        (lambda: LogisticRouter(penalties=(float("nan"), 1.0)), "penalties"),
        (lambda: LogisticRouter(cost_weight=-0.1), "cost_weight"),
        (lambda: KnnRouter(cost_weight=float("nan")), "cost_weight"),
    ],
)
def test_settings_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_nothing_is_asked_after_the_first_round() -> None:
    table = pool(EXPERTS, 30)
    router = LogisticRouter().fit(table, rng=seeded())
    rows = np.arange(4)
    asked = np.zeros((4, 3), dtype=bool)
    view = reveal(table, rows, asked, n_rounds=np.array([0, 1, 0, 2]))
    assert router.decide(view).ask.sum(axis=1).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(("make", "n_looks"), [(LogisticRouter, 1), (RoutedVote, 2)])
def test_scores_are_predicted_once_a_look_and_only_where_they_matter(
    make: type[LogisticRouter] | type[RoutedVote], n_looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pool(EXPERTS, 40)
    fitted = make().fit(table, rng=seeded())
    kind = type(fitted.router_) if isinstance(fitted, RoutedVote) else LogisticRouter
    plain, predicted = kind.predict, list[int]()

    def counted(self: object, task: np.ndarray, features: np.ndarray) -> np.ndarray:
        predicted.append(len(task))
        return plain(self, task, features)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "predict", counted)
    replay(fitted, table)
    assert predicted == [40] * n_looks


def three_texts(*counts: int) -> ResponseTable:
    """Queries of one task with as many copies of each of three texts; member 1 is right on the last
    text alone, member 0 on the others."""
    text = np.repeat(np.arange(3), counts)
    table = pool(EXPERTS, len(text))
    score = np.zeros((len(text), table.n_candidates), dtype=np.float32)
    score[:, 0] = 1
    first = np.where(text == 2, 1, 0)
    answer = np.stack([first, 1 - first, np.ones_like(first)], axis=1).astype(np.int16)
    return replace(
        without_tasks(table),
        candidate_score=score,
        answer=answer,
        support=(answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32),
        features=np.eye(3, dtype=np.float32)[text],
    )


def test_each_level_is_shrunk_to_the_one_above_by_hand() -> None:
    """Fine and coarse clusters alike hold one text: two steps, each by n / (n + weight)."""
    table, weight = three_texts(4, 4, 12), 24.0
    router = HierShrinkRouter(n_coarse=3, n_fine=3, weight=weight).fit(table, rng=seeded())
    found = router.predict(np.zeros(3, dtype=np.int64), np.eye(3, dtype=np.float32))
    mean = np.array([8, 12, 0]) / 20
    for text, n in enumerate((4, 4, 12)):
        share = n / (n + weight)
        exact = np.array([text != 2, text == 2, False], dtype=float)
        coarse = mean + share * (exact - mean)
        np.testing.assert_allclose(found[text], coarse + share * (exact - coarse), atol=1e-6)


def test_a_level_in_which_cells_nest_draws_means_to_means() -> None:
    """As published: (total of the cell + 24 times the wider cell's estimate) / (n + 24)."""
    table = three_texts(10, 30, 20)
    router = HierShrinkRouter(n_coarse=1, n_fine=3).fit(table, rng=seeded())
    found = router.predict(np.zeros(3, dtype=np.int64), np.eye(3, dtype=np.float32))
    wide = table.member_score.mean(axis=0)
    for text, n in enumerate((10, 30, 20)):
        own = table.features[:, text] == 1
        total = table.member_score[own].sum(axis=0)
        np.testing.assert_allclose(found[text], (total + 24 * wide) / (n + 24), atol=1e-6)


def test_a_few_labels_a_cell_do_no_harm() -> None:
    """Members alike everywhere: a hundred cells of four labels find no expert that is none."""
    rng = seeded(3)
    table = without_tasks(pool(PoolModel(accuracy=[[0.8, 0.7, 0.6]]), 800))
    table = replace(table, features=rng.standard_normal((800, 8)).astype(np.float32))
    router = HierShrinkRouter().fit(table.take(np.arange(400)), rng=seeded())
    asked = replay(router, table.take(np.arange(400, 800))).asked.mean(axis=0)
    assert asked[0] > 0.8


@pytest.mark.parametrize("n_features", [1, 64])
def test_one_search_says_for_every_size_what_a_search_for_it_alone_says(n_features: int) -> None:
    train = pool(EXPERTS, 400, n_features=n_features)  # by one feature nearly all are equally near
    test = pool(EXPERTS, 70, seed=1, n_features=n_features)
    sizes = (320, 5, 80, 400)
    router = KnnRouter(sizes=(40,)).fit(train, rng=seeded())
    together = router.predict_by(test.task, test.features, sizes)
    for k, found in zip(sizes, together, strict=True):
        router.k_ = k
        assert np.array_equal(found, router.predict(test.task, test.features))


@pytest.mark.parametrize("make", [*ROUTERS, RoutedVote])
def test_what_is_foreseen_of_queries_changes_no_outcome(make: type[Base]) -> None:
    # Nothing is equally near: of such queries rounding decides, and that depends on how many are
    # looked up at once, and on the machine.
    train, test = (
        replace(table, features=seeded(n).normal(size=table.features.shape).astype(np.float32))
        for n, table in enumerate((pool(EXPERTS, 300), pool(EXPERTS, 90, seed=1)))
    )
    gone = seeded(2).random(test.answer.shape) < 0.2
    gone[:3] = True  # queries that nobody has a record of are left out of a replay
    fitted = make().fit(train, rng=seeded())
    for table in (test, test.without(gone)):
        foreseeing = fitted.foreseeing(table.task, table.features)
        assert foreseeing.state().keys() == fitted.state().keys()
        for dial in fitted.dials:
            mine, plain = (replay(one.with_dial(dial), table) for one in (foreseeing, fitted))
            for name, value in vars(plain).items():
                assert np.array_equal(getattr(mine, name), value, equal_nan=True), name


@pytest.mark.filterwarnings("error")
def test_where_all_prompts_are_the_same_text_is_not_tuned_on() -> None:
    alike = pool(EXPERTS, 60)
    alike = replace(alike, group=np.zeros(60, dtype=np.int64))
    assert LogisticRouter().fit(alike, rng=seeded()).penalty_ == np.inf

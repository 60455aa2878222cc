"""Masks are never empty and their probabilities exact; the walk is a plain iteration."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from rlfocal.agents.config import PaperConfig
from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import check_state
from rlfocal.deliberation.view import Memory
from rlfocal.diversity import FailureCounts
from rlfocal.errors import CheckpointError, ConfigError
from rlfocal.paper.nets import PaperDecider, PaperObservation
from rlfocal.paper.observation import EnsembleScore, chain, observe
from rlfocal.paper.strategy import RlFocalPaper
from rlfocal.paper.training import PaperTraining, held_out
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.strategies.voting import rank_members
from rlfocal.training.weights import seeded

N = 4


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    model = PoolModel(accuracy=[[0.8, 0.7, 0.6, 0.3]], shared_distractor=0.5)
    return build_table(simulate(model, 200, rng=np.random.default_rng(0)))


@pytest.fixture
def decider() -> PaperDecider:
    return seeded(3, lambda: PaperDecider(N, hidden=8))


@pytest.fixture(scope="module")
def fitted(table: ResponseTable) -> RlFocalPaper:
    strategy = RlFocalPaper(PaperConfig(n_passes=2, update_every=40, hidden=8, fusion_hidden=8))
    return strategy.fit(table, rng=np.random.default_rng(0))


def observation(mask: np.ndarray, n_rows: int) -> PaperObservation:
    inputs = torch.rand(1, N + 2).expand(n_rows, N + 2)
    return PaperObservation(inputs, torch.ones(n_rows, N, dtype=torch.bool))


def every_mask() -> torch.Tensor:
    masks = [m for m in itertools.product([0.0, 1.0], repeat=N) if any(m)]
    return torch.tensor(masks)


def test_probabilities_of_all_masks_sum_to_one(decider: PaperDecider) -> None:
    masks = every_mask()
    log_prob, _ = decider.evaluate(observation(masks.numpy(), len(masks)), masks)
    assert float(log_prob.detach().exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shift", [0.0, -4.0])
def test_masks_are_drawn_with_their_probabilities(decider: PaperDecider, shift: float) -> None:
    with torch.no_grad():
        decider.net[-1].bias += shift  # -4: nearly every free draw would be empty
    masks = every_mask()
    seen = observation(masks.numpy(), len(masks))
    chance = decider.evaluate(seen, masks)[0].exp().detach()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        drawn = decider.sample(seen.inputs[:1].expand(40_000, N + 2), generator)
    assert (drawn.sum(1) > 0).all()
    codes = (drawn * 2.0 ** torch.arange(N)).sum(1).long()
    expected = (masks * 2.0 ** torch.arange(N)).sum(1).long()
    found = torch.bincount(codes, minlength=16)[expected] / len(drawn)
    torch.testing.assert_close(found, chance, atol=0.012, rtol=0)


def test_the_likeliest_mask_is_never_empty(decider: PaperDecider) -> None:
    with torch.no_grad():
        decider.net[-1].bias -= 9
    assert (decider.likeliest(torch.rand(20, N + 2)).sum(1) == 1).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_walk_is_plain_iteration(table: ResponseTable, seed: int) -> None:
    def make() -> PaperDecider:
        made = PaperDecider(N, hidden=8)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=2.0)  # so that walks wander and cycle
        return made

    decider = seeded(seed, make)
    score = EnsembleScore(Memory.of(table, 100), rank_members(table), focal_weight=0.5)
    mask, expected = np.ones((1, N), dtype=bool), []
    for _ in range(60):
        mask = decider.likeliest(observe(mask, score)).numpy() > 0.5
        expected.append(mask[0])
    place = np.array([0, 5, 59, 1, 2, 30])
    assert np.array_equal(chain(decider, score, place), np.stack(expected)[place])
    assert np.array_equal(chain(decider, score, np.array([1])), np.stack(expected)[[1]])


def test_the_ensemble_score_is_half_diversity_half_plurality(table: ResponseTable) -> None:
    part = table.take(np.arange(100, 200))
    order = rank_members(table)
    masks = every_mask().numpy() > 0.5
    found = EnsembleScore(Memory.of(table, 100), order, focal_weight=0.5)(masks)
    focal = FailureCounts.from_failed(part.failed).focal(masks)
    for mask, score, diverse in zip(masks, found, focal, strict=True):
        right = 0.0
        for q in range(100):
            counts = np.bincount(part.answer[q, mask], minlength=4).astype(float)
            best = next(n for n in order if mask[n] and counts[part.answer[q, n]] == counts.max())
            right += part.candidate_score[q, part.answer[q, best]]
        assert score == pytest.approx(0.5 * diverse + 0.5 * right / 100, abs=1e-5)


def test_stage_one_pays_right_votes_and_charges_size(table: ResponseTable) -> None:
    config = PaperConfig(n_passes=1, alpha=0.6, beta=0.1, n_streams=5, update_every=20)
    training = PaperTraining(table, config, rng=np.random.default_rng(0), on_progress=None)
    critic = seeded(0, lambda: torch.nn.Sequential())
    critic.forward = lambda state: torch.zeros(len(state.inputs))  # type: ignore[method-assign]
    decider = seeded(0, lambda: PaperDecider(N, hidden=8))
    score = EnsembleScore(training.memory, training.order, focal_weight=0.5)
    previous = np.ones((5, N), dtype=bool)
    rows = np.arange(20)
    batch, _, reward = training._decide(decider, critic, rows, previous, score)
    for row, mask, earned in zip(rows, batch.action.numpy() > 0.5, reward, strict=True):
        counts = np.bincount(table.answer[row, mask], minlength=4)
        backed = [
            n for n in training.order if mask[n] and counts[table.answer[row, n]] == counts.max()
        ]
        right = table.candidate_score[row, table.answer[row, backed[0]]] == 1
        size = mask.sum() / N
        expected = 1 - 0.1 * size if right else -1 - 0.6 * size
        assert earned == pytest.approx(expected, abs=1e-6)


def test_it_asks_once_and_comes_back_from_its_spec_and_state(
    table: ResponseTable, fitted: RlFocalPaper
) -> None:
    assert isinstance(fitted, Strategy)
    state = {name: array.copy() for name, array in fitted.state().items()}
    check_state(state, fitted.layout(state), {"N": N, "T": 2, **fitted.axes()})
    again = RlFocalPaper.of(fitted.spec.settings).restore(state)
    assert again.spec == fitted.spec
    before, after = replay(fitted, table), replay(again, table)
    assert (before.n_rounds == 1).all()
    assert np.array_equal(before.asked, after.asked)
    assert np.array_equal(before.confidence, after.confidence)
    assert np.array_equal(again.ranking, rank_members(table))
    assert len(fitted.history) == 2 * 8


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("order", np.array([0, 1, 1, 2]), "each member once"),
        ("memory.task", np.full(200, 2), "should lie in"),
        ("decider.net.2.weight", np.full((N, 8), np.inf, dtype=np.float32), "not finite"),
        ("fusion.net.0.bias", np.zeros(9, dtype=np.float32), "shape"),
    ],
)
def test_a_damaged_state_is_refused(
    fitted: RlFocalPaper, name: str, value: np.ndarray, message: str
) -> None:
    state = fitted.state() | {name: value}
    with pytest.raises(CheckpointError, match=f"'{name}'.*{message}"):
        check_state(state, fitted.layout(state), {"N": N, "T": 2, **fitted.axes()})


def test_it_follows_recent_labels_by_a_copy(table: ResponseTable, fitted: RlFocalPaper) -> None:
    weight = fitted.state()["decider.net.0.weight"].copy()
    weight[:, N] = 40.0  # so that its masks depend on the score
    frozen = RlFocalPaper(fitted.config).restore(fitted.state() | {"decider.net.0.weight": weight})
    memory = replace(frozen.memory_, member_score=np.zeros((200, N), dtype=np.float32))
    view = reveal(table, np.arange(60), np.zeros((60, N), dtype=bool))
    score = EnsembleScore(memory, frozen.ranking, focal_weight=0.5)
    expected = chain(frozen.decider_, score, view.position)
    before = frozen.decide(view).ask
    assert np.array_equal(frozen.follow(memory).decide(view).ask, expected)
    assert not np.array_equal(before, expected)
    assert np.array_equal(frozen.decide(view).ask, before)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.15, 0.35, 0.5, 0.7, 0.9, 0.999])
def test_as_many_are_held_out_to_validate_on_as_is_said(share: float) -> None:
    model = PoolModel(accuracy=[[0.8, 0.6], [0.5, 0.7], [0.6, 0.6]])
    table = build_table(simulate(model, 200, rng=np.random.default_rng(0)))
    prompt = np.arange(200) // 2  # each one twice
    table = replace(table, group=prompt, task=prompt % 3)
    held = held_out(table, share, rng=np.random.default_rng(0))
    n_held = min(max(round(share * 100), 1), 99)
    assert held.sum() == 2 * n_held
    assert np.array_equal(held[::2], held[1::2])
    for task in range(3):
        here = table.task == task
        assert abs(held[here].sum() - here.sum() * n_held / 100) <= 4


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="validation_share"):
        PaperConfig.of({"validation_share": share}, source="settings")

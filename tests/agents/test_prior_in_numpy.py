"""The prior acts in numpy as it learned in torch, and judges a query alone as among others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rlfocal
from rlfocal.agents.prior import decider, fusion
from rlfocal.agents.prior import strategy as prior_strategy
from rlfocal.agents.prior.fusion import Fused, Queries
from rlfocal.agents.prior.observation import observe
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.agents.prior.weights import shipped_prior
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.records import ResponseTable, build_table
from rlfocal.simulator import draw_answers, draw_pool, to_table
from rlfocal.training.nets import Decider, Fusion
from rlfocal.training.prior.pool_batches import PoolBatch, draw_pool_batch, subsets
from rlfocal.training.weights import arrays_of, seeded, weights_from

CLOSE = 1e-5


class Judged(NamedTuple):
    """float32, for every query: posterior of each candidate, and chance of each action."""

    posterior: np.ndarray
    chance: np.ndarray


def in_torch(fusion_net: Fusion, decider_net: Decider, batch: PoolBatch, seen: Queries) -> Judged:
    with torch.no_grad():
        fused = fusion_net(fusion_net.pool(batch.pools), seen)
        price = torch.full(batch.is_open.shape, 0.02)
        task = torch.zeros(batch.is_open.shape, dtype=torch.int64)
        observation = observe(batch.pools, batch.relative_cost, seen, fused, price, task=task)
        chance = decider_net(observation).exp()
    return Judged(torch.softmax(fused.logit, 2).numpy(), chance.numpy())


def in_numpy(fusion_net: Fusion, decider_net: Decider, batch: PoolBatch, seen: Queries) -> Judged:
    pools, queries = (type(t)(*(part.numpy() for part in t)) for t in (batch.pools, seen))
    weights = arrays_of(fusion_net)
    fused = fusion.fuse(weights, fusion.pooled_of(weights, pools), queries)
    price = np.full(batch.is_open.shape, 0.02, dtype=np.float32)
    task = np.zeros(price.shape, dtype=np.int64)
    observation = observe(pools, batch.relative_cost.numpy(), queries, fused, price, task=task)
    log_prob = decider.decide(arrays_of(decider_net), observation)
    for found in (*fused, *observation[:5], log_prob):
        assert found.dtype == np.float32
    grown = np.exp(fused.logit - fused.logit.max(axis=2, keepdims=True))
    return Judged(grown / grown.sum(axis=2, keepdims=True), np.exp(log_prob))


def shipped() -> tuple[Fusion, Decider]:
    prior = shipped_prior()
    return (
        weights_from(Fusion(hidden=prior.card.fusion_hidden), prior.fusion),
        weights_from(Decider(hidden=prior.card.decider_hidden), prior.decider),
    )


def drawn(seed: int) -> tuple[Fusion, Decider]:
    """Weights that are nowhere zero."""

    def make() -> tuple[Fusion, Decider]:
        nets = Fusion(hidden=12), Decider(hidden=10)
        for net in nets:
            for parameter in net.parameters():
                parameter.data.add_(0.2 * torch.randn(parameter.shape))
        return nets

    return seeded(seed, make)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.booleans())
def test_numpy_and_torch_judge_alike(seed: int, n_members: int, of_package: bool) -> None:
    rng = np.random.default_rng(seed)
    batch = draw_pool_batch(rng, n_pools=2, n_queries=8, n_members=n_members, n_labels=seed % 40)
    seen = batch.reveal(subsets(batch, torch.Generator().manual_seed(seed)))
    nets = shipped() if of_package else drawn(seed)
    for mine, theirs in zip(
        in_numpy(*nets, batch, seen), in_torch(*nets, batch, seen), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=CLOSE)


def judged(table: ResponseTable, asked: Any, rows: Any) -> Judged:
    strategy = RlFocalPrior().fit(table, rng=np.random.default_rng(0))
    found = strategy.decide(reveal(table, rows, asked[rows]))
    assert found.chance is not None
    return Judged(found.answer, found.chance)


def alone_as_among_others(table: ResponseTable, n_alone: int) -> None:
    rng = np.random.default_rng(0)
    asked = rng.random(table.answer.shape) < rng.random((table.n_queries, 1))
    rows = np.arange(table.n_queries)
    together = judged(table, asked, rows)
    for q in rng.choice(table.n_queries, n_alone, replace=False):
        alone = judged(table, asked, rows[q : q + 1])
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], many[q][: len(one[0])], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("n_members", [2, 7, 40])
def test_a_query_alone_is_judged_as_among_others(n_members: int, is_open: bool) -> None:
    rng = np.random.default_rng(n_members)
    pool = draw_pool(rng, n_members=n_members, is_open=is_open, graded=not is_open)
    alone_as_among_others(to_table(draw_answers(pool, 300, rng=rng)), 25)


def both_ways(of_numpy: Any, seen: list[float]) -> Any:
    """A forward pass that is computed in torch as well; how far the two are apart is kept."""

    def tensors(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, np.ndarray):
            return torch.from_numpy(np.ascontiguousarray(value))
        if isinstance(value, dict):
            return {name: tensors(part) for name, part in value.items()}
        return type(value)(*map(tensors, value))

    def compute(*arguments: Any) -> Any:
        found, theirs = of_numpy(*arguments), of_numpy(*map(tensors, arguments))
        logit, other = (x.logit if isinstance(x, Fused) else x for x in (found, theirs))
        chance = torch.softmax(torch.from_numpy(logit), -1) - torch.softmax(other, -1)
        seen.append(float(chance.abs().max()))
        return found

    return compute


def replayed_alike(table: ResponseTable) -> None:
    gaps: list[float] = []
    strategy = RlFocalPrior().fit(table.take(np.arange(100)), rng=np.random.default_rng(0))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fuse", "decide"):
            patch.setattr(prior_strategy, name, both_ways(getattr(prior_strategy, name), gaps))
        replay(strategy, table.take(np.arange(100, table.n_queries)))
    assert len(gaps) > 2
    assert max(gaps) < CLOSE


def test_the_built_in_pool_is_replayed_alike() -> None:
    replayed_alike(build_table(rlfocal.localpool()))


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pool"), [("bbh", None), ("gsm8k", "mid8"), ("mmlu_pro", "mid8"), ("gsm8k", "wide16")]
)
def test_recorded_pools_are_judged_alike(shared_data: Path, name: str, pool: str | None) -> None:
    table = rlfocal.read_table(shared_data / name, pool=pool)
    alone_as_among_others(table, 100)
    replayed_alike(table)

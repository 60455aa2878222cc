"""The Decider is equivariant and legal; the critic alone sees what is hidden."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlfocal.agents.decider import Critic, Decider, GlobalState
from rlfocal.agents.nets import seeded
from rlfocal.agents.observation import N_MEMBER_FEATURES, N_SHARED_FEATURES, Observation
from rlfocal.agents.policy import action_log_prob, logits_of, rule

B, N, T = 6, 4, 2


def observed(asked: torch.Tensor, *, price: float = 0.02, seed: int = 0) -> Observation:
    generator = torch.Generator().manual_seed(seed)
    member = torch.randn(B, N, N_MEMBER_FEATURES, generator=generator)
    member[:, :, 0] = asked.float()
    preference = torch.rand(B, N, generator=generator)
    confidence = torch.rand(B, generator=generator)
    return Observation(
        member=member,
        shared=torch.randn(B, N_SHARED_FEATURES, generator=generator),
        task=torch.randint(T + 1, (B,), generator=generator),
        preference=preference,
        confidence=confidence,
        start=rule(preference, confidence, torch.full((B,), price)),
        legal=torch.cat([~asked, asked.any(1, keepdim=True)], dim=1),
    )


@pytest.fixture
def decider() -> Decider:
    """With weights that differ from the starting rule."""

    def make() -> Decider:
        made = Decider(N, T, hidden=8)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return made

    return seeded(0, make)


def some_asked() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((B, N)) < 0.5)


def test_probabilities_sum_to_one_over_legal_actions(decider: Decider) -> None:
    observation = observed(some_asked())
    chance = decider(observation).exp()
    torch.testing.assert_close(chance.sum(1), torch.ones(B))
    assert (chance[~observation.legal] == 0).all()


def test_nobody_asked_means_no_stop_and_everybody_asked_means_stop(decider: Decider) -> None:
    first = decider(observed(torch.zeros(B, N, dtype=torch.bool))).exp()
    assert (first[:, -1] == 0).all()
    last = decider(observed(torch.ones(B, N, dtype=torch.bool))).exp()
    torch.testing.assert_close(last[:, -1], torch.ones(B))


def test_what_belongs_to_a_member_moves_with_it(decider: Decider) -> None:
    order = torch.tensor([2, 0, 3, 1])
    observation = observed(some_asked())
    moved = observation._replace(
        member=observation.member[:, order],
        preference=observation.preference[:, order],
        start=torch.cat([observation.start[:, :-1][:, order], observation.start[:, -1:]], 1),
        legal=torch.cat([observation.legal[:, :-1][:, order], observation.legal[:, -1:]], 1),
    )
    before = decider(observation)
    with torch.no_grad():
        embedding = decider.body.member_embedding.weight
        embedding.copy_(embedding[order].clone())
    after = decider(moved)
    torch.testing.assert_close(after[:, :-1], before[:, :-1][:, order])
    torch.testing.assert_close(after[:, -1], before[:, -1])


def test_it_starts_by_preference_and_stops_later_at_a_lower_price() -> None:
    fresh = seeded(0, lambda: Decider(N, T, hidden=8))
    observation = observed(some_asked())
    chance = fresh(observation)[:, :-1]
    open_to = observation.legal[:, :-1]
    for row in torch.nonzero(open_to.any(1))[:, 0].tolist():
        wanted = observation.preference[row].masked_fill(~open_to[row], -1)
        assert chance[row].argmax() == wanted.argmax()
    asked = torch.tensor([[True, False, False, False]]).expand(B, N)
    stops = [fresh(observed(asked, price=p))[:, -1] for p in (0.001, 0.02, 0.2)]
    assert (stops[0] < stops[1]).all()
    assert (stops[1] < stops[2]).all()


def test_logits_and_log_probabilities_lead_to_each_other() -> None:
    observation = observed(some_asked())
    none = torch.zeros(B, N + 1)
    before = action_log_prob(start=observation.start, legal=observation.legal, logit=none)
    again = action_log_prob(start=logits_of(before), legal=observation.legal, logit=none)
    torch.testing.assert_close(again.exp(), before.exp(), atol=1e-5, rtol=1e-4)


def test_only_the_critic_depends_on_hidden_scores() -> None:
    critic = seeded(0, lambda: Critic(N, T, hidden=8))
    observation = observed(some_asked())
    low = critic(GlobalState(observation, torch.zeros(B, N)))
    high = critic(GlobalState(observation, torch.ones(B, N)))
    assert (low != high).all()

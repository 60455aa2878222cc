"""Training of weights over spans, where the best ones are known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from tests.support.table_voices import asked

from rlfocal.errors import ConfigError
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.policy import Agents, SpanPolicy, read_policy, write_policy
from rlfocal.pool.blends.weighing import Fixed, Weighed, Weigher
from rlfocal.simulator.voices import Halves
from rlfocal.training.spans.released import train_released
from rlfocal.training.spans.training import Iteration, Judged, SpanConfig, train_spans

CONFIG = SpanConfig(n_iterations=10, n_episodes=32)


HALVES = Halves()
MODELS = ["a.gguf", "b.gguf"]


def judged() -> Judged:
    request = asked(max_tokens=HALVES.length)
    return Judged([request], lambda number, reply: HALVES.right(reply.text))


def worth(weigher: Weigher, span: int = 4) -> float:
    request = judged().requests[0]
    reply = asyncio.run(write(request, HALVES.voices, Weighed(weigher, span=span)))
    return HALVES.right(reply.response.text)


def test_alone_each_is_half_right() -> None:
    assert worth(Fixed((1, 0))) == 0.5
    assert worth(Fixed((0, 1))) == 0.5


@pytest.mark.parametrize("agents", ["one", "each"])
def test_it_learns_whom_to_hear_where(agents: Agents) -> None:
    told = list[Iteration]()
    config = CONFIG.model_copy(update={"agents": agents})
    policy = asyncio.run(
        train_spans(HALVES.voices, judged(), config, seed=1, on_iteration=told.append)
    )
    assert worth(policy, policy.span) >= 0.95
    assert told[-1].reward > told[0].reward + 0.15
    # The log-probabilities that were stored are those of the policy that drew.
    assert max(one.diagnostics.first_ratio_error for one in told) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("agents", ["one", "each"])
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_it_learns_with_any_seed(agents: Agents, seed: int) -> None:
    config = CONFIG.model_copy(update={"agents": agents})
    policy = asyncio.run(train_spans(HALVES.voices, judged(), config, seed=seed))
    assert worth(policy, policy.span) >= 0.95


def test_the_released_version_does_not() -> None:
    found = [
        asyncio.run(train_released(HALVES.voices, judged(), CONFIG, seed=seed)) for seed in range(3)
    ]
    assert np.mean([worth(policy, policy.span) for policy in found]) < 0.8


def test_one_seed_is_one_policy() -> None:
    few = SpanConfig(n_iterations=2, n_episodes=4)
    first, second = (
        asyncio.run(train_spans(HALVES.voices, judged(), few, seed=5)) for _ in range(2)
    )
    other = asyncio.run(train_spans(HALVES.voices, judged(), few, seed=6))
    for name, value in first.weights.items():
        assert np.array_equal(value, second.weights[name]), name
    assert any(not np.array_equal(v, other.weights[n]) for n, v in first.weights.items())


def test_a_policy_comes_back_from_its_file(tmp_path: Path) -> None:
    policy = asyncio.run(
        train_spans(HALVES.voices, judged(), SpanConfig(n_iterations=1, n_episodes=2))
    )
    path = tmp_path / "policy.safetensors"
    write_policy(policy, path, models=MODELS, about={"prompts": 1})
    again = read_policy(path, models=MODELS)
    assert (again.agents, again.span, again.n_models) == (policy.agents, policy.span, 2)
    assert worth(again, again.span) == worth(policy, policy.span)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode  # whoever may read others may read it
    for others in ([*MODELS, "c.gguf"], MODELS[::-1], MODELS[:1]):
        with pytest.raises(ConfigError, match=r"was trained for a\.gguf, b\.gguf, in this order"):
            read_policy(path, models=others)


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x02\0\0\0\0\0\0\0{}"])
def test_what_is_no_policy_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is no policy of a blend"):
        read_policy(path, models=MODELS)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_policy(tmp_path / "none", models=MODELS)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    policy = SpanPolicy.fresh("one", span=2, n_models=2, n_hidden=4, seed=0)
    path = tmp_path / "policy.safetensors"
    odd = SpanPolicy("one", 2, 2, {**policy.weights, "out.bias": np.zeros(3, dtype=np.float32)})
    write_policy(odd, path, models=MODELS)
    with pytest.raises(ConfigError, match="its weights are not those of a policy"):
        read_policy(path, models=MODELS)

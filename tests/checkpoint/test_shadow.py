"""A shadow's checkpoint is the live one's with what was learned since in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlfocal.checkpoint import load_checkpoint
from rlfocal.checkpoint.shadow import save_shadow
from rlfocal.checkpoint.training import train
from rlfocal.deliberation.protocol import Spec
from rlfocal.errors import CheckpointError, NotApplicable
from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.strategies.voting import WeightedVote


@pytest.fixture
def live(tmp_path: Path) -> Path:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5]])
    table = build_table(simulate(model, 60, rng=np.random.default_rng(0)), encode=None)
    train(tmp_path / "live", Spec("weighted-vote", {}), table)
    return tmp_path / "live"


def learned(live: Path) -> WeightedVote:
    state = load_checkpoint(live).strategy.state()
    return WeightedVote().restore({name: array + 1 for name, array in state.items()})


def test_a_shadow_differs_from_the_live_one_in_what_was_learned_alone(live: Path) -> None:
    folder, sha256 = save_shadow(live, learned(live))
    assert folder == live.parent / f"live-{sha256[:8]}"
    before, after = load_checkpoint(live), load_checkpoint(folder)
    assert after.description.weights_sha256 == sha256
    for name, array in after.strategy.state().items():
        assert np.array_equal(array, before.strategy.state()[name] + 1)
    assert np.array_equal(after.accuracy, before.accuracy)
    assert np.array_equal(after.training_queries, before.training_queries)
    own = {"created", "weights_file", "weights_sha256"}
    assert after.description.model_dump(exclude=own) == before.description.model_dump(exclude=own)


def test_what_is_no_shadow_of_the_live_one_is_refused(live: Path, tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="does not do already"):
        save_shadow(live, load_checkpoint(live).strategy)
    with pytest.raises(CheckpointError, match="holds the live policy"):
        save_shadow(live, learned(live), live)
    other = learned(live)
    other.found_ = np.ones(3)
    with pytest.raises(
        CheckpointError, match=r"not of the same kind as the shadow: strategy\.found"
    ):
        save_shadow(live, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live"]

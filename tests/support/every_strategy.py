"""Every strategy that can be trained to disk, with settings that train in seconds.

One of another package is among them: the example's, as if it were installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from texts import with_own_texts

from rlfocal import plugins
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import BUILT_IN, GROUP, create_strategy
from rlfocal.records import Dataset, PoolModel, ResponseTable, simulate

OF_ANOTHER_PACKAGE = "two-then-third"
REFERENCES = (
    "oracle", "self-consistency", "adaptive-consistency", "early-consistency", "mince",
)  # fmt: skip
NAMES = (*(name for name in BUILT_IN if name not in REFERENCES), OF_ANOTHER_PACKAGE)
QUICK_ONES = (
    "best-single", "plurality", "agreement", "stacking", "knn-router", "rl-focal-prior",
    OF_ANOTHER_PACKAGE,
)  # fmt: skip
"""One of each kind: the others are tested with the slow tests."""
LONG = tuple(name for name in NAMES if name not in QUICK_ONES)
every_strategy = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in NAMES]
)
QUICK: Mapping[str, Mapping[str, Any]] = {
    "rl-focal": {"n_iterations": 2, "n_episodes": 32, "learn_from": 1},
    "rl-focal-paper": {"n_passes": 1, "n_streams": 2},
}
"""Settings that train in seconds, where the usual ones do not."""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example package seems to be installed."""
    source = Path(__file__).resolve().parents[2] / "examples/own_package/src"
    monkeypatch.syspath_prepend(source)
    point = EntryPoint(OF_ANOTHER_PACKAGE, "two_then_third:TwoThenThird", GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == GROUP else [])


def quick_spec(name: str) -> Spec:
    """Name and quick settings."""
    return Spec(name, QUICK.get(name, {}))


def fitted(name: str, table: ResponseTable) -> Base:
    """Trained as `rlfocal train` does, on calibrated queries."""
    strategy = create_strategy(quick_spec(name))
    return strategy.fit(strategy.training_table(table), rng=np.random.default_rng(0))


def pool(seed: int, n_queries: int) -> Dataset:
    """Three members with option scores and texts, two tasks; another seed gives other queries."""
    model = PoolModel(accuracy=[[0.85, 0.6, 0.5], [0.5, 0.75, 0.6]], correlation=0.2)
    rng = np.random.default_rng(seed)
    data = simulate(model, n_queries, rng=rng, name=f"pool{seed}")
    answer = ["ABCD".index(letter) for letter in data.responses["answer"].to_pylist()]
    scores = rng.standard_normal((len(answer), 4))
    scores[np.arange(len(answer)), answer] = scores.max(axis=1) + 0.5
    words = np.where(rng.random(len(answer)) < 0.5, "Surely", "Perhaps")
    texts = [f"{word} it is {'ABCD'[k]}." for word, k in zip(words, answer, strict=True)]
    data = with_own_texts(data)
    rows = data.responses.append_column("choice_scores", pa.array(scores.tolist()))
    return replace(data, responses=rows.append_column("text", pa.array(texts)))

"""A fitted `rl-focal-prior` as named arrays, so that a checkpoint holds all it needs.

The nets go in as well: a later package may ship another prior, and what was trained against one
must be served with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlfocal.rl.config import PriorConfig
from rlfocal.rl.prior.decider import Decider
from rlfocal.rl.prior.fusion import Fusion
from rlfocal.rl.prior.statistics import Counts
from rlfocal.rl.prior.strategy import RlFocalPrior
from rlfocal.rl.prior.weights import Card, Prior

__all__ = ["pack_prior", "unpack_prior"]

Arrays = Mapping[str, NDArray[Any]]


def pack_prior(strategy: RlFocalPrior) -> dict[str, NDArray[Any]]:
    """Every array that a fitted strategy needs, by name."""
    prior = strategy.prior
    card = prior.card.model_dump_json().encode()
    arrays: dict[str, NDArray[Any]] = {
        "card": np.frombuffer(card, dtype=np.uint8),
        "relative_cost": strategy.relative_cost_,
        "adds_up": strategy.adds_up_,
    }
    arrays |= {f"counts.{f.name}": getattr(strategy.counts_, f.name) for f in fields(Counts)}
    for name, module in (("fusion", prior.fusion), ("decider", prior.decider)):
        arrays |= {f"{name}.{key}": t.numpy() for key, t in module.state_dict().items()}
    return arrays


def unpack_prior(arrays: Arrays, config: PriorConfig | None = None) -> RlFocalPrior:
    """Undo `pack_prior`.

    Raises:
        KeyError, RuntimeError: an array is missing or has another shape.
        ValueError: the card is damaged.
    """
    card = Card.model_validate_json(np.asarray(arrays["card"]).tobytes())
    fusion, decider = Fusion(hidden=card.fusion_hidden), Decider(hidden=card.decider_hidden)
    for prefix, module in (("fusion.", fusion), ("decider.", decider)):
        module.load_state_dict(
            {
                name.removeprefix(prefix): torch.from_numpy(np.array(array))
                for name, array in arrays.items()
                if name.startswith(prefix)
            }
        )
    prior = Prior(
        fusion.eval().requires_grad_(False), decider.eval().requires_grad_(False), card
    )  # fmt: skip
    counts = Counts(**{f.name: arrays[f"counts.{f.name}"] for f in fields(Counts)})
    return RlFocalPrior(prior, config).assemble(counts, arrays["relative_cost"], arrays["adds_up"])

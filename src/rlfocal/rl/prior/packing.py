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
from pydantic import ValidationError

from rlfocal.rl.config import PriorConfig
from rlfocal.rl.prior.statistics import Counts
from rlfocal.rl.prior.strategy import RlFocalPrior
from rlfocal.rl.prior.weights import Card, assemble, tensors_of

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
    arrays |= {name: tensor.numpy() for name, tensor in tensors_of(prior).items()}
    return arrays


def unpack_prior(arrays: Arrays, config: PriorConfig | None = None) -> RlFocalPrior:
    """Undo `pack_prior`.

    Raises:
        KeyError, RuntimeError: an array is missing or has another shape.
        ValueError: the card is damaged.
    """
    try:
        card = Card.model_validate_json(np.asarray(arrays["card"]).tobytes())
    except ValidationError:
        raise ValueError("the array 'card' holds no card of a prior") from None
    prior = assemble(card, {n: torch.from_numpy(np.array(a)) for n, a in arrays.items()})
    counts = Counts(**{f.name: arrays[f"counts.{f.name}"] for f in fields(Counts)})
    return RlFocalPrior(prior, config).assemble(counts, arrays["relative_cost"], arrays["adds_up"])

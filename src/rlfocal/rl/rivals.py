"""A fallback as named arrays and back: rivals are small, so a checkpoint carries them all.

Knows the fitted attributes of each rival, and nothing of how they decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.protocol import Strategy
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.everybody import Everybody
from rlfocal.rl.fallback import LEARNED, Fallback, Verdict
from rlfocal.rl.foundation import Foundation
from rlfocal.rl.threshold import Curve, PosteriorThreshold, prices_of
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.capped import CappedAgreement, StoppingGrid
from rlfocal.strategies.single import BestSingle, BestSinglePerTask
from rlfocal.strategies.stacking import Stacking

__all__ = ["pack", "unpack"]

_NAMES = (
    LEARNED, Everybody.name, PosteriorThreshold.name, BestSingle.name, BestSinglePerTask.name,
    CappedAgreement.name, Stacking.name,
)  # fmt: skip
"""Who can act; verdicts are stored by place in this list."""
Arrays = dict[str, NDArray[Any]]


def pack(fallback: Fallback) -> Arrays:
    """Every array of a fallback, by name."""
    verdicts = [
        [_NAMES.index(name) for name in (v.chosen, v.incumbent, v.rival)] for v in fallback.verdicts
    ]
    evidence = [(v.utility, v.rival_utility, v.standard_error) for v in fallback.verdicts]
    arrays: Arrays = {
        "fallback.acting": np.array(verdicts, dtype=np.int64),
        "fallback.evidence": np.array(evidence, dtype=np.float64),
    }
    for name, rival in fallback.rivals.items():
        arrays |= {f"rival.{name}.{key}": np.asarray(a) for key, a in _state(rival).items()}
    return arrays


def unpack(arrays: Mapping[str, NDArray[Any]], foundation: Foundation, config: RlFocalConfig) -> (
    Fallback
):  # fmt: skip
    """Undo `pack`.

    Raises:
        KeyError: an array is missing, or all of a rival that acts.
    """
    verdicts = tuple(
        Verdict(
            price, _NAMES[acting], _NAMES[incumbent], float(own), _NAMES[rival], float(other),
            float(error),
        )
        for price, (acting, incumbent, rival), (own, other, error) in zip(
            prices_of(config), arrays["fallback.acting"].tolist(), arrays["fallback.evidence"],
            strict=True,
        )
    )  # fmt: skip
    rivals: dict[str, Strategy] = {Everybody.name: Everybody(foundation)}
    for name in _NAMES[2:]:
        start = f"rival.{name}."
        state = {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}
        if state:
            rivals[name] = _restored(name, state, foundation, config)
    for verdict in verdicts:
        if verdict.chosen != LEARNED and verdict.chosen not in rivals:
            raise KeyError(f"'{verdict.chosen}' acts at a price, and its arrays are missing")
    return Fallback(verdicts, rivals, config.round_price)


def _state(rival: Any) -> Arrays:
    if isinstance(rival, Everybody):
        return {}
    if isinstance(rival, PosteriorThreshold):
        return {"score": rival.curve_.score, "cost": rival.curve_.cost}
    if isinstance(rival, BestSingle):
        return {"member": np.array(rival.member_)}
    if isinstance(rival, BestSinglePerTask):
        return {"member_of_task": rival.member_of_task_}
    if isinstance(rival, Stacking):
        return {
            "weight": rival.weight_, "none_bias": rival.none_bias_,
            "graded": np.array(rival.graded_),
        }  # fmt: skip
    agreement, grid = rival.agreement_, rival.grid_
    return {
        "order": agreement.order_, "weight": agreement.weight_, "adds_up": agreement.adds_up_,
        "thresholds": np.array(grid.thresholds), "caps": np.array(grid.caps),
        "score": grid.score, "cost": grid.cost,
    }  # fmt: skip


def _restored(name: str, state: Arrays, foundation: Foundation, config: RlFocalConfig) -> Strategy:
    if name == PosteriorThreshold.name:
        return PosteriorThreshold(config).assemble(foundation, Curve(state["score"], state["cost"]))
    if name == BestSingle.name:
        single = BestSingle()
        single.member_ = int(state["member"])
        return single
    if name == BestSinglePerTask.name:
        per_task = BestSinglePerTask()
        per_task.member_of_task_ = state["member_of_task"]
        return per_task
    if name == Stacking.name:
        stacking = Stacking()
        stacking.weight_, stacking.none_bias_ = state["weight"], state["none_bias"]
        stacking.graded_ = bool(state["graded"])
        return stacking
    agreement = Agreement()
    agreement.order_, agreement.weight_ = state["order"], state["weight"]
    agreement.adds_up_ = state["adds_up"]
    capped = CappedAgreement()
    capped.agreement_ = agreement
    capped.grid_ = StoppingGrid(
        tuple(state["thresholds"].tolist()), tuple(state["caps"].tolist()),
        state["score"], state["cost"],
    )  # fmt: skip
    return capped

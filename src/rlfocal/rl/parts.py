"""Taking trained strategies apart into named tensors, and putting them together again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlfocal.deliberation.view import Memory
from rlfocal.errors import CheckpointError, nearest
from rlfocal.rl.config import PaperConfig, PriorConfig, RlFocalConfig
from rlfocal.rl.decider import Decider
from rlfocal.rl.foundation import Foundation, Known
from rlfocal.rl.fusion import Fusion, Hints
from rlfocal.rl.paper.nets import PaperDecider, PaperFusion
from rlfocal.rl.paper.observation import N_LEADING
from rlfocal.rl.paper.strategy import RlFocalPaper
from rlfocal.rl.prior.packing import pack_prior, unpack_prior
from rlfocal.rl.prior.strategy import RlFocalPrior
from rlfocal.rl.rivals import pack, unpack
from rlfocal.rl.statistics import Competence, PoolStatistics
from rlfocal.rl.strategy import RlFocal

__all__ = ["PRESETS", "Trained", "disassemble", "read_settings", "reassemble"]

PRESETS = (RlFocal.name, RlFocalPaper.name, RlFocalPrior.name)
"""Names of the presets that a checkpoint can hold."""
Trained = RlFocal | RlFocalPaper | RlFocalPrior
"""What they make."""


def disassemble(strategy: Trained) -> dict[str, Tensor]:
    """Every array that a fitted strategy needs, by name."""
    if isinstance(strategy, RlFocalPrior):
        return _tensors(pack_prior(strategy))
    if isinstance(strategy, RlFocal):
        foundation = strategy.foundation_
        statistics, competence = foundation.statistics, foundation.competence
        arrays = {
            "statistics.accuracy": statistics.accuracy,
            "statistics.task_accuracy": statistics.task_accuracy,
            "statistics.relative_cost": statistics.relative_cost,
            "statistics.unit_cost": np.array([statistics.unit_cost]),
            "statistics.joint_failure": statistics.joint_failure,
            "competence.weight": competence.weight,
            "competence.intercept": competence.intercept,
            **pack(strategy.fallback_),
        }
        if foundation.hints:
            packed = pack_prior(foundation.hints.pools[-1])
            arrays |= {f"prior.{name}": array for name, array in packed.items()}
        fusion: nn.Module = foundation.fusion
    else:
        memory = strategy.memory_
        arrays = {
            "memory.task": memory.task,
            "memory.answer": memory.answer,
            "memory.member_score": memory.member_score,
            "order": strategy.order_,
        }
        fusion = strategy.fusion_
    return _tensors(arrays) | _named("decider", strategy.decider_) | _named("fusion", fusion)


def reassemble(
    preset: str,
    config: dict[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    n_members: int,
    n_candidates: int,
) -> Trained:
    """Undo `disassemble`.

    Args:
        preset: a name in `PRESETS`.
        config: the preset's settings.
        tensors: what `disassemble` returned.
        n_members: N.
        n_candidates: C of the training table.

    Raises:
        CheckpointError: an unknown preset.
        ConfigError: settings this version does not know.
        KeyError, RuntimeError: a tensor is missing or has another shape.
    """
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    if preset == RlFocal.name:
        return _rl_focal(config, tensors, arrays, n_members, n_candidates)
    if preset == RlFocalPaper.name:
        return _paper(config, tensors, arrays, n_members)
    if preset == RlFocalPrior.name:
        return unpack_prior(arrays, PriorConfig.of(config, source="checkpoint"))
    raise CheckpointError(f"unknown preset '{preset}'; {nearest(preset, PRESETS)}")


def read_settings(
    preset: str, config: Mapping[str, Any]
) -> RlFocalConfig | PaperConfig | PriorConfig:
    """A preset's settings as a checkpoint holds them.

    Raises:
        CheckpointError: an unknown preset.
        ConfigError: settings that this version does not know.
    """
    kinds: Mapping[str, type[RlFocalConfig | PaperConfig | PriorConfig]] = {
        RlFocal.name: RlFocalConfig, RlFocalPaper.name: PaperConfig, RlFocalPrior.name: PriorConfig,
    }  # fmt: skip
    if preset not in kinds:
        raise CheckpointError(f"unknown preset '{preset[:60]}'; {nearest(preset, PRESETS)}")
    return kinds[preset].of(config, source="config")


def _rl_focal(
    config: dict[str, Any],
    tensors: Mapping[str, Tensor],
    arrays: Mapping[str, NDArray[Any]],
    n_members: int,
    n_candidates: int,
) -> RlFocal:
    settings = RlFocalConfig.of(config, source="checkpoint")
    task_accuracy = arrays["statistics.task_accuracy"]
    statistics = PoolStatistics(
        accuracy=arrays["statistics.accuracy"],
        task_accuracy=task_accuracy,
        relative_cost=arrays["statistics.relative_cost"],
        unit_cost=float(arrays["statistics.unit_cost"][0]),
        joint_failure=arrays["statistics.joint_failure"],
    )
    competence = Competence(arrays["competence.weight"], arrays["competence.intercept"])
    fusion = Fusion(
        tensors["fusion.weight"], tensors["fusion.none_bias"], tensors["fusion.company"],
        n_candidates=n_candidates,
    )  # fmt: skip
    decider = Decider(n_members, len(task_accuracy) - 1, **settings.of_nets)
    _restore(fusion, "fusion", tensors)
    _restore(decider, "decider", tensors)
    nobody = Known(np.zeros((0, n_members), dtype=np.float32), torch.zeros(0, dtype=torch.int64))
    packed = {
        name.removeprefix("prior."): a for name, a in arrays.items() if name.startswith("prior.")
    }
    hints = Hints((unpack_prior(packed),)) if packed else Hints()
    foundation = Foundation(statistics, competence, fusion.eval(), hints, nobody)
    fallback = unpack(arrays, foundation, settings)
    return RlFocal(settings).assemble(foundation, decider.eval(), fallback)


def _paper(
    config: dict[str, Any],
    tensors: Mapping[str, Tensor],
    arrays: Mapping[str, NDArray[Any]],
    n_members: int,
) -> RlFocalPaper:
    settings = PaperConfig.of(config, source="checkpoint")
    decider = PaperDecider(n_members, hidden=settings.hidden)
    fusion = PaperFusion(n_members, N_LEADING, hidden=settings.fusion_hidden)
    _restore(decider, "decider", tensors)
    _restore(fusion, "fusion", tensors)
    memory = Memory(arrays["memory.task"], arrays["memory.answer"], arrays["memory.member_score"])
    return RlFocalPaper(settings).assemble(decider.eval(), fusion.eval(), memory, arrays["order"])


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in module.state_dict().items()}


def _restore(module: nn.Module, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    start = f"{prefix}."
    own = {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}
    module.load_state_dict(own)

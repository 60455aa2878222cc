"""What trained nets are worth on simulated pools that training does not use."""

from __future__ import annotations

from typing import NamedTuple

from rlfocal.agents.arrays import Weights
from rlfocal.training.nets import Decider, Fusion
from rlfocal.training.prior.pretraining import held_out, validate_fusion
from rlfocal.training.prior.reinforcement import validate_decider
from rlfocal.training.weights import one_thread, seeded, weights_from

__all__ = ["Trained", "measured"]


class Trained(NamedTuple):
    """What is measured, and the seed it was trained with: whoever measures may be elsewhere."""

    seed: int
    fusion_hidden: int
    fusion: Weights
    hidden: int
    decider: Weights


def measured(trained: Trained, setting: tuple[int, bool]) -> dict[str, float]:
    """Figures of both nets on pools with so many labels, with readers or without.

    Beside them stands the utility of the rule that a Decider starts as.
    """
    n_labels, readers = setting
    fusion, decider, untrained = seeded(
        trained.seed,
        lambda: (
            Fusion(hidden=trained.fusion_hidden),
            Decider(hidden=trained.hidden),
            Decider(hidden=trained.hidden),
        ),
    )
    weights_from(fusion, trained.fusion)
    weights_from(decider, trained.decider)
    with one_thread():
        pool_batches = held_out(trained.seed, n_labels=n_labels, readers=readers)
        figures = validate_fusion(fusion, pool_batches)
        learned = validate_decider(decider, fusion, pool_batches)
        rule = validate_decider(untrained, fusion, pool_batches)
    figures |= {f"decider_{name}": value for name, value in learned.items()}
    figures["starting_rule_utility"] = rule["utility"]
    return {name: round(value, 4) for name, value in figures.items()}

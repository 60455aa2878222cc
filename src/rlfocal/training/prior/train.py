"""Train the prior: python -m rlfocal.training.prior.train --out DIR --minutes M --seed S."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from rlfocal.agents.arrays import size_of
from rlfocal.agents.prior.weights import Card, Prior, save_prior
from rlfocal.deliberation.progress import Progress
from rlfocal.files import check_writable
from rlfocal.simulator import VERSION
from rlfocal.training.nets import Decider
from rlfocal.training.prior.pretraining import held_out, train_fusion, validate_fusion
from rlfocal.training.prior.reinforcement import (
    PRICE_MAX,
    PRICE_MIN,
    train_decider,
    validate_decider,
)
from rlfocal.training.weights import one_thread

__all__ = ["main", "train_prior"]

_FUSION_SHARE = 0.42
_EVERY = 100
_LIMITS = [
    "learned from simulated pools only; no recorded or live answer was used in training",
    "2 to 48 members, 0 to 1,000 labels, up to 19 options, lambda 0.001 to 0.3",
    "query texts are not read: members' competence is known per task at best",
    "one member is asked per round",
]


def train_prior(
    *, minutes: float, seed: int, console: Console, fusion_hidden: int = 64, hidden: int = 56
) -> Prior:
    """Train Fusion, then the Decider, and measure both on held-out simulated pools.

    Args:
        minutes: wall-clock time for both together; validation comes on top.
        seed: source of all randomness.
        console: where progress goes.
        fusion_hidden: width of Fusion.
        hidden: width of the Decider and the critic.
    """

    def report(progress: Progress) -> None:
        if progress.step % _EVERY == 0:
            figures = "  ".join(f"{k} {v:.4f}" for k, v in progress.figures.items())
            console.print(f"{progress.phase} {progress.step}: {figures}", highlight=False)

    spent = minutes * _FUSION_SHARE
    fusion = train_fusion(minutes=spent, seed=seed, hidden=fusion_hidden, on_progress=report)
    decider = train_decider(
        fusion, minutes=minutes - spent, seed=seed, hidden=hidden, on_progress=report
    )
    validation: dict[str, dict[str, float]] = {}
    untrained = Decider(hidden=hidden)
    for n_labels, readers in product((0, 25, 100, 500), (False, True)):
        pool_batches = held_out(seed, n_labels=n_labels, readers=readers)
        figures = validate_fusion(fusion, pool_batches)
        learned = validate_decider(decider, fusion, pool_batches)
        rule = validate_decider(untrained, fusion, pool_batches)
        figures |= {f"decider_{name}": value for name, value in learned.items()}
        figures["starting_rule_utility"] = rule["utility"]
        validation[f"{n_labels} labels{', readers' if readers else ''}"] = {
            k: round(v, 4) for k, v in figures.items()
        }
    card = Card(
        recipe=(
            "Fusion by maximum likelihood on random subsets of members, AdamW, averaged weights; "
            "Decider by MAPPO with counterfactual credit against the frozen Fusion, answers worth "
            "what Fusion believes with everybody asked, privileged "
            "critic, averaged weights; pools of rlfocal.simulator, each met once"
        ),
        seed=seed,
        minutes=minutes,
        simulator_version=VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{platform.machine()}, {torch.get_num_threads()} thread, torch "
        f"{torch.__version__}, Python {platform.python_version()}",
        price_min=PRICE_MIN,
        price_max=PRICE_MAX,
        fusion_hidden=fusion_hidden,
        decider_hidden=hidden,
        n_parameters={"fusion": size_of(fusion.weights), "decider": size_of(decider.weights)},
        validation=validation,
        limits=_LIMITS,
    )
    return Prior(fusion.exported(), decider.exported(), card)


def main(
    out: Annotated[Path, typer.Option(help="Folder for weights and card.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Wall-clock training time.")] = 12.0,
    seed: Annotated[int, typer.Option(help="Source of all randomness.")] = 0,
) -> None:
    """Train the prior on simulated pools and write its weights and card."""
    check_writable(out)
    console = Console(stderr=True)
    with one_thread():
        prior = train_prior(minutes=minutes, seed=seed, console=console)
    console.print(f"wrote {save_prior(out, prior)}")


if __name__ == "__main__":
    typer.run(main)

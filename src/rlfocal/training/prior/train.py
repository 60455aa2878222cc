"""Train the prior: python -m rlfocal.training.prior.train --out DIR --minutes M --seed S.

With `--on PLACE` its scenes are drawn, and it is measured, by other processes or a cluster.
"""

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
from rlfocal.errors import RlfocalError
from rlfocal.executor import Executor, SerialExecutor, executor_at
from rlfocal.files import check_writable
from rlfocal.simulator import VERSION
from rlfocal.training.prior.measuring import Trained, measured
from rlfocal.training.prior.pretraining import train_fusion
from rlfocal.training.prior.reinforcement import (
    PRICE_MAX,
    PRICE_MIN,
    train_decider,
)
from rlfocal.training.weights import one_thread

__all__ = ["main", "train_prior"]

_FUSION_SHARE = 0.42
_EVERY = 100
_N_LABELS = (0, 25, 100, 500)
"""Of the pools that the nets are measured on."""
_LIMITS = [
    "learned from simulated pools only; no recorded or live answer was used in training",
    "2 to 48 members, 0 to 1,000 labels, up to 19 options, lambda 0.001 to 0.3",
    "query texts are not read: members' competence is known per task at best",
    "one member is asked per round",
]


def train_prior(
    *,
    minutes: float,
    seed: int,
    console: Console,
    executor: Executor | None = None,
    fusion_hidden: int = 64,
    hidden: int = 56,
) -> Prior:
    """Train Fusion, then the Decider, and measure both on held-out simulated pools.

    Args:
        minutes: wall-clock time for both together; validation comes on top.
        seed: source of all randomness.
        console: where progress goes.
        executor: where scenes are drawn, ahead of the learner, and the nets are measured; None for
            here. It changes no scene; with more of them in the time the nets are others.
        fusion_hidden: width of Fusion.
        hidden: width of the Decider and the critic.
    """
    executor = executor or SerialExecutor()

    def report(progress: Progress) -> None:
        if progress.step % _EVERY == 0:
            figures = "  ".join(f"{k} {v:.4f}" for k, v in progress.figures.items())
            console.print(f"{progress.phase} {progress.step}: {figures}", highlight=False)

    spent = minutes * _FUSION_SHARE
    fusion = train_fusion(
        minutes=spent, seed=seed, executor=executor, hidden=fusion_hidden, on_progress=report
    )
    decider = train_decider(
        fusion, minutes=minutes - spent, seed=seed, executor=executor, hidden=hidden,
        on_progress=report,
    )  # fmt: skip
    trained = Trained(seed, fusion_hidden, fusion.exported(), hidden, decider.exported())
    settings = list(product(_N_LABELS, (False, True)))
    figures = dict(executor.map(measured, settings, shared=trained))
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
        validation={
            f"{n_labels} labels{', readers' if readers else ''}": figures[index]
            for index, (n_labels, readers) in enumerate(settings)
        },
        limits=_LIMITS,
    )
    return Prior(fusion.exported(), decider.exported(), card)


def main(
    out: Annotated[Path, typer.Option(help="Folder for weights and card.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Wall-clock training time.")] = 12.0,
    seed: Annotated[int, typer.Option(help="Source of all randomness.")] = 0,
    on: Annotated[
        str,
        typer.Option(
            metavar="PLACE", help="Where scenes are drawn: processes:8, ray:ADDRESS, dask:ADDRESS."
        ),
    ] = "processes:1",
) -> None:
    """Train the prior on simulated pools and write its weights and card."""
    check_writable(out)
    console = Console(stderr=True)
    try:
        executor = executor_at(on)
        with one_thread():
            prior = train_prior(minutes=minutes, seed=seed, console=console, executor=executor)
    except RlfocalError as exc:
        console.print(f"error: {exc}", highlight=False)
        raise typer.Exit(1) from exc
    console.print(f"wrote {save_prior(out, prior)}")


if __name__ == "__main__":
    typer.run(main)

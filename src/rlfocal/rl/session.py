"""Train into a checkpoint folder: interrupted at any moment, the same call goes on where it was.

Beside the checkpoint lies `training.safetensors` as long as training is unfinished; its metadata
name the data, settings and seed, and a run with others is refused rather than mixed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rlfocal.deliberation.progress import Progress
from rlfocal.errors import CheckpointError
from rlfocal.files import check_writable, replace_file
from rlfocal.records import ResponseTable, calibrate
from rlfocal.rl.checkpoint import save_checkpoint
from rlfocal.rl.config import PaperConfig, PriorConfig, RlFocalConfig
from rlfocal.rl.nets import one_thread
from rlfocal.rl.paper.strategy import RlFocalPaper
from rlfocal.rl.prior.strategy import RlFocalPrior
from rlfocal.rl.strategy import RlFocal
from rlfocal.rl.trainer import Trainer, TrainingState

__all__ = ["count_prior", "train_paper", "train_rl_focal"]

_STATE = "training.safetensors"
_SAVE_EVERY = 10
"""Iterations between two saves: a kill -9 loses at most that many."""

Report = Callable[[Progress], None]


def train_paper(
    folder: Path,
    table: ResponseTable,
    config: PaperConfig,
    *,
    seed: int,
    encoder_spec: Mapping[str, str | int] | None,
    on_progress: Report | None = None,
) -> Path:
    """Train the preset `rl-focal-paper` and write its checkpoint.

    It takes seconds to a few minutes, so it is not resumable; interrupted, it leaves nothing.

    Args:
        folder: where the checkpoint goes.
        table: labelled training queries, supports not yet calibrated.
        config: settings.
        seed: source of all randomness.
        encoder_spec: how `table.features` were made.
        on_progress: called after each update.
    """
    check_writable(folder)
    calibration, calibrated = calibrate(table)
    strategy = RlFocalPaper(config, on_progress=on_progress)
    strategy.fit(calibrated, rng=np.random.default_rng(seed))
    return save_checkpoint(
        folder, strategy, table, calibration, encoder_spec=encoder_spec, seed=seed
    )


def count_prior(
    folder: Path,
    table: ResponseTable,
    config: PriorConfig,
    *,
    seed: int,
    encoder_spec: Mapping[str, str | int] | None,
) -> Path:
    """Tell the prior of a pool by its labelled queries, or of its members alone, and write it.

    Args:
        folder: where the checkpoint goes.
        table: labelled queries, supports not yet calibrated; zero-shot, none of them is used.
        config: settings.
        seed: for the record; the prior draws nothing.
        encoder_spec: how `table.features` were made.
    """
    check_writable(folder)
    if config.zero_shot:
        table = table.take(np.zeros(0, dtype=np.int64))
    calibration, calibrated = calibrate(table)
    strategy = RlFocalPrior(config=config).fit(calibrated, rng=np.random.default_rng(seed))
    return save_checkpoint(
        folder, strategy, table, calibration, encoder_spec=encoder_spec, seed=seed
    )


def train_rl_focal(
    folder: Path,
    table: ResponseTable,
    config: RlFocalConfig,
    *,
    seed: int,
    encoder_spec: Mapping[str, str | int] | None,
    on_progress: Report | None = None,
) -> Path:
    """Train the preset `rl-focal`, or go on with an interrupted run, and write its checkpoint.

    Args:
        folder: where the checkpoint goes, and where an interrupted run may lie.
        table: labelled training queries, supports not yet calibrated.
        config: settings.
        seed: source of all randomness.
        encoder_spec: how `table.features` were made.
        on_progress: called after each epoch of Fusion and each iteration of the Decider.

    Raises:
        CheckpointError: the folder holds an unfinished run with other data, settings or seed.
        KeyboardInterrupt: after everything learned so far is saved.
    """
    check_writable(folder)
    key = _key(table, config, seed)
    resumed = _read(folder / _STATE, key)
    calibration, calibrated = calibrate(table)
    with one_thread():
        trainer = Trainer(
            calibrated, config, seed=seed, on_progress=on_progress,
            fusion=None if resumed is None else resumed[0],
        )  # fmt: skip
        if resumed is not None:
            trainer.restore(resumed[1])

        def keep(*, finished: bool) -> Path:
            strategy = RlFocal(config).adopt(trainer)
            if not finished:
                _write(folder / _STATE, trainer, key)
            path = save_checkpoint(
                folder, strategy, table, calibration,
                encoder_spec=encoder_spec, seed=seed, finished=finished,
            )  # fmt: skip
            if finished:
                (folder / _STATE).unlink(missing_ok=True)
            return path

        try:
            while not trainer.done:
                trainer.train(_SAVE_EVERY)
                if not trainer.done:
                    _write(folder / _STATE, trainer, key)
        except KeyboardInterrupt:
            keep(finished=False)
            raise
        return keep(finished=True)


def _key(table: ResponseTable, config: RlFocalConfig, seed: int) -> str:
    """What must be equal for a run to go on: data, settings, seed."""
    text = f"{table.digest()} {config.model_dump_json()} {seed}"
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, trainer: Trainer, key: str) -> None:
    state = trainer.state()
    groups: dict[str, Mapping[str, Tensor]] = {
        "decider": state.decider, "critic": state.critic, "averaged": state.averaged,
        "fusion": trainer.foundation.fusion.state_dict(),
    }  # fmt: skip
    tensors = {f"{group}/{name}": t for group, part in groups.items() for name, t in part.items()}
    for index, moments in state.optimizer["state"].items():
        tensors |= {f"optimizer/{index}/{name}": t for name, t in moments.items()}
    rest = {
        "iteration": state.iteration, "history": state.history,
        "param_groups": state.optimizer["param_groups"],
    }  # fmt: skip
    metadata = {"key": key, "state": json.dumps(rest)}
    data = save({name: t.contiguous() for name, t in tensors.items()}, metadata=metadata)
    replace_file(path, lambda fresh: fresh.write_bytes(data))


def _read(path: Path, key: str) -> tuple[dict[str, Tensor], TrainingState] | None:
    """Fusion's weights and the state of an unfinished run, or None where there is none."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as exc:
        raise CheckpointError(
            f"{path}: the unfinished run is damaged ({exc}); delete this file to start afresh"
        ) from exc
    if metadata.get("key") != key:
        raise CheckpointError(
            f"{path}: an unfinished run with other data, settings or seed; finish it with the same "
            "options, name another folder with -o, or delete this file to start afresh"
        )
    rest: dict[str, Any] = json.loads(metadata["state"])

    def group(name: str) -> dict[str, Tensor]:
        start = f"{name}/"
        return {k[len(start) :]: t for k, t in tensors.items() if k.startswith(start)}

    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in group("optimizer").items():
        index, part = name.split("/")
        moments.setdefault(int(index), {})[part] = tensor
    state = TrainingState(
        iteration=rest["iteration"],
        decider=group("decider"),
        critic=group("critic"),
        optimizer={"state": moments, "param_groups": rest["param_groups"]},
        averaged=group("averaged"),
        history=rest["history"],
    )
    return group("fusion"), state

"""Train any strategy into a checkpoint folder.

What trains long is resumable: interrupted at any moment, the same call goes on where it was. Beside
the checkpoint lies `training.safetensors` as long as training is unfinished; its metadata name the
data, settings and seed, and a run with others is refused rather than mixed in.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rlfocal.checkpoint.files import save_checkpoint
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import Resumable, RunState, Spec, unmet
from rlfocal.deliberation.registry import create_strategy
from rlfocal.errors import CheckpointError, NotApplicable
from rlfocal.executor import Executor
from rlfocal.files import check_writable, replace_file
from rlfocal.records import ResponseTable, calibrate

__all__ = ["train"]

_UNFINISHED = "training.safetensors"
_SAVE_EVERY = 10
"""Steps between two saves: a kill -9 loses at most that many."""


def train(
    folder: Path,
    spec: Spec,
    table: ResponseTable,
    *,
    seed: int = 0,
    encoder_spec: Mapping[str, str | int] | None = None,
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Train a strategy, or go on with an interrupted run, and write its checkpoint.

    Args:
        folder: where the checkpoint goes, and where an interrupted run may lie.
        spec: which strategy, and its settings.
        table: labelled training queries, supports not yet calibrated.
        seed: source of all randomness.
        encoder_spec: how `table.features` were made; None for no features.
        executor: where independent parts of the fit run; None for here. It changes no figure.
        on_progress: called after each step of what trains long.

    Returns:
        The path of the checkpoint's description.

    Raises:
        ConfigError: the strategy or a setting is unknown, or the folder cannot be written.
        NotApplicable: the data lack what the strategy needs.
        CheckpointError: the folder holds an unfinished run with other data, settings or seed.
        RlfocalError: nothing can be run by the executor.
        KeyboardInterrupt: after everything learned so far is saved, where that can go on; else
            nothing is left behind.
    """
    strategy = create_strategy(spec)
    reason = unmet(strategy, table)
    if reason is not None:
        raise NotApplicable(f"{table.name}: {strategy.name} cannot be trained: {reason}")
    strategy.executor, strategy.on_progress = executor, on_progress
    if executor is not None:  # a place where nothing can run is found now, not after the training
        list(executor.map(operator.eq, [None], shared=None))
    check_writable(folder)
    path = folder / _UNFINISHED
    if not strategy.training_table(table).n_queries:  # nor is anything calibrated on its labels
        table = strategy.training_table(table)
    key = _key(table, strategy.spec, seed)
    state = _read(path, key) if isinstance(strategy, Resumable) else None
    calibration, calibrated = calibrate(table)
    keep = partial(
        save_checkpoint, folder, table=table, calibration=calibration,
        encoder_spec=encoder_spec, seed=seed,
    )  # fmt: skip
    trained_on = strategy.training_table(calibrated)
    if not isinstance(strategy, Resumable):
        return keep(strategy.fit(trained_on, rng=np.random.default_rng(seed)))
    run = strategy.begin(trained_on, seed=seed, state=state, on_progress=on_progress)
    try:
        while not run.done:
            run.advance(_SAVE_EVERY)
            # The last time, too: what is fitted beside it may take long, and may fail.
            _write(path, run.state(), key)
        saved = keep(run.strategy())
    except KeyboardInterrupt:
        _write(path, run.state(), key)
        if not run.done:
            keep(run.strategy(), finished=False)
        raise
    path.unlink(missing_ok=True)
    return saved


def _key(table: ResponseTable, spec: Spec, seed: int) -> str:
    """What must be equal for a run to go on: data, settings, seed."""
    text = f"{table.digest()} {spec.name} {json.dumps(spec.settings)} {seed}"
    if table.reads is not None:
        text += " ".join(f"{n} {one!r}" for n, one in sorted(table.reads.infos.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, state: RunState, key: str) -> None:
    arrays = {name: np.array(array, order="C") for name, array in state.arrays.items()}
    data = save(arrays, metadata={"key": key, "state": json.dumps(state.rest)})
    replace_file(path, lambda fresh: fresh.write_bytes(data))


def _read(path: Path, key: str) -> RunState | None:
    """The state of an unfinished run, or None where there is none."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as exc:
        raise CheckpointError(
            f"{path}: the unfinished run is damaged ({exc}); delete this file to start afresh"
        ) from exc
    if metadata.get("key") != key:
        raise CheckpointError(
            f"{path}: an unfinished run with other data, settings or seed (another share held out "
            "is other data); finish it with the same options, name another folder with -o, or "
            "delete this file to start afresh"
        )
    return RunState(arrays, json.loads(metadata["state"]))

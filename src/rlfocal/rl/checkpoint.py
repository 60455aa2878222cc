"""A trained strategy on disk: one safetensors file of arrays and one JSON file that describes them.

Loading it runs no code. The JSON names the weights file and holds its sha256; it is
written last and replaced whole, so a crash leaves the former checkpoint or the new one, never half
of each. A checkpoint knows its pool and refuses another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

import rlfocal
from rlfocal.errors import CheckpointError, ConfigError, RecordError
from rlfocal.features import encoder
from rlfocal.files import check_writable, replace_file
from rlfocal.records import Calibration, Dataset, ResponseTable, build_table
from rlfocal.rl.checks import check_tensors
from rlfocal.rl.config import PaperConfig, RlFocalConfig
from rlfocal.rl.description import (
    DESCRIPTION_FILE,
    SCHEMA_VERSION,
    Description,
    in_one_line,
    read_description,
)
from rlfocal.rl.parts import Trained, disassemble, read_settings, reassemble
from rlfocal.rl.strategy import RlFocal

__all__ = [
    "SCHEMA_VERSION",
    "Checkpoint",
    "Description",
    "load_checkpoint",
    "query_hashes",
    "read_description",
    "save_checkpoint",
]

_DAMAGE = (
    SafetensorError, ConfigError, KeyError, RuntimeError, TypeError, ValueError, IndexError,
    OverflowError, AttributeError,
)  # fmt: skip
"""What putting arrays together may raise that no training wrote: every one means the same."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained strategy with what is needed to use it on other queries of the same pool."""

    strategy: Trained
    calibration: Calibration
    description: Description
    training_queries: NDArray[np.uint64]
    """uint64[Q], sorted: hashes of the query ids it was trained on."""

    def table(
        self, dataset: Dataset, *, unlabelled: Literal["drop", "keep"] = "drop"
    ) -> ResponseTable:
        """The data set as this checkpoint's pool sees it: its members, tasks, encoder, calibration.

        Args:
            dataset: of the same members.
            unlabelled: whether queries are kept of which nothing says what is right.

        Raises:
            CheckpointError: the data lack members of the pool.
        """
        wanted = self.description.members
        lacking = [name for name in wanted if name not in dataset.members]
        if lacking:
            raise CheckpointError(
                f"this checkpoint was trained for another pool: {dataset.name} has no responses of "
                f"{', '.join(lacking)} (its members: {', '.join(dataset.members)}); train a "
                "checkpoint for these members, or add the missing responses"
            )
        spec = self.description.encoder
        table = build_table(
            dataset, members=wanted, encode=None if spec is None else encoder(spec),
            unlabelled=unlabelled,
        )  # fmt: skip
        try:
            table = table.priced_in(self.description.cost_unit)
        except RecordError as exc:
            raise CheckpointError(
                f"this checkpoint prices a call in {self.description.cost_unit}: {exc}"
            ) from exc
        return self.calibration.apply(table.with_tasks(tuple(self.description.tasks)))

    def was_trained_on(self, table: ResponseTable) -> NDArray[np.bool_]:
        """bool[Q]: True where a query of this id was among the training queries."""
        return np.isin(query_hashes(table), self.training_queries)


def query_hashes(table: ResponseTable) -> NDArray[np.uint64]:
    """uint64[Q]: the first 8 bytes of the sha256 of each query's id."""
    digests = [hashlib.sha256(text.encode()).digest()[:8] for text in table.query_ids.tolist()]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def save_checkpoint(
    folder: Path,
    strategy: Trained,
    table: ResponseTable,
    calibration: Calibration,
    *,
    encoder_spec: Mapping[str, str | int] | None,
    seed: int,
    finished: bool = True,
) -> Path:
    """Write a checkpoint, replacing an older one in the same folder only when this one is whole.

    Args:
        folder: made if need be.
        strategy: fitted.
        table: the training queries.
        calibration: fitted on them.
        encoder_spec: how `table.features` were made; None for no features.
        seed: the seed of the run.
        finished: False where training was interrupted.

    Returns:
        The path of the JSON file.

    Raises:
        ConfigError: the folder cannot be written.
    """
    check_writable(folder)
    tensors = disassemble(strategy)
    tensors["calibration.beta"] = _tensor(calibration.beta)
    tensors["calibration.bias"] = _tensor(calibration.bias)
    tensors["calibration.log_scale"] = _tensor(calibration.log_scale)
    # safetensors has no unsigned 64-bit integers that torch can make everywhere: keep the bits.
    tensors["training_queries"] = _tensor(np.sort(query_hashes(table)).view(np.int64))
    weights = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    sha256 = hashlib.sha256(weights).hexdigest()
    weights_file = f"weights-{sha256[:12]}.safetensors"
    description = Description(
        schema_version=SCHEMA_VERSION,
        rlfocal_version=rlfocal.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        preset=strategy.name,
        config=strategy.config.model_dump(),
        members=list(table.members),
        tasks=list(table.tasks),
        encoder=None if encoder_spec is None else dict(encoder_spec),
        cost_unit=table.cost_unit,
        answers=dict(table.answers),
        n_candidates=table.n_candidates,
        data_name=table.name,
        data_digest=table.digest(),
        synthetic=table.synthetic,
        n_training_queries=table.n_queries,
        seed=seed,
        finished=finished,
        history=strategy.history_,
        fallback=_verdicts(strategy),
        weights_file=weights_file,
        weights_sha256=sha256,
    )
    replace_file(folder / weights_file, lambda fresh: fresh.write_bytes(weights))
    text = description.model_dump_json(indent=1)
    replace_file(folder / DESCRIPTION_FILE, lambda fresh: fresh.write_text(text, encoding="utf-8"))
    for old in folder.glob("weights-*.safetensors"):
        if old.name != weights_file:
            old.unlink()
    return folder / DESCRIPTION_FILE


def _verdicts(strategy: Trained) -> list[dict[str, str | float]]:
    if not isinstance(strategy, RlFocal):
        return []
    return [verdict._asdict() for verdict in strategy.fallback_.verdicts]


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: it is missing, damaged, truncated, or of another schema version.
    """
    description = read_description(folder)
    path = folder / description.weights_file
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be read: {exc.strerror}; train again") from exc
    if hashlib.sha256(data).hexdigest() != description.weights_sha256:
        raise CheckpointError(
            f"{path}: damaged or truncated ({len(data)} bytes do not match the recorded sha256); "
            "copy the checkpoint again, or train again"
        )
    try:
        tensors = load(data)
        check_tensors(description.preset, tensors, _axes(description))
        calibration = Calibration(
            tensors.pop("calibration.beta").numpy(),
            tensors.pop("calibration.bias").numpy(),
            tensors.pop("calibration.log_scale").numpy(),
        )
        queries = tensors.pop("training_queries").numpy().view(np.uint64)
        strategy = reassemble(
            description.preset, description.config, tensors,
            n_members=len(description.members), n_candidates=description.n_candidates,
        )  # fmt: skip
    except (CheckpointError, *_DAMAGE) as exc:
        raise CheckpointError(
            f"{path}: does not fit {folder / DESCRIPTION_FILE}: {in_one_line(exc)}; copy the "
            "checkpoint again, or train again"
        ) from exc
    strategy.history_ = description.history
    return Checkpoint(strategy, calibration, description, queries)


def _axes(description: Description) -> dict[str, int]:
    """How long the axes of a checkpoint's arrays are, as far as its description says.

    Raises:
        CheckpointError: an unknown preset.
        ConfigError: settings that this version does not know.
    """
    n_tasks = len(description.tasks) + 1
    axes = {"N": len(description.members), "T": n_tasks, "C": description.n_candidates}
    settings = read_settings(description.preset, description.config)
    if isinstance(settings, RlFocalConfig):
        axes["H"] = settings.hidden
        if settings.task_known:
            axes["S"] = n_tasks
        n_features = (description.encoder or {"n_features": 0}).get("n_features")
        if settings.query_text and isinstance(n_features, int):
            axes["F"] = n_features
    elif isinstance(settings, PaperConfig):
        axes |= {"H": settings.hidden, "G": settings.fusion_hidden}
    else:
        axes["S"] = n_tasks
    return axes


def _tensor(array: NDArray[Any]) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array).copy())

"""A trained strategy on disk: one safetensors file of arrays and one JSON file that describes them.

Loading it runs no code. The JSON names the weights file and holds its sha256; it is
written last and replaced whole, so a crash leaves the former checkpoint or the new one, never half
of each. A checkpoint knows its pool and refuses another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

import rlfocal
from rlfocal.checkpoint.arrays import STRATEGY, check_arrays, from_bytes, to_bytes
from rlfocal.checkpoint.description import (
    DESCRIPTION_FILE,
    SCHEMA_VERSION,
    Description,
    check_form,
    form_of,
    in_one_line,
    read_description,
)
from rlfocal.checkpoint.readers import difference
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.state import prefixed, without_prefix
from rlfocal.errors import CheckpointError, ConfigError, RecordError
from rlfocal.features import Reach, encoder
from rlfocal.files import check_writable, replace_file
from rlfocal.markup import Displayed, Grid, Sheet
from rlfocal.records import (
    Calibration,
    Dataset,
    FloatArray,
    IntArray,
    ResponseTable,
    build_table,
)
from rlfocal.strategies.single import sound_accuracy, task_accuracy
from rlfocal.strategies.voting import rank_members

__all__ = [
    "Checkpoint",
    "assemble",
    "describe",
    "load_checkpoint",
    "query_hashes",
    "read_arrays",
    "save_checkpoint",
    "write_files",
]

_DAMAGE = (
    SafetensorError, ConfigError, KeyError, RuntimeError, TypeError, ValueError, IndexError,
    OverflowError, AttributeError, MemoryError,
)  # fmt: skip
"""What putting arrays together may raise that no training wrote: every one means the same."""


@dataclass(frozen=True, eq=False)
class Checkpoint(Displayed):
    """A trained strategy with what is needed to use it on other queries of the same pool."""

    strategy: Base
    calibration: Calibration
    ranking: IntArray
    """int64[N]: the members, the best in training first."""
    accuracy: FloatArray
    """float32[T + 1, N] in [0, 1]: of each member on each training task, drawn towards its mean,
    which is the last row and stands for an unknown task."""
    description: Description
    training_queries: NDArray[np.uint64]
    """uint64[Q], sorted: `query_hashes` of what it was trained on."""
    reach: Reach | None = None
    """Tells queries unlike those of training; None where that is not known."""

    def __repr__(self) -> str:
        about = self.description
        return f"Checkpoint({about.strategy!r}: {len(about.members)} members of {about.data_name})"

    def _sheet(self) -> Sheet:
        about, price = self.description, self.strategy.price
        unfinished = "" if about.finished else "; training was interrupted and can go on"
        synthetic = "; the answers were simulated" if about.synthetic else ""
        return Sheet(
            f"{about.strategy}, trained on {about.n_training_queries:,} queries of "
            f"{about.data_name}{synthetic}{unfinished}",
            (
                Grid(
                    "members",
                    ("member", "accuracy in training %"),
                    [
                        (about.members[n], f"{100 * self.accuracy[-1, n]:.1f}")
                        for n in self.ranking.tolist()
                    ],
                ),
                "" if price is None else f"price of a call: {price:g} of a right answer's worth",
                f"costs are counted in {about.cost_unit}; seed {about.seed}, "
                f"rlfocal {about.rlfocal_version}, {about.created}",
            ),
        )

    @property
    def best_member(self) -> int:
        """The member that was best in training: what an ensemble has to beat."""
        return int(self.ranking[0])

    def table(
        self, dataset: Dataset, *, unlabelled: Literal["drop", "keep"] = "drop"
    ) -> ResponseTable:
        """The data set as this checkpoint's pool sees it: its members, tasks, encoder, calibration.

        Args:
            dataset: of the same members.
            unlabelled: whether queries are kept of which nothing says what is right.

        Raises:
            CheckpointError: the data lack members of the pool, or they read others there.
        """
        wanted = self.description.members
        lacking = [name for name in wanted if name not in dataset.members]
        if lacking:
            raise CheckpointError(
                f"this checkpoint was trained for another pool: {dataset.name} has no responses of "
                f"{', '.join(lacking)} (its members: {', '.join(dataset.members)}); train a "
                "checkpoint for these members, or add the missing responses"
            )
        unlike = difference(self.description.readers, dataset.info.readers, members=wanted)
        if unlike:
            raise CheckpointError(f"{dataset.name}: {unlike}; train a checkpoint on these data")
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
        """bool[Q]: True where a query was among the training queries.

        Queries are told by their texts, since ids of other data may be the same by chance; by id
        where the texts were not known in training, as in checkpoints of earlier versions.
        """
        known = np.isin(query_hashes(table), self.training_queries)
        if table.prompts is not None:
            known |= np.isin(_hashes(table.query_ids.tolist()), self.training_queries)
        return known


def query_hashes(table: ResponseTable) -> NDArray[np.uint64]:
    """uint64[Q]: what each query is recognised by: its text, or its id where there is no text."""
    ids = table.query_ids.tolist()
    if table.prompts is None:
        return _hashes(ids)
    prompts = table.prompts.tolist()
    return _hashes([f"prompt\0{p}" if p else i for p, i in zip(prompts, ids, strict=True)])


def _hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """uint64[Q]: the first 8 bytes of the sha256 of each text."""
    digests = [hashlib.sha256(text.encode()).digest()[:8] for text in texts]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def save_checkpoint(
    folder: Path,
    strategy: Base,
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
        strategy: fitted; of the registry, so that it is found again.
        table: the training queries.
        calibration: fitted on them.
        encoder_spec: how `table.features` were made; None for no features.
        seed: the seed of the run.
        finished: False where training was interrupted.

    Returns:
        The path of the JSON file.

    Raises:
        ConfigError: the folder cannot be written, or no registry leads to the strategy.
        CheckpointError: what the strategy keeps is not what it says, or no arrays of numbers.
    """
    check_writable(folder)
    description, arrays = describe(
        strategy, table, calibration, encoder_spec=encoder_spec, seed=seed, finished=finished
    )
    return write_files(folder, description, to_bytes(arrays))


def describe(
    strategy: Base,
    table: ResponseTable,
    calibration: Calibration,
    *,
    encoder_spec: Mapping[str, str | int] | None,
    seed: int,
    finished: bool = True,
) -> tuple[Description, dict[str, NDArray[Any]]]:
    """What `save_checkpoint` writes, and its arguments but for the folder.

    Returns:
        The description, which does not name a file of weights yet, and the arrays by name.

    Raises:
        ConfigError: no registry leads to the strategy.
        CheckpointError: what the strategy keeps is not what it says, or no arrays of numbers.
    """
    create_strategy(strategy.spec)
    ranking = strategy.ranking
    try:
        found = strategy.state()
    except TypeError as exc:
        raise CheckpointError(f"cannot be saved: {exc}") from exc
    arrays = {
        **prefixed(STRATEGY, found),
        "calibration.beta": calibration.beta,
        "calibration.bias": calibration.bias,
        "calibration.log_scale": calibration.log_scale,
        "ranking": np.asarray(rank_members(table) if ranking is None else ranking, dtype=np.int64),
        "accuracy": np.vstack([task_accuracy(table), sound_accuracy(table)]).astype(np.float32),
        "training_queries": np.sort(query_hashes(table)).view(np.int64),
    }
    reach = Reach.of(table.prompts, table.features, table.group, encoder_spec)
    if reach is not None:
        arrays["reach.queries"] = reach.queries
        arrays["reach.least"] = np.array([reach.least], dtype=np.float32)
    description = Description(
        schema_version=SCHEMA_VERSION,
        rlfocal_version=rlfocal.__version__,
        created="",
        strategy=strategy.name,
        form=form_of(strategy),
        settings=dict(strategy.spec.settings),
        members=list(table.members),
        readers={} if table.reads is None else dict(table.reads.infos),
        tasks=list(table.tasks),
        encoder=None if encoder_spec is None else dict(encoder_spec),
        reach=None if reach is None else dict(reach.encoder),
        cost_unit=table.cost_unit,
        answers=dict(table.answers),
        n_candidates=table.n_candidates,
        data_name=table.name,
        data_digest=table.digest(),
        synthetic=table.synthetic,
        n_training_queries=table.n_queries,
        seed=seed,
        finished=finished,
        history=[dict(step) for step in strategy.history],
        verdicts=strategy.verdicts(),
        weights_file="-",
        weights_sha256="",
    )
    try:
        check_arrays(arrays, strategy, description.axes)
    except CheckpointError as exc:
        raise CheckpointError(f"{strategy.name} cannot be saved: {exc}") from exc
    return description, arrays


def write_files(folder: Path, description: Description, weights: bytes) -> Path:
    """Write arrays and what describes them; older ones go last.

    Returns:
        The path of the JSON file.
    """
    sha256 = hashlib.sha256(weights).hexdigest()
    weights_file = f"weights-{sha256[:12]}.safetensors"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    fresh = {"created": now, "weights_file": weights_file, "weights_sha256": sha256}
    text = description.model_copy(update=fresh).written
    replace_file(folder / weights_file, lambda path: path.write_bytes(weights))
    replace_file(folder / DESCRIPTION_FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for old in folder.glob("weights-*.safetensors"):
        if old.name != weights_file:
            old.unlink()
    return folder / DESCRIPTION_FILE


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint. No code runs but that of the strategy, which the registry names.

    Raises:
        CheckpointError: it is missing, damaged, truncated, of another schema version, of a form of
            the strategy that is no more, or of a strategy that is not installed here.
    """
    description = read_description(folder)
    about, path = folder / DESCRIPTION_FILE, folder / description.weights_file
    try:
        check_form(folder, description)
        strategy = create_strategy(Spec(description.strategy, description.settings))
    except _DAMAGE as exc:
        raise CheckpointError(
            f"{about}: {in_one_line(exc)}; if that cannot be mended, train again"
        ) from exc
    arrays = read_arrays(folder, description)
    try:
        check_arrays(arrays, strategy, description.axes)
        return assemble(strategy, description, arrays)
    except (CheckpointError, *_DAMAGE) as exc:
        raise _unfit(path, about, exc) from exc


def assemble(
    strategy: Base, description: Description, arrays: Mapping[str, NDArray[Any]]
) -> Checkpoint:
    """Undo `describe`.

    Args:
        strategy: unfitted, as the description's name and settings make it.
        description: of it.
        arrays: by name.
    """
    calibration = Calibration(
        arrays["calibration.beta"], arrays["calibration.bias"], arrays["calibration.log_scale"]
    )
    strategy = strategy.restore(without_prefix(STRATEGY, arrays))
    queries = arrays["training_queries"].view(np.uint64)
    ranking, accuracy = arrays["ranking"], arrays["accuracy"]
    reach, used = None, description.reach
    if used is not None:
        reach = Reach(arrays["reach.queries"], float(arrays["reach.least"][0]), used)
    return Checkpoint(strategy, calibration, ranking, accuracy, description, queries, reach)


def read_arrays(folder: Path, description: Description) -> dict[str, NDArray[Any]]:
    """Read a checkpoint's arrays, by name.

    Raises:
        CheckpointError: they cannot be read, are damaged or truncated, or no arrays of numbers.
    """
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
        return from_bytes(data)
    except (CheckpointError, *_DAMAGE) as exc:
        raise _unfit(path, folder / DESCRIPTION_FILE, exc) from exc


def _unfit(path: Path, about: Path, reason: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: does not fit {about}: {in_one_line(reason)}; copy the checkpoint again, or train "
        "again"
    )

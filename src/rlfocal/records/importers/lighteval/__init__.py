"""Details of lighteval, written with --save-details: each document's replies and metrics.

`details/<model>/<time>/details_<task>|<shots>_<time>.parquet`, and beside them
`results/<model>/results_<time>.json` with the model's name and settings. Of a model's runs with
the same settings the newest counts.

Rows are read by `lighteval_rows`. Source: huggingface/lighteval 0.13.0, `EvaluationTracker`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.json_files import (
    Fields,
    LeftOut,
    files_under,
    load_json,
    read_rows,
)
from rlfocal.records.importers.lighteval.rows import COMPARING, agrees, metrics_of, record_of
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.runs import Run, read_runs, settings_of

__all__ = ["read_lighteval"]

_NAME = re.compile(
    r"details_(?P<task>.+?)(?:\|(?P<shots>\d+)(?:\|\d+)?)?"
    r"(?:_(?P<time>\d{4}-\d{2}-\d{2}T[\d.:-]+))?\.parquet"
)
_COLUMNS = ["doc", "model_response", "metric"]
_SETTINGS = ("generation_parameters", "system_prompt", "dtype", "revision", "use_chat_template",
             "override_chat_template", "add_special_tokens", "quantization")  # fmt: skip
_ROWS = 256
"""Read at a time."""


@importer(
    "lighteval",
    "Output folders of lighteval --save-details, or details files (details_*.parquet) in them.",
)
def read_lighteval(
    paths: Sequence[Path],
    *,
    metric: Annotated[
        str | None, "Metric that becomes the score; else a task's first that compares answers."
    ] = None,
) -> Logged:
    """Read details of lighteval."""
    notes: list[str] = []
    left = LeftOut(notes)
    files = files_under(paths, _belongs, "details of lighteval (details_*.parquet)")
    return Logged(
        records=read_runs(files, lambda path: [_read_run(path, metric, notes)], left),
        source="details of lighteval",
        notes=notes,
        choice_scores_scale="log-likelihood of each option, nats (by length where the metric is)",
    )


def _belongs(path: Path) -> bool:
    return path.is_file() and _NAME.fullmatch(path.name) is not None


def _read_run(path: Path, wanted: str | None, notes: list[str]) -> Run:
    name = _NAME.fullmatch(path.name)
    task = name["task"] if name else path.stem
    time = (name["time"] if name else None) or ""
    model, config = _model(path, time, notes)
    metric = _chosen(path, task, wanted, notes)
    records, doubtful = _read_rows(path, model, task, metric, notes)
    if doubtful:
        notes.append(
            f"{model}, {task}: the most likely option and metric '{metric}' disagree on "
            f"{len(doubtful):,} of {len(records):,} rows; the first: {doubtful[0].place}"
        )
    settings = settings_of({key: config.get(key) for key in _SETTINGS})
    if name and name["shots"]:
        settings["num_fewshots"] = name["shots"]
    return Run(path, model, task, time, settings, records)


def _read_rows(
    path: Path, model: str, task: str, metric: str | None, notes: list[str]
) -> tuple[list[Record], list[Record]]:
    """Records, and those whose most likely option contradicts their score.

    "norm" does not say whether the length of an option counts its first blank: what contradicts
    fewer scores is taken.
    """

    def read(skip_space: bool, notes: list[str]) -> tuple[list[Record], list[Record]]:
        rows = read_rows(
            _rows(path),
            lambda row: record_of(
                row, member=model, task=task, metric=metric, skip_space=skip_space
            ),
            path.name,
            notes,
        )
        records = list(rows)
        return records, [record for record in records if not agrees(record)]

    found = read(False, notes)
    if found[1] and metric is not None and "norm" in metric.lower():
        return min(found, read(True, []), key=lambda both: len(both[1]))
    return found


def _model(path: Path, time: str, notes: list[str]) -> tuple[str, dict[str, Any]]:
    """Name and settings of the model, from the results beside the details, else the folders."""
    parts = path.resolve().parts[:-1]
    within = [i for i, part in enumerate(parts) if part == "details"]
    named = "/".join(parts[within[-1] + 1 : -1]) if within else ""
    if not named:  # a repository of details: details_<org>__<model>
        folder = parts[-2] if len(parts) > 1 and parts[-1] == time else parts[-1]
        named = folder.removeprefix("details_").removesuffix("_private").replace("__", "/")
    places = [path.parent, path.parent.parent]
    if within:
        places.insert(0, Path(*parts[: within[-1]], "results", named))
    for place in places:
        results = place / f"results_{time}.json"
        if results.is_file():
            try:
                general = Fields.of(load_json(results), str(results)).object("config_general")
                config = general.object("model_config")
                model = general.optional_text("model_name") or config.optional_text("model_name")
                return model or named, dict(config.values)
            except RecordError as exc:
                notes.append(f"left out: {exc}")
    return named, {}


def _rows(path: Path) -> Iterator[Fields]:
    """Yield the rows; places count from 0.

    Raises:
        RecordError: the file cannot be read, or has other columns.
    """
    try:
        with pq.ParquetFile(path) as file:
            found = file.schema_arrow.names
            missing = [column for column in _COLUMNS if column not in found]
            if missing:
                raise RecordError(
                    f"{path}: column '{missing[0]}' is missing; {nearest(missing[0], found)}; "
                    "details of lighteval before 0.11 have other columns and are not read"
                )
            number = 0
            for batch in file.iter_batches(batch_size=_ROWS, columns=_COLUMNS):
                for row in batch.to_pylist():
                    yield Fields.of(row, f"{path}: row {number}")
                    number += 1
    except (OSError, pa.ArrowException) as exc:
        raise RecordError(f"{path}: cannot be read as Parquet: {exc}") from exc


def _chosen(path: Path, task: str, wanted: str | None, notes: list[str]) -> str | None:
    """The metric that becomes the score; of several the first that compares answers."""
    found: dict[str, None] = {}
    for row in _rows(path):
        found.update(dict.fromkeys(metrics_of(row)))
    if wanted is not None:
        for name in found:  # names may end in parameters: "pass@k:k=1&n=16"
            if wanted in (name, name.partition(":")[0]):
                return name
        raise RecordError(f"{path}: no metric '{wanted}'; {nearest(wanted, found)}")
    comparing = [name for name in found if COMPARING.search(name)]
    metric = next(iter([*comparing, *found]), None)
    others = [name for name in found if name != metric]
    note = f"{task}: scored by {metric}; there are others (--metric): {', '.join(others)}"
    if others and note not in notes:
        notes.append(note)
    return metric

"""Details of lighteval, written with --save-details: each document's replies and metrics.

`details/<model>/<time>/details_<task>|<shots>_<time>.parquet`, and beside them
`results/<model>/results_<time>.json` with the model's name and settings. Of a model's runs with
the same settings the newest counts.

Rows are read in `rows`. Source: huggingface/lighteval 0.13.0, `EvaluationTracker`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.json_files import Fields, LeftOut, load_json
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


Metric = Annotated[
    str | None, "Metric that becomes the score; else a task's first that compares answers."
]


@importer(
    "lighteval",
    "Output folders of lighteval --save-details, or details files (details_*.parquet) in them.",
)
def read_lighteval(paths: Sequence[Path], *, metric: Metric = None) -> Logged:
    """Read details of lighteval."""
    left = LeftOut()
    found = "details of lighteval (details_*.parquet)"
    files = left.files_under(paths, lambda f: _NAME.fullmatch(f.name), found)
    return Logged(
        records=read_runs(files, lambda path: [_read_run(path, metric, left)], left),
        source="details of lighteval",
        notes=left.notes,
        choice_scores_scale="log-likelihood of each option, nats (by length where the metric is)",
    )


def _read_run(path: Path, wanted: str | None, left: LeftOut) -> Run:
    name = _NAME.fullmatch(path.name)
    task = name["task"] if name else path.stem
    time = (name["time"] if name else None) or ""
    model, config = _model(path, time, left)
    metric = _chosen(path, task, wanted, left)
    records, doubtful = _read_rows(path, model, task, metric, left)
    if doubtful:
        left.notes.append(
            f"{model}, {task}: the most likely option and metric '{metric}' disagree on "
            f"{len(doubtful):,} of {len(records):,} rows; the first: {doubtful[0].place}"
        )
    settings = settings_of({key: config.get(key) for key in _SETTINGS})
    if name and name["shots"]:
        settings["num_fewshots"] = name["shots"]
    return Run(path, model, task, time, settings, records)


def _read_rows(
    path: Path, model: str, task: str, metric: str | None, left: LeftOut
) -> tuple[list[Record], list[Record]]:
    """Records, and those whose most likely option contradicts their score.

    "norm" does not say whether the length of an option counts its first blank: what contradicts
    fewer scores is taken.
    """

    def read(skip_space: bool, left: LeftOut) -> tuple[list[Record], list[Record]]:
        def parse(row: Fields) -> Record:
            return record_of(row, member=model, task=task, metric=metric, skip_space=skip_space)

        records = list(left.read_rows(_rows(path), parse, path.name))
        return records, [record for record in records if not agrees(record)]

    found = read(False, left)
    if found[1] and metric is not None and "norm" in metric.lower():
        return min(found, read(True, LeftOut()), key=lambda both: len(both[1]))
    return found


def _model(path: Path, time: str, left: LeftOut) -> tuple[str, dict[str, Any]]:
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
                left.notes.append(f"left out: {exc}")
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


def _chosen(path: Path, task: str, wanted: str | None, left: LeftOut) -> str | None:
    """The metric that becomes the score; of several the first that compares answers."""
    found: dict[str, tuple[str]] = {}
    for row in _rows(path):
        for name in metrics_of(row):
            found[name] = (name.partition(":")[0],)  # without parameters: "pass@k:k=1&n=16"
    return left.choose(found, "metric", wanted, task=task, place=str(path), usual=COMPARING.search)

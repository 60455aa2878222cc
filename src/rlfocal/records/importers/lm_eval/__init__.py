"""Sample logs of lm-evaluation-harness, several members' runs of the same tasks.

`files` finds logs, `runs` makes members of runs, `rows` takes one filter and metric of a log,
`samples` reads a row, `tasks` makes records of all rows of a task. Nothing is scored again, and no
answer is written from a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.json_files import LeftOut
from rlfocal.records.importers.lm_eval.files import find_logs
from rlfocal.records.importers.lm_eval.rows import read_log
from rlfocal.records.importers.lm_eval.runs import members_of
from rlfocal.records.importers.lm_eval.samples import Sample, parse_sample
from rlfocal.records.importers.lm_eval.tasks import records_of
from rlfocal.records.importers.logged import Logged
from rlfocal.records.importers.registry import importer

__all__ = ["read_lm_eval"]

Metric = Annotated[
    str | None, "Metric that becomes the score; else exact_match, acc or acc_norm, or the first."
]
Filter = Annotated[
    str | None, "Filter whose answers count; else a vote over repeats, or flexible-extract."
]


@importer(
    "lm-eval",
    "Sample logs (samples_*.jsonl), or folders that `lm_eval --log_samples --output_path` wrote.",
)
def read_lm_eval(paths: Sequence[Path], *, metric: Metric = None, filter: Filter = None) -> Logged:
    """Read sample logs of lm-evaluation-harness."""
    left = LeftOut()
    notes = left.notes
    samples: list[Sample] = []
    failures: list[tuple[str, str]] = []
    metrics: set[str] = set()
    filters: set[str] = set()
    for member, logs in members_of(find_logs(paths, left), notes).items():
        for log in logs:
            try:
                rows = read_log(log, metric=metric, filter_name=filter, left=left)
                parse = partial(parse_sample, rows=rows, member=member, task=log.task)
                samples += list(left.read_rows(rows.rows, parse, log.name))
            except RecordError as exc:
                failures.append((log.task, str(exc)))
                continue
            metrics.update(rows.metrics)
            filters.update(rows.filters)
    _check_found("metric", metric, metrics)
    _check_found("filter", filter, filters)
    if not samples:
        raise RecordError(
            "; ".join([*(why for _, why in failures[:3]), *notes[:3]]) or "no samples found"
        )
    notes += [f"{task}: left out: {why}" for task, why in failures]
    return Logged(
        records=records_of(samples, notes),
        source="sample logs of lm-evaluation-harness",
        notes=notes,
        choice_scores_scale=_scale(metric),
    )


def _check_found(what: str, wanted: str | None, found: set[str]) -> None:
    if wanted is not None and found and wanted not in found:
        raise RecordError(f"no task has the {what} '{wanted}'; {nearest(wanted, sorted(found))}")


def _scale(metric: str | None) -> str:
    unit = {"acc_norm": "nats per character", "acc_bytes": "nats per byte"}.get(
        metric or "", "nats"
    )
    return f"log-likelihood of each option, {unit} (per character where only acc_norm was logged)"

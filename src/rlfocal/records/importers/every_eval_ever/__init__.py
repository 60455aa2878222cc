"""Samples of every_eval_ever (`*_samples.jsonl`), and the run's description beside each.

A sample has one line for each metric; one metric counts. Lines are read in `rows`, and what their
references mean is found out in `references`, over all files. Source: evaleval/every_eval_ever
0.3.0, its schemas.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.every_eval_ever.references import Line, numbered_tasks
from rlfocal.records.importers.every_eval_ever.rows import line_of
from rlfocal.records.importers.json_files import (
    Fields,
    LeftOut,
    json_lines,
    load_json,
    shown,
)
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.runs import Run, read_runs, settings_of

__all__ = ["read_every_eval_ever"]

_COMPARING = re.compile("acc|exact|match|choice|correct|equiv|^em", re.IGNORECASE)
"""Metrics that compare an answer with a reference."""
_STEM = re.compile(r"(_samples)?\.jsonl(\.gz|\.zst)?$")
_SETTINGS = ("temperature", "top_p", "top_k", "max_tokens", "reasoning", "prompt_template")


@dataclass(frozen=True)
class _Group:
    """Lines of one file, task and metric.

    Attributes:
        time: of the run, as text.
        settings: of the run.
        lower: scores are better when lower.
    """

    task: str
    time: str
    settings: Mapping[str, str]
    lower: bool
    lines: Sequence[Line]


_Graded = tuple[Record, Any]
"""A line's record, and its score as logged."""
Metric = Annotated[
    str | None, "Metric (evaluation_result_id) that counts; else the first that compares."
]


@importer("every-eval-ever", "Samples of every_eval_ever (*_samples.jsonl), or folders of them.")
def read_every_eval_ever(paths: Sequence[Path], *, metric: Metric = None) -> Logged:
    """Read samples of every_eval_ever, graded again from replies and references."""
    left = LeftOut()
    expected = "samples of every_eval_ever (*_samples.jsonl)"
    files = left.files_under(paths, lambda f: _STEM.search(f.name), expected)
    found: dict[Path, list[_Group] | RecordError] = {}
    for path in files:
        try:
            found[path] = _read_file(path, metric, left)
        except RecordError as exc:
            found[path] = exc  # told of with the others
    groups = [g for own in found.values() if isinstance(own, list) for g in own]
    numbered = numbered_tasks((line for g in groups if not g.lower for line in g.lines), left.notes)

    def read(path: Path) -> list[Run]:
        own = found[path]
        if isinstance(own, RecordError):
            raise own
        return [run for group in own for run in _runs(group, numbered, path, left)]

    records = read_runs(files, read, left)
    return Logged(records=records, source="every_eval_ever", notes=left.notes)


def _read_file(path: Path, wanted: str | None, left: LeftOut) -> list[_Group]:
    tasks: dict[str, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))

    def parse(line: tuple[str, bytes]) -> tuple[str, Line] | None:
        row = Fields.of_line(line)
        task = row.text("evaluation_name")
        if row.optional_text("error"):
            left.add(f"{path.name}, {task}", "samples ended in an error (missing, not wrong)",
                     row.place)  # fmt: skip
            return None
        name = row.optional_text("evaluation_result_id") or ""
        return name, line_of(row, task=task)

    for name, line in left.read_rows(json_lines(path), parse, path.name):
        tasks[line.record.task][name].append(line)
    if not tasks:
        raise RecordError(f"{path}: holds no sample that can be used")
    about = _description(path, left)
    times = (about.values.get(f"{event}_timestamp") for event in ("evaluation", "retrieved"))
    time = next((text for text in times if isinstance(text, str)), "")
    groups = []
    for task, metrics in tasks.items():
        metric = left.choose(
            dict.fromkeys(metrics, ()), "metric", wanted,
            task=task, place=f"{path}: {task}", usual=_COMPARING.search, said="lines of metric",
        ) or ""  # fmt: skip
        result = _result(about, metric, task)
        lower = _object(result.get("metric_config")).get("lower_is_better") is True
        arguments = _object(_object(result.get("generation_config")).get("generation_args"))
        settings = settings_of({k: arguments[k] for k in _SETTINGS if k in arguments})
        groups.append(_Group(task, time, settings, lower, metrics[metric]))
    return groups


def _runs(group: _Group, numbered: Collection[str], path: Path, left: LeftOut) -> list[Run]:
    by_number = group.task in numbered
    graded = [
        (line.numbered if by_number and line.numbered is not None else line.record, line.score)
        for line in group.lines
    ]
    by_model: dict[str, list[Record]] = defaultdict(list)
    for record in _judged(graded, group.lower, path, left):
        by_model[record.member].append(record)
    return [
        Run(path, model, group.task, group.time, group.settings, own)
        for model, own in by_model.items()
    ]


def _judged(group: Sequence[_Graded], lower: bool, path: Path, left: LeftOut) -> list[Record]:
    """Records with the scores that are their own."""
    epochs: dict[tuple[str, str, str], set[int | None]] = defaultdict(set)
    for r, _ in group:
        epochs[r.member, r.document, r.name].add(r.repeat)
    means = {key for key, seen in epochs.items() if len(seen) > 1}
    graded = any(
        r.score not in (None, 0, 1) for r, _ in group if (r.member, r.document, r.name) not in means
    )
    found = []
    for record, logged in group:
        record = replace(record, by_score=True, answer=None) if graded else record
        what = f"{path.name}, {record.task}"
        if lower and record.score is not None:
            left.add(what, "scores are better when lower, and no score here", record.place)
            record = replace(record, score=None)
        elif record.score is None and logged is not None:
            left.add(what, "scores lie outside [0, 1], and are no score here",
                     f"{record.place}: {shown(logged)}")  # fmt: skip
        elif (record.member, record.document, record.name) in means and not record.by_score:
            left.add(what, "scores are means over epochs; their lines are graded again, by "
                     "comparing answers with references", record.place)  # fmt: skip
            record = replace(record, score=None)
        found.append(record)
    return found


def _description(path: Path, left: LeftOut) -> Fields:
    """The run's own file, of the same name without "_samples"; empty where there is none."""
    beside = path.with_name(_STEM.sub(".json", path.name))
    if beside != path and beside.is_file():
        try:
            return Fields.of(load_json(beside), str(beside))
        except RecordError as exc:
            left.notes.append(f"left out: {exc}")
    return Fields({}, str(beside))


def _result(about: Fields, metric: str, task: str) -> Mapping[str, Any]:
    """What a run's description says of a metric, else of a task."""
    listed = about.values.get("evaluation_results")
    results = [r for r in listed if isinstance(r, dict)] if isinstance(listed, list) else []
    for key, wanted in (("evaluation_result_id", metric), ("evaluation_name", task)):
        for result in results:
            if result.get(key) == wanted:
                return result
    return {}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

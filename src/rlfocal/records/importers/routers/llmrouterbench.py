"""Result files of LLMRouterBench (also called OpenRouterBench): each reply with its score and cost.

One file a data set, split, model and run. RouterArena's cached results, a JSON line each, are read
too: their records hold the same things under other names.

Source: ynulihao/LLMRouterBench, `ResultsStorage` (data_collector/storage.py) and `BenchmarkRunner`
(runner.py): `results/bench/<dataset>/<split>/<model>/<dataset>-<split>-<model>-<time>.json`, an
object of totals and `records`. A reply that could not be had is a record with score null, no
tokens and `raw_output` "Processing failed: ...". RouteWorks/RouterArena:
`cached_results/<model>.jsonl`, read from the published files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import (
    MISSING,
    Fields,
    LeftOut,
    json_lines,
    load_json,
)
from rlfocal.records.importers.logged import Logged, Record, Told
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.telling import count_of
from rlfocal.records.schema import clean

__all__ = ["read_llmrouterbench"]

_JUDGED = re.compile(
    "arena_?hard|hle|simple_?qa|human_?eval|mbpp|live_?code|swe|tau2?|student_?eval|sgi|frontier|sfe",
    re.IGNORECASE,
)
"""Data sets whose replies are run against tests, or judged by another model."""
_COMPARED = {"mcq_accuracy", "math_metric", "exact_match"}
"""RouterArena's metrics that compare one answer with one label."""
_FAILED = ("Processing failed: ", "Unexpected error: ")
_TIME = re.compile(r"(\d{8}_\d{6})\.json(?:\.gz)?$")


@importer(
    "llmrouterbench",
    "Result files (*.json), RouterArena's cached results (*.jsonl), or folders of either.",
)
def read_llmrouterbench(paths: Sequence[Path]) -> Logged:
    """Read results of LLMRouterBench, or cached results of RouterArena."""
    left = LeftOut()
    files = left.files_under(
        paths,
        lambda f: f.name.removesuffix(".gz").endswith((".json", ".jsonl")),
        "result files of LLMRouterBench (*.json, *.jsonl)",
    )
    # of one folder's runs the newest first: what comes after it is older
    files.sort(key=lambda f: _time(f), reverse=True)
    files.sort(key=lambda f: str(f.parent))
    seen: dict[tuple[str, str], Path] = {}

    def read(path: Path) -> Iterator[Record]:
        if ".jsonl" in path.suffixes:
            return _read_lines(path, left)
        return _read_run(_open(path), seen, left)

    records = left.read_files(files, read)
    return Logged(records=records, source="results of LLMRouterBench", notes=left.notes)


def _time(path: Path) -> str:
    found = _TIME.search(path.name)
    return found[1] if found else ""


@dataclass(frozen=True)
class _Run:
    """One result file."""

    path: Path
    whole: Fields
    task: str
    member: str


def _open(path: Path) -> _Run:
    whole = Fields.of(load_json(path), str(path))
    if not isinstance(whole.values.get("records"), list):
        raise whole.wrong("records", "a list of replies")
    above = path.resolve().parts
    folders = above[-4:-1] if len(above) > 4 else ("", "", path.stem)
    dataset = whole.optional_text("dataset_name") or folders[0]
    split = whole.optional_text("split") or folders[1]
    member = whole.optional_text("model_name") or folders[2]
    if not dataset:
        raise whole.wrong("dataset_name", "the data set's name")
    task = dataset if split in ("", "test") else f"{dataset} {split}"
    return _Run(path, whole, task, member)


def _read_run(run: _Run, seen: dict[tuple[str, str], Path], left: LeftOut) -> Iterator[Record]:
    """Records of the newest whole run of a member and task; the benchmark chooses likewise."""
    if run.whole.values.get("demo") is True:
        left.notes.append(f"left out: {run.path}: a demo run, of a few questions alone")
        return
    newer = seen.setdefault((run.member, run.task), run.path)
    if newer != run.path:
        left.notes.append(
            f"{run.member}, {run.task}: two runs; took {newer.name}, left {run.path.name}"
        )
        return
    rows = run.whole.values["records"]
    scores = [row.get("score") for row in rows if isinstance(row, dict)]
    by_score = bool(_JUDGED.match(run.task)) or any(s not in (None, 0, 1) for s in scores)
    yield from left.read_rows(
        enumerate(rows),
        lambda row: _record(
            run, Fields.of(row[1], f"{run.path}: records[{row[0]}]"), by_score, left
        ),
        run.path.name,
    )


def _record(run: _Run, row: Fields, by_score: bool, left: LeftOut) -> Record | None:
    score = row.number("score", least=0, most=1)
    text = _reply(row.values.get("raw_output"))
    if score is None and (text is None or text.startswith(_FAILED)):
        left.add(f"{run.member}, {run.task}", MISSING, row.place)
        return None
    prompt = row.optional_text("prompt") or row.text("origin_query")
    label = _label(row.values.get("ground_truth"))
    answer = row.values.get("prediction")
    compared = not by_score and label is not None
    return Record(
        member=run.member,
        task=run.task,
        document=document_digest(prompt, row.optional_text("origin_query"), label),
        name=row.name("index"),
        place=row.place,
        prompt=prompt,
        labels=(label,) if compared and label is not None else (),
        answer=_label(answer) if compared else None,
        unusable=compared and not _label(answer),
        text=text,
        score=score,
        by_score=not compared,
        cost_usd=row.number("cost", least=0),
        told=Told(
            n_prompt_tokens=count_of(row.values.get("prompt_tokens")),
            n_completion_tokens=count_of(row.values.get("completion_tokens")),
        ),
    )


def _reply(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) and value else None


def _label(value: Any) -> str | None:
    """A short answer, or None: lists and objects are tests and rubrics."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return clean(str(value).strip()) or None


def _read_lines(path: Path, left: LeftOut) -> Iterator[Record]:
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    return left.read_rows(
        json_lines(path), lambda line: _cached(Fields.of_line(line), name, left), path.name
    )


def _cached(row: Fields, file: str, left: LeftOut) -> Record | None:
    member = row.optional_text("llm_selected") or file
    index = row.text("global_index")
    task = index.rpartition("_")[0] or index
    if row.values.get("success") is not True:
        left.add(f"{member}, {task}", MISSING, row.place)
        return None
    judged = row.object("evaluation_result")
    usage = row.values.get("token_usage")
    used = usage if isinstance(usage, dict) else {}
    score = judged.number("score", least=0, most=1)
    prompt = row.text("question")
    label = _label(judged.values.get("ground_truth"))
    metric = judged.optional_text("metric")
    if metric == "mcq_accuracy" and label is not None:
        # in some sets "2" or "2.0" for an option that the question calls C: not to be compared
        label = label.upper() if len(label) == 1 and label.isalpha() else None
    compared = label is not None and metric in _COMPARED
    return Record(
        member=member,
        task=task,
        document=document_digest(prompt),
        name=index.rpartition("_")[2],
        place=row.place,
        prompt=prompt,
        labels=(label,) if compared and label is not None else (),
        # `extracted_answer` is often the whole reply: the answer is looked for in the reply
        text=row.text("generated_answer"),
        score=score,
        by_score=not compared,
        cost_usd=judged.number("inference_cost", least=0),
        told=Told(
            n_prompt_tokens=count_of(used.get("input_tokens")),
            n_completion_tokens=count_of(used.get("output_tokens")),
        ),
    )

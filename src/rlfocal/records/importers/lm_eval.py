"""Sample logs of lm-evaluation-harness, several members' runs of the same tasks, as one data set.

Multiple choice by log-likelihood gives choices, letters and choice_scores; generated answers give
the filtered answer. Logs are read as they are: nothing is scored again.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from rlfocal.errors import RecordError
from rlfocal.records.answers.number import canonical_number
from rlfocal.records.dataset import Dataset
from rlfocal.records.importers.lm_eval_files import LogFile, find_logs, newest_logs, read_rows
from rlfocal.records.importers.lm_eval_samples import Sample, parse_sample, pick_metric
from rlfocal.records.schema import DatasetInfo

__all__ = ["import_lm_eval"]

PREFERRED_FILTER = "flexible-extract"
"""Where a task was filtered in several ways, the most tolerant one finds most answers."""
_log = logging.getLogger(__name__)


@dataclass
class _Query:
    """One document, and every member's sample of it, with the place it was read from."""

    task: str
    samples: dict[str, Sample] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Sample:
        return next(iter(self.samples.values()))


def import_lm_eval(
    paths: Sequence[Path],
    *,
    name: str,
    metric: str | None = None,
    filter_name: str | None = None,
) -> Dataset:
    """Read sample logs of several members.

    Args:
        paths: sample files (`samples_<task>_<time>.jsonl`) or folders of them, one folder per
            model as the harness writes them. A member is named as `results_<time>.json` beside its
            samples says, else like the folder.
        name: what to call the data set.
        metric: the metric that becomes the score; by default exact_match, acc or acc_norm,
            whichever comes first in a log, else the log's first metric within [0, 1]. With
            "acc_norm", option scores are log-likelihoods per character, as that metric compares.
        filter_name: the filter whose answers are taken where a log has several; by default
            "flexible-extract", else the log's first.

    Returns:
        The data set; a query is called `<task>/<doc_id>`. Runs left out, responses missing and
        logs that contradict themselves are listed under `notes` of its info, and logged.

    Raises:
        RecordError: a file cannot be read (named with its line), or members saw different
            documents or options under the same task and doc_id.
    """
    logs, notes = newest_logs(find_logs([Path(p) for p in paths]))
    queries: dict[str, _Query] = {}
    for log in logs:
        _read_log(log, queries, metric=metric, filter_name=filter_name, notes=notes)
    if not queries:
        raise RecordError(f"{', '.join(map(str, paths))}: no samples found")
    members = list(dict.fromkeys(log.member for log in logs))
    notes += _missing(queries, members) + _doubts(queries)
    for note in notes:
        _log.warning("%s: %s", name, note)
    info = _info(queries, members, name, metric, notes)
    return Dataset(name, _query_table(queries), _response_table(queries), info)


def _read_log(
    log: LogFile,
    queries: dict[str, _Query],
    *,
    metric: str | None,
    filter_name: str | None,
    notes: list[str],
) -> None:
    rows = list(read_rows(log.path))
    filters = list(dict.fromkeys(str(row.get("filter", "none")) for _, row in rows))
    if filter_name is not None and rows and filter_name not in filters:
        raise RecordError(
            f"{log.path}: no samples of filter '{filter_name}'; found: {', '.join(filters)}"
        )
    preferred = PREFERRED_FILTER if PREFERRED_FILTER in filters else next(iter(filters), None)
    chosen = filter_name or preferred
    if len(filters) > 1:
        notes.append(f"{log.path.name}: filters {', '.join(filters)}; took {chosen}")
    for line, row in rows:
        if str(row.get("filter", "none")) != chosen:
            continue
        place = f"{log.path}:{line}"
        if "doc_id" not in row:
            raise RecordError(
                f"{place}: field 'doc_id' is missing; is this a log of --log_samples?"
            )
        sample = parse_sample(row, pick_metric(row, metric, place), place)
        query = queries.setdefault(f"{log.task}/{row['doc_id']}", _Query(log.task))
        _check_same(query, sample, log, row["doc_id"], place)
        query.samples[log.member] = sample
        query.places[log.member] = place


def _check_same(query: _Query, sample: Sample, log: LogFile, doc_id: Any, place: str) -> None:
    if log.member in query.samples:
        raise RecordError(
            f"{place}: doc_id {doc_id} of {log.task} again, first at {query.places[log.member]}; "
            "keep one"
        )
    if not query.samples:
        return
    other, first = next(iter(query.places.values())), query.first
    for what, mine, theirs in (
        ("documents", sample.document, first.document),
        ("options", sample.choices, first.choices),
    ):
        if mine != theirs:
            raise RecordError(
                f"{place}: doc_id {doc_id} of {log.task}: the {what} differ from those of {other}; "
                "run every model with the same version of the task"
            )


def _missing(queries: Mapping[str, _Query], members: Sequence[str]) -> list[str]:
    """One note per member and task with responses missing."""
    total = Counter(query.task for query in queries.values())
    there = Counter((m, query.task) for query in queries.values() for m in query.samples)
    return [
        f"{member}, {task}: {n - there[member, task]} of {n} responses are missing"
        for member in members
        for task, n in total.items()
        if there[member, task] < n
    ]


def _doubts(queries: Mapping[str, _Query]) -> list[str]:
    prompts: Counter[str] = Counter()
    disagree: Counter[str] = Counter()
    for query in queries.values():
        prompts[query.task] += len({s.prompt_hash for s in query.samples.values()}) > 1
        disagree[query.task] += sum(not s.agrees for s in query.samples.values())
    differ = "prompts differ between members (template or examples)"
    argue = "responses whose logged metric is not what their log-likelihoods and target give"
    return [f"{task}: {n} queries whose {differ}" for task, n in prompts.items() if n] + [
        f"{task}: {n} {argue}" for task, n in disagree.items() if n
    ]


def _query_table(queries: Mapping[str, _Query]) -> pa.Table:
    in_context = _tasks_asked_in_context(queries)
    rows = []
    for query_id, query in queries.items():
        first = query.first
        question = None if query.task in in_context else first.question
        rows.append(
            {
                "query_id": query_id,
                "task": query.task,
                "prompt": question or first.context,
                "choices": first.choices,
                "label": _agreed_label(query),
            }
        )
    return _table(rows, ("query_id", "task", "prompt", "choices", "label"))


def _tasks_asked_in_context(queries: Mapping[str, _Query]) -> set[str]:
    """Tasks whose question fields repeat, so that only whole prompts tell queries apart."""
    questions: dict[str, list[str | None]] = defaultdict(list)
    for query in queries.values():
        questions[query.task].append(query.first.question)
    return {task for task, texts in questions.items() if len(set(texts)) < 0.9 * len(texts)}


def _agreed_label(query: _Query) -> str | None:
    labels = {s.label for s in query.samples.values()} - {None}
    return labels.pop() if len(labels) == 1 else None


def _response_table(queries: Mapping[str, _Query]) -> pa.Table:
    rows = []
    for query_id, query in queries.items():
        for member, sample in query.samples.items():
            text = sample.text
            rows.append(
                {
                    "query_id": query_id,
                    "member": member,
                    "answer": sample.answer,
                    "score": sample.score,
                    "choice_scores": sample.choice_scores,
                    "samples": sample.samples,
                    "text": text,
                    "response_chars": None if text is None else len(text),
                }
            )
    required = ("query_id", "member", "answer", "score")
    optional = ("choice_scores", "samples", "text", "response_chars")
    used = [c for c in optional if any(row[c] is not None for row in rows)]
    return _table(rows, (*required, *used))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    return pa.table({c: pa.array([row[c] for row in rows]) for c in columns})


def _info(
    queries: Mapping[str, _Query],
    members: Sequence[str],
    name: str,
    metric: str | None,
    notes: Sequence[str],
) -> DatasetInfo:
    accuracy = {}
    for member in members:
        samples = [q.samples[member] for q in queries.values() if member in q.samples]
        scores = [s.score for s in samples if s.score is not None]
        accuracy[member] = round(sum(scores) / len(scores), 4) if scores else 0.0
    ranked = sorted(accuracy, key=lambda m: -accuracy[m])
    scored = any(s.choice_scores for q in queries.values() for s in q.samples.values())
    return DatasetInfo.model_validate(
        {
            "name": name,
            "answers": _kind(queries),
            "source": "sample logs of lm-evaluation-harness",
            "choice_scores_scale": _scale(metric) if scored else None,
            "member_accuracy": {m: accuracy[m] for m in ranked},
            "pools": {"all": ranked},
            "notes": list(notes),
        }
    )


def _scale(metric: str | None) -> str:
    unit = "nats per character" if metric == "acc_norm" else "nats"
    return f"log-likelihood of each option, {unit} (per character where only acc_norm was logged)"


def _kind(queries: Mapping[str, _Query]) -> str:
    samples = [s for q in queries.values() for s in q.samples.values()]
    if not any(s.answer for s in samples):
        return "score only"
    if any(s.choices for s in samples):
        return "choice"
    labels = [s.label for s in samples if s.label is not None]
    is_number = bool(labels) and all(canonical_number(x) == x for x in labels)
    return "number" if is_number else "text"

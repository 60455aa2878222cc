"""From one record per reply to a data set: what is the same for every tool whose logs are read.

Records of one document are joined across members, options that stand in another order are matched
by their texts, answers are found in replies by the kind of the task, repeats become samples. What
does not fit together is left out, task by task, with a note; the rest is read.

No answer is ever written from a score: that would let the label vote.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rlfocal.errors import ConfigError, RecordError, nearest
from rlfocal.records.dataset import Dataset
from rlfocal.records.importers.extracting import Reading, readings, with_letter
from rlfocal.records.importers.joining import Query, joined, many_options, match_options
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import find_importer
from rlfocal.records.samples import agreed
from rlfocal.records.schema import QUERIES, DatasetInfo, table_of, with_signals

__all__ = ["assemble", "document_digest", "import_logs"]

SHOWN = 3


def import_logs(
    importer: str,
    paths: Path | Sequence[Path],
    *,
    name: str,
    answers: str | None = None,
    tasks: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    **options: Any,
) -> Dataset:
    """Read other tools' logs.

    Args:
        importer: its name, as in `importer_names()`.
        paths: files or folders, as the tool wrote them.
        name: what to call the data set.
        answers: kind of the open answers; None: the labels decide, task by task.
        tasks: which tasks to read; None for all.
        skip: tasks to leave out.
        options: the importer's own.

    Returns:
        A checked data set; what was left out or chosen is listed under `notes` of its info.

    Raises:
        ConfigError: the importer, an option, a task or a kind is unknown.
        RecordError: nothing can be read.
    """
    named = [paths] if isinstance(paths, (str, Path)) else paths
    logged = find_importer(importer)([Path(p) for p in named], **options)
    return assemble(logged, name=name, answers=answers, tasks=tasks, skip=skip)


def assemble(
    logged: Logged,
    *,
    name: str,
    answers: str | None = None,
    tasks: Sequence[str] | None = None,
    skip: Sequence[str] = (),
) -> Dataset:
    """Make a data set of what was logged.

    Args: as of `import_logs`.

    Raises:
        ConfigError: a task or a kind is unknown.
        RecordError: there is no record, or no task whose records fit together.
    """
    records = list(logged.records)
    notes = list(logged.notes)
    if not records:
        raise RecordError(_with_notes("no samples found", notes))
    known = {record.task for record in records}
    records = [with_letter(record) for record in _chosen(records, tasks, skip)]
    left = known.difference(record.task for record in records)
    notes = [n for n in notes if n.partition(": ")[0] not in left]  # nobody asked for these
    queries = joined(records)
    match_options(queries, notes)
    if not queries:
        raise RecordError(_with_notes("no task is left", notes))
    many_options(queries, notes)
    kinds, found = readings(_labels_of_tasks(queries), answers)
    notes += found
    rows = [
        row | {"query_id": query_id}
        for query_id, query in queries.items()
        for row in _responses(query, kinds[query.task])
    ]
    members = list(dict.fromkeys(row["member"] for row in rows))
    graded = _graded_tasks(queries)
    notes += [f"{task}: replies are judged by their scores" for task in graded]
    notes += [kind.note for task, kind in kinds.items() if kind.note and task not in graded]
    notes += [
        f"{task}: {kind.n_empty:,} replies hold no {kind.kind}, so they are no answers"
        for task, kind in kinds.items()
        if kind.n_empty
    ]
    notes += _missing(queries, members)
    scored = any(row["choice_scores"] is not None for row in rows)
    info = DatasetInfo.model_validate(
        {
            "name": name,
            "answers": _declared(kinds, queries),
            "source": logged.source,
            "choice_scores_scale": logged.choice_scores_scale if scored else None,
            "member_accuracy": _accuracy(rows, members),
            "pools": {"all": sorted(members)},
            "notes": notes,
        }
    )
    responses = table_of(rows, with_signals(column for row in rows for column in row))
    return Dataset(name, _query_table(queries, kinds), responses, info)


def document_digest(*parts: Any) -> str:
    """Name a document by what makes it this one and no other: question, sorted options, target."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _with_notes(what: str, notes: Sequence[str]) -> str:
    return "; ".join([what, *notes[:SHOWN]])


def _chosen(
    records: list[Record], tasks: Sequence[str] | None, skip: Sequence[str]
) -> list[Record]:
    known = dict.fromkeys(record.task for record in records)
    for option, names in (("--task", tasks or ()), ("--skip", skip)):
        for task in names:
            if task not in known:
                raise ConfigError(f"{option}: no task '{task}'; {nearest(task, known)}")
    wanted = [t for t in known if (tasks is None or t in tasks) and t not in skip]
    if not wanted:
        raise ConfigError("--task and --skip leave no task; found: " + ", ".join(known))
    return [record for record in records if record.task in set(wanted)]


def _labels_of_tasks(queries: Mapping[str, Query]) -> dict[str, list[tuple[str, ...]]]:
    """Task → accepted answers of each of its open queries."""
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for query in queries.values():
        own = found[query.task]
        if query.first.choices is None:
            own.append(() if query.by_score else query.first.labels)
    return dict(found)


def _graded_tasks(queries: Mapping[str, Query]) -> dict[str, None]:
    """Tasks all of whose queries are judged by their scores alone."""
    compared = {query.task for query in queries.values() if not query.by_score}
    return {query.task: None for query in queries.values() if query.task not in compared}


def _label(query: Query) -> str | None:
    """The one right answer; None where several are accepted or members' logs disagree."""
    accepted = {record.labels for record in query if record.labels}
    if query.by_score or len(accepted) != 1:
        return None
    labels = accepted.pop()
    return labels[0] if len(labels) == 1 else None


def _responses(query: Query, reading: Reading) -> Iterable[dict[str, Any]]:
    """One row per member: of its repeats, what most of them say, and the reply that says it."""
    by_score = query.by_score
    for member, own in query.records.items():
        own = sorted(own, key=lambda r: -1 if r.repeat is None else r.repeat)
        read = [(None, None) if by_score else reading.read(record) for record in own]
        answers = [answer for answer, _ in read]
        samples: list[str | None] | None = None
        typical = 0
        if len(own) > 1:
            samples = answers
        elif read[0][1] is not None:
            samples = list(read[0][1])
            if own[0].answer is None and not own[0].unusable and samples:
                typical = agreed(samples)
                answers = [samples[typical]]
        first = agreed(answers)
        record = own[first]
        costs = [r.cost_usd for r in own if r.cost_usd is not None]
        waits = [r.latency_s for r in own if r.latency_s is not None]
        scores = [r.score for r in own if r.score is not None]
        mean_score = sum(scores) / len(scores) if by_score and scores else record.score
        text = _text_of(record, typical)
        told = record.told
        yield {
            "member": member,
            "answer": answers[first],
            "score": mean_score,
            "choice_scores": record.choice_scores,
            "samples": None if samples is None else [s for s in samples if s is not None],
            "text": text,
            "cost_usd": sum(costs) if len(costs) == len(own) else None,
            "latency_s": sum(waits) / len(waits) if waits else None,
            "response_chars": None if text is None else len(text),
            "finish": told.finish or ("length" if record.truncated else None),
            "n_prompt_tokens": told.n_prompt_tokens,
            "n_completion_tokens": told.n_completion_tokens,
            "token_chars": None if told.tokens is None else told.tokens.chars.tolist(),
            "token_logprobs": None if told.tokens is None else told.tokens.logprob.tolist(),
            **told.signals,
        }


def _text_of(record: Record, sample: int) -> str | None:
    """The reply that stands for a record's samples; None where only its letter was kept."""
    if sample and record.samples is not None:
        return record.samples[sample] if record.choices is None else None
    return record.text


def _missing(queries: Mapping[str, Query], members: Sequence[str]) -> list[str]:
    """What members did not answer: a note for each task in part, one for all tasks as a whole."""
    total = Counter(query.task for query in queries.values())
    there = Counter((m, query.task) for query in queries.values() for m in query.records)
    notes = []
    for member in members:
        whole = [task for task in total if not there[member, task]]
        if whole:
            more = f", ... {len(whole)} tasks" if len(whole) > SHOWN else ""
            notes.append(f"{member} has no response to {', '.join(whole[:SHOWN])}{more}")
        notes += [
            f"{member}, {task}: {n - there[member, task]:,} of {n:,} responses are missing"
            for task, n in total.items()
            if 0 < there[member, task] < n
        ]
    return notes


def _declared(kinds: Mapping[str, Reading], queries: Mapping[str, Query]) -> Any:
    """`answers` of the description: one kind, or one for each task."""
    is_open = {query.task for query in queries.values() if query.first.choices is None}
    named = {t: k.kind for t, k in kinds.items() if k.kind and t in is_open}
    distinct = set(named.values())
    if not distinct:
        has_options = any(query.first.choices is not None for query in queries.values())
        return "choice" if has_options else "score only"
    return distinct.pop() if len(distinct) == 1 and set(named) == is_open else named


def _accuracy(rows: Sequence[Mapping[str, Any]], members: Sequence[str]) -> dict[str, float]:
    """Mean score of each member as its tool judged, best first."""
    scores: dict[str, list[float]] = {member: [] for member in members}
    for row in rows:
        if row["score"] is not None:
            scores[row["member"]].append(row["score"])
    mean = {m: round(sum(own) / len(own), 4) for m, own in scores.items() if own}
    return dict(sorted(mean.items(), key=lambda item: -item[1]))


def _query_table(queries: Mapping[str, Query], kinds: Mapping[str, Reading]) -> pa.Table:
    rows = []
    for query_id, query in queries.items():
        label = _label(query)
        if query.first.choices is None and not kinds[query.task].compares:
            label = None
        prompts = [record.prompt for record in query]
        rows.append(
            {
                "query_id": query_id,
                "task": query.task,
                "split": query.first.split,
                "prompt": next((p for p in prompts if p), query_id),
                "choices": None if query.first.choices is None else list(query.first.choices),
                "label": label,
            }
        )
    return table_of(rows, QUERIES)

"""The rows of a sample log, of the one filter and under the one metric that count.

A log holds each document once per filter. Older logs do not name the filter: there, the k-th pass
over the documents is the k-th filter of the task's configuration.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.json_files import (
    Fields,
    LeftOut,
    json_lines,
    load_json,
    score_of,
    shown,
)
from rlfocal.records.importers.lm_eval.files import LogFile

__all__ = ["COMPARING", "Rows", "read_log"]

PREFERRED_FILTER = "flexible-extract"
"""Where a task was filtered in several ways, the most tolerant one finds most answers."""
COMPARING = ("exact_match", "acc", "acc_norm", "acc_mutual_info", "acc_bytes", "em", "accuracy",
             "math_verify", "quasi_exact_match")  # fmt: skip
"""Metrics, the preferred first, that compare one answer with one label. Under any other metric
the replies are texts judged by a score."""
_MAJORITY = re.compile(r"maj(?:ority)?[@_-]?(\d*)", re.IGNORECASE)


@dataclass(frozen=True)
class Rows:
    """What counts of a log.

    Attributes:
        rows: one per document.
        metric: which metric is the score; None for none.
        majority: their answer is a vote over the document's repeats.
        filters: all that the log holds; the rows are one's.
        metrics: likewise, with values in [0, 1].
    """

    rows: Sequence[Fields]
    metric: str | None
    majority: bool
    filters: Sequence[str]
    metrics: Sequence[str]


def read_log(log: LogFile, *, metric: str | None, filter_name: str | None, left: LeftOut) -> Rows:
    """Read a log.

    Args:
        log: the file.
        metric: the wanted metric; where the log lacks it, the usual one is taken, with a note.
        filter_name: the wanted filter, likewise.
        left: gets notes of what was chosen or left out.

    Raises:
        RecordError: the file cannot be read, or no row of it.
    """
    name, notes = log.name, left.notes
    # rows of a file of JSON lines or of one JSON list; broken ones are counted in a note
    readable = left.read_rows(_unread(log), _with_document, name)
    passes = _passes(_with_filters(readable), log, notes)
    if not passes:
        raise RecordError(f"{log.path}: holds no samples")
    chosen = _choose_filter(passes, log, filter_name)
    if filter_name is not None and filter_name not in passes:
        notes.append(f"{name}: no filter '{filter_name}' ({', '.join(passes)}); took {chosen}")
    elif len(passes) > 1:
        notes.append(f"{name}: filters {', '.join(passes)}; took {chosen}")
    rows = passes[chosen]
    found = _metrics(rows)
    if metric is not None and metric not in found:
        notes.append(f"{name}: no metric '{metric}'; {nearest(metric, found)}; took the usual one")
    picked = metric if metric in found else None
    if picked is None:
        usual = [m for m in COMPARING if m in found] or _unreadable(rows) or found
        picked = next(iter(usual), None)
    if picked is not None:
        _say_unreadable(picked, rows, log, notes)
    return Rows(rows, picked, _is_majority(chosen, log), list(passes), found)


def _score(row: Fields, metric: str) -> float | None:
    """A metric's value in [0, 1], which newer logs may write as text; else None."""
    return score_of(row.values.get(metric), written=True)


def _unreadable(rows: Sequence[Fields]) -> list[str]:
    """Metrics that compare, with values that are no score: answers and labels stay what they are.

    What is no single value, such as a list, is meant for a figure of the whole task.
    """
    there = {
        name
        for row in rows
        for name in _names_of_metrics(row)
        if isinstance(row.values.get(name), str | bool | int | float)
    }
    return [name for name in COMPARING if name in there]


def _say_unreadable(metric: str, rows: Sequence[Fields], log: LogFile, notes: list[str]) -> None:
    """Note values of the metric that are no score."""
    broken = [row for row in rows if metric in row.values and _score(row, metric) is None]
    if broken:
        own = f"{log.path.parent.name}/{log.path.name}"
        place = broken[0].place.replace(str(log.path), own)
        notes.append(
            f"{log.task}: {place}: metric '{metric}' is {shown(broken[0].values[metric])}, no "
            f"number from 0 to 1; so in {len(broken):,} of {len(rows):,} rows, which have no score"
        )


def _with_document(read: Callable[[], Fields]) -> Fields:
    row = read()
    if "doc_id" not in row.values and "doc" not in row.values:
        raise RecordError(
            f"{row.place}: field 'doc_id' is missing; is this a log of --log_samples?"
        )
    return row


def _unread(log: LogFile) -> Iterator[Callable[[], Fields]]:
    """What reads each row."""
    lines = json_lines(log.path)
    first = next(lines, None)
    if first is None:
        return
    if first[1].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        lines.close() if hasattr(lines, "close") else None
        values = load_json(log.path)
        for i, value in enumerate(values):
            yield partial(Fields.of, value, f"{log.path}: [{i}]")
        return
    for line in chain([first], lines):
        yield partial(Fields.of_line, line)


def _with_filters(rows: Iterator[Fields]) -> Iterator[Fields]:
    """Rows as they are; a fork's row that holds several filters becomes one row for each."""
    for row in rows:
        variants = row.values.get("filter_variants")
        if not isinstance(variants, list) or not variants:
            yield row
            continue
        for variant in row.objects("filter_variants"):
            metrics = variant.values.get("metrics")
            own = {k: v for k, v in variant.values.items() if k != "metrics"}
            if isinstance(metrics, dict):
                own |= metrics | {"metrics": list(metrics)}
            yield Fields({**row.values, **own}, variant.place)


_Key = tuple[str, str, str]
"""Number, repeat and document of a row: one number may stand beside several documents."""


def _key(row: Fields) -> _Key:
    doc = row.values.get("doc")
    what = row.values.get("doc_hash") if doc is None else json.dumps(doc, sort_keys=True)
    return (str(row.values.get("doc_id")), str(row.values.get("sample_repeat")), str(what))


def _passes(rows: Iterator[Fields], log: LogFile, notes: list[str]) -> dict[str, list[Fields]]:
    """Filter → its rows, one a document."""
    named: dict[str, dict[_Key, Fields]] = defaultdict(dict)
    unnamed: dict[int, dict[_Key, Fields]] = defaultdict(dict)
    times: Counter[_Key] = Counter()
    again = []
    for row in rows:
        key = _key(row)
        if isinstance(row.values.get("filter"), str):
            own = named[row.values["filter"]]
            if key in own:
                again.append(row.place)
                del own[key]  # the later one counts, and stands where it stands
            own[key] = row
        else:
            unnamed[times[key]][key] = row
            times[key] += 1
    if again:
        notes.append(
            f"{log.name}: {len(again):,} doc_ids stand there again under one "
            f"filter; the last counts; the first: {again[0]}"
        )
    _say_shared_ids([*named.values(), *unnamed.values()], log, notes)
    names = _names_of_passes(len(unnamed), log)
    if len(unnamed) > 1 and names != _configured(log):
        notes.append(
            f"{log.name}: every document stands there {len(unnamed)} times "
            f"and no filter is named; called them {', '.join(names)} (the results file beside it "
            "would name them)"
        )
    for k, name in enumerate(names):
        named[name if name not in named else f"{name} {k + 1}"] = unnamed[k]
    return {name: list(own.values()) for name, own in named.items()}


def _say_shared_ids(
    passes: Sequence[Mapping[_Key, Fields]], log: LogFile, notes: list[str]
) -> None:
    """Note numbers that stand beside more than one document, each of which is a query."""
    documents: dict[str, dict[str, None]] = defaultdict(dict)
    for number, _, what in (key for own in passes for key in own):
        documents[number][what] = None
    shared = {number: own for number, own in documents.items() if len(own) > 1}
    if shared:
        number, own = next(iter(shared.items()))
        notes.append(
            f"{log.name}: {len(shared):,} doc_ids stand beside several documents, "
            f"such as {number[:40]} beside {len(own):,}: each document is a query of its own"
        )


def _configured(log: LogFile) -> list[str]:
    """Filters of a task in the order in which they are applied."""
    listed = log.config.get("filter_list")
    listed = listed if isinstance(listed, list) else []
    return [str(f.get("name")) for f in listed if isinstance(f, dict) and f.get("name")]


def _names_of_passes(count: int, log: LogFile) -> list[str]:
    names = _configured(log)
    if len(names) == count:
        return names
    return ["none"] if count == 1 else [f"pass {k + 1}" for k in range(count)]


def _choose_filter(passes: Mapping[str, list[Fields]], log: LogFile, wanted: str | None) -> str:
    if wanted in passes:
        return str(wanted)
    votes = {name: _votes(name) for name in passes if _is_majority(name, log)}
    if votes:
        return max(votes, key=lambda name: votes[name])  # the first of those over most repeats
    if PREFERRED_FILTER in passes:
        return PREFERRED_FILTER
    return next(iter(passes))


def _is_majority(name: str, log: LogFile) -> bool:
    configured = log.config.get("filter_list")
    for listed in configured if isinstance(configured, list) else ():
        if isinstance(listed, dict) and listed.get("name") == name:
            steps = listed.get("filter")
            return any(
                isinstance(step, dict) and step.get("function") == "majority_vote"
                for step in (steps if isinstance(steps, list) else ())
            )
    return _MAJORITY.match(name) is not None


def _votes(name: str) -> int:
    found = _MAJORITY.search(name)
    return int(found[1]) if found and found[1] else 0


_OWN = frozenset((
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash", "sample_repeat", "source_id", "filter_variants",
))  # fmt: skip


def _names_of_metrics(row: Fields) -> list[str]:
    listed = row.values.get("metrics")
    names = listed if isinstance(listed, list) else [k for k in row.values if k not in _OWN]
    return [name for name in names if isinstance(name, str)]


def _metrics(rows: Sequence[Fields]) -> list[str]:
    """Metrics with a value in [0, 1] in every tenth row at least, in the order of the log."""
    found: Counter[str] = Counter()
    for row in rows:
        for name in _names_of_metrics(row):
            if _score(row, name) is not None:
                found[name] += 1
    return [name for name, n in found.items() if 10 * n >= len(rows)]

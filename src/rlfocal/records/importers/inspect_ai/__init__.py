"""Logs of inspect_ai: each sample's reply, and what one of its scorers made of it.

Epochs become repeats. A run that did not end well is left out with a note: its samples are not
scored. Two runs of one model and task over the same questions are two members where their
settings differ, and one, the newer run, where they do not.

Files are read in `files`, samples in `samples`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from rlfocal.records.canonical import open_extractor
from rlfocal.records.importers.extracting import readings, with_letter
from rlfocal.records.importers.inspect_ai.files import InspectLog, open_log
from rlfocal.records.importers.inspect_ai.samples import is_scored, plain, record_of
from rlfocal.records.importers.json_files import Fields, LeftOut, shown
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.runs import Run, read_runs, settings_of
from rlfocal.records.kinds import Kind

__all__ = ["read_inspect"]

_COMPARING = {"match", "includes", "exact", "pattern", "answer", "choice", "math"}
"""The tool's own scorers that compare a reply with a target; its others judge or grade."""
_GRADING = {"f1", "model_graded_qa", "model_graded_fact", "perplexity"}
_LOOKED_AT = 500
"""Right replies of a run, at most, from which it is found out what an unknown scorer does."""
_SETTINGS = ("model_generate_config", "model_args", "solver", "solver_args", "task_args",
             "model_base_url", "model_roles")  # fmt: skip


_OTHERS = {"logs.json", "eval-set.json", "listing.json"}
"""What the tool writes into a folder of logs beside them."""
Scorer = Annotated[
    str | None, "Scorer whose value becomes the score, or scorer.key; else a log's first."
]


@importer("inspect", "Logs of inspect_ai (*.eval, *.json), or folders of them.")
def read_inspect(paths: Sequence[Path], *, scorer: Scorer = None) -> Logged:
    """Read logs of inspect_ai."""
    left = LeftOut()
    files = left.files_under(
        paths,
        lambda f: f.suffix in (".eval", ".json") and f.name not in _OTHERS,
        "logs of inspect_ai (*.eval, *.json)",
    )
    records = read_runs(files, lambda path: _read_run(path, scorer, left), left)
    return Logged(records=records, source="logs of inspect_ai", notes=left.notes)


def _read_run(path: Path, wanted: str | None, left: LeftOut) -> list[Run]:
    log = open_log(path)
    status = log.header.optional_text("status")
    about = log.header.object("eval")
    model, task = about.text("model"), about.text("task")
    if status != "success":
        left.notes.append(f"left out: {path}: the run's status is {shown(status)}, not 'success'")
        return []
    scorers = _scorers(log)
    found = {
        scorer if key is None else f"{scorer}.{key}": {scorer, key or scorer}
        for scorer, key in scorers
    }
    chosen = left.choose(found, "scorer", wanted, task=task, place=str(path))
    name, part = (None, None) if chosen is None else scorers[list(found).index(chosen)]

    def parse(sample: Fields) -> Record | None:
        if sample.object("error").values:
            left.add(path.name, "samples ended in an error (missing, not wrong)", sample.place)
            return None
        record, judgement = record_of(
            sample, member=model, task=task, model=model, scorer=name, part=part
        )
        if judgement.score is None and name is not None:
            _unscored(judgement.value, name, path, record.place, left)
        return record

    records = list(left.read_rows(log.samples(), parse, path.name))
    if not records:
        left.add(path.name, "samples can be used; was the log written without samples?", str(path))
    if _by_score(name, records):
        records = [replace(r, by_score=True, answer=None, unusable=False) for r in records]
    settings = settings_of({key: about.values.get(key) for key in _SETTINGS})
    return [Run(path, model, task, about.optional_text("created") or "", settings, records)]


def _unscored(value: Any, scorer: str, path: Path, place: str, left: LeftOut) -> None:
    if is_scored(value):
        what = f"values of scorer '{scorer}' are no number in [0, 1] and no score"
        left.add(path.name, what, f"{place}: {shown(value)}")
    else:
        left.add(path.name, f"samples have no value of scorer '{scorer}'", place)


def _scorers(log: InspectLog) -> list[tuple[str, str | None]]:
    """(scorer, key of its value) in the log's order, from its samples."""
    found: dict[tuple[str, str | None], None] = {}
    for sample in log.samples():
        scores = sample.values.get("scores")
        for name, score in scores.items() if isinstance(scores, dict) else ():
            value = score.get("value") if isinstance(score, dict) else None
            for part in value if isinstance(value, dict) else [None]:
                found[name, part] = None
        if found:
            break  # a scorer scores every sample
    return list(found)


def _by_score(scorer: str | None, records: Sequence[Record]) -> bool:
    """Whether a scorer's verdicts cannot be had by comparing answers with targets."""
    if scorer is None:
        return False
    name = scorer.rpartition("/")[2].rstrip("0123456789") or scorer
    if name in _GRADING or any(r.score not in (None, 0, 1) for r in records):
        return True
    if name in _COMPARING or all(r.choices for r in records):
        return False
    # an unknown scorer compares if the answers of replies that it calls right are mostly the target
    right = [r for r in records if r.score == 1 and r.labels][:_LOOKED_AT]
    return 2 * sum(map(_reader(records), right)) < len(right)


def _reader(records: Sequence[Record]) -> Callable[[Record], bool]:
    """Says whether a record's answer, logged or found in the reply, is one of its labels."""
    labels = [record.labels for record in records if record.choices is None]
    reading = readings({"": labels}, None)[0][""]
    reader = open_extractor(Kind(reading.kind, reading.day_first))

    def is_label(record: Record) -> bool:
        answer, _ = reading.read(with_letter(record))
        given = {plain(label) for label in record.labels}
        if reader is not None and record.choices is None:
            given |= {reader.extract(label) or label for label in record.labels}
        return answer is not None and (answer in given or plain(answer) in given)

    return is_label

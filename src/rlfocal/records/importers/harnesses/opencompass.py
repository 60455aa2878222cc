"""OpenCompass's predictions, with what its evaluators found right where they say so.

Per-sample verdicts exist only where evaluation was run with `--dump-eval-details`; without them a
reply is compared with its gold answer here. Accuracies of a whole data set (0 to 100) are no
scores of replies.

Source: open-compass/opencompass 0.5.4, output handlers (openicl/icl_inferencer/
icl_base_inferencer.py), `OpenICLEvalTask` (tasks/openicl_eval.py), `BaseEvaluator.evaluate`
(openicl/icl_evaluator/icl_base_evaluator.py): `<work_dir>/<time>/predictions/<model>/<data
set>.json`, an object by number, or parts of it called `<data set>_0.json`, `_1` and so on;
`results/<model>/<data set>.json`, whose `details` are an object by number or a list in which each
field holds one value a repetition. Handlers leave out a gold that is 0 or empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonprefix
from pathlib import Path
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import Fields, LeftOut, load_json, score_of
from rlfocal.records.importers.logged import Logged, Record, option_name
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.runs import newest
from rlfocal.records.schema import clean

__all__ = ["read_opencompass"]

_PART = re.compile(r"(?P<name>.+)_(?P<number>\d+)")
_OPTION = "label: "
_VERDICTS = ("correct", "is_correct", "cascade_correct")
_ANSWERS = ("predictions", "pred", "prediction")
_RIGHT = ("references", "refr", "ref", "answer", "answers", "gold", "reference")
_BOT = ("BOT", "assistant")


@dataclass(frozen=True)
class _Task:
    """One data set's predictions by one model, in the order of their parts."""

    member: str
    name: str
    parts: tuple[Path, ...]


@importer("opencompass", "Prediction files (predictions/<model>/*.json), or work folders.")
def read_opencompass(paths: Sequence[Path]) -> Logged:
    """Read predictions and results of OpenCompass."""
    left = LeftOut()
    files = left.files_under(paths, _is_prediction, "predictions (predictions/<model>/*.json)")
    tasks = newest(
        _tasks(files, left.notes),
        lambda task: (task.member, task.name),
        lambda task: task.parts[0],
        left.notes,
    )
    records = left.read_files(tasks, lambda task: _read(task, left))
    return Logged(records=records, source="predictions of OpenCompass", notes=left.notes)


def _is_prediction(path: Path) -> bool:
    return path.suffix == ".json" and path.resolve().parent.parent.name == "predictions"


def _tasks(files: Sequence[Path], notes: list[str]) -> list[_Task]:
    """Parts of a split data set together, as OpenCompass counts them up from 0."""
    there = set(files)
    tasks, used = [], set()
    for file in files:
        member = file.resolve().parent.name
        if file.name.startswith("tmp_"):
            notes.append(f"left out: {file}: replies of a run that was broken off; run it again")
            continue
        part = _PART.fullmatch(file.stem)
        whole = file.with_name(f"{part['name']}.json") if part else file
        if part is None or _result(file).is_file():
            tasks.append(_Task(member, file.stem, (file,)))
        elif whole in there:
            notes.append(f"left out: {file}: a part of {whole.name}, which is there as a whole")
        elif file.with_name(f"{part['name']}_0.json") not in there:
            tasks.append(_Task(member, file.stem, (file,)))
        elif whole not in used:
            used.add(whole)
            parts: list[Path] = []
            while (next_part := whole.with_name(f"{whole.stem}_{len(parts)}.json")) in there:
                parts.append(next_part)
            tasks.append(_Task(member, part["name"], tuple(parts)))
    return tasks


def _result(prediction: Path) -> Path:
    path = prediction.resolve()  # as the file may be named from within its folder
    return path.parent.parent.parent / "results" / path.parent.name / path.name


def _read(task: _Task, left: LeftOut) -> Iterator[Record]:
    rows: list[Fields] = []
    for path in task.parts:
        whole = Fields.of(load_json(path), str(path))
        rows += [Fields.of(value, f"{path}: {key}") for key, value in _in_order(whole)]
    verdicts = _verdicts(task, len(rows), left)
    records = list(
        left.read_rows(
            enumerate(rows),
            lambda r: _record(task, r[1], verdicts.get(r[0], {}), r[0], left),
            task.parts[0].name,
        )
    )
    # where no right reply says what the reference says, the reference is no answer (tests, rubrics)
    right = [r for r in records if r.score == 1]
    judged = bool(right) and not any((r.answer or r.text or "").strip() in r.labels for r in right)
    for record in records:
        if judged:
            record = replace(
                record, by_score=True, choices=None, labels=(), answer=None, unusable=False,
                samples=None, choice_scores=None,
            )  # fmt: skip
        yield record


def _in_order(whole: Fields) -> list[tuple[str, Any]]:
    """Rows by their number."""
    rows = [(key, value) for key, value in whole.values.items() if key.isdecimal()]
    if not rows:
        raise RecordError(f"{whole.place}: holds no predictions by number ('0', '1', ...)")
    return sorted(rows, key=lambda row: (len(row[0]), row[0]))


def _verdicts(task: _Task, count: int, left: LeftOut) -> dict[int, dict[str, Any]]:
    """Number of a prediction → what the evaluator says of it."""
    path = _result(task.parts[0]).with_name(f"{task.name}.json")
    if not path.is_file():
        left.notes.append(f"{task.member}, {task.name}: no results; replies are compared here")
        return {}
    result = Fields.of(load_json(path), str(path))
    details = result.values.get("details")
    if isinstance(details, dict):
        return {
            int(key): dict(value)
            for key, value in details.items()
            if key.isdecimal() and len(key) < 10 and isinstance(value, dict)
        }
    if isinstance(details, list) and details:
        return _repeated([d if isinstance(d, dict) else {} for d in details], count)
    accuracy = result.values.get("accuracy")
    figure = f"; its own accuracy is {accuracy} %" if isinstance(accuracy, int | float) else ""
    left.notes.append(
        f"{task.member}, {task.name}: no details in {path.name} (--dump-eval-details): replies "
        f"are compared here{figure}"
    )
    return {}


def _repeated(details: Sequence[Mapping[str, Any]], count: int) -> dict[int, dict[str, Any]]:
    """Details of an evaluator: one an example, whose fields hold one value a repetition.

    The k-th repetition of all examples stands in the predictions after the one before.
    """
    found: dict[int, dict[str, Any]] = {}
    for example, values in enumerate(details):
        for k in range(max(1, count // len(details))):
            found[example + k * len(details)] = {"repetition": k} | {
                key: value[k] for key, value in values.items()
                if isinstance(value, list) and k < len(value)
            }  # fmt: skip
    return found


def _record(
    task: _Task, row: Fields, verdict: Mapping[str, Any], number: int, left: LeftOut
) -> Record:
    options = [key for key in row.values if key.startswith(_OPTION)]
    score = _correct(verdict)
    gold = _first(verdict, _RIGHT, row.values.get("gold"))
    labels = _texts(row.values["gold"] if str(row.values.get("gold")) == gold else gold)
    if not labels and score is None:
        left.add(f"{task.member}, {task.name}", "replies have neither a gold answer (OpenCompass "
                 "drops one that is 0 or empty) nor a verdict", row.place)  # fmt: skip
    repeat = verdict.get("repetition")
    if len(options) > 1:
        return _likelihoods(task, row, options, labels, score, number)
    prompt, reply = _prompt(row.values.get("origin_prompt"), row), row.values.get("prediction")
    several = _texts(reply) if isinstance(reply, list) else []
    text = several[0] if several else None if isinstance(reply, list) else reply
    if text is not None and not isinstance(text, str):
        raise row.wrong("prediction", "a text or a list of texts")
    answer = _first(verdict, _ANSWERS, None)
    return Record(
        member=task.member,
        task=task.name,
        document=document_digest(prompt, sorted(labels)),
        name=str(number),
        place=row.place,
        prompt=prompt,
        labels=tuple(labels),
        answer=answer.strip() or None if isinstance(answer, str) and not several else None,
        unusable=isinstance(answer, str) and not answer.strip(),
        text=None if text is None else clean(text),
        samples=tuple(several) if len(several) > 1 else None,
        score=score,
        by_score=not labels,
        repeat=repeat if isinstance(repeat, int) else None,
    )


def _likelihoods(
    task: _Task, row: Fields, options: Sequence[str], labels: Sequence[str], score: float | None,
    number: int,
) -> Record:  # fmt: skip
    """A choice by perplexity: every option was put behind the question."""
    names = [key.removeprefix(_OPTION) for key in options]
    tried = [row.object(key) for key in options]
    inputs = [_prompt(each.values.get("testing input"), each) for each in tried]
    shared = commonprefix(inputs)  # noqa: RUF071
    ends = [text[len(shared) :].strip() for text in inputs]
    choices = ends if all(ends) and len(set(ends)) == len(ends) else names
    perplexities = [each.number("PPL", least=0) for each in tried]
    known = [p for p in perplexities if p is not None]
    predicted = str(row.values.get("prediction"))
    right = [names.index(label) for label in labels if label in names]
    return Record(
        member=task.member,
        task=task.name,
        document=document_digest(shared, sorted(choices), [choices[k] for k in right]),
        name=str(number),
        place=row.place,
        prompt=shared.strip(),
        choices=tuple(clean(choice) for choice in choices),
        labels=tuple(option_name(k, choices) for k in right),
        answer=option_name(names.index(predicted), choices) if predicted in names else None,
        unusable=predicted not in names,
        score=score,
        choice_scores=tuple(-p for p in known) if len(known) == len(names) else None,
    )  # fmt: skip


def _correct(verdict: Mapping[str, Any]) -> float | None:
    value = _first(verdict, _VERDICTS, None)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return score_of(value)


def _first(values: Mapping[str, Any], keys: Sequence[str], otherwise: Any) -> Any:
    return next((values[key] for key in keys if values.get(key) is not None), otherwise)


def _texts(value: Any) -> list[str]:
    """Accepted answers as texts; GSM8K's gold is a solution that ends on "#### answer"."""
    values = value if isinstance(value, list) else [value]
    texts = [str(v) for v in values if isinstance(v, str | int | float)]
    return [clean(text.rpartition("#### ")[2].strip()) for text in texts if text.strip()]


def _prompt(value: Any, row: Fields) -> str:
    """The question: a prompt's text, or of a conversation what was said last before the reply."""
    if isinstance(value, list):
        turns = [turn for turn in value if isinstance(turn, dict)]
        said = [t.get("prompt") or t.get("content") for t in turns if t.get("role") not in _BOT]
        texts = [text for text in said if isinstance(text, str) and text.strip()]
        value = texts[-1] if texts else None
    if not isinstance(value, str) or not value.strip():
        raise row.wrong("origin_prompt", "a text or a list of messages")
    return clean(value)

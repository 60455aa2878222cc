"""EvalScope's reviews: each reply of a model with what was extracted from it and how it scored.

Predictions of the same run, where they lie beside the reviews, add how long a reply took and
whether it was cut off. Knows no benchmark; options are read from the prompt where EvalScope wrote
them there, since it logs them nowhere else.

Source: modelscope/evalscope 1.14.1 (run here with its mock model): `ReviewResult` and `ModelResult`
(api/evaluator/cache.py), `Score` (api/metric/scorer.py), `ScoreStatus` (constants.py):
`<outputs>/<time>/reviews/<model>/<benchmark>_<subset>.jsonl` and predictions likewise. The main
score is the one that `main_score_name` names, which need not be the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import Fields, LeftOut, json_lines, shown
from rlfocal.records.importers.logged import Logged, Record, Told
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.runs import newest
from rlfocal.records.importers.telling import told_by_output
from rlfocal.records.schema import OPTION_LETTERS, clean

__all__ = ["read_evalscope"]

_USABLE = ("success", "fallback", "degraded")
"""Statuses whose scores EvalScope itself counts; under any other the reply was not scored."""
_COMPARING = re.compile(r"(mean_)?acc(uracy)?|exact_match|em|pass|correct", re.IGNORECASE)
"""Scores that compare one answer with a target."""
_CODE = re.compile("human_?eval|mbpp|code|swe_|scicode|ds1000|multipl|bird_sql|bfcl|ifeval|_if_")
"""Benchmarks whose replies are run, or checked by rules, under a score of such a name."""
_OPTION = re.compile(r"^([A-Z])\) ?(.*)$")
_CUT_OFF = ("max_tokens", "model_length", "length")


Metric = Annotated[str | None, "Score to take; else each review's main score."]


@importer("evalscope", "Review files (reviews/<model>/*.jsonl), or EvalScope's output folders.")
def read_evalscope(paths: Sequence[Path], *, metric: Metric = None) -> Logged:
    """Read reviews of EvalScope."""
    left = LeftOut()
    files = left.files_under(paths, _is_review, "EvalScope reviews (reviews/<model>/*.jsonl)")
    files = newest(files, lambda f: (f.resolve().parent.name, f.stem), lambda f: f, left.notes)
    files.sort(key=str)
    records = left.read_files(files, lambda file: _read(file, metric, left))
    return Logged(records=records, source="reviews of EvalScope", notes=left.notes)


def _is_review(path: Path) -> bool:
    return path.suffix == ".jsonl" and path.resolve().parent.parent.name == "reviews"


def _read(path: Path, metric: str | None, left: LeftOut) -> Iterator[Record]:
    member, task = path.resolve().parent.name, path.stem
    replies = _predictions(path)
    rows: dict[Any, tuple[str, bytes]] = {}
    for line in json_lines(path):
        key = _sample(line)
        if key in rows:
            left.add(path.name, "samples stand there more than once; the last counts, as for "
                     "EvalScope", line[0])  # fmt: skip
            del rows[key]
        rows[key] = line

    def parse(line: tuple[str, bytes]) -> Record:
        row = Fields.of_line(line)
        output = replies.get(row.whole("index") or 0)
        return _record(row, member, task, metric, output, left)

    return left.read_rows(rows.values(), parse, path.name)


def _sample(line: tuple[str, bytes]) -> Any:
    """What tells a sample from others; its place, where that is unknown."""
    try:
        number = Fields.of_line(line).object("sample_score").values.get("sample_id")
    except RecordError:
        return line[0]
    return number if isinstance(number, int | str) else line[0]


def _predictions(path: Path) -> dict[int, Fields]:
    """Index → output of the model, where predictions of the same run are there to be read."""
    folder = path.resolve().parent  # as the file may be named from within its folder
    beside = folder.parent.parent / "predictions" / folder.name / path.name
    found: dict[int, Fields] = {}
    if not _is_review(path) or not beside.is_file():
        return found
    for line in json_lines(beside):
        try:
            row = Fields.of_line(line)
            index = row.whole("index")
            if index is not None:
                found[index] = row.object("model_output")
        except RecordError:
            continue  # the review holds what is needed
    return found


def _record(
    row: Fields, member: str, task: str, metric: str | None, output: Fields | None, left: LeftOut
) -> Record:
    sample = row.object("sample_score")
    judged = sample.object("score")
    if not judged.values:
        raise sample.wrong("score", "an object")
    messages = [
        (message.optional_text("role") or "", _content(message))
        for message in row.objects("messages")
    ]
    prompt = _prompt(row, messages)
    stem, choices = _options(prompt)
    targets = _targets(row)
    if choices is not None and not set(targets) <= set(OPTION_LETTERS[: len(choices)]):
        stem, choices = prompt, None
    name, score = _score(judged, metric, f"{member}, {task}", left)
    compared = bool(
        targets
        and not judged.values.get("judge_summary")
        and _COMPARING.fullmatch(name)
        and not _CODE.search(task.lower())
        and score in (None, 0, 1)
    )
    replies = [text for role, text in messages if role == "assistant"]
    text = judged.optional_text("prediction") or next(reversed(replies), None)
    found = judged.optional_text("extracted_prediction")
    repeat = sample.whole("generation_index")
    return Record(
        member=member,
        task=task,
        document=document_digest(stem, sorted(choices or ()), sorted(_texts(targets, choices))),
        name=sample.name("group_id"),
        place=row.place,
        prompt=prompt,
        choices=choices if compared else None,
        labels=tuple(targets) if compared else (),
        # what is the whole reply was not extracted from it
        answer=(found or None) if compared and found != text else None,
        unusable=compared and found is not None and not found.strip(),
        text=text,
        score=score,
        by_score=not compared,
        repeat=repeat,
        latency_s=None if output is None else _seconds(output),
        truncated=output is not None and _cut_off(output),
        told=Told() if output is None else told_by_output(output.values),
    )


def _score(judged: Fields, metric: str | None, run: str, left: LeftOut) -> tuple[str, float | None]:
    """The score's name and value; None where the reply was not scored."""
    values = judged.object("value")
    main = judged.optional_text("main_score_name")
    if main is None or main not in values.values:
        main = next(iter(values.values), "")
    name = metric or main
    status = judged.optional_text("status") or "success"
    if status not in _USABLE:
        left.add(run, f"replies were not scored (status {status}), which is not 0", judged.place)
        return name, None
    if name not in values.values:
        if metric is not None and values.values:
            raise RecordError(
                f"{judged.place}: no score '{metric}'; {nearest(metric, values.values)}"
            )
        left.add(run, "replies were not scored (no value), which is not 0", judged.place)
        return name, None
    score = values.number(name)
    if score is not None and not 0 <= score <= 1:
        left.add(run, f"scores '{name}' are outside [0, 1] and count as not scored",
                 f"{judged.place}: {shown(score)}")  # fmt: skip
        score = None
    return name, score


def _targets(row: Fields) -> list[str]:
    """Accepted answers; older rows hold one text."""
    value = row.values.get("target")
    texts = [value] if isinstance(value, str) else row.items("target")
    for text in texts:
        if not isinstance(text, str):
            raise row.wrong("target", "a list of texts")
    return list(dict.fromkeys(clean(text.strip()) for text in texts if text.strip()))


def _content(message: Fields) -> str:
    value = message.values.get("content")
    if isinstance(value, list):
        parts = (part.get("text") for part in value if isinstance(part, dict))
        return clean("\n".join(part for part in parts if isinstance(part, str)))
    return message.optional_text("content") or ""


def _prompt(row: Fields, messages: Sequence[tuple[str, str]]) -> str:
    """What was asked: all that stands before the first reply."""
    asked = []
    for role, text in messages:
        if role == "assistant":
            break
        asked.append(text)
    prompt = "\n\n".join(text for text in asked if text.strip())
    return prompt or row.optional_text("input") or ""


def _options(prompt: str) -> tuple[str, tuple[str, ...] | None]:
    """The prompt without its options, and these: the last lines that count up from "A) "."""
    lines = prompt.split("\n")
    for last in range(len(lines) - 1, -1, -1):
        end = _OPTION.match(lines[last])
        if end is None:
            continue
        count = OPTION_LETTERS.index(end[1]) + 1
        first = last + 1 - count
        if count < 2 or first < 0:
            return prompt, None
        found = [_OPTION.match(line) for line in lines[first : last + 1]]
        if [m and m[1] for m in found] == list(OPTION_LETTERS[:count]):
            texts = tuple(m[2].strip() for m in found if m)
            if all(texts) and len(set(texts)) == count:
                return "\n".join(lines[:first] + lines[last + 1 :]), texts
        return prompt, None
    return prompt, None


def _texts(targets: Sequence[str], choices: Sequence[str] | None) -> list[str]:
    """Targets as texts, whatever the order of options."""
    if choices is None:
        return list(targets)
    return [choices[OPTION_LETTERS.index(target)] for target in targets]


def _seconds(output: Fields) -> float | None:
    try:
        return output.number("time", least=0)
    except RecordError:
        return None


def _cut_off(output: Fields) -> bool:
    choices = output.values.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and first.get("stop_reason") in _CUT_OFF

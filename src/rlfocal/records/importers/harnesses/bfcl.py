"""BFCL's results: the function calls each model made, judged by the leaderboard's own checkers.

Calls are texts judged by their scores: whether two calls are the same is the checkers' business,
which accept several values for a parameter and run conversations. The questions themselves lie in
neither results nor, for replies that were right, scores: they are taken from BFCL's data files
where these are given.

Source: ShishirPatil/gorilla, berkeley-function-call-leaderboard, bfcl-eval 2026.3.23 (its checkers
were run here): `<root>/result/<model>/<group>/BFCL_v4_<category>_result.json`, a JSON line each
with id and result, and `<root>/score/...._score.json`, whose first line has totals and whose other
lines are the replies that were WRONG; right ones are not listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import MISSING, Fields, LeftOut, json_lines
from rlfocal.records.importers.logged import Logged, Record, Told
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.telling import count_of
from rlfocal.records.schema import clean

__all__ = ["read_bfcl"]

_FILE = re.compile(
    r"(?P<version>BFCL_v\d+|gorilla_openfunctions_v\d+_test)_(?P<category>\w+?)"
    r"(?P<kind>_result|_score)?\.json"
)
_GROUPS = {"non_live", "live", "multi_turn", "agentic", "format_sensitivity", "memory", "kv",
           "vector", "rec_sum", "web_search"}  # fmt: skip
_FAILED = "Error during inference:"
_MAX_SECONDS = 1e9


@dataclass(frozen=True)
class _Named:
    """What a file's name and folder say."""

    path: Path
    model: str
    version: str
    category: str
    kind: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.model, self.version, self.category


@importer("bfcl", "Result files (*_result.json), or the folder that holds result/ and score/.")
def read_bfcl(
    paths: Sequence[Path],
    *,
    questions: Annotated[
        str | None, "BFCL's data folder (bfcl_eval/data), for the prompts."
    ] = None,
) -> Logged:
    """Read results and scores of BFCL, the Berkeley Function Calling Leaderboard."""
    if questions is not None and not Path(questions).is_dir():
        raise ConfigError(f"--questions {questions}: is no folder; name BFCL's data folder")
    left = LeftOut()
    extra = [] if questions is None else [Path(questions)]
    found = left.files_under(
        [*paths, *extra], lambda f: _FILE.fullmatch(f.name), "results (BFCL_*_result.json)"
    )
    named = [n for n in map(_named, found) if n is not None]
    results = [n for n in named if n.kind == "_result"]
    if not results:
        raise RecordError(f"{paths[0]}: holds no results (BFCL_*_result.json)")
    scores = {n.key: n.path for n in named if n.kind == "_score"}
    for result in results:  # where the results alone were named
        beside = _score_beside(result)
        if beside is not None:
            scores.setdefault(result.key, beside)
    judged = {key: path for key, path in scores.items() if any(r.key == key for r in results)}
    asked = _questions(named, judged.values(), left)
    records = left.read_files(results, lambda r: _read(r, scores.get(r.key), asked, left))
    return Logged(records=records, source="results of BFCL", notes=left.notes)


def _named(path: Path) -> _Named | None:
    name = _FILE.fullmatch(path.name)
    if name is None:
        return None
    above = (p.name for p in path.resolve().parents)
    model = next((folder for folder in above if folder not in _GROUPS), "")
    return _Named(path, model, name["version"], name["category"], name["kind"] or "")


def _score_beside(result: _Named) -> Path | None:
    """The score file of a result file: the same path below `score` instead of `result`."""
    path = result.path.resolve()
    for folder in path.parents:
        if folder.name == "result":
            name = path.name.replace("_result.json", "_score.json")
            beside = folder.with_name("score") / path.relative_to(folder).with_name(name)
            return beside if beside.is_file() else None
    return None


def _questions(named: Sequence[_Named], scores: Any, left: LeftOut) -> dict[tuple[str, str], str]:
    """Version and id → question: of data files, else as the scores quote it."""
    asked: dict[tuple[str, str], str] = {}
    data = [(n.version, n.path) for n in named if not n.kind]
    quoted = [(n.version, path) for path in scores if (n := _named(path)) is not None]
    for version, path in [*data, *quoted]:
        try:
            for line in json_lines(path):
                row = Fields.of_line(line)
                text = _turns(row.values.get("question") or row.values.get("prompt"))
                if text and isinstance(row.values.get("id"), str):
                    asked.setdefault((version, row.values["id"]), text)
        except RecordError as exc:
            left.add(path.name, "lines cannot be read for their questions", str(exc))
    return asked


def _turns(value: Any) -> str:
    """Text of a question: messages in turns, one under another."""
    if isinstance(value, dict):
        return _turns(value.get("content") if "role" in value else value.get("question"))
    if isinstance(value, list):
        return "\n".join(text for text in map(_turns, value) if text)
    return clean(value) if isinstance(value, str) else ""


def _read(
    named: _Named, score: Path | None, asked: Mapping[tuple[str, str], str], left: LeftOut
) -> Iterator[Record]:
    rows: list[tuple[str, bytes]] = list(json_lines(named.path))
    wrong = _wrong(named, score, rows, left)
    return left.read_rows(
        rows,
        lambda line: _record(Fields.of_line(line), named, wrong, asked, left),
        named.path.name,
    )


def _wrong(
    named: _Named, score: Path | None, rows: Sequence[tuple[str, bytes]], left: LeftOut
) -> set[str] | None:
    """Ids of wrong replies; None where nobody judged these very replies."""
    run = f"{named.model}, {named.category}"
    if score is None:
        left.notes.append(f"{run}: no score file; its replies are not scored (bfcl evaluate)")
        return None
    answered = {i for i in map(_id, rows) if i is not None and "prereq" not in i}
    lines = json_lines(score)
    try:
        head = Fields.of_line(next(lines, (str(score), b"")))
        total, correct = head.whole("total_count"), head.whole("correct_count")
        wrong = {Fields.of_line(line).text("id") for line in lines}
    except RecordError as exc:
        left.notes.append(f"{run}: its replies are not scored: {exc}")
        return None
    if total != len(answered) or not wrong <= answered or correct != total - len(wrong):
        left.notes.append(
            f"{run}: {score} counts {correct} right of {total} and lists {len(wrong)} wrong, "
            f"where {named.path.name} holds {len(answered)} replies: not of the same run, so they "
            "are not scored; run bfcl evaluate again"
        )
        return None
    return wrong


def _id(line: tuple[str, bytes]) -> str | None:
    try:
        value = Fields.of_line(line).values.get("id")
    except RecordError:
        return None
    return value if isinstance(value, str) else None


def _record(
    row: Fields, named: _Named, wrong: set[str] | None, asked: Mapping[tuple[str, str], str],
    left: LeftOut,
) -> Record | None:  # fmt: skip
    number = row.text("id")
    run = f"{named.model}, {named.category}"
    if "prereq" in number:
        return None  # a conversation that fills a memory, asked about later
    if row.values.get("result") is None:
        raise row.wrong("result", "a text or calls")
    result = row.values["result"]
    if isinstance(result, str) and result.startswith(_FAILED):
        left.add(run, MISSING, row.place)
        return None
    prompt = asked.get((named.version, number), "")
    if not prompt:
        left.add(run, "questions are not in these files; --questions names BFCL's data folder",
                 row.place)  # fmt: skip
    return Record(
        member=clean(named.model),
        task=named.category,
        document=document_digest(named.version, number),
        name=clean(number).removeprefix(f"{named.category}_"),
        place=row.place,
        prompt=prompt,
        text=clean(result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)),
        score=None if wrong is None else float(number not in wrong),
        by_score=True,
        latency_s=_seconds(row.values.get("latency")),
        told=Told(
            n_prompt_tokens=count_of(row.values.get("input_token_count")),
            n_completion_tokens=count_of(row.values.get("output_token_count")),
        ),
    )


def _seconds(value: Any) -> float | None:
    """Seconds of one call, or of all calls of a conversation: a list of turns of steps."""
    if isinstance(value, list):
        parts = [_seconds(part) for part in value]
        known = [part for part in parts if part is not None]
        return sum(known) if parts and len(known) == len(parts) else None
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable and 0 <= value < _MAX_SECONDS else None

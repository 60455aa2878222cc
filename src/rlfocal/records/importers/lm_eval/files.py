"""Which files of lm-evaluation-harness hold whose samples of which task, in every version's layout.

What a run's settings say about its members is in `runs`; what a row holds, in `rows`.

Source: EleutherAI/lm-evaluation-harness. From 0.4.3, `EvaluationTracker`: `--output_path DIR`
writes `DIR/<model>/samples_<task>_<time>.jsonl` and `DIR/<model>/results_<time>.json`;
`--output_path DIR/NAME.json` writes `DIR/NAME_<time>.json` and the samples of every model into DIR.
Before, `__main__`: `DIR/<model arguments>_<task>.jsonl`, one JSON list, beside `DIR/results.json`,
which the next model overwrites.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.json_files import LeftOut, load_json, shown
from rlfocal.records.schema import clean

__all__ = ["LogFile", "arguments_of", "find_logs", "model_of"]

_TIME = r"\d{4}-\d{2}-\d{2}T[\d.:-]+"
_NAME = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<time>{_TIME}))?\.jsonl?(\.gz)?")
_ENDS = (".jsonl", ".jsonl.gz", ".json.gz")
_MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Model arguments that name a model, the most specific first, as the harness ranks them."""


@dataclass(frozen=True)
class LogFile:
    """One file of samples.

    Attributes:
        path: of the file.
        model: name of the model, "" where only the folder tells.
        task: name of the task.
        time: of the run, as in the file's name; "" if it has none.
        results: content of the run's results file; empty where there is none.
    """

    path: Path
    model: str
    task: str
    time: str
    results: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @property
    def name(self) -> str:
        """Task and file, for notes."""
        return f"{self.task}: {self.path.name}"

    @property
    def config(self) -> Mapping[str, Any]:
        """The task's own configuration as the results file holds it, or nothing."""
        return _object(_object(self.results.get("configs")).get(self.task))


def find_logs(paths: Sequence[Path], left: LeftOut) -> list[LogFile]:
    """Find the sample files in folders at any depth, and say whose they are.

    What looked like a log and is none, and what had to be guessed, goes into notes.

    Raises:
        RecordError: no samples are there.
    """
    files = left.files_under(
        paths,
        lambda f: f.name.endswith(_ENDS) and _is_log(f, left.notes),
        "sample logs (samples_*.jsonl); run lm_eval with --log_samples",
    )
    results = _Results(left.notes)
    unique = {file.resolve(): file for file in files}
    return sorted(
        (_describe(file, results, left.notes) for file in unique.values()),
        key=lambda x: str(x.path),
    )


def model_of(results: Mapping[str, Any]) -> str:
    """Name of the model of a results file; "" where it names none."""
    arguments = arguments_of(_object(results.get("config")).get("model_args"))
    named = [results.get("model_name"), *(arguments.get(key) for key in _MODEL_KEYS)]
    return next((clean(n.strip()) for n in named if isinstance(n, str) and n.strip()), "")


def arguments_of(value: Any) -> Mapping[str, Any]:
    """Arguments as an object, or as "key=value,key=value"; nothing where they are neither."""
    if isinstance(value, str):
        return dict(a.split("=", 1) for a in value.split(",") if "=" in a)
    return _object(value)


class _Results:
    """Results files, each read once."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._read: dict[Path, Mapping[str, Any]] = {}
        self._beside: dict[Path, list[Path]] = {}

    def read(self, file: Path) -> Mapping[str, Any]:
        """Content of one; nothing where it is no results file."""
        if file not in self._read:
            content: Any = {}
            try:
                content = load_json(file)
            except RecordError as exc:
                self._notes.append(f"left out: {exc}")
            else:
                if not isinstance(content, dict) and file.name.startswith("results"):
                    self._notes.append(f"left out: {file}: {shown(content)} is no results file")
            self._read[file] = content if isinstance(content, dict) else {}
        return self._read[file]

    def beside(self, folder: Path) -> list[Path]:
        """Every JSON file of a folder."""
        if folder not in self._beside:
            self._beside[folder] = sorted(f for f in folder.glob("*.json") if f.is_file())
        return self._beside[folder]


def _is_log(file: Path, notes: list[str]) -> bool:
    """Whether a file in a folder is a sample log: by its name, else by how it begins."""
    if _NAME.fullmatch(file.name):
        return True
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            start = opened.read(65_536)
    except (OSError, EOFError, zlib.error) as exc:
        notes.append(f"left out: {file}: cannot be read: {exc}")
        return False
    if b'"doc_id"' in start:
        return True
    notes.append(f"left out: {file}: no sample log (its start holds no doc_id)")
    return False


def _describe(path: Path, results: _Results, notes: list[str]) -> LogFile:
    name = _NAME.fullmatch(path.name)
    if name is None:
        return _old(path, results, notes)
    log = LogFile(path, "", name["task"], name["time"] or "")
    content = _of_run(log, results)
    folder = path.resolve().parent.name
    # the harness writes "organisation/model" as "organisation__model"
    return replace(log, model=model_of(content) or folder.replace("__", "/", 1), results=content)


def _of_run(log: LogFile, results: _Results) -> Mapping[str, Any]:
    """The results file of a run: by its time, else the only model's in the folder."""
    beside = results.beside(log.path.parent)
    if log.time:
        for file in beside:
            if file.name.endswith(f"_{log.time}.json"):
                return results.read(file)
    others = [results.read(f) for f in beside if f.name.startswith("results")]
    models = {model_of(other) for other in others} - {""}
    if len(models) != 1:
        return {}
    # the model is known, not with which settings this run was made
    return {"model_name": models.pop()}


def _old(path: Path, results: _Results, notes: list[str]) -> LogFile:
    """Layout before 0.4.3, or a file that somebody renamed."""
    stem = path.name.partition(".json")[0]
    for file in results.beside(path.parent):
        content = results.read(file)
        arguments = _object(content.get("config")).get("model_args")
        if not isinstance(arguments, str):
            continue
        for start in _written(arguments):
            if stem.startswith(f"{start}_"):
                task = stem[len(start) + 1 :]
                return LogFile(path, model_of(content) or start, task, "", content)
    tasks = [
        task
        for file in results.beside(path.parent)
        for task in _object(results.read(file).get("configs"))
        if stem.endswith(f"_{task}")
    ]
    if tasks:
        task = max(tasks, key=len)
        return LogFile(path, _named_by(stem[: -len(task) - 1]), task, "")
    named = re.fullmatch(r"((?:.*,)?[a-z]\w*?(?:=|__)[^_,]*(?:__[^_,]+)*)_([^,=]+)", stem)
    if named:
        notes.append(
            f"{named[2]}: {path.name}: its name is taken for the task's, no "
            "results.json beside it names its tasks"
        )
        return LogFile(path, _named_by(named[1]), named[2], "")
    folder = path.resolve().parent.name
    return LogFile(path, folder.replace("__", "/", 1), stem, "")


def _written(arguments: str) -> Iterable[str]:
    """Model arguments as a file's name holds them."""
    return (re.sub("[/=]", "__", arguments), arguments.replace("/", "__"))


def _named_by(arguments: str) -> str:
    """The model in a file's name: of `pretrained__lab__one,dtype__float`, `lab/one`."""
    pairs = dict(
        (a.partition("=") if "=" in a else a.partition("__"))[::2] for a in arguments.split(",")
    )
    named = next((pairs[key] for key in _MODEL_KEYS if pairs.get(key)), arguments)
    return named.replace("__", "/", 1)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}

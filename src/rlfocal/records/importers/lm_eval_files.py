"""Which files of lm-evaluation-harness hold whose samples of which task.

Source: EleutherAI/lm-evaluation-harness, `EvaluationTracker` (lm_eval/loggers): with
`--output_path DIR --log_samples` a run writes `DIR/<model>/samples_<task>_<time>.jsonl` and
`DIR/<model>/results_<time>.json`; before version 0.4.3 the sample files were called
`<model>_<task>.jsonl` and held one JSON list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rlfocal.errors import RecordError
from rlfocal.records.formats import read_json_lines

__all__ = ["LogFile", "find_logs", "newest_logs", "read_rows"]

_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<time>\d{4}-\d{2}-\d{2}T[\d.:-]+))?\.jsonl")
_MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Model arguments that name a model, the most specific first, as the harness ranks them."""


class LogFile(NamedTuple):
    """One file of samples; `time` is the run's time as in the file's name, "" if it has none."""

    path: Path
    member: str
    task: str
    time: str


def find_logs(paths: Sequence[Path]) -> list[LogFile]:
    """Find the sample files in folders, and say whose they are.

    Args:
        paths: sample files, or folders that hold some at any depth.

    Raises:
        RecordError: a path does not exist or holds no samples.
    """
    logs: list[LogFile] = []
    for path in paths:
        if path.is_dir():
            files = sorted(path.rglob("samples_*.jsonl"))
            if not files:
                raise RecordError(
                    f"{path}: holds no samples_*.jsonl; run lm_eval with --log_samples"
                )
        elif path.is_file():
            files = [path]
        else:
            raise RecordError(f"{path}: does not exist")
        logs.extend(_describe(file) for file in files)
    return sorted(set(logs))


def newest_logs(logs: Sequence[LogFile]) -> tuple[list[LogFile], list[str]]:
    """Keep the newest run of each member and task.

    Returns:
        The files kept, and one note per run left out.
    """
    kept: dict[tuple[str, str], LogFile] = {}
    notes = []
    for log in sorted(logs, key=lambda log: log.time):
        older = kept.get((log.member, log.task))
        if older is not None:
            notes.append(
                f"{log.member}, {log.task}: two runs; took {log.path.name}, left {older.path.name}"
            )
        kept[log.member, log.task] = log
    return sorted(kept.values()), notes


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, sample); the line is 1 throughout when the file is one JSON list.

    Raises:
        RecordError: the file is not JSON; the message names the line.
    """
    try:
        with path.open("rb") as file:
            is_list = file.read(64).lstrip().startswith(b"[")
        if not is_list:
            yield from read_json_lines(path)
            return
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc
    for row in rows:
        if not isinstance(row, dict):
            raise RecordError(f"{path}:1: a {type(row).__name__} where a sample is expected")
        yield 1, row


def _describe(path: Path) -> LogFile:
    name = _NAME.fullmatch(path.name)
    task, time = (name["task"], name["time"] or "") if name else (path.stem, "")
    return LogFile(path, _member(path, time), task, time)


def _member(path: Path, time: str) -> str:
    """Model name from the run's results file, else any in the folder, else the folder's name."""
    same_run = path.with_name(f"results_{time}.json")
    results = [same_run] if same_run.is_file() else sorted(path.parent.glob("results_*.json"))
    names = {_model_name(file) for file in results} - {""}
    if len(names) == 1:
        return names.pop()
    # the harness writes "organisation/model" as "organisation__model"
    return path.resolve().parent.name.replace("__", "/", 1)


def _model_name(path: Path) -> str:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise RecordError(f"{path}: not readable as JSON: {exc}") from exc
    if not isinstance(content, dict):
        return ""
    config = content.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(arguments, str):
        arguments = dict(a.split("=", 1) for a in arguments.split(",") if "=" in a)
    named = [content.get("model_name")]
    if isinstance(arguments, dict):
        named += [arguments.get(key) for key in _MODEL_KEYS]
    return next((n for n in named if isinstance(n, str) and n), "")

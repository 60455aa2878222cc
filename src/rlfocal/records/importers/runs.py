"""Several runs of one model on one task: parts of it, repeats of it, or two members.

Runs over the same questions with other settings are members of their own; with the same settings
the newest counts; runs over other questions are parts of one member's work.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import LeftOut
from rlfocal.records.importers.logged import Record

__all__ = ["Run", "named_by_settings", "newest", "read_runs", "settings_of"]

_T = TypeVar("_T")

SHOWN_CHARS = 40
"""Of a setting in a member's name; a longer one is named by a digest."""


@dataclass(frozen=True)
class Run:
    """One run of a model on a task.

    Attributes:
        path: file, for notes.
        model: as the tool names it.
        task: as the records have it.
        time: when, as text that sorts by time.
        settings: name → value, as text.
        records: one or several of each document.
    """

    path: Path
    model: str
    task: str
    time: str
    settings: Mapping[str, str]
    records: Sequence[Record]

    @cached_property
    def documents(self) -> frozenset[str]:
        """Documents that were asked."""
        return frozenset(record.document for record in self.records)


def settings_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Write settings as text; objects give their own, and what is null is not set.

    >>> settings_of({"temperature": 0.5, "seed": None, "more": {"top_k": 3}, "solver": "plain"})
    {'temperature': '0.5', 'top_k': '3', 'solver': 'plain'}
    """
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= settings_of(value)
        elif value is not None:
            found[key] = value if isinstance(value, str) else json.dumps(value, default=str)
    return found


def newest(
    runs: Iterable[_T],
    key_of: Callable[[_T], tuple[str, str]],
    path: Callable[[_T], Path],
    notes: list[str],
) -> list[_T]:
    """Of several runs of one model and task the last by their folders, which are named by time.

    Args:
        runs: in any order.
        key_of: run → its model and task.
        path: run → where it is.
        notes: gets one for each run that a newer one replaces.
    """
    kept: dict[tuple[str, str], _T] = {}
    for run in sorted(runs, key=lambda run: str(path(run))):
        key = key_of(run)
        if key in kept:
            notes.append(f"{', '.join(key)}: two runs; took {path(run)}, left {path(kept[key])}")
        kept[key] = run
    return list(kept.values())


def read_runs(
    files: Sequence[Path], read: Callable[[Path], Sequence[Run]], left: LeftOut
) -> list[Record]:
    """Records of the runs in files, their members named; files that cannot be read are left out.

    Raises:
        RecordError: none could be read.
    """
    runs: list[Run] = []

    def records(path: Path) -> list[Record]:
        found = read(path)
        runs.extend(found)
        return [record for run in found for record in run.records]

    left.read_files(files, records)
    return named_by_settings(runs, left.notes)


def named_by_settings(runs: Iterable[Run], notes: list[str]) -> list[Record]:
    """Records of the runs that count, by model and task; a note for each that a newer one replaces.

    Members whose settings matter are named "model (temperature=1.0)".
    """
    kept: dict[tuple[str, str], list[Run]] = defaultdict(list)
    differing: dict[str, set[str]] = defaultdict(set)
    for run in sorted(runs, key=lambda r: (r.time, str(r.path)), reverse=True):
        own = kept[run.model, run.task]
        keys, newer = _differences(run, own)
        if newer is None:
            differing[run.model] |= keys
            own.append(run)
        else:
            notes.append(
                f"{run.model}, {run.task}: two runs; took {newer.path.name}, left {run.path.name}"
            )
    records = []
    for (model, _), own in sorted(kept.items(), key=lambda item: item[0]):
        for run in own:
            member = _member(run, sorted(differing[model]))
            records += [replace(record, member=member) for record in run.records]
    return records


def _differences(run: Run, others: Sequence[Run]) -> tuple[set[str], Run | None]:
    """Settings that tell it from newer runs over its questions, or the one like it."""
    found: set[str] = set()
    for other in others:
        if other.documents.isdisjoint(run.documents):
            continue
        names = {*run.settings, *other.settings}
        keys = {k for k in names if run.settings.get(k) != other.settings.get(k)}
        if not keys:
            return set(), other
        found |= keys
    return found, None


def _member(run: Run, keys: Sequence[str]) -> str:
    shown = ", ".join(f"{k}={_short(run.settings[k])}" for k in keys if k in run.settings)
    return f"{run.model} ({shown})" if shown else run.model


def _short(value: str) -> str:
    return value if len(value) <= SHOWN_CHARS else document_digest(value)[:8]

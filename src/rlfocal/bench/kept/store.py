"""A folder of finished jobs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from rlfocal.bench.entrants import Entrants
from rlfocal.bench.folds import Fold
from rlfocal.bench.kept.codec import from_file, to_bytes
from rlfocal.deliberation.base import Base
from rlfocal.executor.makes import make
from rlfocal.files import check_writable, replace_file
from rlfocal.records import ResponseTable

__all__ = ["Kept"]


class Kept:
    """Finished jobs in a folder, each under a hash of all that its result depends on.

    So a folder serves any number of runs: what another run did alike is found, and nothing else.
    The code of a strategy is known by the version of rlfocal alone: after a change to one of your
    own use another folder. One that holds what has no plain form, as a function, is not kept.

    Args:
        folder: made where it is not there.
        table: the recorded answers.
        entrants: the strategies.
        folds: what each job is fitted and tested on.
        about: what else a job depends on, beside its strategy, fold and seed; as JSON holds it.
        classes: of which results are made.

    Raises:
        ConfigError: the folder cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        table: ResponseTable,
        entrants: Entrants,
        folds: Sequence[Fold],
        *,
        about: Mapping[str, Any],
        classes: Iterable[type],
    ) -> None:
        check_writable(folder)
        self._folder, self._entrants = folder, entrants
        self._folds = [_sha256(fold.train, fold.test) for fold in folds]
        self._classes = {kind.__name__: kind for kind in classes}
        self._about = {"make": make(), "data": digest_of(table), **about}

    def find(self, strategy: str, fold: int, seed: int) -> Any:
        """The result of a job; None where it is not there, or its file is damaged."""
        path = self._path(strategy, fold, seed)
        try:
            there = path is not None and path.exists()
            return from_file(str(path), self._classes) if there else None
        except (ValueError, OSError):
            return None  # it is done again, and the file replaced

    def keep(self, result: object, strategy: str, fold: int, seed: int) -> None:
        """Store a result; a file is whole or not there.

        Raises:
            TypeError: it cannot be kept.
            OSError: there is no room.
        """
        place = self._path(strategy, fold, seed)
        if place is not None:
            data = to_bytes(result, self._classes)
            replace_file(place, lambda path: path.write_bytes(data))

    def _path(self, strategy: str, fold: int, seed: int) -> Path | None:
        """Where a result is, or would be; None where nobody can say what the strategy is."""
        try:
            made = plain(self._entrants.fresh(strategy))
        except TypeError:
            return None
        about = [self._about, self._folds[fold], strategy, fold, seed, made]
        mark = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        name = re.sub(r"[^\w.-]", "_", strategy)[:60].lstrip(".")
        return self._folder / f"{name}-fold{fold}-seed{seed}-{mark}.safetensors"


def _sha256(*arrays: NDArray[Any]) -> str:
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype} {array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def digest_of(table: ResponseTable) -> str:
    """A sha256 over everything in a table that a strategy may read."""
    held = {field.name: getattr(table, field.name) for field in fields(table)}
    del held["replies"]  # a store that fills itself; the table's own digest covers what it holds
    return hashlib.sha256(json.dumps([table.digest(), plain(held)]).encode()).hexdigest()


def plain(value: Any) -> Any:
    """A value as JSON holds it, equal where the value is: what a result depends on.

    Raises:
        TypeError: it holds something that has no such form, as a function or an open file.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [str(value.dtype), list(value.shape), _sha256(value)]
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(part) for part in value), key=json.dumps)
    if isinstance(value, Mapping):
        return sorted(([plain(k), plain(v)] for k, v in value.items()), key=json.dumps)
    if isinstance(value, PurePath):
        return str(value)
    return [f"{type(value).__module__}.{type(value).__qualname__}", plain(_parts(value))]


def _parts(value: Any) -> dict[str, Any]:
    """What an object is made of.

    Raises:
        TypeError: nobody can say.
    """
    if isinstance(value, BaseModel):
        return value.model_dump()
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Base):
        return vars(value)
    raise TypeError(f"a {type(value).__name__} has no plain form")

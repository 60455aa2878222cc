"""A folder of finished jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.entrants import Entrants
from rlfocal.bench.folds import Fold
from rlfocal.bench.kept.codec import from_file, to_bytes
from rlfocal.deliberation.protocol import Strategy
from rlfocal.executor.makes import make
from rlfocal.files import check_writable, replace_file
from rlfocal.records import ResponseTable

__all__ = ["Kept"]


class Kept:
    """Finished jobs in a folder, each under a hash of all that its result depends on.

    So a folder serves any number of runs: what another run did alike is found, and nothing else.
    The code of a strategy is known by the version of rlfocal alone: after a change to one of your
    own use another folder.

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
            return from_file(str(path), self._classes) if path.exists() else None
        except (ValueError, OSError):
            return None  # it is done again, and the file replaced

    def keep(self, result: object, strategy: str, fold: int, seed: int) -> None:
        """Store a result; a file is whole or not there.

        Raises:
            TypeError: it cannot be kept.
            OSError: there is no room.
        """
        data = to_bytes(result, self._classes)
        replace_file(self._path(strategy, fold, seed), lambda path: path.write_bytes(data))

    def _path(self, strategy: str, fold: int, seed: int) -> Path:
        one = self._entrants.fresh(strategy)
        settings: Mapping[str, Any] = one.spec.settings if isinstance(one, Strategy) else {}
        kind = f"{type(one).__module__}.{type(one).__qualname__}"
        about = [self._about, self._folds[fold], strategy, fold, seed, kind, dict(settings)]
        mark = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        return self._folder / f"{strategy}-fold{fold}-seed{seed}-{mark}.safetensors"


def _sha256(*arrays: NDArray[Any]) -> str:
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype} {array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def digest_of(table: ResponseTable) -> str:
    """A sha256 over everything in a table that a strategy may read."""
    state = hashlib.sha256(table.digest().encode())
    for field in fields(table):
        value = getattr(table, field.name)
        if isinstance(value, np.ndarray):
            state.update(f"{field.name} {value.dtype} {value.shape}".encode())
            texts = value.dtype == object
            state.update(
                json.dumps(value.tolist()).encode() if texts else np.ascontiguousarray(value).data
            )
    return state.hexdigest()

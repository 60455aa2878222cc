"""Other tools' logs of recorded answers, brought into the two tables of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rlfocal.records.dataset import Dataset
from rlfocal.records.importers.lm_eval import import_lm_eval

__all__ = ["IMPORTERS", "Importer", "import_lm_eval"]


class Importer(Protocol):
    """Reads one tool's logs; may take further keyword arguments that have defaults."""

    def __call__(self, paths: Sequence[Path], *, name: str) -> Dataset:
        """Read logs of several members.

        Args:
            paths: files or folders, as the tool wrote them.
            name: what to call the data set.

        Returns:
            A checked data set; what was left out or chosen is listed under `notes` of its info.

        Raises:
            RecordError: a file cannot be read, or files contradict each other.
        """
        ...


IMPORTERS: Mapping[str, Importer] = {"lm-eval": import_lm_eval}
"""Importers by the name that the command line gives them."""

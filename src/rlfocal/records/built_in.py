"""The data sets inside the package: one recorded from real models, one simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources

from rlfocal.records.dataset import Dataset
from rlfocal.records.folders import read_dataset
from rlfocal.records.synthetic import demo_dataset

__all__ = ["BUILT_IN", "localpool"]


def localpool() -> Dataset:
    """What small local models answered to 1,200 reasoning questions; its card is CARD.md beside it.

    Real answers, recorded by `rlfocal collect` itself (examples/localpool makes them again).

    >>> localpool().queries.num_rows
    1200
    """
    with resources.as_file(resources.files("rlfocal.records") / "localpool") as folder:
        return read_dataset(folder)


BUILT_IN: Mapping[str, Callable[[], Dataset]] = {"localpool": localpool, "demo": demo_dataset}
"""Name → the data set; a folder of the same name is ./NAME."""

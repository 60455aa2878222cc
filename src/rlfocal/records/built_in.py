"""The data sets inside the package: two recorded from real models, one simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from rlfocal.errors import RecordError
from rlfocal.records.dataset import Dataset
from rlfocal.records.folders import read_dataset
from rlfocal.records.synthetic import demo_dataset

__all__ = ["BUILT_IN", "localpool", "localpool_readers", "read_data"]


def localpool() -> Dataset:
    """What small local models answered to 456 reasoning questions; its card is CARD.md beside it.

    Real answers, recorded by `rlfocal collect` itself (examples/localpool makes them again).

    >>> localpool().queries.num_rows
    456
    """
    return _packaged("localpool")


def localpool_readers() -> Dataset:
    """The same models on the same questions, and members that read their replies.

    A judge, a mixture, second turns of a debate, a critic and who refines by what it says.

    >>> data = localpool_readers()
    >>> data.info.readers["mixture"].reads
    ['qwen-0.5b-steps', 'qwen-1.5b-other', 'qwen-1.5b-steps']
    """
    return _packaged("localpool_readers")


def _packaged(name: str) -> Dataset:
    with resources.as_file(resources.files("rlfocal.records") / name) as folder:
        return read_dataset(folder)


def read_data(data: str | Path, *, with_text: bool = True) -> Dataset:
    """Read a data folder, or take a built-in data set; a folder "demo" is ./demo.

    Args:
        data: a folder, or the name of a built-in data set.
        with_text: read whole replies too; a built-in data set is read whole.

    Raises:
        RecordError: the folder cannot be read or contradicts itself.
    """
    if isinstance(data, str) and data in BUILT_IN:
        return BUILT_IN[data]()
    near = get_close_matches(str(data), BUILT_IN, n=1)
    if near and not Path(data).exists():
        raise RecordError(f"{data}: does not exist; did you mean the built-in '{near[0]}'?")
    return read_dataset(data, with_text=with_text)


BUILT_IN: Mapping[str, Callable[[], Dataset]] = {
    "localpool": localpool, "localpool-readers": localpool_readers, "demo": demo_dataset,
}  # fmt: skip
"""Name → the data set; a folder of the same name is ./NAME."""

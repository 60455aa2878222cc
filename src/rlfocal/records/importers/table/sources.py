"""Which files hold the tables, and what their places say: a folder's value, a model's name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from rlfocal.records.importers.table.files import SUFFIXES, Sheet, suffix_of
from rlfocal.records.importers.table.roles import role_of

__all__ = ["add_partitions", "files_of", "member_names"]

_PARTITION = re.compile(r"([A-Za-z_][\w .-]*)=(.+)")
_NULL = "__HIVE_DEFAULT_PARTITION__"


def files_of(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Files, and whether each was named rather than found in a folder."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and suffix_of(file) in SUFFIXES:
                yield file, False


def add_partitions(sheet: Sheet, named: Collection[str]) -> None:
    """Make columns of folders called `key=value`, as Hive, Spark and pyarrow write them.

    Args:
        sheet: to which they are added.
        named: columns that the user named; others are added where their names say what they are,
            since else they could be taken for models.
    """
    for part in sheet.path.parent.parts:
        match = _PARTITION.fullmatch(part)
        if match is None or match[1] in sheet.columns:
            continue
        if match[1] in named or role_of(match[1])[0] is not None:
            value = None if match[2] == _NULL else unquote(match[2])
            sheet.columns[match[1]] = [value] * len(sheet)


def member_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Names of the members whose replies files hold that name none.

    A file is called like its member. Where files in several folders are called alike, it is the
    folders that are: by the part of their paths that differs.

    >>> list(member_names([Path("runs/gpt/results.csv"), Path("runs/llama/results.csv")]).values())
    ['gpt', 'llama']
    """
    stems = {path: _stem(path) for path in paths}
    count = Counter(stems.values())
    folders = list(dict.fromkeys(p.parent for p, stem in stems.items() if count[stem] > 1))
    if len(folders) < 2:
        return stems
    head = _n_shared([folder.parts for folder in folders])
    rest = [folder.parts[head:] for folder in folders]
    tail = _n_shared([parts[::-1] for parts in rest])
    names = {f: "/".join(parts[: len(parts) - tail])
             for f, parts in zip(folders, rest, strict=True)}  # fmt: skip
    return {path: names.get(path.parent) or stem for path, stem in stems.items()}


def _stem(path: Path) -> str:
    """Name of a file without its suffix, though with other points: `gpt-4.1`."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name[: -len(suffix_of(path))] or name


def _n_shared(paths: Sequence[Sequence[str]]) -> int:
    """How many parts all paths begin with."""
    return len(list(takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))))

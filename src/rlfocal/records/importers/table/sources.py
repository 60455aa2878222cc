"""Which files hold the tables, and what their places say: a folder's value, a model's name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rlfocal.records.importers.table.files import SUFFIXES, Sheet, suffix_of
from rlfocal.records.importers.table.roles import role_of

__all__ = ["add_partitions", "files_of", "member_names"]

_PARTITION = re.compile(r"([A-Za-z_][\w .-]*)=(.+)")
_NULL = "__HIVE_DEFAULT_PARTITION__"
_KINDS = "results?|samples?|outputs?|predictions?|responses?"
_KIND_BEHIND = re.compile(rf"(.+)\.(?:{_KINDS})", re.I)
"""`gpt.results`, but not `gpt-4.1`."""
_NO_MODEL = re.compile(
    rf"(?:{_KINDS}|out|outs|repl(?:y|ies)|answers?|evals?|data|table|all|old|new|train|test|valid|"
    r"validation|dev|val|runs?|parts?|shards?|seeds?|epochs?|trials?|rep|repeats?|v)?[-_. ]?[\d-]*",
    re.I,
)
"""What files and folders are called that are no model's name: `results`, `part-0`, `2024`."""


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


def member_names(asked: Mapping[Path, AbstractSet[Any]]) -> dict[Path, str]:
    """Names of the members whose replies files hold that name none.

    A file is called like its member. Where files in several folders are called alike, the folders
    may be the members instead, called by the part of their paths that differs: so it is where files
    called alike ask the same, unless files beside each other do so already. Else folders are tasks,
    splits or runs, of whose models each has a file in each of them.

    Args:
        asked: file → what it asks, in any form.

    >>> ask = {"q?"}
    >>> list(member_names({Path("gpt/math.csv"): ask, Path("phi/math.csv"): ask}).values())
    ['gpt', 'phi']
    >>> list(member_names({Path("math/gpt.csv"): ask, Path("art/gpt.csv"): {"r?"}}).values())
    ['gpt', 'gpt']
    """
    stems = {path: _stem(path) for path in asked}
    places: dict[str, set[Path]] = defaultdict(set)
    for path, stem in stems.items():
        places[stem].add(path.parent)
    folders = [p.parent for p, stem in stems.items() if len(places[stem]) > 1]
    names = _folder_names(list(dict.fromkeys(folders)))
    if not names:
        return stems
    beside: dict[Path, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
    alike: dict[str, dict[Path, set[Any]]] = defaultdict(lambda: defaultdict(set))
    for path, stem in stems.items():
        if not _NO_MODEL.fullmatch(stem):
            beside[path.parent][stem] |= asked[path]
        name = names.get(path.parent)
        if name is not None and not (name and _NO_MODEL.fullmatch(name)):
            alike[stem][path.parent] |= asked[path]
    by_stem = any(_ask_the_same(list(own.values())) for own in beside.values())
    if by_stem or not any(_ask_the_same(list(own.values())) for own in alike.values()):
        return stems
    names = _without_tasks(names, alike)
    return {path: names.get(path.parent) or stem for path, stem in stems.items()}


def _folder_names(folders: Sequence[Path]) -> dict[Path, str]:
    """The part of each path that differs from the others; of none or one, nothing does."""
    head = _n_shared([folder.parts for folder in folders])
    rest = [folder.parts[head:] for folder in folders]
    tail = _n_shared([parts[::-1] for parts in rest])
    return {f: "/".join(parts[: len(parts) - tail])
            for f, parts in zip(folders, rest, strict=True)}  # fmt: skip


def _without_tasks(
    names: Mapping[Path, str], alike: Mapping[str, Mapping[Path, set[Any]]]
) -> dict[Path, str]:
    """Names without the folders that are tasks, splits or runs: of `math/gpt`, that is `gpt`.

    Args:
        names: of folders; those that are not equally deep stay as they are.
        alike: name of files → folder → what the file asks.
    """
    parts = {folder: name.split("/") for folder, name in names.items()}

    def are_models(k: int) -> bool:
        if all(_NO_MODEL.fullmatch(own[k]) for own in parts.values()):
            return False
        groups: dict[tuple[str, ...], list[set[Any]]] = defaultdict(list)
        for stem, places in alike.items():
            for folder, asked in places.items():
                own = parts[folder]
                groups[(stem, *own[:k], *own[k + 1 :])].append(asked)
        return any(map(_ask_the_same, groups.values()))

    depths = {len(own) for own in parts.values()}
    kept = [k for k in range(max(depths)) if are_models(k)] if len(depths) == 1 else []
    if not kept:
        return dict(names)
    return {folder: "/".join(own[k] for k in kept) for folder, own in parts.items()}


def _ask_the_same(several: Sequence[AbstractSet[Any]]) -> bool:
    """Whether one asks half of what others before it asked, or these half of it.

    A few questions may stand in two tasks or splits.
    """
    seen: set[Any] = set()
    for own in several:
        if seen and own and 2 * len(seen & own) >= min(len(seen), len(own)):
            return True
        seen |= own
    return False


def _stem(path: Path) -> str:
    """Name of a file without its suffix or a word for what it holds, though with other points."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    name = name[: -len(suffix_of(path))] or name
    kind = _KIND_BEHIND.fullmatch(name)
    return kind[1] if kind else name


def _n_shared(paths: Sequence[Sequence[str]]) -> int:
    """How many parts all paths begin with."""
    return len(list(takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))))

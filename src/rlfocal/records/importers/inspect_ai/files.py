"""Log files of inspect_ai: `.eval` archives and `.json`, as one header and its samples.

An `.eval` file is a zip: `header.json` (`_journal/start.json` alone where the run was broken off)
and `samples/<id>_epoch_<n>.json`. Newer versions compress its members with Zstandard, zip method
93, which `zipfile` cannot read before Python 3.14: such a member is taken raw and unpacked here.

The oldest samples have one `score`, which newer ones have among `scores` under the name of its
scorer; they are given so.

Source: UKGovernmentBEIS/inspect_ai, `EvalLog` and its recorders, `EvalSample.migrate_deprecated`;
files of 0.3.285 and older ones.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from rlfocal.errors import RecordError
from rlfocal.records.importers.json_files import Fields, load_json, unpacked

__all__ = ["InspectLog", "open_log"]

_ZSTANDARD = 93
_LOCAL_HEADER = 30
"""Bytes of a zip member's own header before its name; the lengths of name and extra end it."""


@dataclass(frozen=True)
class InspectLog:
    """One log.

    Attributes:
        header: without samples.
    """

    path: Path
    header: Fields

    def samples(self) -> Iterator[Fields]:
        """Read the samples one by one; their places name the member or the number.

        Raises:
            RecordError: the samples cannot be read.
        """
        return map(self._as_newer, self._stored())

    def _stored(self) -> Iterator[Fields]:
        if zipfile.is_zipfile(self.path):
            return _members(self.path)
        return (
            Fields.of(value, f"{self.path}: samples[{i}]")
            for i, value in enumerate(self.header.items("samples"))
        )

    def _as_newer(self, sample: Fields) -> Fields:
        score = sample.values.get("score")
        if score is None or sample.values.get("scores") is not None:
            return sample
        return Fields({**sample.values, "scores": {self._scorer: score}}, sample.place)

    @cached_property
    def _scorer(self) -> str:
        """Name of the only scorer of an oldest log, as far as its results tell."""
        results = self.header.object("results")
        listed = results.values.get("scores")
        said = [results.values.get("scorer"), *(listed if isinstance(listed, list) else ())]
        names = (about.get("name") for about in said if isinstance(about, dict))
        return next((name for name in names if isinstance(name, str) and name), "score")


def open_log(path: Path) -> InspectLog:
    """Read a log's header.

    Raises:
        RecordError: it is no log of inspect_ai.
    """
    if zipfile.is_zipfile(path):
        header = _archive_header(path)
    elif path.suffix == ".eval":
        raise RecordError(f"{path}: not a zip archive, so no .eval log; was the copy broken off?")
    else:
        header = Fields.of(load_json(path), str(path))
    if not isinstance(header.values.get("eval"), dict):
        raise header.wrong("eval", "an object with task and model, as inspect_ai writes it")
    return InspectLog(path, header)


def _archive_header(path: Path) -> Fields:
    for name in ("header.json", "_journal/start.json"):
        for found, data in _unpacked(path, name):
            return _parsed(data, f"{path}: {found}")
    raise RecordError(f"{path}: a zip archive without header.json; no .eval log of inspect_ai")


def _members(path: Path) -> Iterator[Fields]:
    for name, data in _unpacked(path, "samples/"):
        yield _parsed(data, f"{path}: {name}")


def _unpacked(path: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every member whose name begins so."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.filename.startswith(prefix) and info.filename.endswith(".json"):
                    if info.compress_type == _ZSTANDARD:
                        yield info.filename, _zstandard_member(file, info)
                    else:
                        yield info.filename, archive.read(info)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc
    except struct.error as exc:
        raise RecordError(f"{path}: a member cannot be unpacked: {exc}") from exc
    except (NotImplementedError, RuntimeError) as exc:  # another method; encrypted
        raise RecordError(f"{path}: cannot be unpacked: {exc}") from exc


def _zstandard_member(file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    file.seek(info.header_offset)
    name, extra = struct.unpack("<HH", file.read(_LOCAL_HEADER)[26:])
    file.seek(name + extra, 1)
    data = unpacked(file.read(info.compress_size))
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"{info.filename} is damaged (its checksum differs)")
    return data


def _parsed(data: bytes, place: str) -> Fields:
    try:
        return Fields.of(json.loads(data.decode("utf-8-sig")), place)
    except (ValueError, RecursionError) as exc:
        raise RecordError(f"{place}: not JSON ({exc})") from exc

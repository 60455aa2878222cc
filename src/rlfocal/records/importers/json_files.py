"""JSON that other tools wrote; whatever is wrong in it is named by file, line, field and value.

What cannot be read is left out with a note, row by row and file by file; an importer fails only
where nothing is left. Knows no tool's format.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.logged import Record
from rlfocal.records.schema import clean

__all__ = [
    "MISSING",
    "Fields",
    "LeftOut",
    "json_lines",
    "load_json",
    "score_of",
    "shown",
    "unpacked",
]

_T = TypeVar("_T")
_R = TypeVar("_R")
SHOWN_CHARS = 60
MISSING = "replies could not be had (missing, not wrong)"


def shown(value: Any) -> str:
    """A value for a message: short, and never more than a line."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def load_json(path: Path) -> Any:
    """Content of one JSON file; .gz is unpacked.

    Raises:
        RecordError: it cannot be read, is not UTF-8 or not JSON; file and line are named.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return json.loads(data.decode("utf-8-sig"))
    except (OSError, EOFError, zlib.error) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise RecordError(
            f"{path}:{line}: not UTF-8 text ({exc.reason}); is this the tool's own file?"
        ) from exc
    except json.JSONDecodeError as exc:
        raise RecordError(
            f"{path}:{exc.lineno}: not JSON ({exc.msg}); was the run broken off? Run it again, or "
            "leave this file out"
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise RecordError(f"{path}: not readable as JSON: {exc}") from exc


def json_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield ("file:line", the line) for every line that is not blank; .gz and .zst are unpacked.

    Lines are not parsed yet, so that one broken line (the last of a run that was broken off) does
    not cost the others: see `Fields.of_line`.

    Raises:
        RecordError: the file cannot be read.
    """
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", line
    except (OSError, EOFError, zlib.error) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    if path.suffix == ".zst":
        return io.BytesIO(unpacked(path.read_bytes()))
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def unpacked(data: bytes) -> bytes:
    """Unpack Zstandard, of one frame or several.

    Raises:
        OSError: it is damaged, or its last frame is cut off.
    """
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object, and where it stands.

    Every method raises RecordError that names place, field and value where a field has another
    type than the tool gives it; absent and null are the same.
    """

    values: Mapping[str, Any]
    place: str

    @classmethod
    def of(cls, value: Any, place: str) -> Fields:
        """Fields of a value that has to be an object."""
        if not isinstance(value, dict):
            raise RecordError(
                f"{place}: {shown(value)} is a {type(value).__name__}; an object is expected"
            )
        return cls(value, place)

    @classmethod
    def of_line(cls, line: tuple[str, bytes]) -> Fields:
        """Fields of a line of `json_lines`, which has to be an object."""
        place, raw = line
        try:
            value = json.loads(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError) as exc:  # UnicodeDecodeError is a ValueError
            text = raw[:SHOWN_CHARS].decode(errors="replace").strip()
            raise RecordError(f"{place}: not JSON ({exc}): {text!r}") from exc
        return cls.of(value, place)

    def text(self, key: str) -> str:
        """A text that has to be there and not be blank."""
        value = self.optional_text(key)
        if value is None or not value.strip():
            raise self.wrong(key, "a text")
        return value

    def optional_text(self, key: str) -> str | None:
        """A text, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return clean(value)

    def name(self, key: str) -> str:
        """A number or text that names something; "" where there is neither."""
        value = self.values.get(key)
        return clean(str(value)) if isinstance(value, str | int | float) else ""

    def number(self, key: str, *, least: float = -math.inf, most: float = math.inf) -> float | None:
        """A finite number in [least, most], or None; true and false are 1 and 0."""
        value = self.values.get(key)
        if value is None:
            return None
        what = "a number"
        if (least, most) != (-math.inf, math.inf):
            what += f" of {least:g} or more" if most == math.inf else f" in [{least:g}, {most:g}]"
        if not isinstance(value, bool | int | float):
            raise self.wrong(key, what)
        try:
            number = float(value)
        except OverflowError:
            raise self.wrong(key, what) from None
        if not math.isfinite(number) or not least <= number <= most:
            raise self.wrong(key, what)
        return number

    def whole(self, key: str) -> int | None:
        """A whole number, or None."""
        value = self.values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.wrong(key, "a whole number")
        return value

    def items(self, key: str) -> list[Any]:
        """A list; empty where there is none."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty where there is none."""
        values = self.items(key)
        if any(not isinstance(value, str) for value in values):
            raise self.wrong(key, "a list of texts")
        return [clean(value) for value in values]

    def object(self, key: str) -> Fields:
        """An object within; empty where there is none."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Fields(value or {}, f"{self.place}: {key}")

    def objects(self, key: str) -> list[Fields]:
        """Objects of a list within."""
        items = enumerate(self.items(key))
        return [Fields.of(value, f"{self.place}: {key}[{i}]") for i, value in items]

    def wrong(self, key: str, expected: str) -> RecordError:
        """The error for a field that is missing or of another type."""
        if self.values.get(key) is None:
            return RecordError(
                f"{self.place}: field '{key}' is missing; {nearest(key, self.values)}"
            )
        value = self.values[key]
        return RecordError(f"{self.place}: field '{key}' is {shown(value)}; {expected} is expected")


def score_of(value: Any, *, written: bool = False) -> float | None:
    """A score in [0, 1], true and false being 1 and 0; None for whatever else it is.

    `written`: it may be a number written as text.
    """
    if written and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, bool | int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


@dataclass
class LeftOut:
    """Reads files and rows, and says what was not read and why: a note for each file and reason.

    Attributes:
        notes: what was left out or chosen, a line each.
    """

    notes: list[str] = field(default_factory=list)
    _found: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, what: str, why: str, place: str) -> None:
        """Count one thing.

        Args:
            what: what it is of, such as a file's name or member and task.
            why: with the number before it: "replies were not scored".
            place: where it stands.
        """
        self._found.setdefault((what, why), []).append(place)

    def say(self) -> None:
        """Write the notes of what was counted."""
        for (what, why), places in self._found.items():
            self.notes.append(f"{what}: {len(places):,} {why}; the first: {places[0]}")
        self._found.clear()

    def files_under(
        self, paths: Sequence[Path], belongs: Callable[[Path], object], expected: str
    ) -> list[Path]:
        """Files that were named, and of folders those that belong to a tool, sorted.

        Args:
            paths: files or folders.
            belongs: whether a file found in a folder is one of the tool's.
            expected: what a folder should hold, for the message.

        Raises:
            RecordError: nothing was found.
        """
        found: dict[Path, None] = {}
        for path in paths:
            inside = sorted(path.rglob("*")) if path.is_dir() else None
            own = [path] if inside is None else [f for f in inside if f.is_file() and belongs(f)]
            found.update(dict.fromkeys(own))
        if not found:
            raise RecordError("; ".join([f"{paths[0]}: holds no {expected}", *self.notes[:3]]))
        return list(found)

    def read_files(
        self, files: Sequence[_T], read: Callable[[_T], Iterable[Record]]
    ) -> list[Record]:
        """Records of files, one at least, as `read` gives them; a note for each it cannot read.

        Raises:
            RecordError: none could be read.
        """
        records: list[Record] = []
        failures = []
        for file in files:
            try:
                records.extend(list(read(file)))  # all of a file's records, or none
            except RecordError as exc:
                failures.append(str(exc))
        self.say()
        if not records:
            why = [*failures[:3], *self.notes[:3]] or [f"{files[0]}: holds no replies"]
            raise RecordError("; ".join(why))
        self.notes.extend(f"left out: {failure}" for failure in failures)
        return records

    def read_rows(
        self, rows: Iterable[_T], parse: Callable[[_T], _R | None], what: str
    ) -> Iterator[_R]:
        """Records, say, of one file's rows; rows that cannot be read are counted in one note.

        Args:
            rows: of the file.
            parse: row → its record; None: nothing to report of it.
            what: the file's name.

        Raises:
            RecordError: no row could be read.
        """
        count, failures = 0, []
        for count, row in enumerate(rows, start=1):  # noqa: B007
            try:
                record = parse(row)
            except RecordError as exc:
                failures.append(str(exc))
            else:
                if record is not None:
                    yield record
        if failures and len(failures) == count:
            raise RecordError(failures[0])
        if failures:
            self.notes.append(
                f"{what}: {len(failures):,} of {count:,} rows cannot be read and are left out; the "
                f"first: {failures[0]}"
            )

    def choose(
        self,
        found: Mapping[str, Collection[str]],
        option: str,
        wanted: str | None,
        *,
        task: str,
        place: str,
        usual: Callable[[str], object] = lambda _: True,
        said: str = "scored by",
    ) -> str | None:
        """Choose the metric, say, that becomes the score; of several with a note.

        Args:
            found: its names → how else it may be asked for.
            option: what is chosen: "metric".
            wanted: the one asked for; None: the first that is usual, else the first.
            task: for the note, which a task gets once.
            place: for the message.
            usual: whether one of this name is to be preferred.
            said: of the one chosen, for the note.

        Raises:
            RecordError: the wanted one is not there.
        """
        if wanted is not None:
            for name, others in found.items():
                if wanted == name or wanted in others:
                    return name
            raise RecordError(f"{place}: no {option} '{wanted}'; {nearest(wanted, found)}")
        chosen = next((n for n in found if usual(n)), next(iter(found), None))
        rest = ", ".join(n or "(none)" for n in found if n != chosen)
        note = f"{task}: {said} {chosen or '(none)'}; there are others (--{option}): {rest}"
        if rest and note not in self.notes:
            self.notes.append(note)
        return chosen

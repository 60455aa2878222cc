"""A data set on disk: a folder of two tables and a description.

Knows names of files and how to replace a folder without losing one; `formats` reads the files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pydantic

from rlfocal.errors import ConfigError, RecordError, nearest
from rlfocal.files import check_own
from rlfocal.records.answers import KINDS
from rlfocal.records.canonical import Questions, canonical_queries
from rlfocal.records.checks import check_queries
from rlfocal.records.dataset import Dataset
from rlfocal.records.files.formats import FORMATS, write_table
from rlfocal.records.files.parts import read_any, read_some
from rlfocal.records.files.sampling import sample_of
from rlfocal.records.schema import (
    EVIDENCE,
    LONG,
    QUERIES,
    RESPONSES,
    Column,
    DatasetInfo,
    column_of,
    misnamed,
    normalise_queries,
    normalise_responses,
    required,
)
from rlfocal.records.synonyms import latency_unit

__all__ = ["check_target", "read_dataset", "read_queries", "write_dataset"]

INFO_FILE = "dataset.json"
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
_OURS = {INFO_FILE, "queries", "responses"} | {
    f"{t}.{f}" for t in ("queries", "responses") for f in FORMATS
}
_log = logging.getLogger(__name__)


def read_dataset(path: str | Path, *, with_text: bool = True) -> Dataset:
    """Read a data set from its folder.

    Args:
        path: folder with queries and responses, each as .parquet, .csv or .jsonl or a folder of
            .parquet parts, and perhaps a dataset.json. Of what does not fit into memory a sample
            of the queries is read, and `info` says so.
        with_text: read whole replies too, which may be far larger than all the rest: their texts
            and the log-probabilities of their tokens, which strategies may read. False for what
            looks at answers alone.

    Returns:
        The checked data set, named as dataset.json says, else like the folder.

    Raises:
        RecordError: the folder or a file is missing, damaged or contradicts itself.
    """
    path = Path(path)
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise RecordError(
            f"{path}: {found}; a data set is a folder with queries and responses"
            + ("; `rlfocal import table` makes one of a single table" if path.exists() else "")
        )
    queries_file, responses_file = _find(path, "queries"), _find(path, "responses")
    info = _read_info(path / INFO_FILE)

    there = read_any(queries_file, QUERIES, skip=())
    skip = () if with_text else LONG
    queries, responses, sampled = _what_fits(there, responses_file, skip)
    report_unknown(queries_file, queries, QUERIES)
    report_unknown(responses_file, responses, RESPONSES)
    queries = normalise_queries(queries, str(queries_file))
    if not _has_evidence(responses) or _lacks_calls(queries, responses):
        if not with_text:
            # Begun again, since with the texts less may fit.
            tokens = set(LONG) - {"text"}
            queries, responses, sampled = _what_fits(there, responses_file, tokens)
            queries = normalise_queries(queries, str(queries_file))
        responses, info = _answers_from_text(responses_file, responses, info)
        if not with_text and "text" in responses.column_names:
            responses = responses.drop_columns("text")
    if sampled is not None:
        info = info.model_copy(update={"sampled": sampled})
    responses = normalise_responses(responses, str(responses_file))
    try:
        return Dataset(info.name or path.resolve().name, queries, responses, info)
    except RecordError as exc:
        raise RecordError(f"{path}: {exc}") from exc


def _what_fits(
    queries: pa.Table, responses_file: Path, skip: Collection[str]
) -> tuple[pa.Table, pa.Table, str | None]:
    """As many of the queries as fit into memory, all responses to them, and what is said of it."""
    sample = sample_of(responses_file, queries.num_rows, skip)
    if sample is None or "query_id" not in queries.column_names:
        return queries, read_any(responses_file, RESPONSES, skip=skip), None
    queries = queries.take(sample.rows)
    ids = queries["query_id"].cast(pa.string()).combine_chunks()
    responses = read_some(
        responses_file, RESPONSES, skip=skip,
        choose=lambda rows: rows.filter(
            pc.is_in(rows["query_id"].cast(pa.string()), value_set=ids)
        ),
    )  # fmt: skip
    return queries, responses, sample.note


def _has_evidence(responses: pa.Table) -> bool:
    there = [name for name in EVIDENCE if name in responses.column_names]
    return any(responses[name].null_count < responses.num_rows for name in there)


def _lacks_calls(queries: pa.Table, responses: pa.Table) -> bool:
    """Whether functions are offered and nobody has read the calls out of the replies yet."""
    offered = "tools" in queries.column_names and queries["tools"].null_count < queries.num_rows
    names = [name for name in ("answer", "samples") if name in responses.column_names]
    return offered and all(responses[n].null_count == responses.num_rows for n in names)


def _answers_from_text(
    path: Path, responses: pa.Table, info: DatasetInfo
) -> tuple[pa.Table, DatasetInfo]:
    """Where whole replies are all there is, they are the answers; the description gets a note.

    The form of their kind is found later.
    """
    if "text" not in responses.column_names:
        return responses, info
    text = responses["text"]
    if text.null_count == responses.num_rows:
        return responses, info
    if "answer" in responses.column_names:
        responses = responses.drop_columns("answer")
    responses = responses.append_column("answer", text)
    note = f"{path.name}: no answers, so answers are looked for in the column 'text'"
    _log.warning("%s: %s", path.parent, note)
    notes = (info.model_extra or {}).get("notes", [])
    before = list(notes) if isinstance(notes, list) else [notes]
    return responses, info.model_copy(update={"notes": [*before, note]})


def read_queries(path: str | Path, *, answers: str | None = None) -> Questions:
    """Read queries that nobody has answered yet.

    Args:
        path: a .parquet, .csv or .jsonl file of queries, or a data folder, whose responses are left
            alone. Without ids, each query gets one made of its prompt: the same wherever it stands.
        answers: kind of open answers; None: as the folder says, else the labels decide.

    Returns:
        The checked queries with the columns of `schema.QUERIES`, their labels in canonical form,
        the kind of each task's open questions, and notes on both.

    Raises:
        ConfigError: the kind is unknown.
        RecordError: the file is missing, damaged or contradicts itself.
    """
    file, info = queries_in(path, answers=answers)
    queries = read_any(file, QUERIES, skip=())
    report_unknown(file, queries, QUERIES)
    if not {"query_id", "id"} & set(queries.column_names):
        prompts = required(queries, "prompt", QUERIES, str(file))
        queries = queries.append_column("query_id", _ids_of(prompts))
    queries = normalise_queries(queries, str(file))
    questions = canonical_queries(queries, info)
    try:
        check_queries(questions.queries)
    except RecordError as exc:
        raise RecordError(f"{file}: {exc}") from exc
    return questions


def queries_in(path: str | Path, *, answers: str | None) -> tuple[Path, DatasetInfo]:
    """The file of queries that a path names, and what is said of their answers; as `read_queries`.

    Raises:
        ConfigError: the kind is unknown.
        RecordError: there is no such file.
    """
    if answers is not None and answers not in KINDS:
        raise ConfigError(f"unknown kind of answer '{answers}'; {nearest(answers, KINDS)}")
    path = Path(path)
    if path.is_dir():
        file, info = _find(path, "queries"), _read_info(path / INFO_FILE)
    else:
        if path.suffix.removeprefix(".") not in FORMATS:
            raise RecordError(f"{path}: queries come as {', '.join(f'.{f}' for f in FORMATS)}")
        file, info = path, DatasetInfo()
    return file, info if answers is None else info.model_copy(update={"answers": answers})


def short_id(prompt: str) -> str:
    """The id of a query that has none, 12 hexadecimal digits; equal prompts share it."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:12]


def _ids_of(prompts: pa.ChunkedArray) -> pa.Array:
    """An id for each prompt; repeats are numbered."""
    texts = [str(prompt) for prompt in prompts.to_pylist()]
    seen: Counter[str] = Counter()
    ids = []
    for text in texts:
        seen[text] += 1
        short = short_id(text)
        ids.append(short if seen[text] == 1 else f"{short}-{seen[text]}")
    return pa.array(ids)


def check_target(folder: str | Path, *, overwrite: bool = False, format: str = "parquet") -> None:
    """Say early whether `write_dataset` could write a data set here, before work is spent on it.

    Raises:
        ConfigError: the format is unknown, something is there that must not be replaced, or the
            place is not writable.
    """
    _check_format(format)
    folder = Path(folder)
    try:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{folder}: is a file; name a folder to write to")
        check_own(folder, _OURS, "a data set", overwrite=overwrite)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent):
            pass
    except OSError as exc:
        raise ConfigError(f"{folder}: cannot be written: {exc}; name another folder") from exc


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise ConfigError(f"unknown format '{format}'; {nearest(format, FORMATS)}")


def write_dataset(
    dataset: Dataset, folder: str | Path, *, format: str = "parquet", overwrite: bool = False
) -> None:
    """Write a data set into a folder, all of it or nothing.

    Everything is written beside the folder first and then renamed into place, so a failure leaves
    what was stored before.

    Args:
        dataset: what to write.
        folder: where to; parents are made.
        format: one of `formats.FORMATS`.
        overwrite: replace a data set that is already there.

    Raises:
        ConfigError: the format is unknown, or the folder cannot or must not be written.
    """
    with fresh_folder(folder, overwrite=overwrite, format=format) as fresh:
        write_table(dataset.queries, fresh / f"queries.{format}")
        write_table(dataset.responses, fresh / f"responses.{format}")
        write_info(fresh, dataset.info, dataset.name)


@contextmanager
def fresh_folder(folder: str | Path, *, overwrite: bool, format: str = "parquet") -> Iterator[Path]:
    """An empty folder that takes the place of another once it is filled; as `write_dataset`."""
    folder = Path(folder).resolve()
    check_target(folder, overwrite=overwrite, format=format)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            fresh = Path(scratch) / "new"
            fresh.mkdir()
            yield fresh
            _replace(folder, fresh, Path(f"{scratch}-old"))
    except OSError as exc:
        raise ConfigError(f"{folder}: cannot be written: {exc}; name another folder") from exc


def write_info(folder: Path, info: DatasetInfo, name: str) -> None:
    """Write the description of a data set of that name."""
    said = info.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(said | {"name": name}, indent=1, ensure_ascii=False)
    (folder / INFO_FILE).write_text(text + "\n", encoding="utf-8")


def _replace(folder: Path, fresh: Path, aside: Path) -> None:
    """Put `fresh` in the place of `folder`; on failure, put what was there back."""
    if not folder.exists():
        fresh.rename(folder)
        return
    folder.rename(aside)
    try:
        fresh.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside)


def _find(folder: Path, table: str) -> Path:
    candidates = [folder / f"{table}.{f}" for f in FORMATS]
    found = [p for p in candidates if p.is_file()]
    if (parts := folder / table).is_dir():
        found.append(parts)
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(p.name for p in found)
        raise RecordError(f"{folder}: holds {names}; keep one of them")
    there = sorted(p.name for p in folder.iterdir())
    raise RecordError(
        f"{folder}: no {' or '.join(p.name for p in candidates)}; "
        f"files found: {', '.join(there[:10]) or '(none)'}{_way_in(folder, table, there)}"
    )


def _way_in(folder: Path, table: str, there: list[str]) -> str:
    """What to do with the tables that are there instead."""
    if f"{table}.json" in there:
        return f"; write {table}.json as {table}.jsonl: one object a line, no list around them"
    tables = [name for name in there if name.lower().removesuffix(".gz").endswith(_TABLES)]
    own = [name for name in tables if name not in _OURS]
    if not own:
        return ""
    return f"; `rlfocal import table {folder / own[0]} -o FOLDER` makes a data set of it"


def _read_info(path: Path) -> DatasetInfo:
    if not path.exists():
        return DatasetInfo()
    try:
        return DatasetInfo.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except pydantic.ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RecordError(f"{path}: {field}: {first['msg']}") from exc
    except (ValueError, RecursionError, OSError) as exc:
        raise RecordError(f"{path}: not readable as JSON: {exc}") from exc


def _in_seconds(name: str) -> str:
    return ", in seconds" if latency_unit(name) not in (None, 1.0) else ""


def report_unknown(path: Path, table: pa.Table, known: Mapping[str, Column]) -> None:
    """Warn of columns that mean nothing here."""
    unknown = [n for n in table.column_names if column_of(n, known) is None]
    if unknown:
        near = misnamed(table.column_names, known)
        hint = "".join(
            f"; rename '{name}' to '{meant}'{_in_seconds(name)}?" for name, meant in near.items()
        )
        _log.warning(
            "%s: columns without a meaning here are ignored: %s%s", path, ", ".join(unknown), hint
        )

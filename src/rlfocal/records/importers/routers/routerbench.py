"""RouterBench's wide table: a row a prompt, and for every model its score, reply and cost.

RouterBench is published as pickles, which run whatever code their author put into them when they
are read: they are never opened here. An export as CSV or Parquet is read.

Source: withmartian/routerbench, `convert_to_wide_format` (convertors/common.py): columns
sample_id, prompt, eval_name, then `<model>` (score in [0, 1], also graded),
`<model>|model_response`, `<model>|total_cost` (USD) and oracle_model_to_route_to. Prompts and
replies are Python lists of texts written out as text: "['Question ...']".
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import LeftOut, shown
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.table.files import SUFFIXES, Sheet, read_sheet, suffix_of
from rlfocal.records.schema import clean

__all__ = ["read_routerbench"]

_REPLY, _COST = "|model_response", "|total_cost"
_NEEDED = ("prompt", "eval_name")
_PICKLES = (".pkl", ".pickle")


@importer("routerbench", "A CSV or Parquet export of RouterBench's table, or folders of such.")
def read_routerbench(paths: Sequence[Path]) -> Logged:
    """Read an export of RouterBench's wide table."""
    left = LeftOut()
    files = left.files_under(
        paths,
        lambda f: suffix_of(f) in (*SUFFIXES, *_PICKLES),
        "exported table of RouterBench (*.csv, *.parquet)",
    )
    records = left.read_files(files, lambda file: _read(file, left))
    return Logged(records=records, source="RouterBench", notes=left.notes)


def _read(path: Path, left: LeftOut) -> Iterator[Record]:
    if suffix_of(path) in _PICKLES:
        raise RecordError(
            f"{path}: a pickle can run code when it is read, so it is never opened here; where you "
            "trust it, export it in an environment of its own (a virtual environment or container "
            f"with pandas): pandas.read_pickle('{path.name}').to_csv('{path.stem}.csv', "
            "index=False), and import that file"
        )
    sheet = read_sheet(path)
    for name in _NEEDED:
        if name not in sheet.columns:
            raise RecordError(
                f"{path}: column '{name}' is missing; {nearest(name, sheet.columns)}; is this "
                "RouterBench's wide table?"
            )
    models = _models(sheet, left.notes)
    for row in range(len(sheet)):
        yield from _records(sheet, row, models, left)


def _models(sheet: Sheet, notes: list[str]) -> list[str]:
    """Columns of scores: those that have a column of replies or of costs beside them."""
    beside = {
        name.removesuffix(end)
        for name in sheet.columns
        for end in (_REPLY, _COST)
        if name.endswith(end)
    }
    models = [name for name in sheet.columns if name in beside]
    if not models:
        raise RecordError(
            f"{sheet.path}: no column of scores has a column '<model>{_REPLY}' or "
            f"'<model>{_COST}' beside it; columns found: {', '.join(list(sheet.columns)[:8])}"
        )
    lacking = sorted(beside.difference(models))
    if lacking:
        notes.append(
            f"{sheet.path.name}: left out: {', '.join(lacking)}: replies or costs without a "
            "column of scores"
        )
    known = {*_NEEDED, "sample_id", "oracle_model_to_route_to"}
    others = [n for n in sheet.columns if n not in known and "|" not in n and n not in beside]
    if others:
        notes.append(
            f"{sheet.path.name}: columns left out, which have no replies or costs beside them: "
            + ", ".join(others[:8])
        )
    return models


def _records(sheet: Sheet, row: int, models: Sequence[str], left: LeftOut) -> Iterator[Record]:
    place = sheet.place(row)
    file = sheet.path.name

    def cell(name: str) -> Any:
        return sheet.columns[name][row] if name in sheet.columns else None

    prompt, task = _written_out(cell("prompt")), cell("eval_name")
    if not prompt or not isinstance(task, str) or not task.strip():
        left.add(file, "rows have no prompt or no eval_name and are left out", place)
        return
    task, name = clean(task.strip()), _name(cell("sample_id"))
    # two samples may have one prompt and other tests: within this table the number tells them apart
    document = document_digest(task, prompt, name)
    for model in models:
        score = _number(cell(model))
        text = _written_out(cell(f"{model}{_REPLY}"))
        where = f"{place}, column '{model}'"
        if score is None or not 0 <= score <= 1:
            value = cell(model)
            if value is None and text is None:
                continue  # this model was not asked
            why = "scores are empty" if value is None else "scores are no numbers in [0, 1]"
            left.add(f"{file}, {model}", f"{why} and count as not scored",
                     f"{where}: {shown(value)}")  # fmt: skip
            score = None
        cost = _number(cell(f"{model}{_COST}"))
        yield Record(
            member=model,
            task=task,
            document=document,
            name=name.removeprefix(f"{task}."),
            place=where,
            prompt=prompt,
            text=text,
            score=score,
            by_score=True,  # the table holds no labels
            cost_usd=cost if cost is not None and cost >= 0 else None,
        )


def _name(value: Any) -> str:
    return clean(str(value)) if isinstance(value, str | int | float) else ""


def _written_out(value: Any) -> str | None:
    """Text of a prompt or reply: parts of a list, written out or not, under one another."""
    if isinstance(value, str):
        value = value if not value.startswith("[") else _parsed(value)
    if isinstance(value, list | tuple):
        value = "\n".join(str(part) for part in value)
    return clean(value) if isinstance(value, str) and value.strip() else None


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    """The list that a text writes out; the text itself where it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a text that no repr() wrote
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text
    return value if isinstance(value, list) and all(isinstance(v, str) for v in value) else text


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        value = {"true": 1.0, "false": 0.0}.get(value.strip().lower(), value)
    if not isinstance(value, bool | int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

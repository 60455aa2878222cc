"""Any table of questions, right answers and what models said: the importer for everything else.

Long form (a row per query and member) and wide form (a column per model). What the columns mean is
decided in `columns`, which rows ask one question in `questions`; rows become records in `rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.table.columns import find_layout
from rlfocal.records.importers.table.files import SUFFIXES, read_sheet
from rlfocal.records.importers.table.questions import Questions, asked_in, settle_ids
from rlfocal.records.importers.table.roles import parse_columns
from rlfocal.records.importers.table.rows import Reading, Rows
from rlfocal.records.importers.table.sources import add_partitions, files_of, member_names
from rlfocal.records.importers.table.together import with_own_names, with_repeats, with_scores

__all__ = ["read_tables"]


@importer("table", "CSV, TSV, JSON lines, JSON or Parquet files, or folders of them.")
def read_tables(
    paths: Sequence[Path],
    *,
    column: Annotated[
        Sequence[str],
        "NAME=COLUMN: which column is the prompt, label, member, answer, text, score, cost_usd, "
        "latency_s, latency_ms, choices, task, query_id, split, samples, repeat, finish, "
        "n_prompt_tokens, n_completion_tokens, signal_...; NAME= for none. Others are found by "
        "their names.",
    ] = (),
    members: Annotated[
        str | None, "A,B,C: the columns of models, in a table with one column per model."
    ] = None,
    delimiter: Annotated[str | None, "Between the columns of CSV; else the first line tells."] = (
        None
    ),
    choices_separator: Annotated[str | None, "Between the options in one cell, such as '|'."] = (
        None
    ),
    score_scale: Annotated[float, "The best score there is: 100 for percentages."] = 1.0,
    label_lists: Annotated[
        str | None,
        "What a label that is a list holds: 'alternatives', or 'one' answer; else lists of texts "
        "are alternatives, points, lists of numbers and what code gives one answer.",
    ] = None,
) -> Logged:
    """Read tables that somebody wrote, in long or wide form.

    Raises:
        ConfigError: an option has another form.
        RecordError: a file cannot be read, or its columns or values are not understood; file, row,
            column, value and remedy are named.
    """
    given = parse_columns(column)
    if not score_scale > 0:
        raise ConfigError(f"--score-scale {score_scale:g}: a number above 0 is needed")
    separator = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    names = [m.strip() for m in members.split(",") if m.strip()] if members else None
    between = {"\\n": "\n", "\\t": "\t"}.get(choices_separator or "", choices_separator)
    reading = Reading(score_scale, between, label_lists)
    tables: list[tuple[Rows, bool]] = []
    left_out: list[str] = []
    for path, is_named in files_of(paths):
        try:
            sheet = read_sheet(path, separator)
            add_partitions(sheet, given.values())
            rows = Rows(sheet, find_layout(sheet, given, names, score_scale), reading)
            tables.append((rows, is_named))
        except RecordError as exc:
            if is_named:
                raise
            left_out.append(f"left out: {exc}")
    settle_ids([(rows.sheet, rows.layout) for rows, _ in tables])
    return _logged(paths, tables, left_out)


def _logged(
    paths: Sequence[Path], tables: Sequence[tuple[Rows, bool]], left_out: list[str]
) -> Logged:
    """Records of all tables.

    Args:
        paths: as the user named them.
        tables: each, and whether the user named it rather than its folder.
        left_out: a note for each that could not be read.
    """
    notes: list[str] = []
    records: list[Record] = []
    is_long: list[bool] = []
    sheets: list[Path] = []
    questions = Questions()
    alone = [r for r, _ in tables if not r.layout.members and "member" not in r.layout.roles]
    named = member_names({r.sheet.path: asked_in(r.sheet, r.layout) for r in alone})
    for rows, is_named in tables:
        path = rows.sheet.path
        try:
            own = rows.records(questions, named.get(path, ""))
        except RecordError as exc:
            if is_named:
                raise
            left_out.append(f"left out: {exc}")
            continue
        records += own
        is_long += [not rows.layout.members] * len(own)
        notes += rows.notes
        sheets.append(path)
    notes += left_out
    if not sheets:
        reasons = "; ".join(notes[:3]) or f"no {', '.join(SUFFIXES)} in it"
        raise RecordError(f"{', '.join(map(str, paths))}: no table could be read: {reasons}")
    listed = ", ".join(p.name for p in sheets[:3]) + (", ..." if len(sheets) > 3 else "")
    records = with_repeats(records, is_long, notes)
    notes += questions.notes()
    records = with_own_names(records, notes)
    return Logged(records=with_scores(records, notes), source=f"table {listed}", notes=notes)

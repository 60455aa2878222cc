"""The contradictions a data set may contain, each found without a Python loop over rows.

Works on tables that `schema` has normalised; says what is wrong, changes nothing.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.errors import RecordError
from rlfocal.records.checks.evidence import check_evidence
from rlfocal.records.checks.offenders import (
    SHOWN,
    check_not_negative,
    floats,
    mask,
    offenders,
)
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["check_queries", "check_tables"]

_CONTROL = r"[\x00-\x1f\x7f\x{85}\x{2028}\x{2029}]"


def check_tables(queries: pa.Table, responses: pa.Table, query_row: NDArray[np.int64]) -> None:
    """Check normalised tables against themselves and each other.

    `query_row` is int64[R], the row of each response's query; -1 for none.

    Raises:
        RecordError: the first contradiction found.
    """
    check_queries(queries)
    if responses.num_rows == 0:
        raise RecordError("responses: no rows; at least one response is needed")
    _check_present(responses, "responses", ("query_id", "member"))
    _check_names(responses)
    _check_known_queries(responses, query_row)
    _check_unique_responses(responses, query_row)
    _check_score_range(responses)
    for name in ("cost_usd", "latency_s"):
        if name in responses.column_names:
            check_not_negative(responses, name)
    if "choice_scores" in responses.column_names:
        _check_choice_scores(queries, responses, query_row)
    check_evidence(responses)
    _check_measurable(queries, responses)


def check_queries(queries: pa.Table) -> None:
    """Check normalised queries against themselves.

    Raises:
        RecordError: the first contradiction found.
    """
    if queries.num_rows == 0:
        raise RecordError("queries: no rows; at least one query is needed")
    _check_present(queries, "queries", ("query_id", "prompt"))
    _check_unique_queries(queries)
    _check_choices(queries)
    _check_labels(queries)


def _check_present(table: pa.Table, where: str, names: tuple[str, ...]) -> None:
    for name in names:
        empty = mask(table[name].is_null())
        if name != "prompt":
            empty |= mask(pc.equal(table[name], ""))
        if empty.any():
            rows = ", ".join(str(r + 1) for r in np.flatnonzero(empty)[:SHOWN])
            raise RecordError(
                f"{where}: column '{name}' is empty in {empty.sum()} row(s), first: row {rows}; "
                "give every row a value"
            )


def _check_names(responses: pa.Table) -> None:
    """Members stand in tables, messages and lists of one name a line."""
    broken = mask(pc.match_substring_regex(responses["member"], _CONTROL))
    if broken.any():
        raise RecordError(
            "responses: a member's name holds a line break or another control character: "
            f"{offenders(responses, broken)}; give it a name of one line"
        )


def _check_unique_queries(queries: pa.Table) -> None:
    counts = pc.value_counts(queries["query_id"])
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        shown = ", ".join(repr(v) for v in repeated[:SHOWN].to_pylist())
        rows = np.flatnonzero(mask(pc.equal(queries["query_id"], repeated[0])))
        tasks = queries["task"].take(pa.array(rows)).unique().to_pylist()
        remedy = (
            f"ids count within tasks ('{tasks[0]}', '{tasks[1]}'): call queries task/id in both "
            "tables"
            if len(tasks) > 1
            else "keep one row per query"
        )
        raise RecordError(
            f"queries: query_id occurs more than once: {shown} ({len(repeated)} ids in all, the "
            f"first in rows {', '.join(str(r + 1) for r in rows[:SHOWN])}); {remedy}"
        )


def _check_known_queries(responses: pa.Table, query_row: NDArray[np.int64]) -> None:
    unknown = query_row < 0
    if unknown.any():
        raise RecordError(
            f"responses: query_id is not in queries: {offenders(responses, unknown)}; "
            "add these queries or remove these responses"
        )


def _check_unique_responses(responses: pa.Table, query_row: NDArray[np.int64]) -> None:
    members = pc.unique(responses["member"])
    member = np.asarray(pc.index_in(responses["member"], value_set=members), dtype=np.int64)
    pair = query_row * len(members) + member
    order = np.argsort(pair, kind="stable")
    repeated = np.zeros(len(pair), dtype=bool)
    repeated[order[1:]] = np.diff(pair[order]) == 0
    if repeated.any():
        raise RecordError(
            "responses: more than one row for the same query_id and member: "
            f"{offenders(responses, repeated)}; keep one (repeated samples of one member belong "
            "in the column 'samples')"
        )


def _check_choices(queries: pa.Table) -> None:
    lengths = pc.list_value_length(queries["choices"])
    wrong = mask(pc.or_(pc.equal(lengths, 0), pc.greater(lengths, len(OPTION_LETTERS))))
    if wrong.any():
        length = lengths[int(np.flatnonzero(wrong)[0])].as_py()
        raise RecordError(
            f"queries: 'choices' needs 1 to {len(OPTION_LETTERS)} options, or null for an open "
            f"question: {offenders(queries, wrong)} (the first has {length:,}); a query with more "
            "is an open one whose label is a text (`rlfocal import` reads it so)"
        )
    empty = pc.list_parent_indices(queries["choices"].combine_chunks()).filter(
        pc.list_flatten(queries["choices"].combine_chunks()).is_null()
    )
    if len(empty):
        wrong = np.isin(np.arange(queries.num_rows), np.asarray(empty))
        raise RecordError(
            f"queries: 'choices' holds a null option: {offenders(queries, wrong)}; "
            "give every option a text"
        )


def _check_labels(queries: pa.Table) -> None:
    letters = pa.array(list(OPTION_LETTERS))
    letter = pc.fill_null(pc.index_in(queries["label"], value_set=letters), len(letters))
    outside = pc.greater_equal(letter, pc.list_value_length(queries["choices"]))
    wrong = mask(pc.and_(outside, queries["label"].is_valid()))
    if wrong.any():
        raise RecordError(
            f"queries: label is not one of the options: {offenders(queries, wrong, 'label')}; a "
            "query with choices is labelled by an option's letter: A for the first, B for the next"
        )


def _check_score_range(responses: pa.Table) -> None:
    values = floats(responses["score"])
    wrong = mask(responses["score"].is_valid()) & ~((values >= 0) & (values <= 1))
    if wrong.any():
        known = values[np.isfinite(values)]
        remedy = "rescale the scores, or leave them null where unknown"
        if len(known) and known.min() >= 0 and 1 < known.max() <= 100:
            remedy = (
                f"scores up to {known.max():g} look like percentages or points: divide them by the "
                "best score there is (`rlfocal import table --score-scale 100` does)"
            )
        raise RecordError(
            f"responses: score is not a number in [0, 1]: {offenders(responses, wrong, 'score')}; "
            f"{remedy}"
        )


def _check_choice_scores(
    queries: pa.Table, responses: pa.Table, query_row: NDArray[np.int64]
) -> None:
    scores = responses["choice_scores"].combine_chunks()
    n_scores = floats(pc.list_value_length(responses["choice_scores"]))
    n_choices = floats(pc.fill_null(pc.list_value_length(queries["choices"]), 0))[query_row]
    wrong = np.isfinite(n_scores) & (n_scores != n_choices)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RecordError(
            f"responses: choice_scores needs one number per option: {offenders(responses, wrong)} "
            f"(the first has {int(n_scores[row])} for {int(n_choices[row])} options); correct them "
            "or leave the whole list null"
        )
    finite = np.isfinite(floats(pc.list_flatten(scores)))
    if not finite.all():
        parents = np.asarray(pc.list_parent_indices(scores))
        wrong = np.isin(np.arange(len(scores)), parents[~finite])
        raise RecordError(
            "responses: choice_scores holds a value that is not finite: "
            f"{offenders(responses, wrong, 'choice_scores')}; leave the whole list null instead"
        )


def _check_measurable(queries: pa.Table, responses: pa.Table) -> None:
    names = [n for n in ("answer", "score", "choice_scores") if n in responses.column_names]
    if all(responses[n].null_count == responses.num_rows for n in names):
        raise RecordError(
            f"responses: every value of {', '.join(names)} is null: nothing was recorded"
        )
    no_label = queries["label"].null_count == queries.num_rows
    if no_label and responses["score"].null_count == responses.num_rows:
        raise RecordError(
            "queries: no query has a label and no response has a score, so nothing can be "
            "measured; add labels to queries or scores to responses"
        )

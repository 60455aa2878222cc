"""What strategies and conversations take beside calls: tokens, seconds, dollars, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.bench.figures.live import LiveFigures
from rlfocal.bench.result import BenchResult
from rlfocal.bench.statistics import Estimate, bootstrap_means
from rlfocal.bench.talks.held import Talked
from rlfocal.conversations.talk import Talk
from rlfocal.records import Dataset, ResponseTable

__all__ = ["with_live_figures"]

_Floats = NDArray[np.float64]


def with_live_figures(
    result: BenchResult, talked: Talked, dataset: Dataset, table: ResponseTable
) -> BenchResult:
    """Add tokens, seconds and dollars to the rows of a benchmark with conversations.

    Args:
        result: of `run_bench`, with these conversations.
        talked: the conversations.
        dataset: what the table was built from.
        table: the one that was benched.
    """
    per_query, tokens = result.per_query, _recorded_tokens(dataset, table)
    row_of = {name: row for row, name in enumerate(table.query_ids.tolist())}
    default = per_query.filter(pc.is_null(per_query["dial"]))
    strategy = default["strategy"].cast(pa.string())
    of_query = _talks_by_query(default, talked)
    found = []
    for name in [row.strategy for row in result.rows]:
        own = default.filter(pc.equal(strategy, name))
        live = (name, own["query_id"][0].as_py()) in of_query
        if not live:  # what was not measured took nothing
            own = own.filter(pc.is_valid(own["score"]))
        ids = own["query_id"].cast(pa.string()).to_pylist()
        rows = np.array([row_of[query_id] for query_id in ids], dtype=np.int64)
        if live:
            talks = [of_query[name, query_id] for query_id in ids]
            n_tokens: _Floats | None = _of_talks(talks, lambda talk: talk.n_tokens)
            usd: _Floats | None = _of_talks(talks, lambda talk: talk.cost_usd)
        else:
            n_tokens = _of_recorded(own, rows, tokens)
            usd = own["cost"].to_numpy().astype(np.float64) if table.cost_unit == "usd" else None
        seconds = own["latency_s"].to_numpy().astype(np.float64)
        means = [
            _mean(values, rows, table.group, result.protocol.n_resamples)
            for values in (n_tokens, seconds, usd)
        ]
        found.append(
            LiveFigures(
                strategy=name,
                live=live,
                mean_tokens=_value(means[0]), tokens_ci=_ci(means[0]),
                mean_s=_value(means[1]), s_ci=_ci(means[1]),
                mean_usd=_value(means[2]), usd_ci=_ci(means[2]),
            )
        )  # fmt: skip
    hidden = result.hidden
    if hidden is not None:
        hidden = with_live_figures(hidden, talked, dataset, table)
    return replace(result, live=tuple(found), hidden=hidden)


def _value(mean: Estimate | None) -> float | None:
    return None if mean is None else mean.value


def _ci(mean: Estimate | None) -> tuple[float, float] | None:
    return None if mean is None else mean.ci


def _recorded_tokens(dataset: Dataset, table: ResponseTable) -> _Floats | None:
    """float64[Q, N]: tokens of prompt and reply as recorded; None where nothing is.

    Of replies sampled several times they are those of one of them, and so not known.
    """
    names = ("n_prompt_tokens", "n_completion_tokens")
    if not set(names) <= set(dataset.responses.column_names):
        return None
    found = np.full((table.n_queries, table.n_members), np.nan)
    row_of = {name: row for row, name in enumerate(table.query_ids.tolist())}
    place = {name: n for n, name in enumerate(table.members)}
    sampled = "samples" in dataset.responses.column_names
    columns = ["query_id", "member", *names, *(["samples"] if sampled else [])]
    for response in dataset.responses.select(columns).to_pylist():
        q, n = row_of.get(response["query_id"]), place.get(response["member"])
        counts = [response[name] for name in names]
        if q is not None and n is not None and None not in counts and not response.get("samples"):
            found[q, n] = sum(counts)
    return found


def _talks_by_query(per_query: pa.Table, talked: Talked) -> dict[tuple[str, str], Talk]:
    found: dict[tuple[str, str], Talk] = {}
    for (name, fold), talks in talked.talks.items():
        own = per_query.filter(
            pc.and_(
                pc.equal(per_query["strategy"].cast(pa.string()), name),
                pc.equal(per_query["fold"], fold),
            )
        )
        ids = own["query_id"].cast(pa.string()).to_pylist()
        if not ids:  # not held on all folds
            continue
        found |= {(name, q): t for q, t in zip(ids, talks, strict=True)}
    return found


def _of_talks(talks: Sequence[Talk], of: Callable[[Talk], float | None]) -> _Floats:
    values = [of(talk) for talk in talks]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _of_recorded(own: pa.Table, rows: NDArray[np.int64], tokens: _Floats | None) -> _Floats | None:
    """Tokens of those asked; not known where a member was called more than once."""
    asked = own["asked"].to_pylist()
    if tokens is None or [len(one) for one in asked] != own["n_calls"].to_pylist():
        return None
    return np.array([tokens[row, one].sum() for row, one in zip(rows, asked, strict=True)])


def _mean(
    values: _Floats | None, rows: NDArray[np.int64], group: NDArray[np.int64], n_resamples: int
) -> Estimate | None:
    """Mean over queries; seeds are averaged per query."""
    if values is None or not len(values) or not np.isfinite(values).all():
        return None
    queries, index = np.unique(rows, return_inverse=True)
    means = np.bincount(index, values) / np.bincount(index)
    found = bootstrap_means(means[:, None], group[queries], n_resamples=n_resamples)
    return found.mean(0)

"""The tested questions as plain values: an index for filters, and columns for looking at one.

Lays out what a benchmark, its table and its data set know; nothing is measured here. The viewer
(`assets/questions.js`) reads the same names. Lists are by question, in the order of the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.bench import BenchResult
from rlfocal.records import CandidateKind, Dataset, ResponseTable

__all__ = ["NOT_RECORDED", "NO_ANSWER", "Facts", "Run", "facts_of"]

NO_ANSWER, NOT_RECORDED = -1, -2
"""In place of a candidate: nothing of use came; nothing is recorded."""

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Run:
    """What one strategy did with one seed, at its default setting."""

    strategy: str
    seed: int
    columns: Columns
    """answer (place of the candidate), score, confidence, calls, cost, and asked: a list of
    members for each round."""


@dataclass(frozen=True)
class Facts:
    """All there is to show, by question."""

    index: dict[str, list[Any]]
    """id, task (place), labelled (0 or 1), recorded and right (counts of members), and
    disagreement: the share of pairs of members that differ, in 1/1000."""
    score: dict[str, list[float | None]]
    """Strategy → its mean score over seeds; None where it was not measured."""
    asked: Columns
    """prompt, choices."""
    said: Columns
    """label, candidates, worth (of each candidate), answer (each member's candidate), and reply
    (each member's text) where replies are recorded."""
    runs: tuple[Run, ...]

    def __len__(self) -> int:
        return len(self.index["id"])


def facts_of(result: BenchResult, table: ResponseTable, dataset: Dataset) -> Facts:
    """Gather what is known of every tested question.

    Args:
        result: a benchmark.
        table: the one it ran on.
        dataset: what the table was built from, with the replies' texts where they shall be shown.

    Raises:
        ValueError: the data set lacks queries of the table.
    """
    rows = result.per_query
    rows = rows.filter(pc.is_null(rows["dial"]))
    ids = pa.array(table.query_ids.tolist(), pa.string())
    place = pc.index_in(rows["query_id"].cast(pa.string()), value_set=ids)
    tested = np.unique(np.asarray(place))
    table = table.take(tested)
    ids = pa.array(table.query_ids.tolist(), pa.string())
    source = pc.index_in(ids, value_set=dataset.queries["query_id"].combine_chunks())
    if source.null_count:
        lost = ids.filter(pc.is_null(source))[0].as_py()
        raise ValueError(
            f"{dataset.name}: no query {lost!r}, which was tested: pass the data set that the "
            "table was built from"
        )
    queries = dataset.queries.take(source)
    candidates = _candidates(rows, table, ids)
    runs = tuple(_runs(result, rows, candidates, ids))
    return Facts(
        index=_index(table, queries),
        score=_mean_scores(runs),
        asked={"prompt": queries["prompt"].to_pylist(), "choices": queries["choices"].to_pylist()},
        said=_said(table, queries, dataset, candidates),
        runs=runs,
    )


def _index(table: ResponseTable, queries: pa.Table) -> dict[str, list[Any]]:
    return {
        "id": table.query_ids.tolist(),
        "task": table.task.tolist(),
        "labelled": queries["label"].is_valid().to_numpy().astype(int).tolist(),
        "recorded": table.recorded.sum(axis=1).tolist(),
        "right": ((table.member_score >= 0.5) & table.scored).sum(axis=1).tolist(),
        "disagreement": np.rint(1000 * disagreement(table)).astype(int).tolist(),
    }


def disagreement(table: ResponseTable) -> NDArray[np.float64]:
    """float64[Q] in [0, 1]: the share of pairs of members that answered differently.

    No usable answer is an answer of its own. Where answers cannot be compared, two members differ
    where one is right and the other is not. 0 where fewer than two members are recorded.
    """
    told = np.where(
        (table.kind == CandidateKind.RESPONSES)[:, None],
        table.member_score >= 0.5,
        table.answer,
    )
    count = table.recorded.sum(axis=1)
    same = np.zeros(table.n_queries)
    for n in range(table.n_members):
        for m in range(n):
            same += (told[:, n] == told[:, m]) & table.recorded[:, n] & table.recorded[:, m]
    pairs = count * (count - 1) / 2
    return np.where(pairs > 0, 1 - same / np.maximum(pairs, 1), 0.0)


def _candidates(rows: pa.Table, table: ResponseTable, ids: pa.Array) -> list[dict[str, float]]:
    """The candidates of each question with their worth.

    Behind those recorded stand answers of who is not bound to them.
    """
    worth = np.round(table.candidate_score.astype(np.float64), 4).tolist()
    found = [dict(zip(*each, strict=False)) for each in zip(table.candidates, worth, strict=True)]
    place = pc.index_in(rows["query_id"].cast(pa.string()), value_set=ids).to_pylist()
    columns = (rows["answer"].to_pylist(), rows["score"].to_pylist())
    for row, answer, score in zip(place, *columns, strict=True):
        if answer is not None:
            found[row].setdefault(answer, round(score or 0.0, 4))
    return found


def _said(
    table: ResponseTable, queries: pa.Table, dataset: Dataset, candidates: list[dict[str, float]]
) -> Columns:
    answer = np.where(table.recorded, table.answer, NOT_RECORDED)
    found: Columns = {
        "label": queries["label"].to_pylist(),
        "candidates": [list(worth) for worth in candidates],
        "worth": [list(worth.values()) for worth in candidates],
        "answer": answer.tolist(),
    }
    replies = _replies(table, dataset)
    return found if replies is None else found | {"reply": replies}


def _replies(table: ResponseTable, dataset: Dataset) -> list[list[str | None]] | None:
    """Each member's text to each question; None where no text is recorded."""
    responses = dataset.responses
    if "text" not in responses.column_names:
        return None
    ids = pa.array(table.query_ids.tolist(), pa.string())
    query = pc.index_in(responses["query_id"], value_set=ids)
    member = pc.index_in(responses["member"], value_set=pa.array(table.members, pa.string()))
    wanted = pc.and_(pc.and_(query.is_valid(), member.is_valid()), responses["text"].is_valid())
    if not pc.any(wanted).as_py():
        return None
    found: list[list[str | None]] = [[None] * table.n_members for _ in range(table.n_queries)]
    columns = (query, member, responses["text"])
    for q, n, text in zip(*(c.filter(wanted).to_pylist() for c in columns), strict=True):
        found[q][n] = text
    return found


def _runs(
    result: BenchResult, rows: pa.Table, candidates: list[dict[str, float]], ids: pa.Array
) -> Iterator[Run]:
    strategy = np.asarray(rows["strategy"].cast(pa.string()).to_pylist())
    seed = rows["seed"].to_numpy()
    for row in result.rows:
        for number in np.unique(seed[strategy == row.strategy]).tolist():
            own = rows.filter(pa.array((strategy == row.strategy) & (seed == number)))
            place = pc.index_in(own["query_id"].cast(pa.string()), value_set=ids)
            own = own.take(pc.sort_indices(place))
            yield Run(row.strategy, number, _columns(own, [list(worth) for worth in candidates]))


def _columns(own: pa.Table, candidates: Sequence[list[str]]) -> Columns:
    answers = own["answer"].to_pylist()
    return {
        "answer": [
            NO_ANSWER if answer is None else texts.index(answer)
            for answer, texts in zip(answers, candidates, strict=True)
        ],
        "score": _rounded(own["score"], 4),
        "confidence": _rounded(own["confidence"], 3),
        "calls": own["n_calls"].to_pylist(),
        "cost": [float(f"{cost:.4g}") for cost in own["cost"].to_pylist()],
        "asked": _by_round(own),
    }


def _rounded(column: pa.ChunkedArray, digits: int) -> list[float | None]:
    values = column.to_pylist()
    return [None if value is None else round(value, digits) for value in values]


def _by_round(own: pa.Table) -> list[list[list[int]]]:
    """The members asked of each question, round by round; all in one where rounds are unknown."""
    asked = own["asked"].to_pylist()
    if "asked_in" not in own.column_names:  # results of older versions
        return [[members] if members else [] for members in asked]
    found = []
    for members, rounds in zip(asked, own["asked_in"].to_pylist(), strict=True):
        turns: list[list[int]] = [[] for _ in range(max(rounds, default=0))]
        for member, turn in zip(members, rounds, strict=True):
            turns[turn - 1].append(member)
        found.append(turns)
    return found


def _mean_scores(runs: Sequence[Run]) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for name in dict.fromkeys(run.strategy for run in runs):
        of_seed = [run.columns["score"] for run in runs if run.strategy == name]
        found[name] = [_mean(scores) for scores in zip(*of_seed, strict=True)]
    return found


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return round(sum(known) / len(known), 4) if known else None

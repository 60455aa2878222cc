"""From the two tables of a data set to one dense `ResponseTable`.

Vectorised over responses: 335,000 of them take a fraction of a second. Knows the candidate rule
(docs/data-format.md): options for multiple choice, distinct answers for free-form queries, one
candidate per response where only scores are known. Says in notes what it had to leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.errors import RecordError
from rlfocal.readers import Reads
from rlfocal.records.dataset import Dataset
from rlfocal.records.signals.examined import likelihoods_in
from rlfocal.records.smells import smells
from rlfocal.records.tables.candidates import LETTERS, Answers, Responses, flatten
from rlfocal.records.tables.judges import named_replies
from rlfocal.records.tables.replies import replies_of
from rlfocal.records.tables.table import CandidateKind, FloatArray, IntArray, ResponseTable

__all__ = ["Encode", "build_table"]

Encode = Callable[[Sequence[str]], FloatArray]
"""Query texts → float32[Q, D]."""


def build_table(
    dataset: Dataset,
    *,
    members: Sequence[str] | None = None,
    encode: Encode | None = None,
    unlabelled: Literal["drop", "keep"] = "drop",
) -> ResponseTable:
    """Build the dense table of a data set.

    What was not recorded is neither right nor wrong: `ResponseTable.recorded` says where a response
    is there, and a response with neither a label nor a score of its answer counts as not there.

    Args:
        dataset: queries and responses, already checked on their own.
        members: the pool, in order; None for all members.
        encode: turns query texts into features; None for no features (D = 0).
        unlabelled: "drop" leaves out queries of which nothing says what is right, for measuring and
            training; "keep" has them, for looking at what is answered: there every response counts
            as recorded, and `ResponseTable.judged` is False.

    Raises:
        RecordError: a member without any response, or no query that can be scored.
    """
    names = tuple(members if members is not None else dataset.members)
    notes = [*dataset.info.sampled, *dataset.notes]
    queries, responses = dataset.queries, _select(dataset, names, dataset.query_row)
    judged = _judged(queries, responses)
    if unlabelled == "drop" and not judged.all():
        if not judged.any():
            raise RecordError(
                f"{dataset.name}: no query has a label, nor a response of {', '.join(names)} a "
                "score, so nothing can be measured; add labels to queries or scores to responses"
            )
        notes.append(
            f"{int((~judged).sum()):,} of {len(judged):,} queries have no label and no score; they "
            "are left out"
        )
        queries = queries.filter(pa.array(judged))
        place = np.where(judged, np.cumsum(judged) - 1, -1)
        responses = _select(dataset, names, place[dataset.query_row])
        judged = judged[judged]
    n_queries, shape = queries.num_rows, (queries.num_rows, len(names))
    recorded = np.zeros(shape, dtype=bool)
    recorded[responses.query, responses.member] = True
    _check_all_answered(dataset, names, recorded)
    if not recorded.all():
        notes.append(
            f"{int((~recorded).sum()):,} of {recorded.size:,} responses are missing "
            f"({100 * (~recorded).mean():.1f} %); nothing is counted for them"
        )

    n_options = pc.list_value_length(queries["choices"]).fill_null(0).to_numpy()
    kind = _kinds(responses, n_options)
    answers = Answers(responses, kind, n_options, n_members=len(names))
    n_slots = answers.n_slots
    exists = np.arange(n_slots) < answers.n_candidates[:, None]
    answer = answers.scatter(shape)
    samples = answers.samples(shape)
    answer, samples = named_replies(responses, kind, names, dataset.info.readers, answer, samples)
    option_scores = _option_scores(responses, kind, (*shape, n_slots))
    if option_scores is not None:
        guess = np.nan_to_num(option_scores, nan=-np.inf).argmax(axis=2)
        known = np.isfinite(option_scores).any(axis=2)
        answer = np.where((answer < 0) & known, guess, answer).astype(np.int16)
    unknown = recorded & judged[:, None] & ~_worth_known(queries, responses, answer, kind, n_slots)
    if unknown.any():
        notes.append(
            f"{int(unknown.sum()):,} responses to scored queries have neither a label nor a score "
            "of their answer; they are left out"
        )
        recorded &= ~unknown
        answer = np.where(unknown, np.int16(-1), answer)
        if samples is not None:
            samples = np.where(unknown[:, :, None], np.int16(-2), samples)
        if option_scores is not None:
            option_scores = np.where(unknown[:, :, None], np.float32(np.nan), option_scores)
    support = _support(answer, samples, n_slots)
    cost, cost_unit = _costs(responses, recorded, notes)
    latency = responses.floats("latency_s")
    if latency is not None:
        latency = np.where(recorded, responses.scatter(latency, shape), 0)
    task_names, task = np.unique(_texts(queries["task"]), return_inverse=True)
    features = np.zeros((n_queries, 0), dtype=np.float32)
    prompts = None
    if encode is not None:
        prompts = np.array(queries["prompt"].to_pylist(), dtype=np.object_)
        features = encode(prompts.tolist())
    reads = Reads.of(names, dataset.info.readers)
    table = ResponseTable(
        name=dataset.name,
        members=names,
        tasks=tuple(task_names.tolist()),
        query_ids=_texts(queries["query_id"]),
        task=task.astype(np.int64),
        group=_groups(queries),
        split=_texts(queries["split"].fill_null("")),
        features=features,
        candidates=answers.texts(names),
        kind=kind,
        exists=exists,
        candidate_score=_candidate_scores(queries, responses, answers, answer, kind),
        answer=answer,
        support=support,
        cost=cost,
        cost_unit=cost_unit,
        option_scores=option_scores,
        samples=samples,
        latency_s=None if latency is None else latency.astype(np.float32),
        recorded=recorded,
        judged=judged,
        prompts=prompts,
        replies=replies_of(queries, responses, recorded, dataset.kinds, reads),
        reads=reads,
        answers={task: kind.name for task, kind in dataset.kinds.items() if kind.name},
        synthetic=dataset.info.synthetic,
    )
    return table.with_notes((*notes, *_not_served(table), *smells(dataset, table)))


def _not_served(table: ResponseTable) -> list[str]:
    """What is known of recorded replies alone."""
    read = () if table.replies is None else likelihoods_in(table.replies.names)
    if not read:
        return []
    return [
        f"local models have read the replies ({', '.join(read)}): nobody reads one that is served, "
        "so what is learned from it is not there in live use"
    ]


def _texts(column: pa.ChunkedArray) -> NDArray[np.str_]:
    return np.asarray(column.to_pylist(), dtype=np.str_)


def _select(dataset: Dataset, members: tuple[str, ...], query: NDArray[np.int64]) -> Responses:
    """The responses of these members, to the queries that int64[R] does not call -1."""
    responses = dataset.responses
    found = pc.index_in(responses["member"], value_set=pa.array(members, pa.string()))
    member = np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)
    wanted = (member >= 0) & (query >= 0)
    if wanted.all():
        return Responses(query, member, responses)
    return Responses(query[wanted], member[wanted], responses.filter(pa.array(wanted)))


def _judged(queries: pa.Table, responses: Responses) -> NDArray[np.bool_]:
    """bool[Q]: where a label, or the score of some response, says what is right."""
    judged = np.array(queries["label"].is_valid().to_numpy(), dtype=bool)
    score = responses.floats("score")
    if score is not None:
        judged[responses.query[np.isfinite(score)]] = True
    return judged


def _check_all_answered(
    dataset: Dataset, names: tuple[str, ...], recorded: NDArray[np.bool_]
) -> None:
    for name, count in zip(names, recorded.sum(axis=0).tolist(), strict=True):
        if count == 0 and name in dataset.members:
            raise RecordError(
                f"{dataset.name}: member {name!r} has no response to any query that has a label or "
                "a score; leave it out, or add labels"
            )
        if count == 0:
            raise RecordError(
                f"{dataset.name}: member {name!r} has no response at all; leave it out"
            )


def _worth_known(
    queries: pa.Table,
    responses: Responses,
    answer: NDArray[np.int16],
    kind: NDArray[np.int8],
    n_slots: int,
) -> NDArray[np.bool_]:
    """bool[Q, N]: where a label, or a score of the same answer, says what a response is worth.

    No usable answer is worth nothing, whatever is right. Where answers cannot be compared a label
    says nothing of a response, but that none of use came where others' answers are recorded.
    """
    labelled = np.array(queries["label"].is_valid().to_numpy(), dtype=bool)
    own = kind == CandidateKind.RESPONSES
    known = np.zeros((len(kind), n_slots), dtype=bool)
    known[labelled & (~own | (~own).any())] = True
    score = responses.floats("score")
    if score is not None:
        slot = answer[responses.query, responses.member]
        use = np.isfinite(score) & (slot >= 0)
        known[responses.query[use], slot[use]] = True
    found = np.take_along_axis(known, np.maximum(answer, 0).astype(np.int64), axis=1)
    return np.asarray(found | (answer < 0))


def _kinds(responses: Responses, n_options: IntArray) -> NDArray[np.int8]:
    """int8[Q]: which candidate rule each query follows."""
    if (n_options > len(LETTERS)).any():
        row = int(np.argmax(n_options))
        raise RecordError(
            f"query number {row + 1} has {n_options[row]} choices; option letters end at "
            f"{LETTERS[-1]} ({len(LETTERS)} choices), so turn such queries into free-form ones"
        )
    names = responses.rows.column_names
    informative = np.zeros(len(responses.query), dtype=bool)
    for column in ("answer", "choice_scores"):
        if column in names:
            informative |= responses.rows[column].is_valid().to_numpy()
    has_answers = np.zeros(len(n_options), dtype=bool)
    has_answers[responses.query[informative]] = True
    kind = np.full(len(n_options), CandidateKind.RESPONSES, dtype=np.int8)
    kind[has_answers] = CandidateKind.ANSWERS
    kind[has_answers & (n_options > 0)] = CandidateKind.OPTIONS
    return kind


def _option_scores(
    responses: Responses, kind: NDArray[np.int8], shape: tuple[int, int, int]
) -> FloatArray | None:
    listed = flatten(responses.rows, "choice_scores")
    if listed is None or not len(listed.place):
        return None
    out = np.full(shape, np.nan, dtype=np.float32)
    query = responses.query[listed.parent]
    ok = (kind[query] == CandidateKind.OPTIONS) & (listed.place < shape[2])
    value = listed.value.cast(pa.float32()).to_numpy(zero_copy_only=False)
    out[query[ok], responses.member[listed.parent[ok]], listed.place[ok]] = value[ok]
    return out


def _support(
    answer: NDArray[np.int16], samples: NDArray[np.int16] | None, n_slots: int
) -> FloatArray:
    """float32[Q, N, C]: frequencies over usable samples, else one-hot at the answer."""
    support = (answer[:, :, None] == np.arange(n_slots)).astype(np.float32)
    if samples is not None:
        counts = np.zeros_like(support)
        query, member, place = np.nonzero(samples >= 0)
        np.add.at(counts, (query, member, samples[query, member, place]), 1)
        # A recorded answer that no sample repeats is one more sample: it must have some support.
        alone = (answer >= 0) & (
            np.take_along_axis(counts, np.maximum(answer, 0)[:, :, None], 2)[:, :, 0] == 0
        )
        query, member = np.nonzero(alone)
        counts[query, member, answer[alone]] = 1
        total = counts.sum(axis=2, keepdims=True)
        sampled = (total > 0) & (answer >= 0)[:, :, None]
        support = np.where(sampled, counts / np.maximum(total, 1), support).astype(np.float32)
    return np.asarray(support)


def _candidate_scores(
    queries: pa.Table,
    responses: Responses,
    answers: Answers,
    answer: NDArray[np.int16],
    kind: NDArray[np.int8],
) -> FloatArray:
    """float32[Q, C]: 1 at the label; elsewhere the best score a response with that answer got."""
    n_queries = len(kind)
    out = np.zeros((n_queries, answers.n_slots), dtype=np.float32)
    labelled = queries["label"].is_valid().to_numpy()
    score = responses.floats("score")
    if score is not None:
        slot = answer[responses.query, responses.member]
        # A label settles a multiple-choice query; a score may also accept an equal text elsewhere.
        settled = labelled[responses.query] & (kind[responses.query] == CandidateKind.OPTIONS)
        use = (slot >= 0) & np.isfinite(score) & ~settled
        np.maximum.at(out, (responses.query[use], slot[use]), score[use].astype(np.float32))
    right = answers.slots(queries["label"])
    known = np.flatnonzero(right >= 0)
    out[known, right[known]] = 1.0
    return out


def _costs(
    responses: Responses, recorded: NDArray[np.bool_], notes: list[str]
) -> tuple[FloatArray, Literal["usd", "call"]]:
    """float32[Q, N], 0 where nothing is recorded; and the unit."""
    price = responses.floats("cost_usd")
    if price is not None:
        cost = responses.scatter(price, recorded.shape)
        with np.errstate(over="ignore"):
            held = cost.astype(np.float32)  # as it is stored: what is nothing there is not known
        known = np.isfinite(held) & (held > 0) & recorded
        if known.any(axis=0).all():
            mean = np.where(known, cost, 0).sum(axis=0) / known.sum(axis=0)
            if not known[recorded].all():
                notes.append(
                    f"{int((~known & recorded).sum())} responses have no price; the member's mean "
                    "is used"
                )
            filled = np.where(known, cost, np.where(recorded, mean, 0))
            return filled.astype(np.float32), "usd"
        notes.append("some members have no price at all; every call counts as 1")
    return recorded.astype(np.float32), "call"


def _groups(queries: pa.Table) -> IntArray:
    """int64[Q]: the same number for queries with the same prompt, whatever their choices."""
    prompts = queries["prompt"].combine_chunks().dictionary_encode()
    return np.asarray(prompts.indices.to_numpy(), dtype=np.int64)

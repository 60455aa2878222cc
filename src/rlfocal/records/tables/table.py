"""`ResponseTable`: recorded answers of a pool as dense arrays, checked once, immutable afterwards.

The table knows queries, members, candidates and what each response was worth. It knows nothing of
strategies, and it is the only place that holds a query's right answer: strategies see a `View`.

A missing response is not a wrong one: `recorded` tells them apart, and every figure of a member is
over what is recorded of it.

Axes: Q queries, N members, C candidate slots, D features, S samples.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rlfocal.errors import RecordError
from rlfocal.readers import Reads
from rlfocal.records.signals import Replies
from rlfocal.records.tables.shown import Shown

__all__ = ["BoolArray", "CandidateKind", "CostUnit", "FloatArray", "IntArray", "ResponseTable"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Int16Array = NDArray[np.int16]
CostUnit = Literal["usd", "call", "second"]
"""What a call costs: its price, 1, or the time it takes."""

_PER_QUERY = frozenset((
    "query_ids", "task", "group", "split", "features", "candidates", "kind", "exists",
    "candidate_score", "answer", "support", "option_scores", "samples", "cost", "latency_s",
    "recorded", "judged", "prompts", "replies",
))  # fmt: skip


UNKNOWN_TASK = "(unknown)"


class CandidateKind(IntEnum):
    """What the candidate answers of a query are."""

    OPTIONS = 0
    """The options of a multiple-choice query: they exist before anybody is asked."""
    ANSWERS = 1
    """The distinct answers that members gave to a free-form query."""
    RESPONSES = 2
    """One per member: answers cannot be compared, only scores are known."""


@dataclass(frozen=True, eq=False, repr=False)  # its repr is a line
class ResponseTable(Shown):
    """What N members answered to Q queries, and what each candidate answer was worth.

    A *candidate* is one possible answer of one query. For multiple choice the candidates are the
    options; for free-form queries they are the distinct answers that members gave; where nobody
    gave an answer that could be compared (only scores are known), every response is its own
    candidate. The order of candidates depends on their texts alone, never on who gave them.

    Raises:
        RecordError: when the arrays contradict one another; the message says which and where.
    """

    name: str
    """Name of the data set."""
    members: tuple[str, ...]
    """Names of the N members."""
    tasks: tuple[str, ...]
    """Names of the tasks that `task` indexes."""
    query_ids: NDArray[np.str_]
    """str[Q]."""
    task: IntArray
    """int64[Q], index into `tasks`."""
    group: IntArray
    """int64[Q]; queries with the same prompt share a number, and never straddle a fold."""
    split: NDArray[np.str_]
    """str[Q]: "train", "test", or "" where the source has no split."""
    features: FloatArray
    """float32[Q, D]: the encoded query texts; D = 0 where none were asked for."""
    candidates: NDArray[np.object_]
    """object[Q]: tuple of candidate texts (option letters for multiple choice), one per query."""
    kind: NDArray[np.int8]
    """int8[Q]: a `CandidateKind`."""
    exists: BoolArray
    """bool[Q, C]: True where slot c holds a candidate."""
    candidate_score: FloatArray
    """float32[Q, C] in [0, 1]: what candidate c is worth. For rewards and metrics only."""
    answer: Int16Array
    """int16[Q, N]: the candidate that member n answered; -1 where it gave no usable answer, and
    where nothing is recorded."""
    support: FloatArray
    """float32[Q, N, C]: how strongly member n backs candidate c; rows sum to 1, or are all zero."""
    cost: FloatArray
    """float32[Q, N]: price of asking member n, in `cost_unit`; positive where recorded, else 0:
    nobody was asked, so no sum can charge it."""
    cost_unit: CostUnit
    """"usd" where every price is known, else "call": each costs 1. See `priced_in`."""
    option_scores: FloatArray | None = None
    """float32[Q, N, C]: raw option scores of unknown scale, NaN where there are none."""
    samples: Int16Array | None = None
    """int16[Q, N, S]: candidate of each sample, -1 = unusable, -2 = no such sample."""
    latency_s: FloatArray | None = None
    """float32[Q, N], seconds; NaN where unknown, 0 where nothing is recorded."""
    recorded: BoolArray = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    """bool[Q, N]: True where a response of member n is there (one of no use is), on a judged query
    one whose worth is known. Everywhere, unless given."""
    judged: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """bool[Q]: True where a label, or the score of some response, says what is right. Everywhere,
    unless given."""
    prompts: NDArray[np.object_] | None = None
    """object[Q]: the query texts, where `features` were made of them."""
    replies: Replies | None = None
    """Replies by query and member, for their signals; None where only answers are recorded."""
    reads: Reads | None = None
    """Who of the members reads whom; None where nobody does."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Task → kind of its open answers ("number", "text", ...); tasks whose kind nobody knows, and
    those with options alone, are not in it."""
    synthetic: bool = False
    """True when the answers were drawn from a simulation, not recorded from models."""
    notes: tuple[str, ...] = ()
    """What a reader of results should know: missing responses, prices filled in."""

    def __post_init__(self) -> None:
        if self.recorded.shape == (0, 0):
            object.__setattr__(self, "recorded", np.ones(self.answer.shape, dtype=bool))
        if self.judged.shape == (0,):
            object.__setattr__(self, "judged", np.ones(self.n_queries, dtype=bool))
        self._check()
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                frozen = value.view()  # the caller's own array stays as writeable as it was
                frozen.flags.writeable = False
                object.__setattr__(self, item.name, frozen)

    # Sizes ------------------------------------------------------------------------------------

    @property
    def n_queries(self) -> int:
        """Q."""
        return len(self.task)

    @property
    def n_members(self) -> int:
        """N."""
        return len(self.members)

    @property
    def n_candidates(self) -> int:
        """C, the number of candidate slots (the largest number of candidates of any query)."""
        return int(self.exists.shape[1])

    # Derived ----------------------------------------------------------------------------------

    @property
    def answered(self) -> BoolArray:
        """bool[Q, N]: True where member n gave a usable answer."""
        return np.asarray(self.answer >= 0)

    @cached_property
    def member_score(self) -> FloatArray:
        """float32[Q, N] in [0, 1]: what member n's answer is worth; 0 for no usable answer.

        Where nothing is recorded it is 0 too, and means nothing.
        """
        score = self.score_of(self.answer)
        score.flags.writeable = False
        return score

    def score_of(self, candidate: NDArray[np.integer]) -> FloatArray:
        """What candidates int[Q] or int[Q, K] are worth: float32 alike, in [0, 1]; 0 for -1."""
        wide = (candidate[:, None] if candidate.ndim == 1 else candidate).astype(np.int64)
        score = np.take_along_axis(self.candidate_score, np.maximum(wide, 0), axis=1)
        worth = np.where(wide >= 0, score, np.float32(0)).astype(np.float32)
        return np.asarray(worth.reshape(candidate.shape))

    def measured_score(self, candidate: NDArray[np.integer], called: BoolArray) -> FloatArray:
        """What candidates are worth where that was measured.

        Args:
            candidate: int[Q]; -1 for no answer, which is worth 0.
            called: bool[Q, N], those whose responses it was chosen from.

        Returns:
            float32[Q] in [0, 1]; NaN where nobody was called, or nothing says what is right.
        """
        score = self.score_of(candidate)
        known = called.any(axis=1) & self.judged
        return score if known.all() else np.where(known, score, np.float32(np.nan))

    @property
    def failed(self) -> BoolArray:
        """bool[Q, N]: True where member n's recorded answer scores below one half."""
        return np.asarray((self.member_score < 0.5) & self.scored)

    @property
    def is_open(self) -> BoolArray:
        """bool[Q]: True where a candidate exists only once a member has given it."""
        return np.asarray(self.kind != CandidateKind.OPTIONS)

    @property
    def comparable(self) -> BoolArray:
        """bool[Q]: True where two members can back the same candidate, so that votes add up.

        Where each response is a candidate of its own, that takes a judge that names one of them.
        """
        judged = self.reads is not None and self.reads.has_judges
        return np.asarray((self.kind != CandidateKind.RESPONSES) | judged)

    @property
    def has_graded_support(self) -> bool:
        """True when some support is neither 0 nor 1: option scores or several samples are known."""
        return self.option_scores is not None or bool(
            ((self.support > 0) & (self.support < 1)).any()
        )

    # Making other tables ----------------------------------------------------------------------

    def take(self, rows: NDArray[np.integer] | BoolArray) -> ResponseTable:
        """Return the table of queries, int[K] positions or bool[Q], in the given order."""
        part = object.__new__(ResponseTable)  # the rows of a sound table are sound
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in _PER_QUERY and value is not None:
                value = value[rows]
                if isinstance(value, np.ndarray):
                    value.flags.writeable = False
            object.__setattr__(part, item.name, value)
        return part

    def without(self, gone: BoolArray) -> ResponseTable:
        """Return the same table as if some responses, bool[Q, N], had never been recorded."""
        changes: dict[str, Any] = {
            "recorded": self.recorded & ~gone,
            "answer": np.where(gone, np.int16(-1), self.answer),
            "support": self.support * ~gone[:, :, None],
            "cost": np.where(gone, np.float32(0), self.cost),
        }
        if self.latency_s is not None:
            changes["latency_s"] = np.where(gone, np.float32(0), self.latency_s)
        if self.samples is not None:
            changes["samples"] = np.where(gone[:, :, None], np.int16(-2), self.samples)
        if self.replies is not None:
            changes["replies"] = self.replies.where(~gone)
        if self.option_scores is not None:
            scores = np.where(gone[:, :, None], np.float32(np.nan), self.option_scores)
            changes["option_scores"] = scores
        return replace(self, **changes)

    def with_support(self, support: FloatArray) -> ResponseTable:
        """Return the same table with other supports float32[Q, N, C], such as calibrated ones."""
        return replace(self, support=support)

    def without_texts(self) -> ResponseTable:
        """Return the same table, arrays shared, without prompts, their features and replies.

        For what looks at answers alone: copies of its rows are then small.
        """
        other = copy.copy(self)
        for name, value in (
            ("features", self.features[:, :0]),
            ("prompts", None),
            ("replies", None),
        ):
            object.__setattr__(other, name, value)
        return other

    def with_notes(self, notes: tuple[str, ...]) -> ResponseTable:
        """Return the same table, arrays shared and not checked again, with other notes."""
        other = copy.copy(self)
        object.__setattr__(other, "notes", notes)
        return other

    def priced_in(self, unit: str) -> ResponseTable:
        """Return the same table with costs in another unit.

        Args:
            unit: "call" (each costs 1), "second" (each costs its latency), or "usd".

        Raises:
            RecordError: another unit, or costs in it are not known of every response.
        """
        if unit not in get_args(CostUnit):
            known = ", ".join(get_args(CostUnit))
            raise RecordError(f"{self.name}: unknown cost '{unit}'; choose from {known}")
        if unit == self.cost_unit:
            return self
        if unit == "usd":
            raise RecordError(
                f"{self.name}: costs in USD are not known of every member; record cost_usd, or "
                "let a call cost 1 (cost 'call')"
            )
        if unit == "call":
            return replace(self, cost=self.recorded.astype(np.float32), cost_unit="call")
        latency = self.latency_s
        unknown = self.recorded if latency is None else self.recorded & ~(latency > 0)
        if latency is None or unknown.any():
            row, member = np.argwhere(unknown)[0]
            raise RecordError(
                f"{self.name}: latency_s is 0 or not known of query '{self.query_ids[row]}', "
                f"member '{self.members[member]}'; record it, or let a call cost 1 (cost 'call')"
            )
        cost = np.where(self.recorded, latency, np.float32(0))
        return replace(self, cost=cost, cost_unit="second")

    def with_tasks(self, tasks: tuple[str, ...], *, hidden: bool = False) -> ResponseTable:
        """Return the same table with tasks numbered as in `tasks`, and unknown ones len(tasks).

        Args:
            tasks: those that are known.
            hidden: every query's task is unknown, as to a server whose client names none.
        """
        number = {} if hidden else {name: i for i, name in enumerate(tasks)}
        renumbered = np.array([number.get(name, len(tasks)) for name in self.tasks], dtype=np.int64)
        return replace(self, tasks=(*tasks, UNKNOWN_TASK), task=renumbered[self.task])

    def digest(self) -> str:
        """Return a sha256 over names, answers, replies, scores: what a model was trained on."""
        state = hashlib.sha256()
        for text in (self.name, *self.members, *self.tasks, *self.query_ids.tolist()):
            state.update(text.encode() + b"\x00")
        for array in (self.answer, self.candidate_score, self.cost, self.task):
            state.update(np.ascontiguousarray(array).tobytes())
        if self.replies is not None:
            state.update(self.replies.contents())
        return state.hexdigest()

    # Checks -----------------------------------------------------------------------------------

    def _check(self) -> None:
        n_queries, n_members, n_slots = self.n_queries, self.n_members, self.n_candidates
        if n_members < 2:
            raise RecordError(
                f"{self.name}: a pool needs at least 2 members, this one has {n_members} "
                f"({', '.join(self.members)}); choose more with --members or --pool"
            )
        _distinct(f"{self.name}: members", self.members)
        shapes: dict[str, tuple[int, ...]] = {
            "task": (n_queries,), "group": (n_queries,), "split": (n_queries,),
            "query_ids": (n_queries,), "candidates": (n_queries,), "kind": (n_queries,),
            "exists": (n_queries, n_slots), "candidate_score": (n_queries, n_slots),
            "answer": (n_queries, n_members), "cost": (n_queries, n_members),
            "support": (n_queries, n_members, n_slots),
            "option_scores": (n_queries, n_members, n_slots), "latency_s": (n_queries, n_members),
            "recorded": (n_queries, n_members), "judged": (n_queries,), "prompts": (n_queries,),
        }  # fmt: skip
        if self.samples is not None:
            shapes["samples"] = (n_queries, n_members, self.samples.shape[-1])
        if self.replies is not None and self.replies.shape != self.answer.shape:
            raise RecordError(f"{self.name}: replies have the shape {self.replies.shape}")
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise RecordError(f"{self.name}: {name} has shape {value.shape}, expected {shape}")
        self._check_values()

    def _check_values(self) -> None:
        def refuse(bad: BoolArray, what: str) -> None:
            if bad.any():
                row = int(np.flatnonzero(bad.reshape(self.n_queries, -1).any(axis=1))[0])
                raise RecordError(f"{self.name}: query '{self.query_ids[row]}': {what}")

        tasks = (self.task < 0) | (self.task >= len(self.tasks))
        refuse(tasks, f"task number outside 0..{len(self.tasks) - 1}")
        score = self.candidate_score
        refuse(~((score >= 0) & (score <= 1)), "candidate_score must be finite and in [0, 1]")
        priced = np.isfinite(self.cost) & np.where(self.recorded, self.cost > 0, self.cost == 0)
        refuse(~priced, "cost must be finite and positive, and 0 where nothing is recorded")
        refuse((self.answer >= 0) & ~self.recorded, "an answer where nothing is recorded")
        beyond = (self.answer < -1) | (self.answer >= self.n_candidates)
        refuse(beyond, f"an answer outside -1..{self.n_candidates - 1}")
        rows = np.arange(self.n_queries)[:, None]
        slot = np.maximum(self.answer, 0)
        refuse((self.answer >= 0) & ~self.exists[rows, slot], "an answer points to no candidate")
        total = self.support.sum(axis=2)
        usable = (self.support >= 0).all(axis=2) & (
            np.isclose(total, 1, atol=1e-3) | ((total == 0) & (self.answer < 0))
        )
        refuse(~usable, "support must be >= 0 and sum to 1, or be all zero for no usable answer")
        refuse((self.support > 0) & ~self.exists[:, None], "support of a slot without a candidate")
        if not np.isfinite(self.features).all():
            raise RecordError(f"{self.name}: features hold NaN or infinity")


def _distinct(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RecordError(f"{what}: {name!r} appears twice")
        seen.add(name)

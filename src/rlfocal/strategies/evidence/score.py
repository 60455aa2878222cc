"""`ReplyScore`: P(right | reply), learned from labelled replies of a pool.

Axes: Q or B queries, N members, R labelled replies, F signals, D places of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.state import Row
from rlfocal.errors import CheckpointError
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.signals import Replies
from rlfocal.records.signals.words import N_PLACES
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.evidence.examples import Scaling, examples_of
from rlfocal.strategies.evidence.learning import Learned, learn
from rlfocal.strategies.evidence.worth import factor_of
from rlfocal.strategies.voting import chance_log_odds, vote_accuracy

__all__ = ["Apart", "OutOfFold", "ReplyScore"]

_N_FOLDS = 3
_LEAST = 12
"""Queries below which nothing is learned."""


class OutOfFold(NamedTuple):
    """What a score says of training queries, each found without its own fold."""

    log_odds: FloatArray
    """float32[Q, N], NaN where there is no reply."""
    shift: FloatArray
    """float32[Q, N], 0 where there is no reply."""


S = TypeVar("S")


class Apart(NamedTuple, Generic[S]):
    """A score, and what was found of training queries without their own fold."""

    score: S
    fold: IntArray
    """int64[Q]."""
    held_out: OutOfFold


@dataclass(frozen=True, eq=False)
class ReplyScore:
    """How likely each reply is right, learned from labelled replies of a pool."""

    names: tuple[str, ...]
    """Of the F signals that it reads."""
    base: FloatArray
    """float32[N]: log-odds that an answer of each member is right."""
    learned: Learned
    factor: float
    """What its shifts proved to be worth, in [0, 1]."""

    @classmethod
    def fit(cls, table: ResponseTable, *, rng: np.random.Generator) -> Self | None:
        """Learn from a table of labelled queries.

        Args:
            table: training queries.
            rng: deals folds.

        Returns:
            None where no replies are known, or too few are labelled.
        """
        found = cls.fit_apart(table, rng=rng)
        return None if found is None else found.score

    @classmethod
    def fit_apart(cls, table: ResponseTable, *, rng: np.random.Generator) -> Apart[Self] | None:
        """As `fit`, with what was said of each query by what was learned without it.

        A third of the work of `out_of_fold`, but the few numbers that are chosen by all queries
        (penalties, calibration, the factor) have seen the query, too.
        """
        if table.replies is None or table.judged.sum() < _LEAST:
            return None
        found = examples_of(table)
        if found is None or found[1].right.min() == found[1].right.max():
            return None
        names, examples = found
        base = chance_log_odds(vote_accuracy(table))
        fold = inner_folds(table, _N_FOLDS, rng=rng)
        learned, held_out = learn(examples, fold[examples.query], base)
        at = examples.query, examples.member
        gap = np.zeros(table.answer.shape)
        gap[at] = held_out - base[examples.member]
        score = cls(names, base.astype(np.float32), learned, factor_of(table, gap, rng=rng))
        # Replies that were not learned from, for want of a label or an answer, are as unseen ones.
        log_odds, shift = score.log_odds(table.replies), score.shift(table.replies)
        log_odds[at], shift[at] = held_out, score.factor * gap[at]
        return Apart(score, fold, OutOfFold(log_odds, shift))

    @classmethod
    def out_of_fold(
        cls, table: ResponseTable, fold: IntArray, *, rng: np.random.Generator
    ) -> OutOfFold | None:
        """What scores fitted without each query's fold say of it.

        Args:
            table: training queries.
            fold: int64[Q].
            rng: as in `fit`.

        Returns:
            None where no replies are known.
        """
        if table.replies is None:
            return None
        log_odds = np.full(table.answer.shape, np.nan, dtype=np.float32)
        shift = np.zeros_like(log_odds)
        for k in np.unique(fold):
            here = fold == k
            rest, replies = table.take(~here), table.replies[here]
            score = cls.fit(rest, rng=rng)
            if score is None:
                base = chance_log_odds(vote_accuracy(rest))
                log_odds[here] = np.where(replies.present, base, np.nan)
            else:
                log_odds[here], shift[here] = score.log_odds(replies), score.shift(replies)
        return OutOfFold(log_odds, shift)

    def log_odds(self, replies: Replies) -> FloatArray:
        """float32[..., N]: calibrated log-odds that each reply is right; NaN where there is none.

        Args:
            replies: the last axis is the member. Of those that are gone, as they were judged then.
        """
        if (kept := replies.judged) is not None:
            return kept
        found = np.full(replies.shape, np.nan, dtype=np.float32)
        here = replies.present
        if here.any():
            member = np.broadcast_to(np.arange(len(self.base)), found.shape)[here]
            own = replies[here]
            gap = self.learned.gap(_read(own, self.names), own.words(), member)
            found[here] = self.base[member] + gap
        return found

    def shift(self, replies: Replies) -> FloatArray:
        """float32[..., N]: what a reply adds to its member's log-odds, as far as that is worth it.

        0 where there is no reply.
        """
        gap = self.log_odds(replies) - self.base
        return np.where(replies.present, np.float32(self.factor) * gap, np.float32(0))

    def state(self) -> dict[str, NDArray[Any]]:
        """All that was learned, as arrays."""
        text = "\n".join(self.names).encode()
        return {
            "names": np.frombuffer(text, dtype=np.uint8).copy(),
            "base": self.base,
            "factor": np.array([self.factor], dtype=np.float64),
            "centre": self.learned.scaling.centre,
            "scale": self.learned.scaling.scale,
            "inputs": self.learned.inputs,
            "word": self.learned.word,
            "bias": self.learned.bias,
            "slope": self.learned.slope,
        }

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`.

        Raises:
            CheckpointError: arrays that do not fit together.
        """
        try:
            text = state["names"].tobytes().decode()
        except UnicodeDecodeError as exc:
            raise CheckpointError(f"the array 'names' is no text: {exc}") from exc
        names = tuple(text.split("\n")) if text else ()
        (n_members, n_signals), n_places = state["centre"].shape, state["word"].shape[0]
        if len(names) != n_signals:
            raise CheckpointError(
                f"the array 'names' holds {len(names)} names; it should hold {n_signals}, as "
                "'centre' does"
            )
        if state["inputs"].shape != (n_members, 2 * n_signals):
            raise CheckpointError(
                f"the array 'inputs' has the shape {list(state['inputs'].shape)}; it should be "
                f"[{n_members}, {2 * n_signals}]"
            )
        if n_places not in (0, N_PLACES):
            raise CheckpointError(
                f"the array 'word' has {n_places} numbers; it should be {N_PLACES}, or none"
            )
        return cls(
            names=names,
            base=state["base"],
            learned=Learned(
                Scaling(state["centre"], state["scale"]),
                state["inputs"],
                state["word"],
                state["bias"],
                state["slope"],
            ),
            factor=float(state["factor"][0]),
        )

    @staticmethod
    def layout() -> dict[str, Row]:
        """The layout of the arrays of `state`."""
        return {
            "names": Row("uint8", "n"),
            "base": Row("float32", "N"),
            "factor": Row("float64", "1", low=0, high=1),
            "centre": Row("float32", "Nf"),
            "scale": Row("float32", "f"),
            "inputs": Row("float32", "Ng"),
            "word": Row("float32", "d"),
            "bias": Row("float32", "N"),
            "slope": Row("float32", "N"),
        }


def _read(replies: Replies, names: Sequence[str]) -> FloatArray:
    """float32[R, F]: signals by name; NaN where the replies have none of that name."""
    there = frozenset(replies.names)
    known = [i for i, name in enumerate(names) if name in there]
    found = np.full((replies.shape[0], len(names)), np.nan, dtype=np.float32)
    if known:
        found[:, known] = replies.signals([names[i] for i in known])
    return found

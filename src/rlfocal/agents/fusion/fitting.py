"""The pool's own weights of Fusion: a conditional logit on all members and on random subsets.

The same convex problem as `strategies.stacking`, with weights that depend on which members are
absent, a bias of each option's position, and the prior's opinion as one more signal; fitted for
every inner fold on the others and once on everything. The penalties are chosen by out-of-fold
likelihood: from the prior's opinion alone up to weights of each member on each task in each
company.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.fusion.opinion import PriorOnPool
from rlfocal.agents.fusion.votes import Votes
from rlfocal.agents.known import OutOfFold
from rlfocal.numbers import log_odds
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, FloatArray, ResponseTable
from rlfocal.strategies.single import sound_accuracy, task_accuracy
from rlfocal.strategies.stacking.likelihood import choices_of
from rlfocal.strategies.stacking.weights import LEAST, PENALTIES, WeightModel, cross_fit

__all__ = ["Lesson", "as_called", "draw_lessons", "fit_votes", "random_subsets"]

_PROOF = 0.5
"""Standard errors by which votes that depart further from the prior's opinion must be better."""
_N_LESSONS = 5
"""Ways to reveal each training query: all members, and random subsets."""


class Lesson(NamedTuple):
    """The training queries with some of their members revealed."""

    asked: BoolArray
    """bool[Q, N]."""
    signal: FloatArray
    """float32[Q, C]: the opinion of a prior that does not know the query's fold."""


def draw_lessons(
    table: ResponseTable,
    held_out: OutOfFold,
    prior: PriorOnPool,
    *,
    rng: np.random.Generator,
) -> list[Lesson]:
    """Reveal all members, and several times random subsets of them, as far as they are recorded.

    Args: as of `fit_votes`.
    """
    whole = table.is_complete
    accuracy = table.member_score.mean(axis=0) if whole else sound_accuracy(table)
    masks = [np.ones((table.n_queries, table.n_members), dtype=bool)]
    masks += [random_subsets(accuracy, table.n_queries, rng=rng) for _ in range(_N_LESSONS - 1)]
    if table.reads is not None:
        masks = [as_called(table.reads, mask) for mask in masks]
    if not table.is_recorded:  # a missing record cannot be revealed
        masks = [mask & table.recorded for mask in masks]
    return [Lesson(mask, prior.of_table(table, mask, held_out)) for mask in masks]


def fit_votes(
    table: ResponseTable,
    held_out: OutOfFold,
    prior: PriorOnPool,
    *,
    rng: np.random.Generator,
) -> Votes:
    """Fit E sets of weights: one without each inner fold, the last one on everything.

    Args:
        table: labelled training queries.
        held_out: what is known of these queries out of fold.
        prior: the prior on this pool, with a copy for each fold.
        rng: draws the subsets.
    """
    fold, n_folds = held_out.fold, len(prior.copies) - 1
    lessons = draw_lessons(table, held_out, prior, rng=rng)
    graded, reply_shift = table.has_graded_support, held_out.reply_shift
    copies = table.without_texts().take(np.tile(np.arange(table.n_queries), len(lessons)))
    choices = choices_of(
        copies,
        graded=graded,
        asked=np.concatenate([lesson.asked for lesson in lessons]),
        shift=None if reply_shift is None else np.tile(reply_shift, (len(lessons), 1)),
        prior=np.concatenate([lesson.signal for lesson in lessons]),
    )

    def model(rows: ResponseTable) -> WeightModel:
        """Log-odds of accuracy, the unknown task last."""
        member = log_odds(sound_accuracy(rows), least=LEAST)
        task = np.vstack([log_odds(task_accuracy(rows), least=LEAST), member])
        return WeightModel.from_log_odds(
            member, task, graded=graded, company=True, with_prior=True,
            with_shift=reply_shift is not None,
            n_positions=0 if table.is_open.all() else table.n_candidates,
        )  # fmt: skip

    models = [model(table.take(fold != k)) for k in range(n_folds)]
    # A query counts once, however many of its subsets are fitted.
    penalties = [(len(lessons) * own, len(lessons) * task) for own, task in PENALTIES]
    # The prior deserves more trust than a few labels; lessons of one query are not independent.
    proof = _PROOF * math.sqrt(len(lessons))
    best, thetas = cross_fit(choices, np.tile(fold, len(lessons)), models, penalties, proof=proof)
    models.append(model(table))
    thetas.append(models[-1].fit(choices, *penalties[best], start=thetas[0]))
    fitted = [model.weights(theta) for model, theta in zip(models, thetas, strict=True)]
    arrays = [np.stack(parts).astype(np.float32) for parts in zip(*fitted, strict=True)]
    if len(table.tasks) == 1:  # then a query whose task is not told is of that one
        for array in arrays:
            array[:, 1] = array[:, 0]
    weight, none_bias, company, position = arrays
    return Votes(weight, none_bias, company, position, reads_replies=reply_shift is not None)


def as_called(reads: Reads, masks: BoolArray) -> BoolArray:
    """bool[B, N]: masks that can occur, since nobody is asked before whom it reads.

    Readers without all whom they read are left out; where nobody else was in, those are added.

    Args:
        reads: who reads whom.
        masks: bool[B, N].
    """
    missing = (~masks).astype(np.float32) @ reads.closure.T.astype(np.float32)
    kept = masks & (missing == 0)
    alone = ~kept.any(axis=1, keepdims=True)
    return np.asarray(kept | (alone & (masks | reads.expanded(masks, np.zeros_like(masks)))))


def random_subsets(
    order: NDArray[np.floating], n_rows: int, *, rng: np.random.Generator
) -> BoolArray:
    """bool[B, N], never empty: any size alike; half the rows prefer accurate members.

    Args:
        order: float[N], the members' accuracies.
        n_rows: B.
        rng: draws them.
    """
    n_members = len(order)
    size = rng.integers(1, n_members + 1, size=(n_rows, 1))
    lean = (rng.random((n_rows, 1)) < 0.5) * 10.0
    rank = (-(rng.random((n_rows, n_members)) + lean * order)).argsort(axis=1).argsort(axis=1)
    return np.asarray(rank < size)

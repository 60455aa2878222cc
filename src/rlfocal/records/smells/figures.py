"""Figures that data bring along, held against what labels and answers say: two for one thing.

Scores of responses, the accuracy that the source states, option scores beside the letter given.
Which of the two is right is the reader's to find out; the line says which one counts here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.records.schema import is_signal
from rlfocal.records.smells.beside_labels import Rows, cut, fitted, worst

__all__ = ["FIGURES"]

ROUNDING = 0.005
"""Up to which an accuracy may be rounded where it is stated."""
FEW = 10
"""Right and wrong replies at least, to say how well a signal tells them apart."""
LEAKS = 0.995
"""Area under the curve beyond which a signal knows too much."""
AT_LEAST = 5
"""Responses whose options contradict their letter."""


def _two_figures(rows: Rows) -> Iterator[str]:
    """Scores that the data bring along, where the label says otherwise."""
    table, responses = rows.table, rows.responses
    score = responses["score"].combine_chunks()
    if score.null_count == len(score):
        return
    both = np.asarray(pc.and_(score.is_valid(), rows.label.is_valid()).to_numpy(False), dtype=bool)
    at, query, member = rows.in_table(both)
    if not len(at):
        return
    theirs = score.fill_null(0).to_numpy()[at]
    ours = table.member_score[query, member]
    differ = (np.abs(theirs - ours) >= 0.5) & table.scored[query, member]
    if not differ.any():
        return
    n = table.n_members
    worse = np.bincount(member[differ], minlength=n)
    count = np.maximum(np.bincount(member, minlength=n), 1)
    their_mean = np.bincount(member, theirs, minlength=n) / count
    our_mean = np.bincount(member, ours, minlength=n) / count
    listed = [
        f"{cut(table.members[m], 40)} {100 * their_mean[m]:.1f} % by scores, "
        f"{100 * our_mean[m]:.1f} % here"
        for m in np.argsort(-worse, kind="stable").tolist()
        if worse[m]
    ]
    row, pair = rows.pair(at[differ])
    such = f"; such as {pair}, score {score[row].as_py():g}" if pair else ""
    yield fitted(
        lambda most, shows: (
            f"two figures: of {len(at):,} responses with a score and a label, "
            f"{int(differ.sum()):,} are judged otherwise by the score: {worst(listed, most)}"
            f"{such if shows else ''}; the label counts"
        )
    )


def _stated(rows: Rows) -> Iterator[str]:
    """Accuracies that the source states, where neither scores nor labels give them."""
    table, stated = rows.table, rows.dataset.info.member_accuracy
    if not stated or table.n_queries < rows.queries.num_rows:
        return  # of a part, the accuracy is another one
    scored, score = table.scored, np.where(table.scored, table.member_score, 0)
    means = _means_of_scores(rows)
    found = []
    for number, name in enumerate(table.members):
        count = int(scored[:, number].sum())
        if name not in stated or not count:
            continue
        total = float(score[:, number].sum())
        tasks = [
            score[own, number].sum() / scored[own, number].sum()
            for own in (table.task == t for t in range(len(table.tasks)))
            if scored[own, number].any()
        ]
        # what is missing may count as wrong, and a mean may be one over tasks
        ours = (total / count, total / table.n_queries, float(np.mean(tasks)), means[number])
        theirs = stated[name]
        if all(not abs(theirs - own) <= ROUNDING + 1e-6 for own in ours):
            found.append((-abs(theirs - ours[0]), number, theirs, ours[0]))
    if found:
        first, *others = (
            (cut(table.members[m]), f"{100 * theirs:.1f} %", f"{100 * ours:.1f} %")
            for _, m, theirs, ours in sorted(found)
        )
        listed = [
            f"the source says {first[0]} {first[1]}, labels and answers give {first[2]}",
            *(f"{name} {theirs}, {ours}" for name, theirs, ours in others),
        ]
        yield fitted(
            lambda most, shows: (
                f"`member_accuracy`: {worst(listed, most)}; labels and answers count; are these "
                "the same queries, compared alike?"
            )
        )


def _means_of_scores(rows: Rows) -> NDArray[np.float64]:
    """float64[N]: mean of each member's own scores, NaN where it has none."""
    score = rows.responses["score"].combine_chunks()
    known = np.asarray(score.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    member, n = rows.member[known], rows.table.n_members
    total = np.bincount(member, score.drop_null().to_numpy(), minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / np.bincount(member, minlength=n))


def _options_against_letters(rows: Rows) -> Iterator[str]:
    """Members whose letter is mostly not the option that they score best."""
    if "choice_scores" not in rows.responses.column_names:
        return
    column = rows.responses["choice_scores"].combine_chunks()
    letter = rows.answer
    is_letter = pc.match_substring_regex(letter, "^[A-Z]$").fill_null(False)
    known = pc.and_(pc.and_(column.is_valid(), is_letter), pc.list_value_length(column).is_valid())
    at = np.flatnonzero(np.asarray(known.to_numpy(zero_copy_only=False), dtype=bool))
    at = at[pc.greater(pc.list_value_length(column.take(pa.array(at))), 0).to_numpy(False)]
    if not len(at):
        return
    lists = column.take(pa.array(at))
    length = pc.list_value_length(lists).to_numpy(False).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(length)[:-1]])
    flat = np.asarray(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float64)
    letters = "".join(letter.take(pa.array(at)).to_pylist()).encode()
    own = np.frombuffer(letters, dtype=np.uint8).astype(np.int64) - ord("A")
    given = flat[start + np.minimum(own, length - 1)]
    best, least = np.maximum.reduceat(flat, start), np.minimum.reduceat(flat, start)
    fits = (own < length) & np.isfinite(best) & np.isfinite(least)
    member, n = rows.member[at], rows.table.n_members
    count = np.bincount(member[fits], minlength=n)
    against = np.bincount(member[fits & (given < best)], minlength=n)
    lowest = np.bincount(member[fits & (given < best) & (given <= least)], minlength=n)
    found = np.flatnonzero((2 * against > count) & (against >= AT_LEAST))
    if not len(found):
        return
    order = found[np.argsort(-(against[found] / count[found]), kind="stable")]
    listed = [
        f"{cut(rows.table.members[m], 40)} ({against[m]:,} of {count[m]:,})" for m in order.tolist()
    ]
    upside_down = 2 * int(lowest[found].sum()) > int(against[found].sum())
    remedy = (
        "the smallest is: turn their sign around, larger must mean likelier"
        if upside_down
        else "are they in the order of `choices`?"
    )
    yield fitted(
        lambda most, shows: (
            "`choice_scores`: the largest is another option's than the letter in `answer`: "
            f"{worst(listed, most)}; {remedy}"
        )
    )


def _leaks(rows: Rows) -> Iterator[str]:
    """Signals of the user's own that tell right from wrong as only the label can."""
    table = rows.table
    for name in filter(is_signal, rows.responses.column_names):
        column = rows.responses[name].combine_chunks()
        known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        at, query, member = rows.in_table(known)
        usable = table.scored[query, member] & (table.answer[query, member] >= 0)
        value = column.to_numpy(zero_copy_only=False)[at[usable]]
        right = table.member_score[query, member][usable] > 0.5
        if min(right.sum(), (~right).sum()) < FEW:
            continue
        auc = _area(value, right)
        if abs(auc - 0.5) >= LEAKS - 0.5:
            yield (
                f"{name}: tells right from wrong almost without an error (AUC {auc:.3f} on "
                f"{len(right):,} replies): was it made from labels or scores? Then strategies that "
                "read it look better than they are; leave it out"
            )


def _area(value: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Chance that a right reply has the larger value than a wrong one; ties count half."""
    _, place, count = np.unique(value, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    n_right = int(right.sum())
    below = rank[right].sum() - n_right * (n_right + 1) / 2
    return float(below / (n_right * (len(right) - n_right)))


FIGURES: tuple[Callable[[Rows], Iterator[str]], ...] = (
    _two_figures,
    _stated,
    _options_against_letters,
    _leaks,
)

"""Figures of the pool itself: member accuracies, focal diversity of subsets.

They describe all recorded answers and know nothing of strategies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlfocal.bench.summaries.subsets import SubsetScores
from rlfocal.markup import Html, table
from rlfocal.numbers import wilson
from rlfocal.records import IntArray, ResponseTable
from rlfocal.report.drawing import plot
from rlfocal.report.drawing.colours import N_STEPS
from rlfocal.report.drawing.svg import group, tag
from rlfocal.report.html import Choice, chart, legend
from rlfocal.report.labels import interval, number, percent
from rlfocal.report.leaderboard import interval_bar

__all__ = ["focal_chart", "focal_sentence", "member_table"]

_BAR_PX = 260
_FEW = 300
"""So many dots have room to be larger."""
_SIZES = {"wide": (960.0, 460.0), "narrow": (360.0, 340.0)}


def member_table(responses: ResponseTable) -> Html:
    """Show each member's accuracy with its 95 % interval, the most accurate on top."""
    mean = responses.member_accuracy
    low, high = wilson(mean, np.maximum(responses.scored.sum(axis=0), 1))
    head = ["Member", "", "Accuracy", "95 % interval", "Answered"]
    n_columns = len(head) - responses.is_complete
    scale = (float(low.min()), float(high.max()))
    rows = []
    for i in np.argsort(-mean, kind="stable"):
        value, bounds = float(mean[i]), (float(low[i]), float(high[i]))
        rows.append([
            responses.members[i],
            interval_bar(value, bounds, scale, width_px=_BAR_PX),
            percent(value),
            Html(f'<span class="ci">{interval(bounds)}</span>'),
            percent(float(responses.coverage[i])),
        ][:n_columns])  # fmt: skip
    return table(head[:n_columns], rows, label="Member accuracies", classes="members")


def focal_chart(scores: SubsetScores) -> Html:
    """Draw focal diversity against vote accuracy: one dot a subset, coloured by its size."""
    which = "a sample of" if scores.is_sample else "all"
    aid = (
        f"Each dot is one of {which} {len(scores.size):,} subsets of the pool, voting on "
        f"{scores.n_queries:,} recorded queries; compare dots of one colour, because larger "
        "subsets differ in both for other reasons."
    )
    sizes = np.unique(scores.size)
    groups = np.array_split(sizes, min(len(sizes), N_STEPS))
    drawings = [_scatter(scores, groups, *size, name) for name, size in _SIZES.items()]
    keys = legend([(_members(of), f"step{_step(i, len(groups))}") for i, of in enumerate(groups)])
    choice = Choice("Focal diversity", Html("".join(drawings)), _by_size(scores), keys)
    return chart("focal", aid, [choice])


def _step(index: int, count: int) -> int:
    """Spread few colours over the whole scale."""
    return 1 + round(index * (N_STEPS - 1) / max(count - 1, 1))


def _members(sizes: IntArray) -> str:
    first, last = int(sizes[0]), int(sizes[-1])
    return f"{first} members" if first == last else f"{first} to {last} members"


def _scatter(
    scores: SubsetScores, groups: Sequence[IntArray], width: float, height: float, variant: str
) -> Html:
    vote = 100 * scores.vote
    frame = plot.frame(
        width, height,
        xs=[float(scores.focal.min()), float(scores.focal.max())],
        ys=[float(vote.min()), float(vote.max())],
        x_title="focal diversity", y_title="accuracy of the plurality vote, %",
    )  # fmt: skip
    parts = []
    for index, sizes in enumerate(groups):
        of_sizes = np.isin(scores.size, sizes)
        places = zip(scores.focal[of_sizes], vote[of_sizes], strict=True)
        dots = "".join(f"M{frame.x(x):.1f} {frame.y(y):.1f}h0" for x, y in places)
        look = f"series step{_step(index, len(groups))}"
        path = tag("path", d=dots, class_="dots few" if len(vote) <= _FEW else "dots")
        parts.append(group([path], class_=look, title=_members(sizes), data_series=index))
    return plot.sheet(width, height, [*frame.axes, *parts], class_=variant)


def _by_size(scores: SubsetScores) -> Html:
    plain, partial = scores.correlations(), scores.correlations(given_members=True)
    nan = float("nan")
    rows = []
    for size in np.unique(scores.size).tolist():
        of_size = scores.size == size
        rows.append([
            str(size), f"{int(of_size.sum()):,}", number(float(scores.focal[of_size].mean()), 3),
            percent(float(scores.vote[of_size].mean())), percent(float(scores.vote[of_size].max())),
            number(plain.get(size, nan)), number(partial.get(size, nan)),
        ])  # fmt: skip
    head = ["Members", "Subsets", "Mean focal diversity", "Mean vote", "Best vote"]
    head += ["Correlation", "Partial correlation"]
    return table(head, rows, label="Subsets by size")


def focal_sentence(scores: SubsetScores) -> str:
    """State in words how focal diversity goes with vote accuracy among subsets of one size."""
    plain, partial = scores.correlations(), scores.correlations(given_members=True)
    if not plain:
        return "No size has enough subsets to correlate focal diversity with vote accuracy."
    r = float(np.median(list(plain.values())))
    limits = (
        " Both are measured on the same answers: this describes the pool in hindsight and does not "
        "show that choosing by diversity would help on new queries."
    )
    said = (
        f"Among subsets of one size, {_direction(r)}: the correlation is {number(r)} in the median"
        " over sizes."
    )
    if not partial:
        return said + limits
    given = float(np.median(list(partial.values())))
    return (
        f"{said} Among subsets whose members are also equally accurate on average, "
        f"{_direction(given)}: the partial correlation is {number(given)}.{limits}"
    )


def _direction(correlation: float) -> str:
    """Put a correlation into words; the borders 0.2 and 0.5 are ours."""
    if abs(correlation) < 0.2:
        return "focal diversity says hardly anything about how well a subset votes"
    strength = "somewhat" if abs(correlation) < 0.5 else "clearly"
    return f"more diverse ones vote {strength} {'more' if correlation > 0 else 'less'} accurately"

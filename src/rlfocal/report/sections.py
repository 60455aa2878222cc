"""The sections of the report, each made from a benchmark's result and the recorded answers.

Chooses what to show and says how to read it; numbers come from `subsets`, `selection` and the
benchmark, figures from `figures` and `pool_figures`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from rlfocal.bench import BenchResult, History
from rlfocal.bench.budgets import REFERENCES
from rlfocal.bench.result import BEST_SINGLE
from rlfocal.bench.summaries.subsets import SubsetScores, score_subsets
from rlfocal.diversity.pairwise import PAIRWISE, pair_counts
from rlfocal.markup import Html, table
from rlfocal.numbers import Float64Array, wilson
from rlfocal.records import ResponseTable
from rlfocal.report import figures, pool_figures
from rlfocal.report.calibration import calibration
from rlfocal.report.figures import Point, Run
from rlfocal.report.html import Choice, Section, chart, details, paragraphs
from rlfocal.report.labels import interval, money, number, percent
from rlfocal.report.leaderboard import equal_cost, leaderboard
from rlfocal.report.selection import selection_shares
from rlfocal.report.verdict import verdict

__all__ = ["sections"]

CELL_PX, NAMES_PX = 40, 190
"""Room that one column of cells and the row names need on a narrow screen."""


def sections(
    result: BenchResult, responses: ResponseTable, *, rng: np.random.Generator
) -> Iterator[Section]:
    """Yield the sections in reading order; those with nothing to show are left out."""
    yield Section("finding", "Finding", paragraphs(verdict(result), first_class="lead"))
    yield Section("leaderboard", "Leaderboard", _leaderboard(result))
    if result.budgets:
        yield Section("equal-cost", "At equal cost", equal_cost(result))
    yield Section("cost", "Accuracy against cost", _cost(result))
    if result.calibration:
        yield Section("calibration", "Calibration", calibration(result))
    yield Section("members", "Members", _members(responses))
    yield Section("diversity", "Diversity", _diversity(responses, rng))
    shares = selection_shares(result, responses)
    if shares:
        yield Section("selection", "Who gets asked", _selection(shares, responses))
    if result.histories:
        yield Section("training", "Training", _training(result.histories))
    yield Section("method", "How this was measured", _method(result, responses))


def _leaderboard(result: BenchResult) -> Html:
    said = (
        "Accuracy on queries that nothing was fitted on. Gains are paired with the best single "
        "member, which each fold chooses on its training queries; better and worse stand only "
        "where the 95 % interval excludes zero. The oracle asks whoever is right and bounds what "
        "choosing among members can reach."
    )
    parts = [paragraphs([said]), leaderboard(result)]
    commands = [[row.strategy, row.command] for row in result.rows if row.command]
    if commands:
        shown = table(["Strategy", "Command"], commands, label="Commands", classes="prose")
        parts.append(details("How to train and serve each of them", shown))
    if result.not_applicable:
        reasons = sorted(result.not_applicable.items())
        left_out = table(["Strategy", "Why"], reasons, label="Not applicable", classes="prose")
        parts += [Html("<h3>Not applicable to this data</h3>"), left_out]
    return Html("\n".join(parts))


def _points(result: BenchResult, price: Callable[[object], float | None]) -> list[Point]:
    """Settings of every strategy but the references, where `price` knows what they cost."""
    found = []
    for row in result.rows:
        if row.strategy in REFERENCES:
            continue
        if row.strategy in result.frontiers:
            settings = [(price(p), p.accuracy, p.dial) for p in result.frontiers[row.strategy]]
            found += [Point(row.strategy, x, y, dial) for x, y, dial in settings if x is not None]
        if (x := price(row)) is not None:
            found.append(Point(row.strategy, x, row.accuracy))
    return found


def _cost(result: BenchResult) -> Html:
    references = {row.strategy: row.accuracy for row in result.rows if row.strategy in REFERENCES}
    named = {
        row.strategy for row in result.rows if row.learned or row.strategy.startswith(BEST_SINGLE)
    }
    axes = (
        ("mean calls a query", "Calls", "mean_calls", lambda x: number(x, 2)),
        ("mean dollars a query", "Dollars", "mean_cost_usd", money),
    )
    choices = []
    for title, label, field, shown in axes:
        points = _points(result, lambda row, field=field: getattr(row, field))  # type: ignore[misc]
        if not points:
            continue
        figure = figures.frontier_figure(points, references=references, x_title=title, named=named)
        rows = [
            [
                p.strategy,
                "default" if p.dial is None else f"{p.dial:g}",
                shown(p.x),
                percent(p.accuracy),
            ]
            for p in points
        ]
        head = ["Strategy", "Setting", label, "Accuracy"]
        choices.append(Choice(title, figure, table(head, rows, label="Accuracy against cost")))
    if not choices:
        return paragraphs(["No strategy but the references ran."])
    aid = (
        "Up and to the left is better; each line is one strategy fitted once and run at several "
        "settings of its dial, and a diamond is a strategy that nothing shown beats at its price."
    )
    return chart("frontier", aid, choices, pick="Cost as")


def _members(responses: ResponseTable) -> Html:
    mean, n_known = responses.member_accuracy, np.maximum(responses.scored.sum(axis=0), 1)
    low, high = wilson(mean, n_known)
    head, coverage = ["Member", "Accuracy", "95 % interval"], responses.coverage
    if not responses.is_complete:
        head.append("Answered")
    order = np.argsort(-mean, kind="stable")
    rows = [
        [responses.members[i], percent(float(mean[i])), interval((float(low[i]), float(high[i]))),
         percent(float(coverage[i]))][: len(head)]
        for i in order
    ]  # fmt: skip
    choice = Choice(
        "accuracy",
        pool_figures.member_figure(mean, n_known, members=responses.members),
        table(head, rows, label="Member accuracies"),
    )
    aid = (
        f"Accuracy of each member alone on all {responses.n_queries:,} recorded queries, with its "
        "95 % interval; an answer that could not be used counts as wrong"
        + ("." if responses.is_complete else ", one that is missing does not count at all.")
    )
    parts = [chart("member-accuracy", aid, [choice])]
    if len(responses.tasks) > 1:
        accuracy = responses.member_task_accuracy[order]
        names = [responses.members[i] for i in order]
        parts.append(
            chart(
                "member-tasks",
                "Accuracy of each member on each task; where the strongest member changes from "
                "column to column, choosing by task can pay.",
                [_cells(100 * accuracy, names, responses.tasks, "Accuracy by task", digits=1)],
                min_width_px=NAMES_PX + CELL_PX * len(responses.tasks),
            )
        )
    return Html("\n".join(parts))


def _cells(
    values: Float64Array, rows: Sequence[str], columns: Sequence[str], title: str, *, digits: int
) -> Choice:
    """Cells without bounds, with their numbers as a table."""
    figure = figures.cells_figure(values, rows=rows, columns=columns, title=f"{title}, %")
    return Choice(title, figure, _numbers(values, rows, columns, title, digits=digits))


def _numbers(
    values: Float64Array, rows: Sequence[str], columns: Sequence[str], title: str, *, digits: int
) -> Html:
    cells = [
        [name, *(number(float(v), digits) for v in line)]
        for name, line in zip(rows, values, strict=True)
    ]
    return table(["", *columns], cells, label=title)


def _diversity(responses: ResponseTable, rng: np.random.Generator) -> Html:
    complete = responses.complete
    if not complete.any():
        why = "No query was answered by every member, so how they fail together is not known."
        return Html(paragraphs([why]))
    counts = pair_counts(responses.failed[complete])
    choices = []
    for name, measure in PAIRWISE.items():
        values, names = measure(counts), responses.members
        title = f"{name.replace('_', ' ')}, higher = more diverse"
        values = np.where(np.eye(len(values), dtype=bool), np.nan, values)
        figure = figures.cells_figure(values, rows=names, columns=names, title=title, digits=2)
        numbers = _numbers(values, names, names, title, digits=2)
        choices.append(Choice(name.replace("_", " "), figure, numbers))
    pairs = chart(
        "pairs",
        "How differently each pair of members fails, by the chosen measure, oriented so that "
        "higher is always more diverse; 0 of Q, correlation and kappa means no association."
        + ("" if complete.all() else f" Of the {int(complete.sum()):,} queries that all answered."),
        choices,
        pick="Measure",
        min_width_px=NAMES_PX + CELL_PX * min(responses.n_members, 16),
    )
    scores = score_subsets(responses, rng=rng)
    if scores is None:
        why = (
            "Answers cannot be compared on this data, so there is no vote to set diversity against."
        )
        return Html(f"{pairs}\n{paragraphs([why])}")
    return Html(
        f"{pairs}\n<h3>Does focal diversity tell which subsets vote well?</h3>\n{_focal(scores)}"
    )


def _focal(scores: SubsetScores) -> Html:
    which = "a sample of" if scores.is_sample else "all"
    aid = (
        f"Each dot is one of {which} {len(scores.size):,} subsets of the pool, voting on "
        f"{scores.n_queries:,} recorded queries; compare dots of one colour, because larger "
        "subsets differ in both for other reasons."
    )
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
    choice = Choice(
        "focal", pool_figures.focal_figure(scores), table(head, rows, label="Subsets by size")
    )
    return Html(paragraphs([pool_figures.focal_sentence(scores)]) + chart("focal", aid, [choice]))


def _selection(shares: Mapping[str, Float64Array], responses: ResponseTable) -> Html:
    title = "asked, % of queries"
    together = np.array([share[:, -1] for share in shares.values()]).T
    matrices = {"all, over all tasks": (together, list(shares))}
    if len(responses.tasks) > 1:
        tasks = list(responses.tasks)
        matrices |= {f"{name}, by task": (share[:, :-1], tasks) for name, share in shares.items()}
    choices = []
    for name, (share, columns) in matrices.items():
        figure = figures.cells_figure(
            100 * share, rows=responses.members, columns=columns, title=title, bounds=(0, 100)
        )
        numbers = _numbers(100 * share, responses.members, columns, title, digits=1)
        choices.append(Choice(name, figure, numbers))
    return chart(
        "shares",
        "On what share of the tested queries a strategy asked each member, at the setting of its "
        "leaderboard row; strategies that always ask the same members are not listed.",
        choices,
        pick="Strategy",
        min_width_px=NAMES_PX + CELL_PX * max(len(columns) for _, columns in matrices.values()),
    )


def _training(histories: Sequence[History]) -> Html:
    keys = dict.fromkeys(key for h in histories for point in h.iterations for key in point)
    first = [key for key in ("reward", "accuracy", "mean_calls") if key in keys]
    order = [*first, *sorted(k for k in keys if k not in first and k != "step")]
    choices = []
    for key in order:
        runs = list(_runs(histories, key))
        if runs:
            label = key.replace("_", " ")
            figure = figures.training_figure(runs, y_title=label)
            choices.append(Choice(label, figure, _ends(runs, label)))
    if not choices:
        return paragraphs(["Training left no curves."])
    return chart(
        "curves",
        "Each thin line is one training run (one fold and seed), the thick line the median of a "
        "strategy's runs; a curve that still rises at its end had more to learn. Where one part is "
        "trained after another, the curve starts anew with each.",
        choices,
        pick="Show",
    )


def _runs(histories: Sequence[History], key: str) -> Iterator[Run]:
    for history in histories:
        pairs = [
            (float(point.get("step", i)), float(point[key]))
            for i, point in enumerate(history.iterations)
            if key in point and np.isfinite(point[key])
        ]
        if pairs:
            step, value = np.array(pairs).T
            yield Run(history.strategy, f"fold {history.fold}, seed {history.seed}", step, value)


def _ends(runs: Sequence[Run], label: str) -> Html:
    rows = [
        [f"{r.strategy}, {r.label}", f"{r.step[-1]:g}", number(float(r.value[0]), 4),
         number(float(r.value[-1]), 4), number(float(r.value.max()), 4)]
        for r in runs
    ]  # fmt: skip
    head = ["Run", "Steps", "First", "Last", "Highest"]
    return table(head, rows, label=f"Training: {label}")


def _method(result: BenchResult, responses: ResponseTable) -> Html:
    protocol = result.protocol
    how = (
        "the data set's own split: fitted on train, tested on test"
        if protocol.use_split
        else f"{protocol.n_folds} folds, stratified by task; no prompt in two of them"
    )
    texts = [
        f"Queries were divided by {how}. Everything, thresholds included, was fitted on training "
        f"queries only, and policies were frozen while tested. Seeds run: {protocol.n_seeds}; "
        "a strategy without randomness runs once.",
        f"Intervals are 95 % bootstrap intervals ({protocol.n_resamples:,} resamples of queries), "
        "gains paired query by query. Only calls that were made are counted. Member and diversity "
        "figures describe all recorded answers; they are not held-out results.",
    ]
    notes = [*dict.fromkeys((*result.notes, *responses.notes))]
    environment = [[str(key), str(value)] for key, value in result.environment.items()]
    parts = [paragraphs(texts)]
    if notes:
        items = "\n".join(f"<li>{Html(paragraphs([note]))}</li>" for note in notes)
        parts.append(Html(f"<h3>Notes on the data</h3>\n<ul>{items}</ul>"))
    if environment:
        shown = table(["Environment", ""], environment, label="Environment", classes="prose")
        parts.append(details("Environment", shown))
    return Html("\n".join(parts))

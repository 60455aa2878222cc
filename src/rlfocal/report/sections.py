"""The sections of the report, each made from a benchmark's result and the recorded answers.

Chooses what to show and says how to read it; numbers come from `subsets`, `selection` and the
benchmark, drawings from the module of each kind of figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from rlfocal.advice import Advice
from rlfocal.bench import BenchResult
from rlfocal.bench.summaries.reading import Readings
from rlfocal.bench.summaries.subsets import score_subsets
from rlfocal.diversity.pairwise import PAIRWISE, pair_counts
from rlfocal.markup import Html, table
from rlfocal.numbers import Float64Array
from rlfocal.records import ResponseTable
from rlfocal.report.calibration import calibration
from rlfocal.report.frontier import cost_section
from rlfocal.report.heat import heat_table
from rlfocal.report.highlights import highlights
from rlfocal.report.html import Choice, Section, chart, details, paragraphs
from rlfocal.report.leaderboard import equal_cost, leaderboard
from rlfocal.report.pool_figures import focal_chart, focal_sentence, member_table
from rlfocal.report.readers import readers_section
from rlfocal.report.selection import selection_shares
from rlfocal.report.training import training

__all__ = ["sections"]


def sections(
    result: BenchResult,
    responses: ResponseTable,
    advice: Advice | None,
    *,
    rng: np.random.Generator,
    readings: Readings | None = None,
) -> Iterator[Section]:
    """Yield the sections in reading order; those with nothing to show are left out.

    Args:
        result: of the benchmark.
        responses: the table it ran on.
        advice: `advise(result)`; pictures show what is advised in colour.
        rng: draws subsets and queries of the diversity figure.
        readings: of members that read others; None where nobody does.
    """
    hues = highlights(result, advice)
    yield Section("leaderboard", "Leaderboard", _leaderboard(result))
    if result.budgets:
        yield Section("equal-cost", "At equal cost", equal_cost(result))
    yield Section("cost", "Accuracy against cost", cost_section(result, hues))
    if result.calibration:
        yield Section("calibration", "Calibration", calibration(result, hues))
    yield Section("members", "Members", _members(responses))
    if readings is not None:
        yield Section("readers", "Who reads whom", readers_section(readings))
    yield Section("diversity", "Diversity", _diversity(responses, rng))
    shares = selection_shares(result, responses)
    if shares:
        yield Section("selection", "Who gets asked", _selection(shares, responses))
    if result.histories:
        yield Section("training", "Training", training(result.histories, hues))
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


def _members(responses: ResponseTable) -> Html:
    said = (
        f"Accuracy of each member alone on all {responses.n_queries:,} recorded queries, with its "
        "95 % interval; an answer that could not be used counts as wrong"
        + ("." if responses.is_complete else ", one that is missing does not count at all.")
    )
    parts = [paragraphs([said]), member_table(responses)]
    if len(responses.tasks) > 1:
        order = np.argsort(-responses.member_accuracy, kind="stable")
        cells = heat_table(
            100 * responses.member_task_accuracy[order],
            rows=[responses.members[i] for i in order],
            columns=responses.tasks,
            label="Accuracy by task, %",
        )
        aid = (
            "Accuracy of each member on each task, in per cent; where the strongest member changes "
            "from column to column, choosing by task can pay."
        )
        parts.append(chart("member-tasks", aid, [Choice("Accuracy by task", cells)]))
    return Html("\n".join(parts))


def _diversity(responses: ResponseTable, rng: np.random.Generator) -> Html:
    complete = responses.complete
    if not complete.any():
        why = "No query was answered by every member, so how they fail together is not known."
        return Html(paragraphs([why]))
    counts = pair_counts(responses.failed[complete])
    choices = []
    for measure, values_of in PAIRWISE.items():
        values, names = values_of(counts), responses.members
        values = np.where(np.eye(len(values), dtype=bool), np.nan, values)
        label = measure.replace("_", " ")
        cells = heat_table(values, rows=names, columns=names, label=label, digits=2)
        choices.append(Choice(label, cells))
    pairs = chart(
        "pairs",
        "How differently each pair of members fails, by the chosen measure, oriented so that "
        "higher is always more diverse; 0 of Q, correlation and kappa means no association."
        + ("" if complete.all() else f" Of the {int(complete.sum()):,} queries that all answered."),
        choices,
        pick="Measure",
    )
    scores = score_subsets(responses, rng=rng)
    if scores is None:
        why = (
            "Answers cannot be compared on this data, so there is no vote to set diversity against."
        )
        return Html(f"{pairs}\n{paragraphs([why])}")
    return Html(
        f"{pairs}\n<h3>Does focal diversity tell which subsets vote well?</h3>\n"
        f"{paragraphs([focal_sentence(scores)])}{focal_chart(scores)}"
    )


def _selection(shares: Mapping[str, Float64Array], responses: ResponseTable) -> Html:
    together = np.array([share[:, -1] for share in shares.values()]).T
    matrices = {"all, over all tasks": (together, list(shares))}
    if len(responses.tasks) > 1:
        tasks = list(responses.tasks)
        matrices |= {f"{name}, by task": (share[:, :-1], tasks) for name, share in shares.items()}
    choices = [
        Choice(
            name,
            heat_table(
                100 * share, rows=responses.members, columns=columns, label=name, bounds=(0, 100)
            ),
        )
        for name, (share, columns) in matrices.items()
    ]
    return chart(
        "shares",
        "On what share of the tested queries, in per cent, a strategy asked each member, at the "
        "setting of its leaderboard row; strategies that always ask the same members are not "
        "listed.",
        choices,
        pick="Strategy",
    )


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

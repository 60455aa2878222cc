"""Training curves: a small plot for each quantity that training logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlfocal.bench import History
from rlfocal.markup import Html, table
from rlfocal.numbers import Float64Array
from rlfocal.report.drawing import plot
from rlfocal.report.drawing.colours import N_HUES
from rlfocal.report.drawing.svg import group, line_path, tag
from rlfocal.report.html import Choice, chart, details, legend, panel, panels, paragraphs
from rlfocal.report.labels import number

__all__ = ["Run", "median_curve", "training"]

_SIZE = (300.0, 220.0)
_MOST_POINTS = 120
"""Points of a curve; more are not seen at its size."""
_FIRST = ("reward", "accuracy", "mean_calls")


@dataclass(frozen=True, eq=False)
class Run:
    """One training run's value of one quantity."""

    strategy: str
    label: str
    """Which run: fold and seed."""
    step: Float64Array
    """float64[K], increasing."""
    value: Float64Array
    """float64[K]."""


def training(histories: Sequence[History], hues: Mapping[str, int]) -> Html:
    """Make the section: plots of what tells most, the others folded away, and where curves end.

    Args:
        histories: of all runs.
        hues: from `highlights`; strategies without one get one that is free.
    """
    keys = dict.fromkeys(key for h in histories for point in h.iterations for key in point)
    first = [key for key in _FIRST if key in keys]
    order = [*first, *sorted(key for key in keys if key not in first and key != "step")]
    quantities = {
        key.replace("_", " "): runs for key in order if (runs := list(_runs(histories, key)))
    }
    if not quantities:
        return paragraphs(["Training left no curves."])
    names = list(dict.fromkeys(history.strategy for history in histories))
    own = _own_hues(names, hues)
    drawings = [_panel(label, runs, own) for label, runs in quantities.items()]
    most = sum(label.replace(" ", "_") in first for label in quantities) or 1
    aid = (
        "Each thin line is one training run (one fold and seed), the thick line the median of a "
        "strategy's runs; a curve that still rises at its end had more to learn. Where one part is "
        "trained after another, the curve starts anew with each."
    )
    rest = panels(drawings[most:])
    shown = panels(drawings[:most])
    if drawings[most:]:
        shown = Html(f"{shown}\n{details(f'Other quantities ({len(drawings) - most})', rest)}")
    keys_of = legend([(name, plot.colour(own.get(name))) for name in names])
    return chart("curves", aid, [Choice("training", shown, _ends(quantities), keys_of)])


def _own_hues(names: Sequence[str], hues: Mapping[str, int]) -> dict[str, int]:
    own = {name: hues[name] for name in names if name in hues}
    free = [hue for hue in range(1, N_HUES + 1) if hue not in own.values()]
    return own | dict(zip([name for name in names if name not in own], free, strict=False))


def _panel(label: str, runs: Sequence[Run], hues: Mapping[str, int]) -> Html:
    frame = plot.frame(
        *_SIZE,
        xs=[0.0, *(float(run.step[-1]) for run in runs)],
        ys=[float(end) for run in runs for end in (run.value.min(), run.value.max())],
        x_title="training step",
        y_title="",
    )
    parts = []
    for index, name in enumerate(dict.fromkeys(run.strategy for run in runs)):
        of_name = [run for run in runs if run.strategy == name]
        curves = [(run.step, run.value, "line thin") for run in of_name if len(of_name) > 1]
        curves.append((*median_curve(of_name), "line"))
        lines = [
            tag("path", d=line_path(_thinned(frame, step, value)), class_=look)
            for step, value, look in curves
        ]
        colour = plot.colour(hues.get(name))
        parts.append(group(lines, class_=f"series {colour}", title=name, data_series=index))
    drawing = plot.sheet(*_SIZE, [*frame.axes, *parts])
    return panel(label, drawing, label=f"Training curves of {label}")


def _thinned(
    frame: plot.Frame, step: Float64Array, value: Float64Array
) -> list[tuple[float, float]]:
    kept = np.unique(np.linspace(0, len(step) - 1, _MOST_POINTS).round().astype(int))
    return [(frame.x(s), frame.y(v)) for s, v in zip(step[kept], value[kept], strict=True)]


def median_curve(runs: Sequence[Run]) -> tuple[Float64Array, Float64Array]:
    """Return the median of runs over the steps that at least half of them reached.

    Runs may stop early and log at different steps, so each is interpolated between its own.

    Returns:
        float64[K] steps and float64[K] medians.
    """
    steps = np.unique(np.concatenate([run.step for run in runs]))
    values = np.array(
        [np.interp(steps, run.step, run.value, left=np.nan, right=np.nan) for run in runs]
    )
    reached = np.isfinite(values).sum(axis=0) * 2 >= len(runs)
    median: Float64Array = np.nanmedian(values[:, reached], axis=0)
    return steps[reached], median


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


def _ends(quantities: Mapping[str, Sequence[Run]]) -> Html:
    rows = [
        [label, f"{r.strategy}, {r.label}", f"{r.step[-1]:g}", number(float(r.value[0]), 4),
         number(float(r.value[-1]), 4), number(float(r.value.max()), 4)]
        for label, runs in quantities.items()
        for r in runs
    ]  # fmt: skip
    return table(["Quantity", "Run", "Steps", "First", "Last", "Highest"], rows, label="Training")

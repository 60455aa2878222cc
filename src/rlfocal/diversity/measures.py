"""Every ensemble measure under its name, so that a command or report can show all of them.

To add one: write a function (`failed: bool[Q, N]`, `masks: bool[B, N]`) -> float64[B] that is
higher for more diverse ensembles and gives the low end of its range for fewer than two members, add
a line to `MEASURES`, and a naive loop to the tests. Another package names an `EnsembleMeasure` by
an entry point of the group `rlfocal.measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from rlfocal.diversity.ensemble import entropy, fleiss_kappa, generalised_diversity, mean_pairwise
from rlfocal.diversity.focal import FailureCounts
from rlfocal.diversity.masks import BoolArray, FloatArray, check_failed
from rlfocal.diversity.pairwise import PAIRWISE, pair_counts
from rlfocal.errors import ConfigError
from rlfocal.plugins import Registry

__all__ = ["GROUP", "MEASURES", "EnsembleMeasure", "measures"]

GROUP = "rlfocal.measures"


@dataclass(frozen=True)
class EnsembleMeasure:
    """A diversity measure of ensembles; call it with `failed` and a block of masks.

    Attributes:
        title: what to call it in a table or figure.
        low: lower end of the range; the value of an ensemble of fewer than two members.
        high: upper end of the range.
        score: (`failed: bool[Q, N]`, `masks: bool[B, N]`) -> float64[B]; higher is more diverse.
    """

    title: str
    low: float
    high: float
    score: Callable[[BoolArray, BoolArray], FloatArray]

    def __call__(self, failed: BoolArray, masks: BoolArray) -> FloatArray:
        """Score a block of ensembles.

        Args:
            failed: bool[Q, N], True where member n fails query q; Q >= 1.
            masks: bool[B, N].

        Returns:
            float64[B] in [low, high]; higher is more diverse.

        Raises:
            ValueError: arrays of another shape or dtype, or no query.
        """
        return self.score(failed, masks)


def _mean_pairwise(name: str, low: float, failed: BoolArray, masks: BoolArray) -> FloatArray:
    """Mean of the named pairwise measure over the pairs of each ensemble."""
    return mean_pairwise(PAIRWISE[name](pair_counts(failed)), masks, least=low)


def _focal(failed: BoolArray, masks: BoolArray) -> FloatArray:
    """Focal diversity; whoever scores many blocks keeps the FailureCounts instead."""
    return FailureCounts.from_failed(check_failed(failed)).focal(masks)


def _pairwise(title: str, name: str, *, low: float) -> EnsembleMeasure:
    return EnsembleMeasure(title, low, 1.0, partial(_mean_pairwise, name, low))


MEASURES: Mapping[str, EnsembleMeasure] = MappingProxyType(
    {
        "focal-diversity": EnsembleMeasure("Focal diversity", 0.0, 1.0, _focal),
        "generalised-diversity": EnsembleMeasure(
            "Generalised diversity", 0.0, 1.0, generalised_diversity
        ),
        "entropy": EnsembleMeasure("Entropy", 0.0, 1.0, entropy),
        "fleiss-kappa": EnsembleMeasure("Fleiss' kappa, negated", -1.0, 1.0, fleiss_kappa),
        "q-statistic": _pairwise("Q statistic, negated (mean of pairs)", "q-statistic", low=-1.0),
        "correlation": _pairwise("Correlation, negated (mean of pairs)", "correlation", low=-1.0),
        "kappa": _pairwise("Cohen's kappa, negated (mean of pairs)", "kappa", low=-1.0),
        "disagreement": _pairwise("Disagreement (mean of pairs)", "disagreement", low=0.0),
        "double-fault": _pairwise("1 - double fault (mean of pairs)", "double-fault", low=0.0),
    }
)
"""The built-in ensemble measures by name; higher = more diverse in each."""


def measures() -> dict[str, EnsembleMeasure]:
    """The ensemble measures by name: the built-in ones, then those of other packages.

    Raises:
        ConfigError: an entry point leads to nothing, or to something else.
    """
    added = Registry(GROUP, "measure", {})
    found = dict(MEASURES)
    for name in added.names():
        measure = added.load(name)
        if not isinstance(measure, EnsembleMeasure):
            raise ConfigError(
                f"entry point '{name}' of {GROUP} is no rlfocal.diversity.EnsembleMeasure, but "
                f"{type(measure).__name__}"
            )
        found.setdefault(name, measure)
    return found

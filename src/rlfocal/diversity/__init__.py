"""How independently members fail: pairwise and ensemble measures, focal diversity, subset search.

Everything starts from `failed: bool[Q, N]`, True where member n fails query q, and every measure is
oriented so that higher = more diverse. Knows nothing of answers, costs or strategies.
"""

from rlfocal.diversity.copies import ALIKE, NearCopies, near_copies
from rlfocal.diversity.ensemble import entropy, fleiss_kappa, generalised_diversity, mean_pairwise
from rlfocal.diversity.focal import MAX_ENUMERATED_MEMBERS, FailureCounts
from rlfocal.diversity.genetic import Evolution
from rlfocal.diversity.masks import masks_from_codes
from rlfocal.diversity.measures import MEASURES, EnsembleMeasure, measures
from rlfocal.diversity.pairwise import (
    PAIRWISE,
    PairCounts,
    correlation,
    disagreement,
    double_fault,
    kappa,
    pair_counts,
    q_statistic,
)
from rlfocal.diversity.ranking import Objective
from rlfocal.diversity.subsets import SubsetRanking, best_subsets, weighted_sum

__all__ = [
    "ALIKE",
    "MAX_ENUMERATED_MEMBERS",
    "MEASURES",
    "PAIRWISE",
    "EnsembleMeasure",
    "Evolution",
    "FailureCounts",
    "NearCopies",
    "Objective",
    "PairCounts",
    "SubsetRanking",
    "best_subsets",
    "correlation",
    "disagreement",
    "double_fault",
    "entropy",
    "fleiss_kappa",
    "generalised_diversity",
    "kappa",
    "masks_from_codes",
    "mean_pairwise",
    "measures",
    "near_copies",
    "pair_counts",
    "q_statistic",
    "weighted_sum",
]

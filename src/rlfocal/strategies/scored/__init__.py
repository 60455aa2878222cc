"""Simple strategies that read replies: what a reply says beyond its answer weighs its vote."""

from rlfocal.strategies.scored.best import BestOfN, ScoreCascade
from rlfocal.strategies.scored.confidence import ConfidenceVote
from rlfocal.strategies.scored.mince import MinCe
from rlfocal.strategies.scored.posterior import EvidenceCascade
from rlfocal.strategies.scored.stacking import EvidenceStacking

__all__ = [
    "BestOfN",
    "ConfidenceVote",
    "EvidenceCascade",
    "EvidenceStacking",
    "MinCe",
    "ScoreCascade",
]

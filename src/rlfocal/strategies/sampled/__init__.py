"""References of several samples of one member: what as many calls buy without a second model."""

from rlfocal.strategies.sampled.consistency import SelfConsistency
from rlfocal.strategies.sampled.early_samples import (
    AdaptiveConsistency,
    EarlyStoppingConsistency,
)

__all__ = ["AdaptiveConsistency", "EarlyStoppingConsistency", "SelfConsistency"]

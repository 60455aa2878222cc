"""Supervised fusion of all answers by a conditional logit: the strategy, and its arithmetic."""

from rlfocal.strategies.stacking.strategy import Stacking

__all__ = ["Stacking"]

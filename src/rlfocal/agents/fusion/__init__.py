"""Fusion: from the asked members' answers to the probability of each candidate, or of none."""

from rlfocal.agents.fusion.net import Fusion, FusionInput, fusion_input
from rlfocal.agents.fusion.prior_signal import PriorSignal
from rlfocal.agents.fusion.training import fit_fusion

__all__ = ["Fusion", "FusionInput", "PriorSignal", "fit_fusion", "fusion_input"]

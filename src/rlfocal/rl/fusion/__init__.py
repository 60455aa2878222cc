"""Fusion: from the asked members' answers to the probability of each candidate, or of none."""

from rlfocal.rl.fusion.hints import Hints
from rlfocal.rl.fusion.net import Fusion, FusionInput, fusion_input
from rlfocal.rl.fusion.training import fit_fusion

__all__ = ["Fusion", "FusionInput", "Hints", "fit_fusion", "fusion_input"]

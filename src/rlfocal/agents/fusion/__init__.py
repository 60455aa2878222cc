"""Fusion: from the asked members' answers to the probability of each candidate, or of none."""

from rlfocal.agents.fusion.fitting import fit_votes
from rlfocal.agents.fusion.opinion import Opinion, PriorOnPool
from rlfocal.agents.fusion.votes import Judged, Votes

__all__ = ["Judged", "Opinion", "PriorOnPool", "Votes", "fit_votes"]

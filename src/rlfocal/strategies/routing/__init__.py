"""Routers predict each member's score from the query alone, and ask the most promising member.

The routed vote asks several of them.
"""

from rlfocal.strategies.routing.hiershrink import HierShrinkRouter
from rlfocal.strategies.routing.kmeans import KMeansRouter
from rlfocal.strategies.routing.knn import KnnRouter
from rlfocal.strategies.routing.logistic import LogisticRouter
from rlfocal.strategies.routing.vote import RoutedVote

__all__ = ["HierShrinkRouter", "KMeansRouter", "KnnRouter", "LogisticRouter", "RoutedVote"]

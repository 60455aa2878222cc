"""Routers predict each member's score from the query alone, and ask the most promising member."""

from rlfocal.strategies.routing.kmeans import KMeansRouter
from rlfocal.strategies.routing.knn import KnnRouter
from rlfocal.strategies.routing.logistic import LogisticRouter

__all__ = ["KMeansRouter", "KnnRouter", "LogisticRouter"]

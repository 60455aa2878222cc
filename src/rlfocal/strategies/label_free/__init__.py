"""Votes whose weights are found without a label: from how often members agree with one another.

Both estimate one number a member, the chance that its answer is right, so they do for answers of
every kind. Models with a table of confusions (Dawid-Skene, MACE) need answers that mean the same on
every query, which option letters and numbers do not; `benchmarks/peers.py` runs them beside these.

What agrees is taken for right. Members that fail together, near-copies of one another above all,
are believed too much: `trusts_agreement` is True, and a benchmark warns where a pool has them.
"""

from rlfocal.strategies.label_free.m_msr import MatrixMeanSubsequence
from rlfocal.strategies.label_free.one_coin import OneCoin

__all__ = ["MatrixMeanSubsequence", "OneCoin"]

"""Conversations with live members beside recorded strategies: held on the same folds, and costed.

They are measured on the tested queries; what they learn, they learn on training queries alone.
"""

from rlfocal.bench.talks.figures import with_live_figures
from rlfocal.bench.talks.held import Talked, hold_talks, queries_of

__all__ = ["Talked", "hold_talks", "queries_of", "with_live_figures"]

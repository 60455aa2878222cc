"""A trained strategy with live members: a query goes in, an answer and its trace come out.

The strategies are those of replay, and what they are shown is made by the same rules.
"""

from rlfocal.live.board import Board, Reply
from rlfocal.live.ensemble import Ensemble, LiveQuery
from rlfocal.live.trace import Round, Said, Trace

__all__ = ["Board", "Ensemble", "LiveQuery", "Reply", "Round", "Said", "Trace"]

"""A trained strategy with live members: a query goes in, an answer and its trace come out.

The strategies are those of replay, and what they are shown is made by the same rules.
"""

from rlfocal.live.answering import Answer, Listener
from rlfocal.live.ensemble import Ensemble, LiveQuery, members_for
from rlfocal.live.trace import Round, Said, Trace

__all__ = ["Answer", "Ensemble", "Listener", "LiveQuery", "Round", "Said", "Trace", "members_for"]

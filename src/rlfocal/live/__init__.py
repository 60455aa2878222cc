"""A trained strategy with live members: a query goes in, an answer and its trace come out.

The strategies are those of replay, and what they are shown is made by the same rules.
"""

from rlfocal.live.answering import Answer, Answering, Limits, Listener
from rlfocal.live.ensemble import Ensemble, members_for
from rlfocal.live.query import FREE_WORDS, LiveQuery
from rlfocal.live.trace import Round, Said, Trace

__all__ = [
    "FREE_WORDS",
    "Answer",
    "Answering",
    "Ensemble",
    "Limits",
    "Listener",
    "LiveQuery",
    "Round",
    "Said",
    "Trace",
    "members_for",
]

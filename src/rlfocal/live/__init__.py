"""A trained strategy with live members: a query goes in, an answer and its trace come out.

The strategies are those of replay, and their views are made by the same rules.
"""

from rlfocal.deliberation.trace import CallRecord, Round, Trace
from rlfocal.live.answering import Answering
from rlfocal.live.ensemble import LiveEnsemble, members_for
from rlfocal.live.given.alternatives import Alternative
from rlfocal.live.given.answer import Answer, Limits, Listener
from rlfocal.live.reading import FREE_WORDS
from rlfocal.pool.asking.question import Question

__all__ = [
    "FREE_WORDS",
    "Alternative",
    "Answer",
    "Answering",
    "CallRecord",
    "Limits",
    "Listener",
    "LiveEnsemble",
    "Question",
    "Round",
    "Trace",
    "members_for",
]

"""What a reply says beyond its answer: numbers by name, and hashed words, nothing from a label.

Recorded and live replies are read by the same functions, so that what was learned is what is used.
"""

from rlfocal.records.signals.registry import Family, families, family_names
from rlfocal.records.signals.reply import SeenReply
from rlfocal.records.signals.store import Replies, ReplyStore
from rlfocal.records.signals.words import Words
from rlfocal.tokens import TokenLogprobs

__all__ = [
    "Family",
    "Replies",
    "ReplyStore",
    "SeenReply",
    "TokenLogprobs",
    "Words",
    "families",
    "family_names",
]

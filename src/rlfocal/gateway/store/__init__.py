"""What a gateway keeps in its database: keys, money, requests, feedback, policies."""

from rlfocal.gateway.store.keys import Key, KeyLimits, KeyUse, KeyWithDigest, NewKey
from rlfocal.gateway.store.ledger import Admitted, Refused
from rlfocal.gateway.store.rows import Event, FeedbackRow, PolicyRow, RequestRow, Spent
from rlfocal.gateway.store.store import Store, open_store, read_store
from rlfocal.gateway.store.writer import Counts, Writer, WriterBusy

__all__ = [
    "Admitted",
    "Counts",
    "Event",
    "FeedbackRow",
    "Key",
    "KeyLimits",
    "KeyUse",
    "KeyWithDigest",
    "NewKey",
    "PolicyRow",
    "Refused",
    "RequestRow",
    "Spent",
    "Store",
    "Writer",
    "WriterBusy",
    "open_store",
    "read_store",
]

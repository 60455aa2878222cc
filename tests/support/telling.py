"""Tables whose replies tell more than their answers, as much as a test wants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlfocal.records import ResponseTable
from rlfocal.records.signals import Replies, ReplyStore, SeenReply

__all__ = ["with_signal"]


def with_signal(table: ResponseTable, told: float, seed: int = 0) -> ResponseTable:
    """The table with a signal that differs by `told` standard deviations where a reply is right."""
    noise = np.random.default_rng(seed).standard_normal(table.answer.shape)
    sure = (told * (table.member_score - 0.5) + noise).ravel()
    store = ReplyStore([SeenReply(text=None, given={"sure": x}) for x in sure.tolist()], ["sure"])
    row = np.arange(sure.size, dtype=np.int64).reshape(table.answer.shape)
    return replace(table, replies=Replies(store, row))

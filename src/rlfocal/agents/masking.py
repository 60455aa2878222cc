"""Mask inputs that a setting switches off (query text, task), in training and in use.

Neither the agents nor the rivals that act in their place see what is masked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import ResponseTable

__all__ = ["masked_memory", "masked_table", "masked_view"]


def masked_table(table: ResponseTable, config: RlFocalConfig) -> ResponseTable:
    """A table of training queries without what the settings mask; unchanged by default."""
    if not config.query_text:
        table = replace(table, features=np.zeros((table.n_queries, 0), dtype=np.float32))
    if not config.task_known:
        table = replace(table, tasks=("unknown",), task=np.zeros_like(table.task))
    return table


def masked_view(view: View, config: RlFocalConfig) -> View:
    """A view without what the settings mask; unchanged by default."""
    if not config.query_text:
        view = replace(view, features=np.zeros((len(view), 0), dtype=np.float32))
    if not config.task_known:
        view = replace(view, task=np.zeros_like(view.task))
    return view


def masked_memory(memory: Memory, config: RlFocalConfig) -> Memory:
    """Recent labelled queries without what the settings mask; unchanged by default."""
    return memory if config.task_known else replace(memory, task=np.zeros_like(memory.task))

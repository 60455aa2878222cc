"""Hide from agents, in training and in acting alike, what a setting says they shall do without.

Whatever is fitted or decides behind these functions cannot know what they leave out: not the
agents, not the rivals that act in their place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import ResponseTable

__all__ = ["memory_seen", "table_seen", "view_seen"]


def table_seen(table: ResponseTable, config: RlFocalConfig) -> ResponseTable:
    """A table of training queries as the agents may see it: the same one by default."""
    if not config.query_text:
        table = replace(table, features=np.zeros((table.n_queries, 0), dtype=np.float32))
    if not config.task_known:
        table = replace(table, tasks=("unknown",), task=np.zeros_like(table.task))
    return table


def view_seen(view: View, config: RlFocalConfig) -> View:
    """A view as the agents may see it: the same one by default."""
    if not config.query_text:
        view = replace(view, features=np.zeros((len(view), 0), dtype=np.float32))
    if not config.task_known:
        view = replace(view, task=np.zeros_like(view.task))
    return view


def memory_seen(memory: Memory, config: RlFocalConfig) -> Memory:
    """Recent labelled queries as the agents may see them: the same ones by default."""
    return memory if config.task_known else replace(memory, task=np.zeros_like(memory.task))

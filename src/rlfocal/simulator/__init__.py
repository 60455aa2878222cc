"""Simulated pools: where a prior over pools learns to fuse and to stop before it meets a real one.

Knows numpy and the records; nothing of agents, nets or strategies.
"""

from rlfocal.simulator.choices import SimulatedPool, draw_answers
from rlfocal.simulator.ranges import VERSION, PoolSpec, draw_pool
from rlfocal.simulator.summary import Summary, summarise
from rlfocal.simulator.tables import to_table

__all__ = [
    "VERSION",
    "PoolSpec",
    "SimulatedPool",
    "Summary",
    "draw_answers",
    "draw_pool",
    "summarise",
    "to_table",
]

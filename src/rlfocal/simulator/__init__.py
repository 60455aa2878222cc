"""Simulated pools, on which a prior over pools learns to fuse and to stop.

Depends on numpy and the records only, not on agents, nets or strategies; `voices`, models for
blends whose next tokens are tables, on the pool.
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

"""Simulated pools: where a prior over pools learns to fuse and to stop before it meets a real one.

Knows numpy and the records; nothing of agents, nets or strategies.
"""

from rlfocal.rl.simulator.choices import SimulatedPool, draw_answers
from rlfocal.rl.simulator.ranges import VERSION, PoolSpec, draw_pool
from rlfocal.rl.simulator.summary import Summary, summarise
from rlfocal.rl.simulator.tables import to_table

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

"""A prior over pools: one Fusion and one Decider, learned from simulated pools, used on any pool.

A pool's labelled queries, none to thousands, enter as statistics; no gradient step is taken on it.
"""

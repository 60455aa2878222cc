"""RL-Focal and its kin as strategies: they act by trained agents."""

"""The agents of RL-Focal: observation, Fusion, the Decider, statistics of a pool, the prior."""

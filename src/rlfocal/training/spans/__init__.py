"""Training of policies that choose the weights of a blend, span by span (RLAE, arXiv:2506.00439).

`training` is the honest version: weights are drawn, their log-probabilities kept, the text so far
is seen, a critic is learned, and the reward comes once, at the end. `released` is what the
published code does, for comparison.
"""

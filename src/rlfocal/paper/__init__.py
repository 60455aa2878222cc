"""The preset `rl-focal-paper`: RL-Focal as published, with the released code's defects repaired."""

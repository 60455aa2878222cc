"""Figures of per-query rows, beside the leaderboard: confidences, and tasks that are hidden."""

"""The evaluation protocol: folds and seeds, paired intervals, the leaderboard."""

from rlfocal.bench.budgets import BudgetCell
from rlfocal.bench.leaderboard import TaskHidden
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.result import (
    BenchResult,
    FrontierPoint,
    History,
    LeaderboardRow,
    Verdict,
)
from rlfocal.bench.run import run_bench

__all__ = [
    "BenchResult",
    "BudgetCell",
    "EvalProtocol",
    "FrontierPoint",
    "History",
    "LeaderboardRow",
    "TaskHidden",
    "Verdict",
    "run_bench",
]

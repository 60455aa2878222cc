"""rlfocal: make several LLMs answer better than any one of them, at a known cost.

The names below are the public surface; `rlfocal.api` says what the verbs among them do. Each is
imported when it is first used, so that importing the package costs nothing, and reading data does
not need what training needs.

>>> import rlfocal
>>> checkpoint = rlfocal.train("demo", rlfocal.Agreement(threshold=0.8))
>>> outcome = rlfocal.replay(checkpoint.strategy, rlfocal.read_table("demo"))
>>> bool(outcome.score.mean() > 0.5)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlfocal.advice import Advice, advise
    from rlfocal.agents.prior.strategy import RlFocalPrior
    from rlfocal.api import (
        Ensemble,
        Picture,
        Pool,
        benchmark,
        evaluate,
        explain,
        from_dataframe,
        independence,
        inspect,
        load,
        picture,
        read_table,
        train,
    )
    from rlfocal.bench import BenchResult, EvalProtocol, run_bench
    from rlfocal.checkpoint import Checkpoint
    from rlfocal.deliberation.base import Base, OneRound
    from rlfocal.deliberation.protocol import Outcome, Spec, Strategy
    from rlfocal.deliberation.replay import replay
    from rlfocal.deliberation.view import Decision, Memory, View
    from rlfocal.deliberation.wrapper import Wrapper
    from rlfocal.diversity import FailureCounts, best_subsets
    from rlfocal.errors import (
        CheckpointError,
        ConfigError,
        MemberError,
        NobodyAnswered,
        NotApplicable,
        RecordError,
        RlfocalError,
    )
    from rlfocal.features import HashingEncoder
    from rlfocal.focal.posterior_threshold import PosteriorThreshold
    from rlfocal.focal.rl_focal import RlFocal
    from rlfocal.live import Answer, Limits, Listener
    from rlfocal.paper.strategy import RlFocalPaper
    from rlfocal.pool import Message
    from rlfocal.records import Dataset, ResponseTable, build_table, demo_dataset
    from rlfocal.records.built_in import localpool, localpool_readers
    from rlfocal.records.folders import read_dataset, write_dataset
    from rlfocal.report import write_report
    from rlfocal.strategies.agreement import Agreement
    from rlfocal.strategies.best_of import BestOf
    from rlfocal.strategies.capped import CappedAgreement
    from rlfocal.strategies.label_free import MatrixMeanSubsequence, OneCoin
    from rlfocal.strategies.oracle import Oracle
    from rlfocal.strategies.routing import (
        HierShrinkRouter,
        KMeansRouter,
        KnnRouter,
        LogisticRouter,
        RoutedVote,
    )
    from rlfocal.strategies.sampled import (
        AdaptiveConsistency,
        EarlyStoppingConsistency,
        SelfConsistency,
    )
    from rlfocal.strategies.scored import (
        BestOfN,
        ConfidenceVote,
        EvidenceCascade,
        EvidenceStacking,
        MinCe,
        ScoreCascade,
    )
    from rlfocal.strategies.single import (
        BestAlone,
        BestSingle,
        BestSinglePerTask,
        RandomMember,
    )
    from rlfocal.strategies.stacking import Stacking
    from rlfocal.strategies.static import StaticSubset
    from rlfocal.strategies.topla import Topla
    from rlfocal.strategies.voting import (
        MeanProbability,
        Plurality,
        WeightedVote,
        WeightedVotePerTask,
    )

__version__ = "0.1.0"

__all__ = [
    "AdaptiveConsistency",
    "Advice",
    "Agreement",
    "Answer",
    "Base",
    "BenchResult",
    "BestAlone",
    "BestOf",
    "BestOfN",
    "BestSingle",
    "BestSinglePerTask",
    "CappedAgreement",
    "Checkpoint",
    "CheckpointError",
    "ConfidenceVote",
    "ConfigError",
    "Dataset",
    "Decision",
    "EarlyStoppingConsistency",
    "Ensemble",
    "EvalProtocol",
    "EvidenceCascade",
    "EvidenceStacking",
    "FailureCounts",
    "HashingEncoder",
    "HierShrinkRouter",
    "KMeansRouter",
    "KnnRouter",
    "Limits",
    "Listener",
    "LogisticRouter",
    "MatrixMeanSubsequence",
    "MeanProbability",
    "MemberError",
    "Memory",
    "Message",
    "MinCe",
    "NobodyAnswered",
    "NotApplicable",
    "OneCoin",
    "OneRound",
    "Oracle",
    "Outcome",
    "Picture",
    "Plurality",
    "Pool",
    "PosteriorThreshold",
    "RandomMember",
    "RecordError",
    "ResponseTable",
    "RlFocal",
    "RlFocalPaper",
    "RlFocalPrior",
    "RlfocalError",
    "RoutedVote",
    "ScoreCascade",
    "SelfConsistency",
    "Spec",
    "Stacking",
    "StaticSubset",
    "Strategy",
    "Topla",
    "View",
    "WeightedVote",
    "WeightedVotePerTask",
    "Wrapper",
    "__version__",
    "advise",
    "benchmark",
    "best_subsets",
    "build_table",
    "demo_dataset",
    "evaluate",
    "explain",
    "from_dataframe",
    "independence",
    "inspect",
    "load",
    "localpool",
    "localpool_readers",
    "picture",
    "read_dataset",
    "read_table",
    "replay",
    "run_bench",
    "train",
    "write_dataset",
    "write_report",
]

_NAMES_OF = {
    "rlfocal.advice": "Advice advise",
    "rlfocal.api": (
        "Ensemble Picture Pool benchmark evaluate explain from_dataframe independence inspect load "
        "picture read_table train"
    ),
    "rlfocal.bench": "BenchResult EvalProtocol run_bench",
    "rlfocal.checkpoint": "Checkpoint",
    "rlfocal.deliberation.base": "Base OneRound",
    "rlfocal.deliberation.protocol": "Outcome Spec Strategy",
    "rlfocal.deliberation.replay": "replay",
    "rlfocal.deliberation.view": "Decision Memory View",
    "rlfocal.deliberation.wrapper": "Wrapper",
    "rlfocal.diversity": "FailureCounts best_subsets",
    "rlfocal.errors": (
        "CheckpointError ConfigError MemberError NobodyAnswered NotApplicable RecordError "
        "RlfocalError"
    ),
    "rlfocal.features": "HashingEncoder",
    "rlfocal.live": "Answer Limits Listener",
    "rlfocal.pool": "Message",
    "rlfocal.records": "Dataset ResponseTable build_table demo_dataset",
    "rlfocal.records.built_in": "localpool localpool_readers",
    "rlfocal.records.folders": "read_dataset write_dataset",
    "rlfocal.report": "write_report",
}
_HOME = {name: module for module, names in _NAMES_OF.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rlfocal' has no attribute '{name}'")
    home = _HOME.get(name) or _home_of_strategy(name)
    value = globals()[name] = getattr(import_module(home), name)
    return value


def _home_of_strategy(name: str) -> str:
    from rlfocal.deliberation.registry import BUILT_IN

    places = (place.partition(":") for place in BUILT_IN.values())
    return next(module for module, _, attribute in places if attribute == name)


def __dir__() -> list[str]:
    return __all__

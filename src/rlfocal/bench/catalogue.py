"""The strategies by their names on the command line; each is imported only when it is used.

Knows where strategies live, nothing of what they do.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from rlfocal.errors import ConfigError, nearest
from rlfocal.strategies.protocol import Reference, Strategy

__all__ = ["GROUPS", "STRATEGIES", "create", "resolve"]

STRATEGIES: dict[str, str] = {
    "oracle": "rlfocal.strategies.oracle:Oracle",
    "random": "rlfocal.strategies.single:RandomMember",
    "best-single": "rlfocal.strategies.single:BestSingle",
    "best-single-per-task": "rlfocal.strategies.single:BestSinglePerTask",
    "plurality": "rlfocal.strategies.voting:Plurality",
    "weighted-vote": "rlfocal.strategies.voting:WeightedVote",
    "weighted-vote-per-task": "rlfocal.strategies.voting:WeightedVotePerTask",
    "mean-probability": "rlfocal.strategies.voting:MeanProbability",
    "static-subset": "rlfocal.strategies.static:StaticSubset",
    "topla": "rlfocal.strategies.topla:Topla",
    "stacking": "rlfocal.strategies.stacking:Stacking",
    "knn-router": "rlfocal.strategies.routing:KnnRouter",
    "logistic-router": "rlfocal.strategies.routing:LogisticRouter",
    "kmeans-router": "rlfocal.strategies.routing:KMeansRouter",
    "routed-vote": "rlfocal.strategies.routing:RoutedVote",
    "agreement": "rlfocal.strategies.agreement:Agreement",
    "agreement-capped": "rlfocal.strategies.capped:CappedAgreement",
    "self-consistency": "rlfocal.strategies.consistency:SelfConsistency",
    "rl-focal-paper": "rlfocal.rl.paper.strategy:RlFocalPaper",
    "posterior-threshold": "rlfocal.rl.threshold:PosteriorThreshold",
    "rl-focal-prior": "rlfocal.rl.prior.strategy:RlFocalPrior",
    "rl-focal": "rlfocal.rl.strategy:RlFocal",
}
"""Name on the command line → where the class is."""

GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(STRATEGIES),
    "baselines": tuple(name for name in STRATEGIES if not name.startswith("rl-")),
}
"""Names that stand for several strategies."""


def resolve(names: Sequence[str]) -> tuple[str, ...]:
    """Expand groups and check every name.

    Args:
        names: names of strategies or groups, in any order; repeats count once.

    Returns:
        Names of strategies, in the order asked for.

    Raises:
        ConfigError: a name is unknown, or there is none.

    >>> resolve(["plurality", "oracle", "plurality"])
    ('plurality', 'oracle')
    """
    out: dict[str, None] = {}
    for name in names:
        if name not in STRATEGIES and name not in GROUPS:
            raise ConfigError(f"unknown strategy '{name}'; {nearest(name, [*STRATEGIES, *GROUPS])}")
        out.update(dict.fromkeys(GROUPS.get(name, (name,))))
    if not out:
        raise ConfigError(f"no strategy named; known: {', '.join([*STRATEGIES, *GROUPS])}")
    return tuple(out)


def create(name: str) -> Strategy | Reference:
    """Make an unfitted strategy with its default settings.

    Args:
        name: a key of `STRATEGIES`.

    Raises:
        ConfigError: the name is unknown, or what the strategy needs is not installed.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"unknown strategy '{name}'; {nearest(name, STRATEGIES)}")
    module, _, attribute = STRATEGIES[name].partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "torch":
            raise
        raise ConfigError(
            f"strategy '{name}' needs torch, which is not installed: pip install 'rlfocal[train]'"
        ) from exc
    strategy: Strategy | Reference = getattr(found, attribute)()
    return strategy

"""The strategies by their names; each is imported only when it is used.

Another package adds one by an entry point of the group `rlfocal.strategies` whose name is the
strategy's and whose object is its class:

    [project.entry-points."rlfocal.strategies"]
    my-vote = "my_package.vote:MyVote"

Holds the places of classes only: a wrong name is refused before anything heavy is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlfocal.errors import ConfigError, nearest
from rlfocal.plugins import Registry

if TYPE_CHECKING:
    from rlfocal.deliberation.base import Base
    from rlfocal.deliberation.protocol import Reference, Spec, Strategy

__all__ = ["BUILT_IN", "GROUP", "create", "create_strategy", "kind_of", "names", "resolve"]

GROUP = "rlfocal.strategies"

BUILT_IN: dict[str, str] = {
    "oracle": "rlfocal.strategies.oracle:Oracle",
    "random": "rlfocal.strategies.single:RandomMember",
    "best-single": "rlfocal.strategies.single:BestSingle",
    "best-alone": "rlfocal.strategies.single:BestAlone",
    "best-single-per-task": "rlfocal.strategies.single:BestSinglePerTask",
    "plurality": "rlfocal.strategies.voting:Plurality",
    "weighted-vote": "rlfocal.strategies.voting:WeightedVote",
    "weighted-vote-per-task": "rlfocal.strategies.voting:WeightedVotePerTask",
    "one-coin": "rlfocal.strategies.label_free:OneCoin",
    "m-msr": "rlfocal.strategies.label_free:MatrixMeanSubsequence",
    "mean-probability": "rlfocal.strategies.voting:MeanProbability",
    "static-subset": "rlfocal.strategies.static:StaticSubset",
    "topla": "rlfocal.strategies.topla:Topla",
    "stacking": "rlfocal.strategies.stacking:Stacking",
    "knn-router": "rlfocal.strategies.routing:KnnRouter",
    "logistic-router": "rlfocal.strategies.routing:LogisticRouter",
    "kmeans-router": "rlfocal.strategies.routing:KMeansRouter",
    "hiershrink-router": "rlfocal.strategies.routing:HierShrinkRouter",
    "routed-vote": "rlfocal.strategies.routing:RoutedVote",
    "agreement": "rlfocal.strategies.agreement:Agreement",
    "agreement-capped": "rlfocal.strategies.capped:CappedAgreement",
    "confidence-vote": "rlfocal.strategies.scored:ConfidenceVote",
    "best-of-n": "rlfocal.strategies.scored:BestOfN",
    "score-cascade": "rlfocal.strategies.scored:ScoreCascade",
    "evidence-stacking": "rlfocal.strategies.scored:EvidenceStacking",
    "evidence-cascade": "rlfocal.strategies.scored:EvidenceCascade",
    "mince": "rlfocal.strategies.scored:MinCe",
    "best-of": "rlfocal.strategies.best_of:BestOf",
    "self-consistency": "rlfocal.strategies.sampled:SelfConsistency",
    "adaptive-consistency": "rlfocal.strategies.sampled:AdaptiveConsistency",
    "early-consistency": "rlfocal.strategies.sampled:EarlyStoppingConsistency",
    "rl-focal-paper": "rlfocal.paper.strategy:RlFocalPaper",
    "posterior-threshold": "rlfocal.focal.posterior_threshold:PosteriorThreshold",
    "rl-focal-prior": "rlfocal.agents.prior.strategy:RlFocalPrior",
    "rl-focal": "rlfocal.focal.rl_focal:RlFocal",
}
"""Name → module and class."""
_STRATEGIES = Registry(GROUP, "strategy", BUILT_IN)
_NO_BASELINES = ("best-alone", "best-of", "rl-focal-paper", "rl-focal-prior", "rl-focal")
"""Not in the group "baselines": learned strategies, one that chooses among the others, and one that
stands in every benchmark of members that read one another, where alone it is another than the best
single. Listed here, since importing the classes would import torch for one of them."""
_NOT_QUICK = (
    "posterior-threshold", "best-of-n", "score-cascade", "evidence-stacking", "one-coin", "m-msr",
    "adaptive-consistency", "early-consistency", "mince",
)  # fmt: skip
"""Baselines that are not in the group "quick": they walk through all queries at every price, learn
from replies what "evidence-cascade" learns, too, do without the labels that are there, or spare
samples of one member."""
_QUICK_TOO = ("rl-focal-prior",)
"""Learned, yet in it: what it learned is in the package, and fitting counts."""


def names() -> tuple[str, ...]:
    """Names of all strategies: the built-in ones, then those of other packages."""
    return _STRATEGIES.names()


def groups() -> dict[str, tuple[str, ...]]:
    """Names that stand for several strategies."""
    every = names()
    baselines = tuple(name for name in every if name not in _NO_BASELINES)
    quick = tuple(name for name in baselines if name not in _NOT_QUICK) + _QUICK_TOO
    return {"all": every, "baselines": baselines, "quick": quick}


def resolve(wanted: Sequence[str]) -> tuple[str, ...]:
    """Expand groups and check every name.

    Args:
        wanted: names of strategies or groups, in any order; repeats count once.

    Returns:
        Names of strategies, in the order asked for.

    Raises:
        ConfigError: a name is unknown, or there is none.

    >>> resolve(["plurality", "oracle", "plurality"])
    ('plurality', 'oracle')
    """
    known, sets = names(), groups()
    out: dict[str, None] = {}
    for name in wanted:
        if name not in known and name not in sets:
            raise ConfigError(f"unknown strategy '{name}'; {nearest(name, [*known, *sets])}")
        out.update(dict.fromkeys(sets.get(name, (name,))))
    if not out:
        raise ConfigError(f"no strategy named; known: {', '.join([*known, *sets])}")
    return tuple(out)


def kind_of(name: str) -> type[Any]:
    """The class of a strategy.

    Raises:
        ConfigError: the name is unknown, or what the class needs is not installed.
    """
    kind: type[Any] = _STRATEGIES.load(name)
    return kind


def create(name: str, settings: Mapping[str, Any] | None = None) -> Strategy | Reference:
    """Make an unfitted strategy.

    Args:
        name: one of `names()`.
        settings: those that differ from the defaults.

    Raises:
        ConfigError: the name or a setting is unknown, a value is impossible, what the strategy
            needs is not installed, or the entry point leads to something else.
    """
    kind = kind_of(name)
    from rlfocal.deliberation.protocol import Reference, Strategy

    make = getattr(kind, "of", None)
    made = make(settings or {}) if make is not None else kind(**(settings or {}))
    if not isinstance(made, Strategy | Reference):
        lacking = [part for part in ("fit", "decide") if not hasattr(made, part)]
        raise ConfigError(
            f"strategy '{name}' ({kind.__module__}.{kind.__qualname__}) lacks "
            f"{', '.join(lacking) or 'spec, at, state or restore'}; derive it from "
            "rlfocal.deliberation.base.Base"
        )
    return made


def create_strategy(spec: Spec) -> Base:
    """Make an unfitted strategy that can be trained to disk and served.

    Raises:
        ConfigError: as `create`; or it is only a point of comparison, or not derived from `Base`.
    """
    made = create(spec.name, spec.settings)
    from rlfocal.deliberation.base import Base
    from rlfocal.deliberation.protocol import Strategy

    if isinstance(made, Strategy):
        if not isinstance(made, Base):
            raise ConfigError(
                f"'{spec.name}' can be benched, not trained to disk: derive its class from "
                "rlfocal.deliberation.base.Base"
            )
        if made.name != spec.name:
            raise ConfigError(
                f"the entry point '{spec.name}' leads to a strategy named '{made.name}': nobody "
                "would find it again; give both the same name"
            )
        return made
    raise ConfigError(
        f"'{spec.name}' is a point of comparison computed from recorded answers: it can be "
        "benched, not trained or served"
    )

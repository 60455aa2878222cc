"""`rl-focal`: ask in rounds, stop early, fuse; one fit for the whole accuracy/cost frontier."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.arrays import Weights, checked, rows_of
from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.drift import adapted
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.learned import Learned
from rlfocal.agents.observation import Observed
from rlfocal.agents.prior import decider as net
from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.configured import Trained
from rlfocal.deliberation.dial import checked_price
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import Need, RunState, State
from rlfocal.deliberation.state import Row, prefixed, without_prefix
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.extras import need
from rlfocal.focal.ask_all import AskAll
from rlfocal.focal.posterior_threshold import PosteriorThreshold, prices_of
from rlfocal.focal.stand_ins import (
    LEARNED,
    fallback_layout,
    fallback_state,
    fit_fallback,
    restore_fallback,
)
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.records.signals import Replies
from rlfocal.settings import Settings
from rlfocal.strategies.verdicts import Choice, deciding

if TYPE_CHECKING:
    from rlfocal.training.nets import PoolCritic
    from rlfocal.training.trainer import Trainer

__all__ = ["RlFocal"]

S = TypeVar("S", bound="RlFocal")


class RlFocal(Trained):
    """The Decider asks one member at a time until it stops; Fusion gives the posterior.

    Where rounds have a price or a limit, it asks several at a time. Its dial is lambda, the price
    of an average call as a fraction of what a right answer is worth. At prices at which a simple
    strategy did clearly better out of fold, that one acts in its place.

    Args:
        config: settings; None for the defaults.
    """

    name = "rl-focal"
    stochastic: ClassVar[bool] = True
    dial: ClassVar[str] = "price"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.QUERIES})
    packages = ("torch", *PosteriorThreshold.packages)
    former: ClassVar[tuple[str, ...]] = PosteriorThreshold.former

    config_type: ClassVar[type[Settings]] = RlFocalConfig
    config: RlFocalConfig

    def __init__(self, config: RlFocalConfig | None = None) -> None:
        super().__init__(config)
        self.price: float = self.config.default_price
        self.history_: list[dict[str, float]] = []

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Train on labelled queries."""
        run = self.begin(table, seed=int(rng.integers(2**62)), on_progress=self.on_progress)
        run.advance()
        return run.strategy()

    def begin(
        self,
        table: ResponseTable,
        *,
        seed: int,
        state: RunState | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> _Training[Self]:
        """Begin a training run, or resume one; see `Resumable`.

        Raises:
            NotInstalled: torch is missing; agents learn with it, and act without.
        """
        training = need("rlfocal.training.trainer", "training the agents")
        trainer = training.Trainer(
            table, self.config, seed=seed, critic=self.critic_type(training),
            on_progress=on_progress, state=state,
        )  # fmt: skip
        return _Training(self, trainer)

    def critic_type(self, training: ModuleType) -> type[PoolCritic]:
        """The critic that the Decider trains with.

        Args:
            training: the module `rlfocal.training.trainer`, which needs torch.
        """
        critic: type[PoolCritic] = training.PoolCritic
        return critic

    def training_table(self, table: ResponseTable) -> ResponseTable:
        """Return the table unchanged: the statistics have a row for the unknown task."""
        return table

    def adopt(self, trainer: Trainer) -> Self:
        """Take over a trainer's result so far, and judge it against simple rivals."""
        self.history_ = trainer.history
        decider = trainer.averaged_decider()
        fallback = fit_fallback(
            trainer.fitted_pool, decider, trainer.table, self.config,
            rng=np.random.default_rng(trainer.seed), executor=self.executor,
            on_progress=trainer.tell,
        )  # fmt: skip
        return self.assemble(trainer.fitted_pool, decider, fallback)

    def assemble(self, fitted_pool: FittedPool, decider: Weights, fallback: Choice) -> Self:
        """Put the strategy together from its trained parts."""
        self.fitted_pool_, self.decider_, self.fallback_ = fitted_pool, decider, fallback
        self._observer = fitted_pool.observer_of(self.config.rounds)
        self._changed = self._alone = False
        self._memory: Memory | None = None
        return self._with_acting_policy()

    # The policy that acts ----------------------------------------------------------------------

    def _with_acting_policy(self) -> Self:
        """Choose the policy that acts at the present price, in the present pool."""
        fitted_pool = self.fitted_pool_
        self._learned = Learned(
            self.config, fitted_pool, self.decider_, price=self.price, observer=self._observer
        )
        everybody = AskAll(fitted_pool, observer=self._observer)
        self._agents: Base = self._learned if self.price else everybody
        self._rival: Base | None = None
        if not (self._changed or self._alone):
            self._verdict, self._rival = self.fallback_.at(self.price)
        elif self.price == 0:
            self._rival = AskAll(fitted_pool, observer=self._observer if self._changed else None)
        if self._rival is not None and self._memory is not None and not self._changed:
            self._rival = self._rival.follow(self._memory)
        return self

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap, so from few calls to many; at 0 no call is spared."""
        return prices_of(self.config)

    def at(self, price: float) -> Self:
        """The same fitted strategy at another price.

        Raises:
            ValueError: a price outside the range that it was trained for.
        """
        within = self.config.price_min, self.config.price_max
        return self._with(price=checked_price(price, within=within))._with_acting_policy()

    def follow(self, memory: Memory) -> Self:
        """A copy adapted to the pool as recent labelled queries show it.

        Once the pool has more likely than not changed since training, no rival acts in place of the
        agents, since rivals cannot follow the change; before, those that use the prior do follow.
        """
        found = adapted(self.fitted_pool_, memory)
        observer = replace(found.observer, rounds=self.config.rounds)
        changes = {"_observer": observer, "_changed": found.has_changed, "_memory": memory}
        return self._with(**changes)._with_acting_policy()

    def alone(self) -> Self:
        """A copy without rivals, for a query of which a member has failed.

        Rivals earned their place where members answer; the agents were trained with members left
        out at random.
        """
        return self._with(_alone=True)._with_acting_policy()

    @property
    def acting(self) -> Acting:
        """The policy that acts at this price, the learned one or a rival, and why."""
        if not (self._changed or self._alone):
            verdict = self._verdict
            return Acting(verdict.chosen, verdict.explain(), verdict.chosen != verdict.incumbent)
        why = "the pool is another one than in training" if self._changed else "a member has failed"
        return Acting(LEARNED if self._rival is None else self._rival.name, why, False)

    def verdicts(self) -> list[dict[str, str | float]]:
        """The policy that acts at each price, and the evidence for it."""
        return [verdict._asdict() for verdict in self.fallback_.verdicts]

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, the most accurate in training first."""
        return self.fitted_pool_.statistics.ranking

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """The training log, iteration by iteration."""
        return self.history_

    # Decisions ---------------------------------------------------------------------------------

    def decide(self, view: View) -> Decision:
        """Ask one more member, or a round of them, or stop."""
        if self._rival is None:
            return self._learned.decide(view)
        untold = self._untold(view)
        if untold.all():
            return _decided(self._agents, view)
        found = _decided(self._rival, view)
        if untold.any():
            own = _decided(self._agents, view)
            for mine, rival in zip(own, found, strict=True):
                assert mine is not None  # both come from `_decided`
                assert rival is not None
                rival[untold] = mine[untold]
        return found

    def _untold(self, view: View) -> BoolArray:
        """bool[B]: where a task was to be told and was not; rivals were judged where it is."""
        n_tasks = len(self.fitted_pool_.statistics.task_accuracy) - 1
        return np.asarray((view.task >= n_tasks) & (n_tasks > 1))

    def chances(self, view: View, pending: BoolArray | None = None) -> FloatArray:
        """float32[B, N + 1]: probability of choosing each member next, and of enough (last).

        Args:
            view: what has been revealed.
            pending: bool[B, N], members chosen already for the round to come; None for none.
        """
        untold = self._untold(view)
        if self._rival is None or untold.all():
            return self._learned.chances(view, pending)
        found = _chance(self._rival.decide(view).ask & ~view.asked)
        if untold.any():
            found[untold] = self._learned.chances(view, pending)[untold]
        return found

    def observe(self, view: View, price: FloatArray | None = None) -> Observed:
        """The agents' observation of queries, also while a rival acts: see `Learned.observe`."""
        return self._learned.observe(view, price)

    def log_policy(
        self, view: View, price: FloatArray | None = None
    ) -> tuple[NDArray[np.float64], BoolArray]:
        """The Decider's own log-probabilities, whether or not a rival acts.

        Args:
            view: B queries.
            price: float32[B], lambda of each; None for the strategy's.

        Returns:
            float64[B, N + 1] of choosing each member next, and of enough (last); and what is legal,
            bool[B, N + 1].
        """
        return self._learned.log_policy(view, price)

    @property
    def reads_replies(self) -> bool:
        """Whether a score of replies was worth learning."""
        return self.fitted_pool_.reads_replies

    def judged_replies(self, view: View) -> Replies | None:
        """How the score judges the replies of a view, without what they say; None without one."""
        score = self.fitted_pool_.reply_score
        if score is None or view.replies is None:
            return None
        return Replies.of_judged(score.log_odds(view.replies))

    @property
    def explorable(self) -> bool:
        """Whether action probabilities are known: a round's would be a sum over many orders."""
        return self.config.rounds is None

    @property
    def unit_cost(self) -> float:
        """Cost of an average call in training."""
        return self.fitted_pool_.statistics.unit_cost

    def with_decider(self, decider: Weights, prices: Sequence[float]) -> Self:
        """The trained policy with another Decider that acts at some prices.

        The policy at a price between two of the dial's depends on both, so that it acts at both; at
        a price of the dial's it acts alone, since of its neighbours it has learned nothing.
        """
        verdicts = list(self.fallback_.verdicts)
        for price in prices:
            for place in deciding(verdicts, price):
                verdicts[place] = verdicts[place]._replace(chosen=LEARNED)
        other = type(self)(self.config)
        other.history_ = list(self.history_)
        fallback = self.fallback_._replace(verdicts=tuple(verdicts))
        return other.assemble(self.fitted_pool_, decider, fallback).at(self.price)

    # On disk -----------------------------------------------------------------------------------

    def state(self) -> State:
        """All arrays, by name."""
        return {
            **self.fitted_pool_.state(),
            **prefixed("decider", self.decider_),
            **fallback_state(self.fallback_, self.fitted_pool_),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        fitted_pool = FittedPool.restore(state)
        n_tasks, n_members = fitted_pool.statistics.task_accuracy.shape
        hidden = fitted_pool.prior.whole.prior.card.decider_hidden
        own = net.own_layers(
            n_members, n_tasks - 1, hidden, gathered=self.config.rounds is not None
        )
        try:
            decider = checked(without_prefix("decider", state), net.layers(hidden) | own)
        except (KeyError, RuntimeError) as exc:
            raise type(exc)(f"decider: {exc.args[0]}") from None
        fallback = restore_fallback(state, fitted_pool, self.config)
        return self.assemble(fitted_pool, decider, fallback)

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """What the arrays of `state` must be like."""
        rows = rows_of(present, "decider")
        rows |= fallback_layout(present, rows)
        return rows | FittedPool.layout(present, rows)

    def axes(self) -> dict[str, int]:
        """P prices."""
        return {"P": len(self.dials)}


class _Training(Generic[S]):
    """A run of a trainer that ends in a strategy; see `rlfocal.deliberation.protocol.Run`."""

    def __init__(self, strategy: S, trainer: Trainer) -> None:
        self._strategy, self._trainer = strategy, trainer

    @property
    def done(self) -> bool:
        return self._trainer.done

    def advance(self, n_steps: int | None = None) -> None:
        self._trainer.train(n_steps)

    def state(self) -> RunState:
        return self._trainer.state()

    def strategy(self) -> S:
        return self._strategy.adopt(self._trainer)


def _decided(policy: Base, view: View) -> Decision:
    """What a policy decides, as arrays of its own, with probabilities also where it has none."""
    found = policy.decide(view)
    chance = _chance(found.ask & ~view.asked) if found.chance is None else found.chance
    return Decision(found.ask.copy(), found.answer.copy(), chance.copy())


def _chance(ask: BoolArray) -> FloatArray:
    """float32[B, N + 1]: of a rule that is sure of what it does; those asked at once share one."""
    share = ask / np.maximum(ask.sum(axis=1, keepdims=True), 1)
    return np.hstack([share, ~ask.any(axis=1, keepdims=True)]).astype(np.float32)

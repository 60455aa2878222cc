"""A wrapper says and does what the strategy within does, and stays around what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.deliberation.wrapper import Wrapper
from rlfocal.records import IntArray, PoolModel, ResponseTable, build_table, simulate


class Telling(Base):
    """Asks the member that it was fitted to; has something to say of everything."""

    name = "telling"
    dial: ClassVar[str] = "price"
    price = 0.2

    def __init__(self, *, bonus: float = 1.0) -> None:
        self.bonus = bonus
        self.adapted = self.by_itself = False

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        self.best_ = int(table.member_score.mean(axis=0).argmax())
        return self

    def decide(self, view: View) -> Decision:
        ask = (np.arange(view.asked.shape[1]) == self.best_) & ~view.asked
        return Decision(ask, view.support.sum(axis=1))

    def follow(self, memory: Memory) -> Self:
        return self._with(adapted=True)

    def alone(self) -> Self:
        return self._with(by_itself=True)

    @property
    def dials(self) -> tuple[float, ...]:
        return (0.3, 0.1)

    @property
    def ranking(self) -> IntArray | None:
        return np.array([2, 0, 1])

    @property
    def acting(self) -> Acting | None:
        return Acting("telling", "it did best", stands_in=False)

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        return ({"step": 1.0},)

    @property
    def reads_replies(self) -> bool:
        return True

    @property
    def votes_only_help(self) -> bool:
        return True

    def verdicts(self) -> list[dict[str, str | float]]:
        return [{"policy": "telling", "price": 0.2}]


class Plain(Wrapper):
    """Adds nothing."""


def test_a_wrapper_is_as_the_strategy_within() -> None:
    model = PoolModel(accuracy=[[0.5, 0.9, 0.6]])
    table = build_table(simulate(model, 60, rng=np.random.default_rng(0)), encode=None)
    wrapped = Plain(Telling(bonus=2.0)).fit(table, rng=np.random.default_rng(0))
    within = wrapped.within
    assert isinstance(wrapped, Plain)
    assert (wrapped.name, wrapped.spec, wrapped.dial) == ("telling", within.spec, "price")
    assert (wrapped.setting, wrapped.dials, wrapped.prices) == (0.2, (0.3, 0.1), (0.3, 0.1))
    assert (wrapped.acting, wrapped.history) == (within.acting, within.history)
    assert wrapped.reads_replies
    assert wrapped.votes_only_help
    assert wrapped.verdicts() == within.verdicts()
    assert np.array_equal(wrapped.ranking, within.ranking)
    assert wrapped.state() == within.state() == {"best": 1}
    mine, own = replay(wrapped, table), replay(within, table)
    assert np.array_equal(mine.asked, own.asked)
    assert np.array_equal(mine.chosen, own.chosen)
    assert own.measured.all()
    assert wrapped.training_table(table).tasks[1:] == ("(unknown)",)


def test_what_comes_of_the_strategy_within_is_wrapped_again() -> None:
    wrapped = Plain(Telling())
    nothing = Memory(*(np.zeros((0, 3)) for _ in range(3)))
    made = (
        wrapped.at(0.1), wrapped.with_dial(0.1), wrapped.follow(nothing), wrapped.alone(),
        wrapped.restore({"best": np.array(2)}),
    )  # fmt: skip
    assert {type(one) for one in made} == {Plain}
    at, dialled, followed, alone, restored = (one.within for one in made)
    assert (made[0].price, at.price, dialled.price, wrapped.price) == (0.1, 0.1, 0.1, 0.2)
    assert isinstance(followed, Telling)
    assert followed.adapted
    assert isinstance(alone, Telling)
    assert alone.by_itself
    assert restored.state() == {"best": 2}

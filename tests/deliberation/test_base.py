"""What a strategy gets from its base: settings, state, a copy at another dial, one round."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pytest

from rlfocal.deliberation.base import Base, OneRound
from rlfocal.deliberation.dial import checked_price
from rlfocal.deliberation.protocol import Spec, Strategy
from rlfocal.deliberation.state import Row, check_state
from rlfocal.deliberation.view import Memory, View
from rlfocal.errors import CheckpointError, ConfigError
from rlfocal.records import ResponseTable


class First(OneRound):
    """Asks the first members, and counts how often it is asked whom."""

    name = "first"
    dial: ClassVar[str] = "size"
    fitted: ClassVar[Mapping[str, Row]] = {
        "weight": Row("float64", "N"),
        "best": Row("int64", "", 0, "N"),
        "steady": Row("bool", ""),
    }

    def __init__(
        self,
        *,
        size: int = 1,
        mode: Literal["plain", "loud"] = "plain",
        steps: tuple[tuple[float, float], ...] = ((1.0, np.inf),),
    ) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.size, self.mode, self.steps = size, mode, steps
        self._n_looks = 0

    def fit(self, table: ResponseTable | None = None, *, rng: np.random.Generator) -> Self:
        self.weight_, self.best_, self.steady_ = np.array([1.0, 2.0, 3.0]), 2, True
        return self

    def with_dial(self, value: float) -> Self:
        return super().with_dial(int(value))

    def first(self, view: View) -> np.ndarray:
        self._n_looks += 1
        return np.broadcast_to(np.arange(3) < self.size, view.asked.shape)

    def fuse(self, view: View) -> np.ndarray:
        return view.support.sum(axis=1) * np.float32(0.5)


class Whole(Base):
    """Has `First` for a part."""

    name = "whole"
    fitted: ClassVar[Mapping[str, Row]] = {"scale": Row("float64", "K")}
    parts: ClassVar[Mapping[str, Callable[[], Base]]] = {"inner": First}

    def fit(self, table: ResponseTable | None = None, *, rng: np.random.Generator) -> Self:
        self.inner_, self.scale_ = First().fit(rng=rng), np.ones(4)
        return self


def fitted(strategy: Any) -> Any:
    return strategy.fit(None, rng=np.random.default_rng(0))


def view(n_rounds: list[int], asked: list[list[bool]]) -> View:
    n, seen = len(n_rounds), np.array(asked)
    return View(
        position=np.arange(n),
        task=np.zeros(n, dtype=np.int64),
        features=np.zeros((n, 0), dtype=np.float32),
        is_open=np.zeros(n, dtype=bool),
        asked=seen,
        answered=seen,
        answer=np.where(seen, 0, -1).astype(np.int16),
        support=seen[:, :, None] * np.array([1, 0], dtype=np.float32),
        available=np.ones((n, 2), dtype=bool),
        spent=np.zeros(n, dtype=np.float32),
        budget=np.full(n, np.inf, dtype=np.float32),
        n_rounds=np.array(n_rounds),
    )


def test_a_spec_in_json_makes_the_same_strategy_again() -> None:
    made = First(size=2, mode="loud", steps=((1, 2), (0.5, np.inf)))
    name, settings = made.spec
    again = First.of(json.loads(json.dumps(settings, allow_nan=False)))
    assert (name, again.size, again.mode, again.steps) == ("first", 2, "loud", made.steps)
    assert again.spec == made.spec


def test_what_has_no_settings_has_an_empty_spec() -> None:
    assert Whole().spec == Spec("whole", {})
    with pytest.raises(ConfigError, match="whole: unknown setting 'size'"):
        Whole.of({"size": 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sise": 1}, r"first: unknown setting 'sise'; did you mean 'size'\?"),
        ({"size": "many"}, "first: size: Input should be a valid integer.*found 'many'"),
        ({"mode": "quiet"}, "first: mode: Input should be 'plain' or 'loud', found 'quiet'"),
        ({"steps": [[1, "x"]]}, "first: steps.0.1: Input should be a valid number"),
        ({"size": 0}, "first: size must be at least 1, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        First.of(settings)


def test_numbers_come_back_as_numbers_and_parts_as_strategies() -> None:
    whole = fitted(Whole())
    state = whole.state()
    assert state.keys() == {"scale", "inner.weight", "inner.best", "inner.steady"}
    restored = Whole().restore(state)
    assert isinstance(restored.inner_, First)
    assert (type(restored.inner_.best_), type(restored.inner_.steady_)) == (int, bool)
    assert restored.inner_.weight_.tolist() == [1, 2, 3]
    check_state(state, Whole().layout(state), {"N": 3})


def test_damage_in_a_part_is_told_by_the_name_of_the_part() -> None:
    state = fitted(Whole()).state()
    rows = Whole().layout(state)
    with pytest.raises(CheckpointError, match=r"'inner\.best' holds 3; it should lie in \[0, 2\]"):
        check_state(state | {"inner.best": np.array(3)}, rows, {"N": 3})
    del state["inner.weight"]
    with pytest.raises(CheckpointError, match=r"'inner\.weight' is missing"):
        check_state(state, Whole().layout(state), {"N": 3})


def test_what_is_no_number_has_to_be_kept_by_the_strategy_itself() -> None:
    strategy = fitted(First())
    strategy.words_ = ["a"]
    with pytest.raises(TypeError, match=r"first: 'words_' is a list, no array of numbers; write"):
        strategy.state()


def test_another_dial_is_another_strategy_and_changes_the_first_one_not() -> None:
    one = fitted(First())
    two = one.with_dial(3)
    assert (one.size, two.size, one.setting, two.setting) == (1, 3, 1, 3)
    assert two.weight_ is one.weight_
    with pytest.raises(ValueError, match="whole has nothing to set"):
        Whole().with_dial(0.1)


def test_a_price_picks_the_setting_that_earned_most_less_its_calls() -> None:
    one = fitted(First())
    with pytest.raises(ValueError, match=r"first takes no price: .*set 'size' itself"):
        one.at(0.1)
    one.measured_ = np.array([[1, 0.7, 1.0], [2, 0.8, 2.0], [3, 0.8, 2.5]])
    found = [one.at(price) for price in (0, 0.05, 0.2)]
    assert [(s.size, s.price, s.setting) for s in found] == [(2, 0, 2), (2, 0.05, 2), (1, 0.2, 1)]
    assert (one.size, one.price) == (1, None)
    assert found[0].with_dial(3).price is None
    whole = Whole()
    assert whole.at(0.1) is whole
    assert whole.setting is None


class Everything(OneRound):
    """Asks all, at any price."""

    name = "everything"
    dial: ClassVar[str] = "price"
    dials = (0.3, 0.1)

    def fuse(self, view: View) -> np.ndarray:
        return view.support.mean(axis=1)


def test_a_price_that_a_user_names_is_taken_or_refused_in_words() -> None:
    one, whole = Everything(), Whole()
    assert one.at_price(None) is one
    assert (one.at_price(0.1).price, one.with_dial(0.1).price, one.price) == (0.1, 0.1, None)
    assert (one.prices, whole.prices) == ((0.3, 0.1), ())
    assert whole.at_price(None) is whole
    with pytest.raises(ConfigError, match="price: whole has no price of a call; leave it out"):
        whole.at_price(0.1)
    for price in (-0.1, np.inf, np.nan):
        with pytest.raises(ConfigError, match=r"price: .* must be finite and >= 0, got"):
            one.at_price(price)
    assert checked_price(0, within=(0.001, 0.3)) == 0
    with pytest.raises(ValueError, match=r"must lie in \[0\.001, 0\.3\] or be 0, got 0\.5"):
        checked_price(0.5, within=(0.001, 0.3))


def test_one_round_asks_in_the_first_and_fuses_after_it() -> None:
    assert Everything().decide(view([0], [[False] * 3])).ask.all()
    strategy = fitted(First(size=2))
    nobody, two = [False] * 3, [True, True, False]
    begins = strategy.decide(view([0, 0], [nobody, nobody]))
    assert begins.ask.tolist() == [two, two]
    assert begins.answer.tolist() == [[0, 0], [0, 0]]
    mixed = strategy.decide(view([0, 1], [nobody, two]))
    assert mixed.ask.tolist() == [two, nobody]
    assert mixed.answer.tolist() == [[0, 0], [1, 0]]
    looks = strategy._n_looks
    assert not strategy.decide(view([1], [two])).ask.any()
    assert strategy._n_looks == looks  # nobody is chosen where nobody can be asked


def test_defaults_say_that_there_is_nothing_special() -> None:
    strategy, memory = Whole(), Memory(*(np.zeros((0, 3)) for _ in range(3)))
    assert strategy.follow(memory) is strategy
    assert strategy.alone() is strategy
    assert (strategy.dials, strategy.history, strategy.verdicts()) == ((), (), [])
    assert (strategy.ranking, strategy.acting, strategy.price) == (None, None, None)
    assert strategy.axes() == {}
    assert isinstance(First(), Strategy)
    assert not isinstance(strategy, Strategy)  # it does not decide

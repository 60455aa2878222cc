"""The strategies by their names: groups, what is refused, and what a package of others adds."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from every_strategy import REFERENCES

from rlfocal import plugins
from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Reference, Spec, Strategy
from rlfocal.deliberation.registry import (
    BUILT_IN,
    GROUP,
    create,
    create_strategy,
    groups,
    names,
    resolve,
)
from rlfocal.errors import ConfigError
from rlfocal.strategies.single import RandomMember


def test_groups_are_all_strategies_and_those_that_are_simple() -> None:
    assert resolve(["all"]) == names()
    learned = {"rl-focal", "rl-focal-paper", "rl-focal-prior"}
    chooses_among_others = {"best-of"}
    left_out = set(groups()["all"]) - set(groups()["baselines"])
    assert left_out == learned | chooses_among_others | {"best-alone"}  # added where members read
    added = set(groups()["quick"]) - set(groups()["baselines"])
    assert added == {"rl-focal-prior"}  # trained already; fitting only counts


def test_names_keep_their_order_and_count_once() -> None:
    assert resolve(["topla", "oracle", "topla"]) == ("topla", "oracle")
    assert resolve(["rl-focal", "baselines"]) == ("rl-focal", *groups()["baselines"])


@pytest.mark.parametrize("name", sorted({*groups()["baselines"], "best-of"}))
def test_every_simple_strategy_bears_its_name_on_the_command_line(name: str) -> None:
    assert create(name).name == name


def test_create_returns_a_fresh_strategy() -> None:
    first, second = create("random"), create("random")
    assert isinstance(first, RandomMember)
    assert first is not second


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'pluralty'; did you mean 'plurality'\?"):
        resolve(["oracle", "pluralty"])
    with pytest.raises(ConfigError, match=r"did you mean 'baselines'\?"):
        resolve(["baseline"])
    with pytest.raises(ConfigError, match=r"did you mean 'knn-router'\?"):
        create("knn_router")
    with pytest.raises(ConfigError, match="no strategy named"):
        resolve([])


def test_without_torch_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "rl-focal-paper"  # it acts with torch; what else trains with it is made without
    module = BUILT_IN[name].partition(":")[0]
    monkeypatch.delitem(sys.modules, module, raising=False)
    for loaded in [
        m
        for m in sys.modules
        if m.startswith(("rlfocal.agents", "rlfocal.training", "rlfocal.focal", "rlfocal.paper"))
    ]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"pip install 'rlfocal\[train\]'"):
        create(name)


class Mine(OneRound):
    """Asks everybody and adds up supports: as somebody's package would bring it."""

    name = "mine"

    def __init__(self, *, power: float = 1.0) -> None:
        self.power = power

    def fit(self, table: Any, *, rng: np.random.Generator) -> Mine:
        return self

    def first(self, view: Any) -> np.ndarray:
        return np.ones_like(view.asked)

    def fuse(self, view: Any) -> np.ndarray:
        return view.support.sum(axis=1) ** self.power


class Hasty:
    """Derives from nothing, and cannot be benched."""

    name = "hasty"

    def fit(self, table: Any, *, rng: np.random.Generator) -> Hasty:
        return self


class Bare(Hasty):
    """Follows the protocol, but keeps nothing for a checkpoint."""

    spec = Spec("bare", {})

    def decide(self, view: Any) -> None: ...
    def at(self, dial: float) -> None: ...
    def state(self) -> None: ...
    def restore(self, state: Any) -> None: ...


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that adds three strategies."""
    places = {"mine": Mine, "hasty": Hasty, "bare": Bare, "alias": Mine}
    points = [EntryPoint(n, f"{k.__module__}:{k.__name__}", GROUP) for n, k in places.items()]
    for kind in places.values():
        monkeypatch.setitem(sys.modules, kind.__module__, sys.modules[__name__])
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == GROUP else [])


@pytest.mark.usefixtures("added")
def test_a_strategy_of_another_package_is_one_like_any() -> None:
    assert set(names()) - set(BUILT_IN) == {"mine", "hasty", "bare", "alias"}
    assert {"mine", "plurality"} <= set(groups()["baselines"])
    made = create_strategy(Spec("mine", {"power": 2}))
    assert isinstance(made, Mine)
    assert made.spec == ("mine", {"power": 2.0})
    with pytest.raises(ConfigError, match=r"mine: unknown setting 'pover'; did you mean 'power'\?"):
        create("mine", {"pover": 2})


@pytest.mark.usefixtures("added")
def test_a_class_that_lacks_a_method_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"'hasty' .* lacks decide; derive it from rlfocal\."):
        create("hasty")
    assert isinstance(create("bare"), Strategy)
    with pytest.raises(ConfigError, match="'bare' can be benched, not trained to disk"):
        create_strategy(Spec("bare", {}))
    with pytest.raises(ConfigError, match="'alias' leads to a strategy named 'mine'"):
        create_strategy(Spec("alias", {}))


@pytest.mark.parametrize("name", REFERENCES)
def test_a_point_of_comparison_cannot_be_trained(name: str) -> None:
    assert isinstance(create(name), Reference)
    with pytest.raises(ConfigError, match=f"'{name}' is a point of comparison"):
        create_strategy(Spec(name, {}))

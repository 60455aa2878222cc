from __future__ import annotations

import sys

import pytest

from rlfocal.bench import GROUPS, STRATEGIES, create, resolve
from rlfocal.errors import ConfigError
from rlfocal.strategies.single import RandomMember


def test_groups_are_all_strategies_and_those_without_reinforcement_learning() -> None:
    assert resolve(["all"]) == tuple(STRATEGIES)
    learned = {"rl-focal", "rl-focal-paper", "rl-focal-prior"}
    assert set(GROUPS["all"]) - set(GROUPS["baselines"]) == learned


def test_names_keep_their_order_and_count_once() -> None:
    assert resolve(["topla", "oracle", "topla"]) == ("topla", "oracle")
    assert resolve(["rl-focal", "baselines"]) == ("rl-focal", *GROUPS["baselines"])


@pytest.mark.parametrize("name", sorted(GROUPS["baselines"]))
def test_every_baseline_bears_its_name_on_the_command_line(name: str) -> None:
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


@pytest.mark.parametrize("name", ["rl-focal", "rl-focal-paper"])
def test_without_torch_the_message_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = STRATEGIES[name].partition(":")[0]
    monkeypatch.delitem(sys.modules, module, raising=False)
    for loaded in [m for m in sys.modules if m.startswith("rlfocal.rl")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"pip install 'rlfocal\[train\]'"):
        create(name)

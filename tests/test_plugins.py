"""Registries find what the package brings and what other packages add."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rlfocal import plugins
from rlfocal.errors import ConfigError
from rlfocal.plugins import Registry

KINDS = Registry("rlfocal.examples", "example", {"half": "fractions:Fraction"})


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points that installed packages seem to have; a test fills the list."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [point for point in points if point.group == group]
    )
    return points


def point(name: str, value: str, group: str = "rlfocal.examples") -> EntryPoint:
    return EntryPoint(name, value, group)


def test_names_of_other_packages_follow_in_order(added: list[EntryPoint]) -> None:
    added += [point("b", "json:loads"), point("a", "json:dumps"), point("c", "json:x", "other")]
    assert KINDS.names() == ("half", "a", "b")
    assert KINDS.load("a").__name__ == "dumps"


def test_a_built_in_name_cannot_be_taken(added: list[EntryPoint]) -> None:
    added.append(point("half", "json:loads"))
    assert KINDS.names() == ("half",)
    assert KINDS.load("half").__name__ == "Fraction"


@pytest.mark.parametrize("value", ["no_such_module:x", "json:no_such_thing"])
def test_what_cannot_be_imported_is_said_with_its_place(
    value: str, added: list[EntryPoint]
) -> None:
    added.append(point("mine", value))
    with pytest.raises(ConfigError, match=rf"example 'mine' cannot be loaded from {value}.*no"):
        KINDS.load("mine")


def test_an_extra_that_is_missing_is_named(
    added: list[EntryPoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy_module.py").write_text("raise ModuleNotFoundError('no', name='torch.nn')")
    monkeypatch.syspath_prepend(tmp_path)
    added.append(point("needy", "needy_module:x"))
    with pytest.raises(ConfigError, match=r"needs torch.*pip install 'rlfocal\[train\]'"):
        KINDS.load("needy")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown example 'hafl'; did you mean 'half'\?"):
        KINDS.load("hafl")

"""Registries find what the package brings and what other packages add."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rlfocal import plugins
from rlfocal.bench.summaries.independence import measure_independence
from rlfocal.diversity import MEASURES, EnsembleMeasure, measures
from rlfocal.errors import ConfigError
from rlfocal.features import encoder, encoder_names
from rlfocal.plugins import Registry
from rlfocal.records import build_table, demo_dataset

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


class LengthEncoder:
    """A text's length in units of `unit` characters."""

    settings = ("unit",)

    def __init__(self, unit: int) -> None:
        self.unit = unit

    @classmethod
    def of(cls, spec: Mapping[str, str | int]) -> LengthEncoder:
        return cls(int(spec["unit"]))

    @property
    def spec(self) -> dict[str, str | int]:
        return {"name": "length", "unit": self.unit}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(text) / self.unit] for text in texts], dtype=np.float32)


HALF = EnsembleMeasure("Always a half", 0.0, 1.0, lambda _failed, masks: np.full(len(masks), 0.5))


@pytest.fixture
def own_module(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name under which this module can be imported."""
    monkeypatch.setitem(sys.modules, "somebodys_package", sys.modules[__name__])
    return "somebodys_package"


def test_an_encoder_of_another_package_is_made_from_its_spec(
    added: list[EntryPoint], own_module: str
) -> None:
    added.append(point("length", f"{own_module}:LengthEncoder", "rlfocal.encoders"))
    assert encoder_names() == ("hashing", "runs", "sentence", "length")
    rebuilt = encoder(LengthEncoder(4).spec)
    np.testing.assert_array_equal(rebuilt(["eight ch"]), [[2.0]])
    with pytest.raises(ConfigError, match="encoder 'length' lacks its setting 'unit'"):
        encoder({"name": "length"})


def test_a_measure_of_another_package_is_shown_with_the_others(
    added: list[EntryPoint], own_module: str
) -> None:
    added.append(point("half", f"{own_module}:HALF", "rlfocal.measures"))
    table = build_table(demo_dataset())
    found = measure_independence(table, size=None, top=1, rng=np.random.default_rng(0))
    assert [*found.pool] == [*MEASURES, "half"]
    assert found.pool["half"] == 0.5


def test_a_measure_that_is_none_is_refused(added: list[EntryPoint]) -> None:
    added.append(point("odd", "json:dumps", "rlfocal.measures"))
    with pytest.raises(ConfigError, match=r"'odd' of rlfocal\.measures is no"):
        measures()

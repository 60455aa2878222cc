"""A user's own signals: their functions are found when a pool is read, and never break a reply."""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import ConfigError
from rlfocal.pool.building import LivePool
from rlfocal.pool.own_signals import OwnSignals
from rlfocal.pool.settings import read_pool

POOL = """
[endpoints.e]
base_url = "http://127.0.0.1:1/v1"

[[members]]
name = "m"
endpoint = "e"

[signals]
{line}
"""


def pool_with(folder: Path, line: str) -> Path:
    path = folder / "pool.toml"
    path.write_text(POOL.format(line=line), encoding="utf-8")
    return path


def test_a_module_beside_the_pool_file_is_found_and_used(tmp_path: Path) -> None:
    (tmp_path / "own_signals_beside.py").write_text("def two(reply):\n    return 2\n")
    pool = read_pool(pool_with(tmp_path, 'two = "own_signals_beside:two"'))
    assert dict(pool.signals) == {"two": "own_signals_beside:two"}
    (member,) = LivePool(pool).members
    assert member.own.names == ("two",)
    assert member.own.read(None) == {"two": 2.0}


def test_an_installed_module_is_found(tmp_path: Path) -> None:
    pool = read_pool(pool_with(tmp_path, 'size = "builtins:len"'))
    (member,) = LivePool(pool).members
    assert member.own.read("four") == {"size": 4.0}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('x = "no_such_module_here:f"', "signals.x = 'no_such_module_here:f': cannot be loaded"),
        ('x = "math:no_such"', "signals.x = 'math:no_such': cannot be loaded: AttributeError"),
        ('x = "math:pi"', "signals.x = 'math:pi': is no function"),
        ('x = "math"', "signals.x = 'math': should be \"module:function\""),
        ("x = 3", "signals.x = 3: should be \"module:function\""),
        ('"a b" = "math:sqrt"', "signals.a b: should be made of letters"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_file_and_field(tmp_path: Path, line: str, said: str) -> None:
    path = pool_with(tmp_path, line)
    with pytest.raises(ConfigError) as raised:
        read_pool(path)
    assert str(raised.value).startswith(f"{path}: {said}")


def test_a_module_that_fails_when_it_is_imported_is_a_mistake_of_the_pool(tmp_path: Path) -> None:
    (tmp_path / "own_signals_broken.py").write_text("1 / 0\n")
    path = pool_with(tmp_path, 'x = "own_signals_broken:f"')
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        read_pool(path)


def test_signals_that_are_no_table_are_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    path.write_text("signals = 3\n" + POOL.replace("[signals]\n{line}", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="'signals' should be a table"):
        read_pool(path)


def test_a_function_that_fails_says_nothing_and_that_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(reply: Any) -> float:
        raise ValueError(f"secret {reply}")

    own = OwnSignals({
        "fails": fails, "words": lambda _: "many", "none": lambda _: None, "size": len,
        "all": lambda _: math.inf,
    })  # fmt: skip
    with caplog.at_level(logging.WARNING):
        found = [own.read("abc") for _ in range(3)][-1]
    assert found.pop("size") == 3
    assert all(map(math.isnan, found.values()))
    assert [message.split("'")[1] for message in caplog.messages] == ["fails", "words"]
    assert "secret" not in caplog.text


def test_modules_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    values = {}
    for name, value in (("first", 1.0), ("second", 2.0)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "of_mine.py").write_text(
            "from dataclasses import dataclass\n\n@dataclass\nclass Weight:\n    value: 'float'\n\n"
            f"def sure(reply):\n    return Weight({value}).value\n"
        )
        own = OwnSignals.load({"sure": "of_mine:sure"}, folder=folder)
        values[name] = own.read(None)["sure"]
    assert values == {"first": 1.0, "second": 2.0}
    assert "of_mine" not in sys.modules

"""Programs that check files of other programs: what a machine lacks skips the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

_REQUIRED = frozenset(os.environ.get("RLFOCAL_REQUIRE", "").split(","))


def program(name: str) -> str:
    """Where a program is; a test that RLFOCAL_REQUIRE promises it to fails without."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=places + os.pathsep + "/usr/sbin")
    return found or _lacking(name)


def package(name: str) -> ModuleType:
    """A package that checks; as `program`."""
    try:
        return import_module(name)
    except ImportError:
        _lacking(name)


def passes(*words: str | Path, cwd: Path | None = None) -> str:
    """Run a program that finds no fault; what it says."""
    command: Sequence[str] = [program(str(words[0])), *map(str, words[1:])]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _lacking(name: str) -> NoReturn:
    reason = f"{name} is not installed"
    if name in _REQUIRED:
        pytest.fail(f"RLFOCAL_REQUIRE promises '{name}', but: {reason}")
    pytest.skip(reason)

"""Fixtures that every test may use, and the rule for what a test needs but a machine lacks."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

REQUIRED = {name for name in os.environ.get("RLFOCAL_REQUIRE", "").split(",") if name}
"""Names of things that CI promises to have: there a missing one fails instead of skipping."""


def missing(name: str, reason: str) -> None:
    """Skip the test, or fail it where the environment promised that `name` is present."""
    if name in REQUIRED:
        pytest.fail(f"RLFOCAL_REQUIRE promises '{name}', but: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded development data beside the checkout; None of it is ever copied in."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        missing("shared", f"no recorded data at {folder}")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that can render pages headless."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("chromium", "no chromium on PATH")
    return str(path)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let programs started by the test notice Ctrl-C.

    A suite started in the background of a shell ignores it, and what it starts inherits that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20260101)

"""Where the conversations of a test are held."""

from __future__ import annotations

from pathlib import Path

import pytest
from talks import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)

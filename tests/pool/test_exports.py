"""The pool's names: there, and not at the price of importing what needs the network."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rlfocal import pool


def test_every_public_name_exists_and_is_listed() -> None:
    assert all(getattr(pool, name) is not None for name in pool.__all__)
    assert set(dir(pool)) == set(pool.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pool.nothing  # noqa: B018


def test_importing_the_pool_does_not_load_aiohttp() -> None:
    code = "import sys, rlfocal.pool; print('aiohttp' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"

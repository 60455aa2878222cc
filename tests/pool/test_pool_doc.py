"""Every pool file that the documents show is a sound one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rlfocal.pool.endpoints import EndpointSettings
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.settings import read_pool

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "live-pool.md").read_text("utf-8")
SHOWN = PAGE + (ROOT / "README.md").read_text("utf-8")
POOLS = re.findall(r"<!-- example: pool -->\n```toml\n(.*?)```", SHOWN, re.DOTALL)


@pytest.mark.parametrize("text", POOLS, ids=range(len(POOLS)))
def test_an_example_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "pool.toml").write_text(text, encoding="utf-8")
    pool = read_pool(tmp_path / "pool.toml")
    assert len(pool.members) >= 1
    assert {member.endpoint for member in pool.members} == set(pool.endpoints)


def test_every_setting_is_explained() -> None:
    settings = set(MemberSettings.model_fields)
    for kind in EndpointSettings.__args__:
        settings |= set(kind.model_fields)
    assert [name for name in sorted(settings) if f"`{name}`" not in PAGE] == []

"""Every pool file that the documents show is a sound one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rlfocal.pool.asking.prompting import request_for
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.endpoints import EndpointSettings
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.panels import PANELS
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
        # What is left out of the settings' own form is no setting: it is filled in by the reader.
        settings |= {name for name, field in kind.model_fields.items() if not field.exclude}
    assert [name for name in sorted(settings) if f"`{name}`" not in PAGE] == []


def test_every_setting_of_a_panel_is_explained() -> None:
    settings = {name for kind in PANELS.values() for name in kind.model_fields}
    assert [name for name in sorted(settings) if f"`{name}`" not in PAGE] == []
    assert [kind for kind in PANELS if f'`"{kind}"`' not in PAGE] == []


def test_what_a_reader_is_sent_is_shown_as_it_is() -> None:
    shown = {"a": Said("8 + 9 = 17. Answer: 17", "17"), "b": Said("It is 16.", "16")}
    judge = MemberSettings(name="judge", endpoint="e", reads=("a", "b"), reading="judge")
    sent = request_for(judge, Question("8 + 9?", shown=shown)).messages[0].content
    (page,) = re.findall(r"```text\n(8 \+ 9\?.*?)```", PAGE, re.DOTALL)
    assert page.split() == sent.split()

"""docs/gateway.md: its Python, its curl commands and its limits are as they are written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlfocal.gateway.effects.rules import ClientRule
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.keyfile import read_key_file
from rlfocal.gateway.store.keys import make_plaintext
from rlfocal.gateway.wire.body import Extension

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Serve = Callable[..., Any]


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE) if name == language]


def test_the_python_block_runs(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks("python")
    with serve() as (served, _):
        code = block.replace("http://127.0.0.1:8000", served.url)
        # What the members of the tests understand are sums.
        code = re.sub(r'"content": "[^"]*"', '"content": "3 + 4 ="', code)
        names: dict[str, Any] = {"KEY": served.key}
        exec(compile(code, "docs/gateway.md", "exec"), names)
        names["client"].close()
    text, tokens, usd = capsys.readouterr().out.rsplit(maxsplit=2)
    assert text
    assert int(tokens) > 0
    assert float(usd) > 0


def test_the_curl_commands_run(serve: Serve, tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("curl or bash is not installed")
    asked, judged = blocks("bash")

    with serve() as (served, _):

        def run(block: str) -> Any:
            done = subprocess.run(
                ["bash", "-c", block.replace("http://127.0.0.1:8000", served.url)],
                env=os.environ | {"KEY": served.key}, capture_output=True, check=True, timeout=300,
            )  # fmt: skip
            return json.loads(done.stdout)

        known = asked.replace("Which is a prime?", "Which is a prime, 3 + 4 =")
        reply = run(known)
        assert reply["choices"][0]["message"]["content"] in ("21", "23", "25")
        assert reply["rlfocal"]["trace"]["rounds"]
        assert run(judged.replace("chatcmpl-...", reply["id"]))["id"] == reply["id"]


def test_limits_are_known_and_their_defaults_as_written() -> None:
    block, _ = blocks("toml")
    written = tomllib.loads(block)
    synthesiser = written.pop("synthesiser")
    assert isinstance(synthesiser, str)
    assert GatewaySettings.of({"tools": written.pop("tools")}, source="docs").tools
    defaults = GatewaySettings()
    assert {name: getattr(defaults, name) for name in written} == written
    for name in GatewaySettings.model_fields:
        assert re.search(rf"`?{name}\b", PAGE), f"{name} is not described"


def test_the_file_of_keys_is_read(tmp_path: Path) -> None:
    _, block = blocks("toml")
    path = tmp_path / "keys.toml"
    path.write_text(block)
    (found,) = read_key_file(path, {"TEAM_A_KEY": make_plaintext()})
    assert (found.key.name, found.key.limits.usd, found.key.limits.concurrency) == (
        "team-a",
        20,
        16,
    )
    assert found.key.expires_at


def test_every_field_of_the_extension_is_described() -> None:
    for name in Extension.model_fields:
        assert f"| `{name}` |" in PAGE
    for name in ClientRule.model_fields:
        assert f"| `{name}` |" in PAGE


def test_the_example_of_rules_is_one() -> None:
    (block,) = blocks("json")
    given = Extension.model_validate(json.loads(block)["rlfocal"])
    assert given.tools is not None
    assert given.tools["send_mail"].effect == "write"

"""Real clients against the gateway, each in the environment that it asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from loop_members import TOLD
from process import GatewayProcess

pytestmark = [pytest.mark.slow, pytest.mark.clients]
HERE = Path(__file__).parent
IN_PYTHON = {
    "openai_client": "newest",
    "openai_agents": "newest",
    "langchain_client": "newest",
    "pydantic_ai_client": "newest",
    "anthropic_client": "newest",
    "llamaindex_client": "llamaindex",
}
"""Script → environment."""
IN_NODE = ("openai_client", "vercel", "anthropic_client")
LOOPS = {"loops_openai_agents": 2, "loops_langchain": 2, "loops_pydantic_ai": 2, "loops_vercel": 3}
"""Script → APIs over which it runs every loop, whole and streamed."""
_MOST_S = 300


def outcome(command: list[str], gateway: tuple[GatewayProcess, str], **more: str) -> dict[str, Any]:
    process, key = gateway
    told = {"RLFOCAL_URL": process.url, "RLFOCAL_KEY": key, "OPENAI_API_KEY": "unused", **more}
    run = subprocess.run(
        command, env=os.environ | told, capture_output=True, text=True, timeout=_MOST_S
    )
    assert run.returncode == 0, run.stderr[-4000:]
    found: dict[str, Any] = json.loads(run.stdout)
    assert found["steps"]
    wrong = [f"{name}: {said[:300]}" for name, said in found["steps"].items() if said != "ok"]
    if wrong:
        pytest.fail("\n".join([found["client"], *wrong]), pytrace=False)
    return found


def is_in_the_table(found: dict[str, Any]) -> bool:
    """docs/gateway.md says the client, its version, and each of its steps."""
    page = (HERE.parents[1] / "docs" / "gateway.md").read_text(encoding="utf-8")
    told = "; ".join(found["steps"])
    return f"| {found['client']} | {found['version']} | {told} |" in page


@pytest.mark.parametrize("script", IN_PYTHON)
def test_a_client_of_python(
    script: str, clients_folder: Path, gateway: tuple[GatewayProcess, str]
) -> None:
    python = clients_folder / IN_PYTHON[script] / "bin" / "python"
    found = outcome([str(python), str(HERE / "python" / f"{script}.py")], gateway)
    assert is_in_the_table(found), found


def in_node(
    script: str, clients: Path, node: str, gateway: tuple[GatewayProcess, str], **more: str
) -> dict[str, Any]:
    folder = clients / "node"
    for path in (HERE / "node").glob("*.mjs"):  # modules are looked for beside the script
        shutil.copy(path, folder)
    more["RLFOCAL_NODE_MODULES"] = str(folder / "node_modules")
    return outcome([node, str(folder / f"{script}.mjs")], gateway, **more)


@pytest.mark.parametrize("script", IN_NODE)
def test_a_client_of_node(
    script: str, clients_folder: Path, node: str, gateway: tuple[GatewayProcess, str]
) -> None:
    assert is_in_the_table(in_node(script, clients_folder, node, gateway))


@pytest.mark.parametrize("script", LOOPS)
def test_an_agent_runs_what_members_call_each_in_its_own_way(
    script: str, clients_folder: Path, node: str, agents_gateway: tuple[GatewayProcess, str]
) -> None:
    """Calls in texts, members that disagree or break a schema, calls that are held back."""
    told = {"RLFOCAL_LOOPS": str(HERE / "loops.json")}
    if (path := HERE / "python" / f"{script}.py").is_file():
        python = clients_folder / "newest" / "bin" / "python"
        found = outcome([str(python), str(path)], agents_gateway, **told)
    else:
        found = in_node(script, clients_folder, node, agents_gateway, **told)
    assert len(found["steps"]) == 2 * LOOPS[script] * len(TOLD["loops"])

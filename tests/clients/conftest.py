"""The real clients, and a gateway of its own process that they are run against."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loop_members import HOUSE, says
from process import GatewayProcess, gateway_process
from spy_upstream import Received, Reply, SpyUpstream
from stub_pool import ACCURACY, pool_file, trained

from rlfocal.gateway.store import KeyLimits, open_store

PRICES = "".join(f'\n[prices."{n}"]\nprompt = 1.0\ncompletion = 2.0\n' for n in ACCURACY)
CALL = {
    "id": "call-1", "type": "function",
    "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'},
}  # fmt: skip


def missing(name: str, reason: str) -> None:
    """As `conftest.missing` of all tests."""
    if name in os.environ.get("RLFOCAL_REQUIRE", "").split(","):
        pytest.fail(f"RLFOCAL_REQUIRE promises '{name}', but: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def clients_folder() -> Path:
    """Where install.sh has put the clients."""
    name = os.environ.get("RLFOCAL_CLIENTS")
    if not name or not (Path(name) / "newest").is_dir():
        missing("clients", "RLFOCAL_CLIENTS names no folder of tests/clients/install.sh")
    return Path(str(name))


@pytest.fixture(scope="session")
def node() -> str:
    """Path of Node.js."""
    path = shutil.which("node")
    if path is None:
        missing("npm", "no node on PATH")
    return str(path)


def answers(got: Received) -> Reply:
    """Calls the tool that is offered, until it has been called; else says the sum."""
    body: dict[str, Any] = got.body
    if body.get("tools") and body["messages"][-1]["role"] != "tool":
        return Reply(tool_calls=[CALL])
    if body.get("response_format"):
        return Reply('{"total": 7}')
    return Reply("That is 7.")


@contextmanager
def _serving(
    checkpoint: Path, folder: Path, spy: SpyUpstream, config: Path | None = None
) -> Iterator[tuple[GatewayProcess, str]]:
    """A gateway over a pool of four members, and a key with a budget."""
    db = str(folder / "gateway.db")
    with open_store(db) as store, store.connections.write() as connection:
        new = store.keys.add(connection, "clients", now=0.0, limits=KeyLimits(usd=100.0))
    with spy as upstream:
        pool = pool_file(folder, upstream.base_url)
        pool.write_text(pool.read_text(encoding="utf-8") + PRICES, encoding="utf-8")
        with gateway_process(checkpoint, pool, db, folder / "log", config) as process:
            yield process, new.plaintext


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, str]]:
    """Whose members all do the same."""
    folder, checkpoint = tmp_path_factory.mktemp("gateway"), trained(tmp_path_factory, "rl-focal")
    with _serving(checkpoint, folder, SpyUpstream(answers)) as served:
        yield served


@pytest.fixture(scope="session")
def agents_gateway(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[GatewayProcess, str]]:
    """Whose members say what loops.json tells; a vote of all, with rules for tools that write."""
    folder, checkpoint = tmp_path_factory.mktemp("agents"), trained(tmp_path_factory, "plurality")
    config = folder / "gateway.toml"
    config.write_text(HOUSE, encoding="utf-8")
    with _serving(checkpoint, folder, SpyUpstream(says), config) as served:
        yield served

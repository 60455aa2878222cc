"""From settings to members that can be asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rlfocal.errors import ConfigError, MemberError
from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.building import LivePool
from rlfocal.pool.openai.client import OpenAIEndpoint
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Fault, StubServer
from rlfocal.pool.wrappers.breaker import Circuits

POOL = """
[endpoints.good]
base_url = "http://127.0.0.1:9/v1"
attempts = 3

[endpoints.bad]
kind = "llama-cpp"
path = "none.gguf"

[prices.m]
prompt = 1
completion = 2

[[members]]
name = "a"
endpoint = "good"
model = "m"

[[members]]
name = "b"
endpoint = "bad"
"""


def test_what_was_opened_is_closed_when_another_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    async def close(endpoint: OpenAIEndpoint) -> None:
        closed.append(endpoint)

    monkeypatch.setattr(OpenAIEndpoint, "close", close)
    (tmp_path / "pool.toml").write_text(POOL)

    async def run() -> None:
        async with LivePool(read_pool(tmp_path / "pool.toml")):
            pytest.fail("opened")

    pytest.importorskip("xllamacpp")
    with pytest.raises(ConfigError, match=r"none\.gguf"):
        asyncio.run(run())
    assert len(closed) == 1


def test_keys_are_read_when_it_is_opened_all_of_them_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    good = POOL.partition("[endpoints.bad]")[0]
    text = good + 'key_env = "NO_SUCH_KEY"\n' + POOL.partition("\n\n")[2].partition('name = "b"')[0]
    text = text.replace('[endpoints.bad]\nkind = "llama-cpp"\npath = "none.gguf"\n', "")
    (tmp_path / "pool.toml").write_text(text.rpartition("[[members]]")[0])
    for on_demand in (False, True):
        pool = LivePool(read_pool(tmp_path / "pool.toml"), on_demand=on_demand)
        assert "endpoint 'good': the environment variable NO_SUCH_KEY" in pool.missing_keys()[0]

        async def run(pool: LivePool = pool) -> None:
            async with pool:
                pytest.fail("opened")

        with pytest.raises(ConfigError, match="NO_SUCH_KEY is not set"):
            asyncio.run(run())
    monkeypatch.setenv("NO_SUCH_KEY", "a key of some length")
    assert pool.missing_keys() == ()


REFUSING = """
[endpoints.e]
base_url = "{base_url}"

[[members]]
name = "stubborn"
endpoint = "e"
model = "m"
"""


def test_the_circuit_of_a_member_that_refuses_everything_opens_and_is_said_with_its_servers_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [Fault("400", message="model m wants a licence")] * 9

    async def go() -> None:
        async with StubServer(faults=faults) as stub:
            (tmp_path / "pool.toml").write_text(REFUSING.format(base_url=stub.base_url))
            pool = read_pool(tmp_path / "pool.toml")
            async with LivePool(pool, circuits=Circuits(failures=5)) as live:
                (member,) = live.members
                for n in range(7):
                    with pytest.raises(MemberError):
                        await member.ask(Question(f"{n} + 1?"))
                assert member.circuit_is_open
                assert len(stub.bodies) == 5

    asyncio.run(go())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "'stubborn' is left alone" in said[0]
    assert "model m wants a licence" in said[0]

"""A pool of stubs, recorded and trained on, then asked live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import stub_pool
from stub_pool import pool_file, says, trained

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.live import LiveEnsemble
from rlfocal.live.ensemble import members_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Fault, Said, StubServer
from rlfocal.records import Dataset


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What `rlfocal collect` and `rlfocal export` make of that pool."""
    return stub_pool.recorded(tmp_path_factory)


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Of rl-focal, which has a price at which everybody is asked at once."""
    return load_checkpoint(trained(tmp_path_factory, "rl-focal"))


@pytest.fixture(scope="session")
def vote(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Of plurality, which asks everybody at once and reads answers alone."""
    return load_checkpoint(trained(tmp_path_factory, "plurality"))


@pytest.fixture(scope="session", params=["rl-focal", "rl-focal-prior"])
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    return load_checkpoint(trained(tmp_path_factory, request.param))


@pytest.fixture(scope="session")
def reply() -> Callable[[Mapping[str, Any]], Said]:
    """What the recorded members say."""
    return says


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., Any]:
    """live(checkpoint, act, says=..., faults=..., edit=..., **options) returns `act(ensemble)`.

    `edit` changes the text of the pool file; options go to the ensemble.
    """

    def run(
        checkpoint: Checkpoint,
        act: Callable[[LiveEnsemble], Awaitable[Any]],
        *,
        says: Callable[[Mapping[str, Any]], Any] = says,
        faults: Iterable[Fault | None] = (),
        edit: Callable[[str], str] = str,
        **options: Any,
    ) -> Any:
        async def inside() -> Any:
            async with StubServer(says, faults=faults) as stub:
                path = pool_file(tmp_path, stub.base_url)
                path.write_text(edit(path.read_text()))
                settings = read_pool(path)
                async with LivePool(settings, members_for(checkpoint, settings)) as pool:
                    return await act(LiveEnsemble(checkpoint, pool.members, **options))

        return asyncio.run(inside())

    return run

"""A pool of stubs, recorded and trained on, then asked live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from stub_pool import pool_file, record, says, trained

from rlfocal.live import Ensemble
from rlfocal.live.ensemble import members_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Fault, Said, StubServer
from rlfocal.records import Dataset
from rlfocal.rl.checkpoint import Checkpoint


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What `rlfocal collect` and `rlfocal export` make of that pool."""
    return asyncio.run(record(tmp_path_factory.mktemp("recorded")))


@pytest.fixture(scope="session")
def learned(recorded: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Of rl-focal, which has a price at which everybody is asked at once."""
    return trained(tmp_path_factory.mktemp("learned"), recorded, "rl-focal")


@pytest.fixture(scope="session", params=["rl-focal", "rl-focal-prior"])
def checkpoint(
    request: pytest.FixtureRequest, recorded: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    return trained(tmp_path_factory.mktemp(request.param), recorded, request.param)


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
        act: Callable[[Ensemble], Awaitable[Any]],
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
                    return await act(Ensemble(checkpoint, pool.members, **options))

        return asyncio.run(inside())

    return run

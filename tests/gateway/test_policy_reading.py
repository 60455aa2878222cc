"""A policy that cannot be read yet, or does not fit: what is tried again, and when."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.checkpoint.shadow import save_shadow
from rlfocal.errors import ConfigError
from rlfocal.gateway.policies import Policies
from rlfocal.gateway.store import PolicyRow, Store, Writer


class House:
    """A gateway's policies: the given one, and one that was promoted; looked at by hand."""

    def __init__(self, store: Store, writer: Writer, given: Path, promoted: Path) -> None:
        self.now, self.n_tries, self.store = 0.0, 0, store
        self.adopted: list[str] = []
        self.misfit = False
        self.policies = Policies(
            store, writer, given, load_checkpoint(given),
            poll_s=1.0, adopt=self._adopt, clock=lambda: self.now,
        )  # fmt: skip
        strategy = load_checkpoint(given).strategy
        shaken = {
            name: array * array.dtype.type(0.9) if name.startswith("decider") else array
            for name, array in strategy.state().items()
        }
        self.place, digest = save_shadow(given, strategy.restore(shaken), promoted)
        self.given, self.promoted = self.policies.id, digest[:16]
        self._read = self.policies._checkpoint_of
        self.policies._checkpoint_of = self._tried  # type: ignore[method-assign]

    def _tried(self, live: PolicyRow) -> Checkpoint:
        self.n_tries += 1
        return self._read(live)

    async def _adopt(self, checkpoint: Checkpoint) -> None:
        if self.misfit:
            raise ConfigError("of other members")
        self.adopted.append(checkpoint.description.weights_sha256[:16])

    async def begin(self) -> None:
        """The promotion is there when it starts, or comes; here it is there at the second look."""
        await self.policies.begin()
        with self.store.connections.write() as connection:
            self.store.log.add_policy(connection, PolicyRow(
                id=self.promoted, parent=self.given, created_at=1.0, state="shadow",
                path=str(self.place),
            ))  # fmt: skip
        await self.set_live(self.promoted)

    async def set_live(self, policy: str) -> None:
        with self.store.connections.write() as connection:
            self.store.log.set_policy(connection, policy, state="live")
        await self.policies.look()

    async def look_for(self, seconds: int) -> None:
        """Once a second."""
        for _ in range(seconds):
            self.now += 1
            await self.policies.look()


@pytest.fixture
def house(store: Store, writer: Writer, trained_folder: Path, tmp_path: Path) -> House:
    return House(store, writer, trained_folder, tmp_path / "promoted")


def is_away(place: Path, given: Path) -> None:
    shutil.rmtree(place)


def is_half_copied(place: Path, given: Path) -> None:
    weights = next(place.glob("weights-*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])


def holds_the_old_one(place: Path, given: Path) -> None:
    shutil.rmtree(place)
    shutil.copytree(given, place)


@pytest.mark.parametrize("spoil", [is_away, is_half_copied, holds_the_old_one])
def test_one_that_cannot_be_read_yet_is_tried_again(
    house: House, trained_folder: Path, tmp_path: Path, spoil: Callable[[Path, Path], None]
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(house.place, whole)
    spoil(house.place, trained_folder)

    async def go() -> None:
        await house.begin()
        await house.look_for(3)
        assert (house.policies.id, house.adopted) == (house.given, [])
        shutil.rmtree(house.place, ignore_errors=True)
        shutil.copytree(whole, house.place)
        await house.look_for(8)
        assert (house.policies.id, house.adopted) == (house.promoted, [house.promoted])

    asyncio.run(go())


def test_a_folder_that_the_system_cannot_read_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_: Path) -> Checkpoint:
        raise OSError(116, "Stale file handle")

    async def go() -> None:
        with monkeypatch.context() as patched:
            patched.setattr("rlfocal.gateway.policies.load_checkpoint", stale)
            await house.begin()
        await house.look_for(1)
        assert house.policies.id == house.promoted

    asyncio.run(go())


def test_the_waits_grow_and_end(house: House, caplog: pytest.LogCaptureFixture) -> None:
    is_away(house.place, house.place)

    async def go() -> None:
        await house.begin()
        tries = []
        for second in range(1, 1400):
            before = house.n_tries
            await house.look_for(1)
            if house.n_tries > before:
                tries.append(second)
        assert tries == [1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111]

    asyncio.run(go())
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 12
    assert "it is tried again in 300 s" in said[-1]


def test_one_that_does_not_fit_is_tried_again_only_where_it_is_promoted_again(
    house: House,
) -> None:
    house.misfit = True

    async def go() -> None:
        await house.begin()
        await house.look_for(700)
        assert house.n_tries == 1
        assert house.policies.id == house.given
        house.misfit = False
        await house.look_for(1)
        assert house.policies.id == house.given
        await house.set_live(house.given)
        await house.set_live(house.promoted)
        assert house.policies.id == house.promoted

    asyncio.run(go())

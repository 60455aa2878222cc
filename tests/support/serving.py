"""A gateway that listens on a free port of this machine, in a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from rlfocal.checkpoint import load_checkpoint
from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.gateway.app import build_app
from rlfocal.gateway.door.server import OPTIONS
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store import KeyLimits, Store, open_store
from rlfocal.pool.settings import read_pool

_GRACE_S = 60.0


@dataclass(frozen=True)
class Served:
    """A gateway that is being served."""

    url: str
    """Without /v1."""
    key: str
    """Of an administrator without limits; empty where the door is open."""
    store: Store
    gateway: Gateway

    @property
    def headers(self) -> dict[str, str]:
        """Of a request that is let in."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def add_key(self, name: str, *, admin: bool = False, **limits: Any) -> str:
        """Another key."""
        with self.store.connections.write() as connection:
            made = self.store.keys.add(
                connection, name, now=time.time(), admin=admin, limits=KeyLimits(**limits)
            )
        return made.plaintext


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what a gateway does in its own time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@contextmanager
def serving(
    checkpoint: Path | None,
    pool: Path,
    db: str,
    *,
    open_door: bool = False,
    answers: str | None = None,
    busy_timeout_s: float = 20,
    **settings: Any,
) -> Iterator[Served]:
    """Serve a checkpoint's folder with a pool file; `settings` as in the limits' file.

    Without a folder it starts without labels.
    """
    store = open_store(db, busy_timeout_s=busy_timeout_s)
    members = read_pool(pool)
    start = start_without_labels(members) if checkpoint is None else load_checkpoint(checkpoint)
    gateway = Gateway(
        checkpoint, start, members, GatewaySettings(**settings), store,
        open_door=open_door, answers=answers,
    )  # fmt: skip
    app = build_app(gateway, open_door=open_door)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=2, **OPTIONS))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    served = Served(f"http://127.0.0.1:{listening.getsockname()[1]}", "", store, gateway)
    try:
        until = time.monotonic() + _GRACE_S
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            assert time.monotonic() < until, "the gateway took too long to start"
            time.sleep(0.02)
        key = "" if open_door else served.add_key(f"root-{time.monotonic_ns()}", admin=True)
        yield Served(served.url, key, store, gateway)
    finally:
        server.should_exit = True
        thread.join(_GRACE_S)
        listening.close()
        store.close()

"""A gateway whose event loop tells how long it stood still.

    python benchmarks/load/beating.py CHECKPOINT POOL DATABASE KEYS PORT BEATS LIMITS

It serves on PORT as `rlfocal serve` does. Whoever connects to BEATS is told, as JSON, what the
longest pause between two beats of the loop was since the last time it was asked, in wall time and
in CPU time of the loop's own thread, and the CPU time of the whole process; and it begins anew.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import uvicorn

from rlfocal.checkpoint import load_checkpoint
from rlfocal.gateway.app import build_app
from rlfocal.gateway.door.server import OPTIONS, OwnProcess
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.settings import read_settings
from rlfocal.gateway.store.store import open_store
from rlfocal.pool.settings import read_pool

BEAT_S = 0.002


class Heart:
    """Beats in one event loop."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pause_s = self._busy_s = 0.0
        self._cpu = time.process_time()

    async def beat(self) -> None:
        """Until cancelled."""
        wall, busy = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(BEAT_S)
            wall_now, busy_now = time.perf_counter(), time.thread_time()
            self._pause_s = max(self._pause_s, wall_now - wall - BEAT_S)
            self._busy_s = max(self._busy_s, busy_now - busy)
            wall, busy = wall_now, busy_now

    async def tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say what was seen, and forget it."""
        seen = {"pause_s": self._pause_s, "busy_s": self._busy_s}
        seen["cpu_s"] = time.process_time() - self._cpu
        with suppress(OSError):
            writer.write(json.dumps(seen).encode())
            await writer.drain()
        writer.close()
        self._begin()


class Server(OwnProcess):
    """One that beats."""

    beats = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and to beat."""
        heart = Heart()
        await asyncio.start_server(heart.tell, "127.0.0.1", self.beats)
        self._beating = asyncio.create_task(heart.beat())
        await super().startup(sockets)


def main() -> None:
    """Serve until it is ended."""
    checkpoint, pool, database, keys, port, beats, limits = sys.argv[1:]
    settings = read_settings(Path(limits))
    with open_store(database) as store:
        store.sync_file(Path(keys))
        folder = Path(checkpoint)
        gateway = Gateway(folder, load_checkpoint(folder), read_pool(Path(pool)), settings, store)
        config = uvicorn.Config(build_app(gateway), timeout_keep_alive=75, **OPTIONS)
        server = Server(config, on_ready=lambda: None)
        server.beats = int(beats)
        server.run(sockets=[socket.create_server(("127.0.0.1", int(port)), backlog=512)])


if __name__ == "__main__":
    main()

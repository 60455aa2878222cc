"""`rlfocal serve` as a process of its own, which can be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GRACE_S = 120.0
_COMMAND = [sys.executable, "-c", "from rlfocal.cli.main import main; main()"]


class GatewayProcess:
    """One process that serves.

    Args:
        checkpoint: folder; None for the pool file alone.
        pool: file.
        db: URL.
        config: file of limits; None for the defaults.
        log: what it says goes there.
        port: to listen on; 0 takes a free one.
    """

    def __init__(
        self,
        checkpoint: Path | None,
        pool: Path,
        db: str,
        log: Path,
        config: Path | None,
        port: int = 0,
    ):
        options = ["--port", str(port), "--db", db]
        if config is not None:
            options += ["--config", str(config)]
        places = [str(place) for place in (checkpoint, pool) if place is not None]
        self._log, self._is_told = log, False
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*_COMMAND, "serve", *places, *options],
                stdout=out, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.url = self._until_it_listens()

    def _until_it_listens(self) -> str:
        until = time.monotonic() + _GRACE_S
        while time.monotonic() < until and self._process.poll() is None:
            found = re.search(r"listening on (http://[0-9.:]+)", self.said())
            if found:
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"the gateway did not start: {self.said()}")

    def said(self) -> str:
        """Its log so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """As kill -9 does: nothing of it runs any more."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(_GRACE_S)

    def tell(self) -> None:
        """As an operator does, who then waits for it by `stop`."""
        self._process.send_signal(signal.SIGTERM)
        self._is_told = True

    def stop(self) -> int:
        """As an operator does; its exit status."""
        if self._process.poll() is None and not self._is_told:
            self.tell()
        return self._process.wait(_GRACE_S)


@contextmanager
def gateway_process(
    checkpoint: Path | None,
    pool: Path,
    db: str,
    log: Path,
    config: Path | None = None,
    port: int = 0,
) -> Iterator[GatewayProcess]:
    """Start one, and end it in any case."""
    started = GatewayProcess(checkpoint, pool, db, log, config, port)
    try:
        yield started
    finally:
        started.stop()

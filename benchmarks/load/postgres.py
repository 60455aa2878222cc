"""A throw-away PostgreSQL server that only this machine's programs can reach, by a socket file."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["postgres"]

_START_S = 60.0


@contextmanager
def postgres() -> Iterator[tuple[str, int]]:
    """Start one: its URL and its process.

    Raises:
        SystemExit: its programs are not there, or it does not start.
    """
    bins = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(bins))])
    initdb, server = (shutil.which(name, path=places) for name in ("initdb", "postgres"))
    if initdb is None or server is None:
        raise SystemExit("no initdb or postgres on PATH or under /usr/lib/postgresql; give --db")
    with tempfile.TemporaryDirectory(prefix="rlfocal-pg-") as name:
        folder = Path(name)
        quiet: dict[str, Any] = {
            "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": folder,
        }  # fmt: skip
        if os.geteuid() == 0:  # the server refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            quiet |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = str(folder / "data")
        make = [initdb, "-D", data, "-U", "load", "-A", "trust", "--no-sync"]
        subprocess.run([*make, "--encoding=UTF8", "--locale=C"], check=True, **quiet)
        words = [server, "-D", data, "-k", name, "-c", "listen_addresses="]
        running: subprocess.Popen[bytes]
        with subprocess.Popen(words, **quiet) as running:
            try:
                url = f"postgresql://load@/postgres?host={folder}"
                _wait_for(url, running)
                yield url, running.pid
            finally:
                running.terminate()
                with suppress(subprocess.TimeoutExpired):
                    running.wait(15)


def _wait_for(url: str, running: subprocess.Popen[bytes]) -> None:
    import psycopg

    ends = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError as exc:
            if running.poll() is not None or time.monotonic() > ends:
                raise SystemExit(f"PostgreSQL does not start: {exc}") from exc
            time.sleep(0.05)

"""Gateways with several keys, over an upstream that says as much as it is told to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from load.ensemble import PROGRAM, names, pool_file
from load.servers import Server, free_port, process, wait_for
from rlfocal.gateway.store.keys import make_plaintext

_HERE = Path(__file__).parent
MOST_TOKENS = 16_384


@dataclass(frozen=True)
class Door:
    """A gateway that runs, and its keys."""

    server: Server
    keys: Mapping[str, str]
    beats: int
    """Port at which its heart is asked; 0 for none."""


@contextmanager
def talkative(folder: Path) -> Iterator[Server]:
    """The upstream."""
    port, log = free_port(), folder / "talkative.log"
    command = [sys.executable, str(_HERE / "talkative.py"), "--port", str(port)]
    with process(command, log) as running:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/counts", running, log)
        yield Server("talkative", url, running.pid, log=log)


@contextmanager
def door(
    checkpoint: Path,
    upstream: Server,
    folder: Path,
    keys: Mapping[str, str],
    *,
    limits: str = "",
    max_tokens: int = MOST_TOKENS,
    prefix: Sequence[str] = (),
    source: Path | None = None,
    beating: bool = False,
) -> Iterator[Door]:
    """Start a gateway.

    Args:
        checkpoint: of `ensemble.train` with three members.
        upstream: a `talkative`.
        folder: for its files; it is made.
        keys: name → further lines of the file of keys.
        limits: lines of the file of limits.
        max_tokens: of each member.
        prefix: words before the command.
        source: the folder src of another build, which is run instead; None for the one installed.
        beating: whether its heart can be asked.
    """
    folder.mkdir()
    pool = pool_file(folder, f"{upstream.url}/v1", names(3))
    text = pool.read_text(encoding="utf-8")
    pool.write_text(text.replace("max_tokens = 16\n", f"max_tokens = {max_tokens}\n"), "utf-8")
    given = {name: make_plaintext() for name in keys}
    parts = [
        f'[[keys]]\nname = "{name}"\nkey_env = "LOAD_{name.upper()}"\n{lines}'
        for name, lines in keys.items()
    ]
    (folder / "keys.toml").write_text("\n".join(parts), encoding="utf-8")
    (folder / "limits.toml").write_text(limits, encoding="utf-8")
    port, beats = free_port(), free_port() if beating else 0
    files = [str(folder / name) for name in ("gateway.db", "keys.toml", "limits.toml")]
    command = [
        PROGRAM, "serve", str(checkpoint), str(pool), "--port", str(port), "--db", files[0],
        "--keys", files[1], "--config", files[2],
    ]  # fmt: skip
    if beating:
        numbers = [str(port), str(beats), files[2]]
        script = str(_HERE / "beating.py")
        command = [sys.executable, script, str(checkpoint), str(pool), *files[:2], *numbers]
    env = {f"LOAD_{name.upper()}": key for name, key in given.items()}
    if source is not None:
        env["PYTHONPATH"] = os.pathsep.join([str(source), str(_HERE.parent)])
    log = folder / "gateway.log"
    with process([*prefix, *command], log, env) as running:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/healthz", running, log)
        yield Door(Server("rlfocal", url, running.pid, log=log), given, beats)

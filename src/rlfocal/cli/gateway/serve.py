"""`rlfocal serve`: a trained ensemble behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rlfocal.cli import starting
from rlfocal.cli.common import option
from rlfocal.cli.gateway.database import GATEWAY_DB, GatewayDb
from rlfocal.cli.output.console import remark
from rlfocal.errors import ConfigError, NotInstalled

if TYPE_CHECKING:
    import socket

    from rlfocal.gateway.gateway import Gateway
    from rlfocal.gateway.store.store import Store

__all__ = ["serve"]

_KEEP_ALIVE_S = 75
_BACKLOG = 2048
"""Connections that may wait to be taken, where there are descriptors for as many."""


def serve(
    first: starting.First = None,
    second: starting.Second = None,
    host: Annotated[str, option(value="ADDRESS", help="Address to listen on.")] = ("127.0.0.1"),
    port: Annotated[int, option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    db: GatewayDb = GATEWAY_DB,
    keys: Annotated[
        Path | None, option("--keys", value="FILE", help="TOML file of keys that are let in, too.")
    ] = None,
    open_: Annotated[
        bool, option("--open", help="Ask nobody for a key; on this machine's own address only.")
    ] = False,
    config: Annotated[
        Path | None, option("--config", value="FILE", help="TOML file of limits.")
    ] = None,
    answers: starting.Answers = None,
) -> None:
    """Serve an ensemble to clients of OpenAI's API.

    POST /v1/chat/completions with the model "rlfocal", "rlfocal:PRICE" or a member's name. Prompts
    are neither logged nor stored, unless the limits say so. Without a checkpoint the shipped prior
    decides, and follows what POST /v1/feedback says of its answers.
    """  # fmt: skip
    _require_extra()
    folder, pool_file = starting.named(first, second, verb="serve")
    with _nothing_collected():
        _serve(folder, pool_file, db, keys, config, (host, port), answers, open_=open_)


def _serve(
    folder: Path | None,
    pool_file: Path,
    db: str,
    keys: Path | None,
    config: Path | None,
    where: tuple[str, int],
    answers: str | None,
    *,
    open_: bool,
) -> None:
    from rlfocal.gateway.door.descriptors import raise_descriptors
    from rlfocal.gateway.gateway import Gateway
    from rlfocal.gateway.settings import read_settings
    from rlfocal.gateway.store.store import open_store

    raise_descriptors()
    settings, start = read_settings(config), starting.start(folder, pool_file)
    host, port = where
    with open_store(db) as store:
        if keys is not None:
            store.sync_file(keys)
        _check_door(store, host, open_=open_)
        gateway = Gateway(
            folder, start.checkpoint, start.pool, settings, store, open_door=open_, answers=answers
        )
        if folder is None:
            _say_what_follows(start, keeps_prompts=settings.keep_prompts)
        _run(gateway, host, port, open_=open_)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """No garbage is looked for until requests are answered (`OwnProcess`).

    All that is loaded stays, and to look through it again and again takes a fifth of the start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _say_what_follows(start: starting.Start, *, keeps_prompts: bool) -> None:
    remark(start.says)
    kept = (
        "their prompts are kept, to train on later"
        if keeps_prompts
        else "to train on them later, keep prompts: keep_prompts = true in --config FILE"
    )
    remark(f"judge answers by POST /v1/feedback: it follows them from the first; {kept}")


def _require_extra() -> None:
    from rlfocal.extras import lacking

    told = lacking("starlette", "uvicorn", "prometheus_client")
    if told is not None:
        raise NotInstalled(f"serving {told}")


def _check_door(store: Store, host: str, *, open_: bool) -> None:
    """Refuse to serve where no key is asked for, unless on this machine's own address alone."""
    with store.connections.read() as connection:
        has_keys = store.keys.any(connection)
    if open_ and not _is_loopback(host):
        raise ConfigError(
            f"--open with --host {host}: anybody who reaches this address could spend your money; "
            "listen on 127.0.0.1, or make keys: rlfocal keys add NAME"
        )
    if not open_ and not has_keys:
        raise ConfigError(
            f"{store.connections.place.name} holds no key, so nobody could be let in; make one: "
            "rlfocal keys add NAME --db URL (or, on this machine's own address alone, serve with "
            "--open)"
        )


def _is_loopback(host: str) -> bool:
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _run(gateway: Gateway, host: str, port: int, *, open_: bool) -> None:
    import uvicorn

    from rlfocal.gateway.app import build_app
    from rlfocal.gateway.door.descriptors import most_descriptors
    from rlfocal.gateway.door.server import OPTIONS, OwnProcess

    shown = logging.StreamHandler()
    shown.setFormatter(_Lines("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[shown])
    most = gateway.connections.most
    logging.getLogger(__name__).info(
        "at most %d connections, with %d descriptors", most, most_descriptors()
    )
    # They are all taken at once, before one of them could be closed.
    backlog = min(_BACKLOG, max(1, most // 2))
    config = uvicorn.Config(
        build_app(gateway, open_door=open_),
        timeout_keep_alive=_KEEP_ALIVE_S,
        backlog=backlog,
        **OPTIONS,
    )
    with _listening(host, port, backlog) as place:
        where = f"[{host}]" if ":" in host else host
        url = f"http://{where}:{place.getsockname()[1]}"

        def say() -> None:
            remark(f"listening on {url}")
            remark(
                "no keys are asked for: everybody on this machine may spend your money"
                if open_
                else "clients need a key: rlfocal keys add NAME"
            )

        def leave() -> None:
            gateway.is_leaving = True

        settings = gateway.settings
        OwnProcess(
            config,
            on_ready=say,
            notice_s=settings.notice_s,
            on_leaving=leave,
            drain_s=settings.drain_s,
            on_late=gateway.break_off,
        ).run(sockets=[place])


class _Lines(logging.Formatter):
    """Lines of a log: what goes as it should says so plainly, the rest names its level."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        if record.levelno <= logging.INFO:
            return line
        return line.replace(record.message, f"{record.levelname}: {record.message}", 1)


def _listening(host: str, port: int, backlog: int) -> socket.socket:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; try --port 0") from exc

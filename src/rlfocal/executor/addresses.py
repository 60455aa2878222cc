"""Whether anybody listens at an address, asked before any work is done for who should."""

from __future__ import annotations

import socket

from rlfocal.errors import ConfigError

__all__ = ["CONNECT_S", "check_reachable"]

CONNECT_S = 20.0
"""Seconds for a connection to a cluster."""


def check_reachable(place: str, address: str) -> None:
    """Refuse an address where nobody listens: engines themselves may try for minutes.

    Args:
        place: as `--on` takes it, for the message.
        address: "HOST:PORT"; what is no such thing passes.

    Raises:
        ConfigError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except (OSError, OverflowError) as exc:
            raise ConfigError(f"--on {place}: nobody listens there: {exc}") from exc

"""`rlfocal keys`: who may use a gateway, and how much."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.gateway.database import GATEWAY_DB, GatewayDb, gateway_in, require
from rlfocal.cli.output.console import print_json, remark
from rlfocal.cli.output.tables import Column, print_table
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.gateway.store import KeyUse
    from rlfocal.gateway.store.abandoned import Lost

__all__ = ["add", "list_keys", "revoke", "settle"]

Which = Annotated[str, argument("NAME_OR_ID", "The key's name or id, or the key.")]
_ADMIN = "May see everybody's requests and change policies."
_UNITS_S = {"m": 60, "h": 3600, "d": 86400}


def add(
    name: Annotated[str, argument("NAME", "Whose key it is.")],
    usd: Annotated[float | None, option(min=0, help="Spend at most so many dollars.")] = None,
    per: Annotated[
        str, option(value="PERIOD", help="In each day or month (UTC), or in total.")
    ] = "month",
    requests_per_minute: Annotated[
        float | None, option(help="Requests per minute, on average.")
    ] = None,
    concurrency: Annotated[int | None, option(min=1, help="Requests under way at once.")] = None,
    expires: Annotated[
        str | None, option(value="WHEN", help="After 90m, 12h or 30d, or on a date (UTC).")
    ] = None,
    admin: Annotated[bool, option("--admin", help=_ADMIN)] = False,
    db: GatewayDb = GATEWAY_DB,
) -> None:
    """Make a key. It is printed now, and never again: KEY=$(rlfocal keys add me)."""
    from rlfocal.gateway.store import KeyLimits, open_store

    now = time.time()
    try:
        limits = KeyLimits(usd, per, requests_per_minute, concurrency)  # type: ignore[arg-type]
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
    until = None if expires is None else _moment(expires, now)
    with open_store(db) as store, store.connections.write() as connection:
        new = store.keys.add(
            connection, name, now=now, admin=admin, limits=limits, expires_at=until
        )
        where = store.connections.place.name
    typer.echo(new.plaintext)
    remark(f"key '{name}' (id {new.key.id}) is in {where}; it is not shown again")


def list_keys(db: GatewayDb = GATEWAY_DB, as_json: common.JsonFlag = False) -> None:
    """List the keys, and what each has spent in its period."""
    now = time.time()
    with gateway_in(db) as store, store.connections.read() as connection:
        uses = store.keys.uses(connection, now)
    if as_json:
        print_json([_figures(use, now) for use in uses])
        return
    print_table(
        uses,
        Column("name", lambda use: use.key.name),
        Column("id", lambda use: use.key.id, spare=2),
        Column("state", lambda use: use.key.state(now) + ", admin" * use.key.admin),
        Column("spent", _spent),
        Column("budget", lambda use: _per_period(use, use.key.limits.usd, "g"), spare=1),
        Column(
            "rate",
            lambda use: _shown_number(use.key.limits.requests_per_minute, " per minute"),
            spare=4,
        ),
        Column("at once", lambda use: _shown_number(use.key.limits.concurrency), spare=5),
        Column("expires", lambda use: _shown(use.key.expires_at), spare=3),
    )


def revoke(
    which: Which,
    db: GatewayDb = GATEWAY_DB,
) -> None:
    """Revoke a key for good; gateways that run notice within seconds."""
    from rlfocal.gateway.store import open_store

    require(db, "keys add NAME --db")
    with open_store(db) as store, store.connections.write() as connection:
        key = store.keys.revoke(connection, which, now=time.time())
    remark(f"key '{key.name}' (id {key.id}) is revoked")


def settle(
    which: Which,
    usd: Annotated[
        float | None,
        option(help="What they came to together, by the servers' bill; 0 forgives them."),
    ] = None,
    only: Annotated[
        list[str] | None,
        option("--request", value="ID", help="Only this request; may be repeated."),
    ] = None,
    db: GatewayDb = GATEWAY_DB,
    as_json: common.JsonFlag = False,
) -> None:
    """List a key's requests whose gateway was killed, or say what they came to.

    Nobody knows what they cost, so they count at their most. Which failed calls of other requests
    were billed stays open.
    """
    from rlfocal.gateway.store import open_store

    require(db, "keys add NAME --db")
    if usd is not None and not 0 <= usd < math.inf:
        raise ConfigError(f"--usd {usd:g}: give a number of dollars that is not negative")
    if only and usd is None:
        raise ConfigError("--request: say what it came to with --usd (0 forgives it)")
    with open_store(db) as store, store.connections.write() as connection:
        now = store.connections.now_s(connection)  # by which it is known who is dead
        store.ledger.sweep(connection, now)
        key = store.keys.named(connection, which)
        lost = (
            store.abandoned.of(connection, key)
            if usd is None
            else store.abandoned.settle(
                connection, key, usd, by=_who(), now=now, only=tuple(only or ())
            )
        )
    if as_json:
        print_json([_lost(one) for one in lost])
    elif lost:
        print_table(
            lost,
            Column("request", lambda one: one.id),
            Column("given up", lambda one: _shown(one.created_at)),
            Column("dollars at most", lambda one: f"${one.unsettled_usd:.6f}"),
        )
    most = sum(one.unsettled_usd for one in lost)
    if usd is not None:
        remark(
            f"key '{key.name}': {len(lost)} abandoned requests, ${most:.6f} at most, came to "
            f"${usd:.6f}"
        )
    elif lost:
        remark(f"${most:.6f} at most; --usd says what they came to, --usd 0 forgives them")
    else:
        remark(f"key '{key.name}' has no abandoned requests")


def _spent(use: KeyUse) -> str | None:
    open_ = use.unsettled_usd
    more = f"\n${open_:.4f} of it unsettled" if open_ > 0 else ""
    return f"{_per_period(use, use.spent_usd, '.4f')}{more}"


def _per_period(use: KeyUse, usd: float | None, form: str) -> str | None:
    period = use.key.limits.period
    each = period if period == "total" else f"per {period}"
    return None if usd is None else f"${usd:{form}} {each}"


def _shown_number(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{value:g}{unit}"


def _lost(one: Lost) -> dict[str, Any]:
    return {
        "id": one.id,
        "created_at": _shown(one.created_at),
        "uncertain_cost_usd": one.unsettled_usd,
    }


def _who() -> str:
    """Who says so, for the log."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container need not know its user's name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _moment(text: str, now: float) -> float:
    """When a key expires, in seconds since 1970.

    Raises:
        ConfigError: it is no time, or not in the future.
    """
    if found := re.fullmatch(r"(\d{1,5})([mhd])", text):
        moment = now + int(found[1]) * _UNITS_S[found[2]]
    else:
        try:
            date = datetime.fromisoformat(text)
            moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError) as exc:
            raise ConfigError(
                f"--expires {text}: not a time; write 90m, 12h, 30d, 2030-01-31 or 2030-01-31T12:00"
            ) from exc
    if moment <= now:
        raise ConfigError(f"--expires {text}: is over already; give a time in the future")
    return moment


def _shown(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _figures(use: KeyUse, now: float) -> dict[str, Any]:
    key, limits = use.key, use.key.limits
    return {
        "name": key.name,
        "id": key.id,
        "state": key.state(now),
        "admin": key.admin,
        "usd": limits.usd,
        "period": limits.period,
        "spent_usd": use.spent_usd,
        "uncertain_cost_usd": use.unsettled_usd,
        "held_usd": use.held_usd,
        "requests_per_minute": limits.requests_per_minute,
        "concurrency": limits.concurrency,
        "created_at": _shown(key.created_at),
        "expires_at": _shown(key.expires_at),
        "revoked_at": _shown(key.revoked_at),
    }

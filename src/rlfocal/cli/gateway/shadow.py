"""`rlfocal shadow`: learn a better policy from judged answers, and promote it if it surely is one.

The verbs only write rows; gateways that run follow the table of policies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.gateway.database import GATEWAY_DB, GatewayDb, gateway_in, require
from rlfocal.cli.output.console import print_json, remark, waiting
from rlfocal.cli.output.tables import Column, print_table
from rlfocal.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from rlfocal.gateway.store.rows import JudgedEpisode, PolicyRow
    from rlfocal.online.episodes import Episode

__all__ = ["learn", "list_policies", "promote", "rollback"]

Served = Annotated[
    Path, argument("CHECKPOINT", "Folder, or the pool file alone, that `rlfocal serve` was given.")
]


def learn(
    checkpoint: Served,
    out: Annotated[
        Path | None,
        option("--output", "-o", value="DIR", help="Where to; else beside the live policy."),
    ] = None,
    latest: Annotated[
        int, option("--latest", min=1, help="Judged answers to go by, at most.")
    ] = 20_000,
    days: Annotated[
        float | None, option(min=0, help="Only requests of so many days; older ones may mislead.")
    ] = None,
    seed: Annotated[int, option(help="Of everything that is random.")] = 0,
    db: GatewayDb = GATEWAY_DB,
    as_json: common.JsonFlag = False,
) -> None:
    """Learn a shadow from judged answers, and judge it on those that it did not learn from.

    It needs answers that were judged while the gateway explored (`explore` in its limits).
    """
    from rlfocal.checkpoint import load_checkpoint
    from rlfocal.checkpoint.shadow import save_shadow
    from rlfocal.extras import need
    from rlfocal.gateway.judged.feedback_memory import memory_of
    from rlfocal.gateway.policies import policy_id
    from rlfocal.gateway.settings import GatewaySettings
    from rlfocal.gateway.store import Event, PolicyRow, open_store
    from rlfocal.gateway.store.family import Family

    learning = need("rlfocal.online.learning", "learning a shadow")
    if checkpoint.suffix == ".toml":
        raise ConfigError(
            f"{checkpoint}: a start without labels learns no shadow: it follows judged answers as "
            "they come. To train on them: rlfocal export URL --gateway -o judged, then rlfocal "
            "train judged -o my-ensemble"
        )
    require(db, "serve --db")
    given, now = policy_id(load_checkpoint(checkpoint).description), time.time()
    since = 0.0 if days is None else now - 86400 * days
    with open_store(db) as store:
        with store.connections.read() as connection:
            family = Family(store.log.policies(connection), given)
            live, ids = family.live, family.ids if family.live else {given}
            judged = store.log.judged_episodes(connection, ids, n=latest, since=since)
            recent = store.log.feedback(connection, GatewaySettings().remember)
        folder = checkpoint if live is None else Path(live.path)
        loaded = load_checkpoint(folder)
        episodes = _episodes(judged, loaded.description.members)
        enough = len(recent) >= GatewaySettings().least_remembered
        memory = memory_of(recent, loaded) if enough else None
        with waiting(f"learning from {len(episodes):,} judged answers"):
            shadow = learning.learn(loaded.strategy, episodes, memory=memory, seed=seed)
            place, sha256 = save_shadow(folder, shadow.strategy, out)
        estimates = shadow.estimate.as_json() | {"n_learned_from": shadow.n_learned_from}
        row = PolicyRow(
            id=sha256[:16], parent=policy_id(loaded.description), created_at=now, state="shadow",
            path=str(place.resolve()), estimates=estimates,
        )  # fmt: skip
        event = Event(
            kind="shadow learned", what={"policy": row.id, "parent": row.parent}, created_at=now
        )
        with store.connections.write() as connection:
            store.log.add_policy(connection, row)
            store.log.set_policy(connection, row.id, estimates=dict(estimates))
            store.log.add_event(connection, event)
    if as_json:
        print_json(_figures(row))
    else:
        remark(f"shadow {row.id} in {place}")
        remark(f"it {'may' if estimates['may_promote'] else 'may not'} be promoted: "
                      f"{estimates['reason']}")  # fmt: skip


def list_policies(
    checkpoint: Served, db: GatewayDb = GATEWAY_DB, as_json: common.JsonFlag = False
) -> None:
    """List the policies that were served or learned, with what shadows would gain."""
    from rlfocal.gateway.policies import id_of
    from rlfocal.gateway.store.family import Family

    with gateway_in(db) as store, store.connections.read() as connection:
        rows = Family(store.log.policies(connection), id_of(checkpoint)).rows
    if as_json:
        print_json([_figures(row) for row in rows])
        return
    print_table(
        rows,
        Column("id", lambda row: row.id),
        Column("state", lambda row: row.state),
        Column("from", lambda row: row.parent, spare=2),
        *(_of_estimates(title, show) for title, show in _ESTIMATED.items()),
    )


def promote(
    checkpoint: Served,
    which: Annotated[
        str | None,
        option("--id", value="ID", help="Of the shadow; else the latest of the live one."),
    ] = None,
    force: Annotated[
        bool, option("--force", help="Even if it is not surely better; that is noted.")
    ] = False,
    db: GatewayDb = GATEWAY_DB,
) -> None:
    """Let a shadow decide from now on, if it is surely better than the live policy."""
    from rlfocal.checkpoint import load_checkpoint
    from rlfocal.gateway.policies import id_of
    from rlfocal.gateway.store import Event, open_store
    from rlfocal.gateway.store.family import Family, objection

    require(db, "serve --db")
    now = time.time()
    with open_store(db) as store, store.connections.write() as connection:
        family = Family(store.log.policies(connection), id_of(checkpoint))
        live, shadow = family.require_live(), family.shadow(which)
        reason = objection(shadow, live)
        if reason is not None and not force:
            raise ConfigError(f"shadow {shadow.id} is not promoted: {reason}")
        if not (Path(shadow.path) / "checkpoint.json").is_file():
            raise ConfigError(f"shadow {shadow.id}: {shadow.path} holds no checkpoint any more")
        load_checkpoint(Path(shadow.path))  # what cannot be served is not promoted
        store.log.set_policy(connection, shadow.id, state="live")
        what = {"policy": shadow.id, "before": live.id, "forced": reason is not None}
        store.log.add_event(connection, Event(kind="policy promoted", what=what, created_at=now))
    if reason is not None:
        remark(f"forced, although: {reason}")
    remark(f"{shadow.id} is live; {live.id} was (rlfocal shadow rollback)")


def rollback(checkpoint: Served, db: GatewayDb = GATEWAY_DB) -> None:
    """Let the policy decide again from which the live one was learned."""
    from rlfocal.gateway.policies import id_of
    from rlfocal.gateway.store import Event, open_store
    from rlfocal.gateway.store.family import Family

    require(db, "serve --db")
    now = time.time()
    with open_store(db) as store, store.connections.write() as connection:
        family = Family(store.log.policies(connection), id_of(checkpoint))
        live = family.require_live()
        if live.parent not in {row.id for row in family.rows}:
            raise ConfigError(f"{live.id} is live, and nothing was before it")
        store.log.set_policy(connection, str(live.parent), state="live")
        what = {"policy": live.parent, "before": live.id}
        store.log.add_event(connection, Event(kind="policy rolled back", what=what, created_at=now))
    remark(f"{live.parent} is live again; {live.id} is retired")


def _episodes(judged: Sequence[JudgedEpisode], members: Sequence[str]) -> list[Episode]:
    """Those that can be read, each with its feedback."""
    from rlfocal.online.episodes import Episode

    found, n_unread = [], 0
    for one in judged:
        try:
            episode = Episode.of_json({**one.episode, "key": one.request_id})
        except RecordError:
            n_unread += 1
            continue
        scores = [one.member_scores.get(name) for name in members]
        found.append(episode.judged(one.earned, scores))
    if n_unread:
        remark(f"{n_unread:,} judged answers are left out: another version, or damaged")
    return found


_ESTIMATED: dict[str, Callable[[Any], str]] = {
    "gain": lambda found: f"{_gain(found)['value']:+.4f}",
    "95 %": lambda found: f"{_gain(found)['low']:+.4f} to {_gain(found)['high']:+.4f}",
    "judged on": lambda found: f"{found['n_episodes']:,}",
    "promotable": lambda found: "yes" if found["may_promote"] else "no",
}
"""Columns of what is estimated of a shadow."""


def _gain(estimates: Any) -> Any:
    return estimates["difference"]["dr"]


def _of_estimates(title: str, show: Callable[[Any], str]) -> Column[PolicyRow]:
    return Column(
        title,
        lambda row: None if row.estimates is None else show(row.estimates),
        spare=int(title == "judged on"),
    )


def _figures(row: PolicyRow) -> dict[str, Any]:
    names = ("id", "parent", "state", "created_at", "path", "estimates")
    return {name: getattr(row, name) for name in names}

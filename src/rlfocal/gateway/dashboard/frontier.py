"""Each price of a call: what training found there, what was served, what could be played through.

Three kinds of evidence that are not to be mixed: training judged every policy on queries it was
not fitted on; traffic shows what clients got who asked for that price; a replay says what the
served requests would have come to.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from rlfocal.deliberation.view import Memory
from rlfocal.errors import RecordError
from rlfocal.gateway.dashboard.accuracy import accuracy
from rlfocal.gateway.dashboard.history import Judged, Known, Seen
from rlfocal.gateway.dashboard.replaying import Logged, replayed
from rlfocal.gateway.store.schema import requests
from rlfocal.gateway.store.store import Store
from rlfocal.live import FREE_WORDS
from rlfocal.rl.checkpoint import Checkpoint
from rlfocal.rl.online.episodes import Episode
from rlfocal.rl.strategy import RlFocal

__all__ = ["MOST_REPLAYED", "frontier"]

MOST_REPLAYED = 300
"""Requests; more would say little more and take longer."""
_log = logging.getLogger(__name__)


def frontier(
    store: Store, known: Known, checkpoint: Checkpoint, policy: str, memory: Memory | None
) -> dict[str, Any]:
    """Work it out; blocks, for a second or so.

    Args:
        store: where episodes are.
        known: the last requests and judgements.
        checkpoint: that decides.
        policy: its id.
        memory: recent labelled queries, which it follows.
    """
    strategy = checkpoint.strategy
    dials: tuple[float, ...] = getattr(strategy, "dials", ())
    own: float | None = getattr(strategy, "price", None)
    prices = sorted({*dials, *([] if own is None else [own])})
    together = [r for r in known.requests if r.by_ensemble and r.status == 200 and r.calls]
    replay: dict[str, Any] = {"n": 0, "n_as_served": 0, "prices": []}
    if isinstance(strategy, RlFocal):
        logged = _logged(store, together, checkpoint, policy)
        replay = replayed(strategy, logged, known.judged, memory=memory)
    return {
        "own_price": own,
        "prices": prices,
        "training": _training(strategy, prices),
        "served": [_served(together, known.judged, price) for price in prices],
        "replay": replay | {"most": MOST_REPLAYED, "possible": isinstance(strategy, RlFocal)},
    }


def _training(strategy: Any, prices: Sequence[float]) -> list[dict[str, Any] | None]:
    if not isinstance(strategy, RlFocal):
        return [None for _ in prices]
    found: list[dict[str, Any] | None] = []
    for price in prices:
        # Between two prices of the grid nothing was measured: then it is the nearest one's.
        verdict = strategy.fallback_.verdict(price)
        took_over = verdict.chosen != verdict.incumbent
        found.append(
            {
                "price": verdict.price,
                "acting": verdict.chosen,
                "worth": verdict.rival_utility if took_over else verdict.utility,
                "other": verdict.incumbent if took_over else verdict.rival,
                "other_worth": verdict.utility if took_over else verdict.rival_utility,
                "standard_error": verdict.standard_error,
            }
        )
    return found


def _served(seen: Sequence[Seen], judged: Mapping[str, Judged], price: float) -> dict[str, Any]:
    here = [r for r in seen if r.price is not None and np.isclose(r.price, price, rtol=1e-4)]
    n = len(here)
    is_priced = all(r.n_unpriced == 0 for r in here)
    return {
        "n": n,
        "n_calls": sum(len(r.calls) for r in here) / n if n else None,
        "usd": sum(r.usd for r in here) / n if n and is_priced else None,
        "accuracy": accuracy(here, judged),
    }


def _logged(
    store: Store, together: Sequence[Seen], checkpoint: Checkpoint, policy: str
) -> list[Logged]:
    """Requests at the policy's own price whose episodes are there.

    Answers in free words are left out: which of them say the same depends on all that were given.
    """
    strategy = checkpoint.strategy
    assert isinstance(strategy, RlFocal)
    fit = {
        r.id: r
        for r in together
        if r.policy == policy and r.price == strategy.price and not r.shut
        and r.kind not in (FREE_WORDS, "tools")
    }  # fmt: skip
    wanted = list(fit)[-MOST_REPLAYED:]
    if not wanted:
        return []
    there = sa.select(requests.c.id, requests.c.episode).where(requests.c.id.in_(wanted))
    with store.connections.read() as connection:
        rows = connection.execute(there.order_by(requests.c.position)).all()
    members = tuple(checkpoint.description.members)
    n_features = strategy.foundation_.competence.weight.shape[0]
    found = []
    for row in rows:
        if row.episode is None:
            continue
        try:
            episode = Episode.of_json(row.episode)
        except RecordError as exc:
            _log.warning("request %s cannot be played through: %s", row.id, exc)
            continue
        if episode.n_members == len(members) and len(episode.features) == n_features:
            found.append(Logged(fit[row.id], episode, members))
    return found

"""Each setting of a strategy's dial: what training found, what was served, what a replay says.

Three kinds of evidence that are not to be mixed: training judged every policy on queries it was
not fitted on; traffic shows what clients got who asked for that price; a replay says what the
served requests would have come to.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.base import Base
from rlfocal.errors import RecordError
from rlfocal.gateway.dashboard.accuracy import accuracy, mean_difference, mean_score
from rlfocal.gateway.dashboard.history import Known, LoggedRequest
from rlfocal.gateway.store.rows import FeedbackRow
from rlfocal.gateway.store.schema import requests
from rlfocal.gateway.store.store import Store
from rlfocal.live import FREE_WORDS
from rlfocal.online.episodes import Episode
from rlfocal.online.exploring import may_explore
from rlfocal.online.replaying import AtPrice, Logged, PriceComparison, compare_prices

__all__ = ["MOST_REPLAYED", "frontier"]

MOST_REPLAYED = 300
"""Requests; more would say little more and take longer."""
_MOST_ASKED = 6
"""Settings beside the dials."""
_LEAST = 1e-9
_SAME = 1e-4
"""Relative difference up to which two settings are the same."""
_log = logging.getLogger(__name__)


def frontier(
    store: Store, known: Known, checkpoint: Checkpoint, strategy: Base, policy: str
) -> dict[str, Any]:
    """Compute the figures of every setting; blocks, for a second or so.

    Args:
        store: where episodes are.
        known: the last requests and judgements.
        checkpoint: that decides.
        strategy: its, as recent feedback has it.
        policy: the checkpoint's id.
    """
    own = strategy.setting
    together = [
        r for r in known.requests if r.by_ensemble and r.row.status == 200 and r.trace.calls
    ]
    at = {price: _setting(strategy, price) for price in {r.trace.price for r in together}}
    asked = _often([at[r.trace.price] for r in together], {*strategy.dials} - {0.0})
    dials = sorted({*strategy.dials, *asked, *([] if own is None else [own])})
    here = [_nearest(at[r.trace.price], dials) for r in together]
    possible = strategy.price is not None and may_explore(strategy)
    logged = _logged(store, together, known.judged, checkpoint, policy) if possible else []
    return {
        "dial": strategy.dial,
        "own": own,
        "dials": dials,
        "training": [_training(strategy, dial) for dial in dials],
        "served": [
            _served(
                [r for r, place in zip(together, here, strict=True) if place == k], known.judged
            )
            for k in range(len(dials))
        ],
        "replay": _shown(
            compare_prices(strategy, logged, also=asked if strategy.dial == "price" else ())
        )
        | {"most": MOST_REPLAYED, "possible": possible},
    }


def _shown(found: PriceComparison) -> dict[str, Any]:
    def of(one: AtPrice) -> dict[str, Any]:
        figures = {k: v for k, v in one._asdict().items() if k not in ("worth", "served_worth")}
        accuracies = {"accuracy": one.worth, "served_accuracy": one.served_worth}
        difference = mean_difference(one.worth, one.served_worth)
        return (
            figures
            | {name: mean_score(worth) for name, worth in accuracies.items()}
            | {"difference": difference}
        )

    return found._asdict() | {"prices": [of(one) for one in found.prices]}


def _training(strategy: Base, dial: float) -> dict[str, Any] | None:
    """Who acts there and on what evidence, as far as training has judged that."""
    judged = [v for v in strategy.verdicts() if (v["price"] == 0) == (dial == 0)]
    if not judged:
        return None
    # Between two prices of the grid nothing was measured: then it is the nearest one's.
    verdict = min(judged, key=lambda v: abs(np.log(float(v["price"]) / dial)) if dial else 0.0)
    acting = strategy.with_dial(dial).acting
    took_over = acting is not None and acting.name != verdict["incumbent"]
    own = (verdict["incumbent"], verdict["utility"])
    rival = (verdict["rival"], verdict["rival_utility"])
    (name, worth), (other, other_worth) = (rival, own) if took_over else (own, rival)
    return {
        "price": verdict["price"],
        "acting": name,
        "worth": worth,
        "other": other,
        "other_worth": other_worth,
        "standard_error": verdict["standard_error"],
    }


def _setting(strategy: Base, price: float | None) -> float | None:
    """Where a request at that price has the dial; None where the strategy cannot say."""
    if strategy.dial == "price":
        return price
    try:
        return (strategy if price is None else strategy.at(price)).setting
    except ValueError:
        return None


def _same(one: float, other: float) -> bool:
    return bool(np.isclose(one, other, rtol=_SAME))


def _often(settings: Sequence[float | None], dials: Collection[float]) -> list[float]:
    """The settings between the dials that clients ask for most: each is shown on its own."""
    between = Counter(
        s for s in settings if s and dials and not any(_same(s, dial) for dial in dials)
    )
    return [setting for setting, _ in between.most_common(_MOST_ASKED)]


def _nearest(setting: float | None, dials: Sequence[float]) -> int | None:
    """Place of the dial at which a request counts; None where its setting is not known."""
    if setting is None or not dials:
        return None
    return min(range(len(dials)), key=lambda k: abs(_log_of(dials[k]) - _log_of(setting)))


def _log_of(setting: float) -> float:
    return float(np.log(max(setting, _LEAST)))


def _served(here: Sequence[LoggedRequest], judged: Mapping[str, FeedbackRow]) -> dict[str, Any]:
    n = len(here)
    is_priced = all(r.row.n_unpriced == 0 for r in here)
    return {
        "n": n,
        "n_calls": sum(len(r.trace.calls) for r in here) / n if n else None,
        "usd": sum(r.row.usd for r in here) / n if n and is_priced else None,
        "accuracy": accuracy(here, judged),
    }


def _logged(
    store: Store,
    together: Sequence[LoggedRequest],
    judged: Mapping[str, FeedbackRow],
    checkpoint: Checkpoint,
    policy: str,
) -> list[Logged]:
    """Requests at the policy's own price whose episodes are there.

    Answers in free words are left out: which of them say the same depends on all that were given.
    """
    price = checkpoint.strategy.price
    fit = {
        r.row.id: r
        for r in together
        if r.row.policy == policy and r.trace.price == price and not r.trace.circuit_open
        and r.trace.kind not in (FREE_WORDS, "tools")
    }  # fmt: skip
    wanted = list(fit)[-MOST_REPLAYED:]
    if not wanted:
        return []
    there = sa.select(requests.c.id, requests.c.episode).where(requests.c.id.in_(wanted))
    with store.connections.read() as connection:
        rows = connection.execute(there.order_by(requests.c.position)).all()
    members = tuple(checkpoint.description.members)
    found = []
    for row in rows:
        if row.episode is None:
            continue
        try:
            episode = Episode.of_json(row.episode)
        except RecordError as exc:
            _log.warning("request %s cannot be played through: %s", row.id, exc)
            continue
        n_features = episode.states.features.shape[1]
        of_pool = len(members), checkpoint.description.axes.get("D", n_features)
        if (episode.n_members, n_features) != of_pool:
            continue
        judgement, request = judged.get(row.id), fit[row.id]
        if judgement is not None:
            scores = [judgement.member_scores.get(member) for member in members]
            episode = episode.judged(judgement.earned, scores)
        earned = None if judgement is None else judgement.earned
        is_priced = request.row.n_unpriced == 0
        found.append(
            Logged(episode, request.asked, members, is_priced, earned, checkpoint.description.reads)
        )
    return found

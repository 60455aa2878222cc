"""The start of a pool of which nothing was ever recorded: the shipped prior, kept in memory.

Members start equal. All that is known of them is what a call costs, where the pool file says it;
who is good at what follows from answers that are judged (`Base.follow`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from rlfocal.checkpoint.arrays import to_bytes
from rlfocal.checkpoint.files import Checkpoint, assemble, describe
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.reading.checks import readers_of
from rlfocal.pool.settings import PoolSettings
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records import CandidateKind, FloatArray, ResponseTable, calibrate
from rlfocal.records.tables.table import CostUnit

__all__ = ["start_without_labels"]

_START = Spec("rl-focal-prior", {"zero_shot": True})
_TASK = "all"
_QUESTION = Question("?" * 800)
_REPLY_TOKENS = 250
"""A call's price is that of this question and a reply of so many tokens: only ratios matter."""
_REPLY = Said("?" * (4 * _REPLY_TOKENS), None)
"""What one shows of each that it reads."""
_LEAST = 0.02
"""Of the dearest member's price: no member counts as cheaper, one that is free included."""


@runtime_checkable
class _Priced(Protocol):
    """A strategy that can be told what calls cost before there are any."""

    def priced(self, cost: FloatArray) -> Self: ...


def start_without_labels(pool: PoolSettings) -> Checkpoint:
    """What to begin with where there are no recorded answers.

    The same pool makes the same checkpoint, to the last bit, so that its digest is the same again
    after a restart. Its description says `n_training_queries` = 0.

    Args:
        pool: the members. Where all have prices and not all are free, calls cost what these say;
            else all cost the same.
    """
    members = LivePool(pool).members
    usd = np.array([_typical_usd(member) for member in members], dtype=np.float64)
    is_priced = bool(np.isfinite(usd).all() and usd.max() > 0)
    readers = readers_of([member.settings for member in members])
    names = [member.name for member in members]
    table = _nothing(names, "usd" if is_priced else "call", readers)
    strategy = create_strategy(_START).fit(table, rng=np.random.default_rng(0))
    if is_priced and isinstance(strategy, _Priced):
        strategy = strategy.priced(np.maximum(usd, _LEAST * usd.max()).astype(np.float32))
    calibration, _ = calibrate(table)
    description, arrays = describe(strategy, table, calibration, encoder_spec=None, seed=0)
    known = to_bytes(arrays) + "\n".join(description.members).encode()  # no array says who they are
    if readers:
        told = {name: one.model_dump() for name, one in description.readers.items()}
        known += json.dumps(told, sort_keys=True).encode()
    digest = {"weights_sha256": hashlib.sha256(known).hexdigest()}
    return assemble(create_strategy(_START), description.model_copy(update=digest), arrays)


def _typical_usd(member: LiveMember) -> float:
    """Dollars of an ordinary question with its samples; NaN where nobody knows."""
    if member.price is None:
        return float("nan")
    shown = dict.fromkeys(member.settings.inputs, _REPLY)
    request = member.request(replace(_QUESTION, shown=shown))
    n_prompt = sum(len(message.content) for message in request.messages) // 4
    usd = member.price.of(n_prompt, min(request.max_tokens, _REPLY_TOKENS))
    return float("nan") if usd is None else usd * member.settings.samples


def _nothing(
    members: Sequence[str], cost_unit: CostUnit, readers: Mapping[str, ReaderInfo]
) -> ResponseTable:
    """A table of these members without a query."""
    n = len(members)
    text, number = np.zeros(0, dtype=np.str_), np.zeros(0, dtype=np.int64)

    def empty(*shape: int, dtype: Any = np.float32) -> Any:
        return np.zeros((0, *shape), dtype=dtype)

    return ResponseTable(
        name="no labels", members=tuple(members), tasks=(_TASK,), query_ids=text, task=number,
        group=number, split=text, features=empty(0), candidates=empty(dtype=object),
        kind=np.full(0, CandidateKind.ANSWERS, dtype=np.int8), exists=empty(1, dtype=bool),
        candidate_score=empty(1), answer=empty(n, dtype=np.int16), support=empty(n, 1),
        cost=empty(n), cost_unit=cost_unit, reads=Reads.of(members, readers),
    )  # fmt: skip

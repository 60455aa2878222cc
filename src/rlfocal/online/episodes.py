"""One logged request for off-policy learning: states, decisions, propensities and a score.

A state holds a view's figures by candidate number, without prompts or replies; where the policy
reads replies, how it judged them. As JSON a state holds only its changes, and numbers are written
so that float32 comes back exactly: on a state read
back a policy decides as it would have decided there.

Independent of the policy: `exploring` writes episodes, `estimates` and `learning` read them.

Axes: T decisions and K states of one episode, N members, C candidate slots, D features.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from rlfocal.deliberation.view import View
from rlfocal.errors import RecordError
from rlfocal.numbers import Float64Array
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, FloatArray
from rlfocal.records.signals import Replies

__all__ = ["VERSION", "Episode"]

VERSION = 1
"""Raised whenever the JSON changes its meaning; other versions are refused."""
_N_PARTS = 4
"""Of a state, where nobody reads."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One request: what was seen and decided, with which probability, and what that was worth."""

    price: float
    """Lambda: of an average call, as a fraction of a right answer's worth."""
    unit_cost: float
    """Of an average call, in the unit of `View.spent`."""
    epsilon: float
    """Probability that this request explored; 0: nothing was left to chance."""
    states: View
    """K views of the query: one for each decision, and the last one, if what was decided last
    changed it. Their positions and budgets are not kept."""
    wanted: BoolArray
    """bool[T, N]: members that the policy asked; none where it stopped."""
    propensity: Float64Array
    """float64[T] in (0, 1]: probability of that decision, given those before it."""
    chosen: int
    """The candidate that was answered, as the last state numbers them; -1 for none."""
    worth: Float64Array
    """float64[C] in [0, 1]: score of each of its candidates; NaN where unknown."""
    key: str = ""
    """Names the request, so that learning and judging never share it."""

    @property
    def score(self) -> float | None:
        """Worth of the answer; None until it is judged. No answer is worth nothing."""
        if self.chosen < 0:
            return 0.0
        worth = float(self.worth[self.chosen])
        return None if np.isnan(worth) else worth

    @property
    def n_members(self) -> int:
        """N."""
        return int(self.states.asked.shape[1])

    @property
    def n_options(self) -> int:
        """Options of a multiple choice question; 0 for an open one."""
        return 0 if self.states.is_open[0] else int(self.states.available[0].sum())

    def is_carried_out(self, reads: Reads | None = None) -> bool:
        """Whether what was decided is what was done, so that its propensity is that of the path.

        A limit in dollars leaves members out or has others asked in their place, a deadline ends
        a request in the middle, and where a policy stops without an answer others are asked.

        Args:
            reads: who reads whom: those whom a reader reads are asked with it; None for nobody.
        """
        asked = self.states.asked
        done, wanted = asked[1:] & ~asked[:-1], self.wanted[: len(asked) - 1]
        meant = wanted if reads is None else reads.expanded(wanted, asked[:-1])
        return np.array_equal(meant, done) and not self.wanted[len(done) :].any()

    def judged(self, score: float, member_scores: Sequence[float | None] = ()) -> Self:
        """The same episode with its feedback.

        Args:
            score: worth of the answer, in [0, 1].
            member_scores: worth of each member's answer, where it is known.

        Raises:
            ValueError: a score outside [0, 1].
        """
        worth, answer = self.worth.copy(), self.states.answer[-1]
        for n, value in enumerate(member_scores):
            if value is not None and answer[n] >= 0:
                worth[answer[n]] = value
        if self.chosen >= 0:
            worth[self.chosen] = score
        known = worth[~np.isnan(worth)]
        if not 0 <= score <= 1 or (len(known) and not (known.min() >= 0 and known.max() <= 1)):
            raise ValueError(f"a score must lie in [0, 1], got {score}")
        return replace(self, worth=worth)

    # JSON -------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Plain values; a state names only the members whose row is new or has changed."""
        states = self.states
        return {
            "version": VERSION,
            "key": self.key,
            "price": self.price,
            "unit_cost": self.unit_cost,
            "epsilon": self.epsilon,
            "task": int(states.task[0]),
            "features": _packed(states.features[0]),
            "n_options": self.n_options,
            "shape": list(states.support.shape[1:]),
            "states": [_state(states, k) for k in range(len(states))],
            **_replies(states),
            "decisions": [
                [np.flatnonzero(wanted).tolist(), float(chance)]
                for wanted, chance in zip(self.wanted, self.propensity, strict=True)
            ],
            "chosen": self.chosen,
            "worth": [None if np.isnan(w) else float(w) for w in self.worth],
        }

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """Undo `as_json`.

        Raises:
            RecordError: another version, or no episode.
        """
        version = values.get("version") if isinstance(values, Mapping) else None
        if version != VERSION:
            raise RecordError(
                f"episode of version {version}, but this rlfocal reads version {VERSION}"
            )
        try:
            found = cls._read(values)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as exc:
            raise RecordError(f"episode {values.get('key', '')!r} is damaged: {exc}") from exc
        return found

    @classmethod
    def _read(cls, values: Mapping[str, Any]) -> Self:
        n_members, n_slots = (int(size) for size in values["shape"])
        states = _states(values, n_members, n_slots)
        wanted = np.zeros((len(values["decisions"]), n_members), dtype=bool)
        for t, (members, _) in enumerate(values["decisions"]):
            wanted[t, members] = True
        episode = cls(
            price=float(values["price"]),
            unit_cost=float(values["unit_cost"]),
            epsilon=float(values["epsilon"]),
            states=states,
            wanted=wanted,
            propensity=np.array([chance for _, chance in values["decisions"]], dtype=np.float64),
            chosen=int(values["chosen"]),
            worth=np.array([np.nan if w is None else w for w in values["worth"]], dtype=np.float64),
            key=str(values["key"]),
        )
        episode._check()
        return episode

    def _check(self) -> None:
        n_decisions, n_slots = len(self.wanted), self.states.support.shape[2]
        if n_decisions < 1 or len(self.states) not in (n_decisions, n_decisions + 1):
            raise ValueError(f"{len(self.states)} states and {n_decisions} decisions")
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise ValueError("a propensity outside (0, 1]")
        if self.worth.shape != (n_slots,) or not -1 <= self.chosen < n_slots:
            raise ValueError(f"{len(self.worth)} worths and {n_slots} candidate slots")
        if not (self.unit_cost > 0 and self.price >= 0 and 0 <= self.epsilon <= 1):
            raise ValueError("a price, cost or epsilon out of range")


def _state(states: View, k: int) -> list[Any]:
    """[[[member, answer], [member, answer, supports], ...], candidates, spent, rounds].

    Where members read others, last those that have to wait for some.
    """
    said = []
    for n in np.flatnonzero(states.asked[k]).tolist():
        answer, support = int(states.answer[k, n]), states.support[k, n]
        if k and states.asked[k - 1, n] and _same(states, k, n):
            continue
        # One candidate backed alone is what most answers are.
        alone = answer < 0 or (support[answer] == 1 and support.sum() == 1)
        n_backed = int(np.flatnonzero(support)[-1]) + 1 if support.any() else 0
        said.append([n, answer] if alone else [n, answer, _short(support[:n_backed])])
    spent = _short(states.spent[k : k + 1])[0]
    found = [said, int(states.available[k].sum()), spent, int(states.n_rounds[k])]
    if states.ready is not None:
        found.append(np.flatnonzero(~states.ready[k]).tolist())
    return found


def _replies(states: View) -> dict[str, Any]:
    """How the replies were judged: [[member, log-odds], ...]; nothing where they were not."""
    judged = None if states.replies is None else states.replies.judged
    if judged is None:
        return {}
    members = np.flatnonzero(~np.isnan(judged[-1]))
    known = _short(judged[-1, members])
    return {"replies": [list(each) for each in zip(members.tolist(), known, strict=True)]}


def _judged_replies(values: Mapping[str, Any], asked: BoolArray) -> Replies | None:
    """The same of each state: of the members that had been asked."""
    if "replies" not in values:
        return None
    judged = np.full(asked.shape, np.nan, dtype=np.float32)
    for n, log_odds in values["replies"]:
        judged[asked[:, n], n] = log_odds
    return Replies.of_judged(judged)


def _same(states: View, k: int, n: int) -> bool:
    """True where a member's row equals that of the previous state."""
    answer, support = states.answer[:, n], states.support[:, n]
    return bool(answer[k] == answer[k - 1]) and np.array_equal(support[k], support[k - 1])


def _states(values: Mapping[str, Any], n_members: int, n_slots: int) -> View:
    rows = values["states"]
    n_states = len(rows)
    asked = np.zeros((n_states, n_members), dtype=bool)
    answer = np.full((n_states, n_members), -1, dtype=np.int16)
    support = np.zeros((n_states, n_members, n_slots), dtype=np.float32)
    ready = np.ones_like(asked) if any(len(row) > _N_PARTS for row in rows) else None
    for k, (said, *_) in enumerate(rows):
        if ready is not None:
            ready[k, rows[k][_N_PARTS]] = False
        if k:
            asked[k], answer[k], support[k] = asked[k - 1], answer[k - 1], support[k - 1]
        for n, given, *backed in said:
            asked[k, n], answer[k, n], support[k, n] = True, given, 0
            if backed:
                support[k, n, : len(backed[0])] = backed[0]
            elif given >= 0:
                support[k, n, given] = 1
    features = _unpacked(values["features"])
    n_candidates = np.array([row[1] for row in rows], dtype=np.int64)
    return View(
        position=np.zeros(n_states, dtype=np.int64),
        task=np.full(n_states, int(values["task"])),
        features=np.broadcast_to(features, (n_states, len(features))),
        is_open=np.full(n_states, int(values["n_options"]) == 0),
        asked=asked,
        answered=answer >= 0,
        answer=answer,
        support=support,
        available=np.arange(n_slots) < n_candidates[:, None],
        spent=np.array([row[2] for row in rows], dtype=np.float32),
        budget=np.full(n_states, np.inf, dtype=np.float32),
        n_rounds=np.array([row[3] for row in rows], dtype=np.int64),
        ready=ready,
        replies=_judged_replies(values, asked),
    )


def _short(values: FloatArray) -> list[float]:
    """Python floats that print with the fewest digits that restore the float32."""
    return [float(str(value)) for value in values]


def _packed(values: FloatArray) -> str:
    """Compress features: those of hashed texts are mostly zero."""
    return base64.b64encode(zlib.compress(values.astype("<f4").tobytes())).decode()


def _unpacked(text: str) -> FloatArray:
    try:
        data = zlib.decompress(base64.b64decode(text, validate=True))
    except (zlib.error, binascii.Error) as exc:
        raise ValueError(f"features: {exc}") from exc
    return np.frombuffer(data, dtype="<f4").astype(np.float32)

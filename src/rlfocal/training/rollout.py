"""Play episodes: the Decider acts, Fusion answers where it stops; then concatenate the rollout.

In training a path goes on where the policy would stop with some chance, so that one path shows what
stopping at each of its states would have earned and what asking on would have. Where stopping sends
a round instead, the path forks: one branch sends it, the other chooses another member first.

Playing needs no gradient, so it acts in numpy, as in use.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from rlfocal.agents.arrays import Weights, namespace
from rlfocal.agents.config import PpoConfig
from rlfocal.agents.known import OutOfFold
from rlfocal.agents.observation import Observed, Observer, answer_of
from rlfocal.agents.prior.decider import decide
from rlfocal.agents.prior.observation import Observation
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, IntArray
from rlfocal.training.credit import credit
from rlfocal.training.environment import PoolEnv
from rlfocal.training.mappo import Batch, joined
from rlfocal.training.nets import GlobalState, PoolCritic

__all__ = ["Episodes", "observe", "rollout"]


_LEAST_REACH = 0.01
"""A path ends where the policy gets further less often than this."""


class Episodes(NamedTuple):
    """Results of B episodes, averaged over where they stop."""

    score: FloatArray
    """float32[B]: worth of the answer."""
    n_calls: FloatArray
    """float32[B]."""
    utility: FloatArray
    """float32[B]: score minus lambda times cost, minus mu times rounds."""
    n_rounds: FloatArray
    """float32[B]."""


class _Round(NamedTuple):
    """One state of every path that is still going on."""

    active: IntArray
    seen: Observed
    action: IntArray
    """int64[A, 2]: the member chosen next, and N for stopping."""
    log_prob: FloatArray
    """float32[A, 2]."""
    reach: FloatArray
    """float32[A]: how often the policy gets here along this path."""
    stop_share: FloatArray
    """float32[A]: the share of it that stops here; 1 where no member is chosen any more."""
    weight: FloatArray
    """float32[A, 2]: how often each action is taken."""
    worth: FloatArray
    """float32[A]: what stopping earns where it ends the episode."""
    sent: IntArray
    """int64[A]: the branch on which stopping sends a round; -1 where it does not."""
    charge: FloatArray
    """float32[A]: what the member chosen next costs, in units of worth."""
    opens: BoolArray
    """bool[A]: where it is the first of a round."""


def rollout(
    observer: Observer,
    decider: Weights,
    critic: PoolCritic,
    env: PoolEnv,
    held_out: OutOfFold,
    rows: IntArray,
    price: FloatArray,
    untold: BoolArray,
    ppo: PpoConfig,
    *,
    rng: np.random.Generator,
) -> tuple[Batch, Episodes]:
    """Play B training queries with exploration.

    Args:
        observer: turns views into observations.
        decider: weights of the acting agent.
        critic: values the states met.
        env: the environment.
        held_out: out-of-fold predictions for the training queries.
        rows: int64[B], the queries.
        price: float32[B], lambda of each.
        untold: bool[B], where nothing says of which task the query is.
        ppo: says how much later rewards count.
        rng: samples the actions.
    """
    view = env.reset(rows, price, untold)
    path, origin = _walk(observer, decider, env, held_out, view, rng)
    observations = joined([_tensors(r.seen.observation) for r in path])
    member_score = env.table.member_score[env.rows[np.concatenate([r.active for r in path])]]
    stopping = np.concatenate([r.worth for r in path]).astype(np.float32)
    state = GlobalState(observations, torch.from_numpy(member_score), torch.from_numpy(stopping))
    with torch.no_grad():
        value = critic(state).numpy()
    shape = (len(path), len(origin))
    alive = np.zeros(shape, dtype=bool)
    for r, played in enumerate(path):
        alive[r, played.active] = True

    def grid(figures: list[FloatArray]) -> FloatArray:
        filled = np.zeros(shape, dtype=np.float32)
        filled[alive] = np.concatenate(figures)
        return filled

    worth, charge = grid([r.worth for r in path]), grid([r.charge for r in path])
    sent, share = np.full(shape, -1), np.concatenate([r.stop_share for r in path])
    sent[alive] = np.concatenate([r.sent for r in path])
    earned = credit(
        worth=worth, charge=charge, stop_share=grid([share]), value=grid([value]), alive=alive,
        sent=sent, gamma=ppo.gamma, gae_lambda=ppo.gae_lambda,
    )  # fmt: skip
    asking, enough = earned.asking[alive], earned.enough[alive]
    batch = Batch(
        observation=observations,
        state=state,
        reach=torch.from_numpy(np.concatenate([r.reach for r in path])),
        action=torch.from_numpy(np.concatenate([r.action for r in path])),
        log_prob=torch.from_numpy(np.concatenate([r.log_prob for r in path])),
        weight=torch.from_numpy(np.concatenate([r.weight for r in path])),
        advantage=torch.from_numpy(np.stack([asking, enough], axis=1) - value[:, None]),
        value=torch.from_numpy(value),
        returns=torch.from_numpy(share * enough + (1 - share) * asking),
    )
    return batch, _expected(path, origin)


def _walk(
    observer: Observer,
    decider: Weights,
    env: PoolEnv,
    held_out: OutOfFold,
    view: View,
    rng: np.random.Generator,
) -> tuple[list[_Round], IntArray]:
    """Follow every path until it stops, or hardly ever gets further.

    A loop of its own beside `deliberation.replay`: there a query takes one decision a look and is
    gone when it stops; here it goes on with what is left of its weight and forks, and each look
    keeps what training learns from. Both see queries by `recorded.reveal`.

    Returns:
        The states met, and int64[P], the episode that each path and each of its branches belong to.
    """
    n_members, origin = env.table.n_members, np.arange(len(view))
    reach = np.ones(len(view), dtype=np.float32)
    path: list[_Round] = []
    while len(env.active):
        active = env.active
        seen, answer = observe(observer, env, held_out, view)
        log_prob = decide(decider, seen.observation)
        member = _drawn(log_prob[:, :-1], rng)
        stop_share, here = np.exp(log_prob[:, -1]), reach[active]
        going_on, enough = here * (1 - stop_share), here * stop_share
        on, ends = going_on > _LEAST_REACH, env.ends()
        sends = ~ends & (~on | (enough > _LEAST_REACH))
        # A path cut short for low reach shows the outcome of one choice only: neither is judged.
        judged = np.where(on, ends | sends | (enough == 0), going_on == 0)
        weight = np.stack([going_on, enough], axis=1) * judged[:, None]
        stop_share = np.where(on, stop_share * (ends | sends), np.float32(1))
        action = np.stack([member, np.full_like(member, n_members)], axis=1)
        worth = env.stopping_earns(answer)
        opens = np.asarray(~env.pending[active].any(axis=1))
        # Where no member is chosen any more, the path itself goes on with the round that is sent.
        sent, forks = np.where(sends, active, -1), np.flatnonzero(sends & on)
        sent[forks] = env.fork(forks)
        decision = np.where(on, member, n_members)
        step = env.step(
            np.append(decision, np.full(len(forks), n_members)),
            np.append(answer, np.full(len(forks), -1)),
        )
        charge = np.where(on, -step.reward[: len(active)], np.float32(0))
        path.append(
            _Round(
                active, seen, action, np.take_along_axis(log_prob, action, axis=1), here,
                stop_share, weight, worth, sent, charge, opens,
            )
        )  # fmt: skip
        reach[active] = np.where(on, here * (1 - stop_share), here)
        reach = np.append(reach, enough[forks])
        origin = np.append(origin, origin[active[forks]])
        view = env.view()
    return path, origin


def _expected(path: list[_Round], origin: IntArray) -> Episodes:
    figures = np.zeros((4, origin.max() + 1), dtype=np.float32)
    score, n_calls, charged, n_rounds = figures
    for r in path:
        stopping = r.reach * r.stop_share * (r.sent < 0)
        going_on = r.reach * (1 - r.stop_share)
        for total, part in (
            (score, stopping * r.worth), (n_calls, going_on), (charged, going_on * r.charge),
            (n_rounds, going_on * r.opens),
        ):  # fmt: skip
            np.add.at(total, origin[r.active], part)
    return Episodes(score, n_calls, score - charged, n_rounds)


def observe(
    observer: Observer, env: PoolEnv, held_out: OutOfFold, view: View
) -> tuple[Observed, IntArray]:
    """Observe the active episodes; also int64[A], what Fusion would answer if they ended now."""
    price = env.price[env.active]
    pending = env.pending[env.active] if env.rounds is not None else None
    seen = observer.observe(view, price, held_out.known(view), pending)
    answer = answer_of(seen.posterior)
    if pending is not None:
        last = np.flatnonzero(pending.any(axis=1) & env.ends())
        if len(last):
            answer[last] = _last_answer(observer, env, held_out, last)
    return seen, answer


def _last_answer(observer: Observer, env: PoolEnv, held_out: OutOfFold, last: IntArray) -> IntArray:
    """int64[K]: what Fusion would answer where stopping sends the last round."""
    view = env.last_view(last)
    return answer_of(observer.fused(view, held_out.known(view)).posterior)


def _drawn(log_prob: FloatArray, rng: np.random.Generator) -> IntArray:
    """int64[A]: one member of each row, as likely as its log-probability against the others'."""
    share = namespace(log_prob).softmax(log_prob).cumsum(axis=1)
    place = (share < rng.random((len(share), 1)) * share[:, -1:]).sum(axis=1)
    return np.asarray(np.minimum(place, log_prob.shape[1] - 1))


def _tensors(observation: Observation) -> Observation:
    """The same numbers as tensors."""
    parts = (None if part is None else torch.from_numpy(part) for part in observation)
    return Observation(*parts)

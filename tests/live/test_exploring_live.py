"""A live ensemble whose strategy explores: what it asked and answered is what its episode says."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.replay import best_answer
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.live import Answer, Limits, Listener, LiveEnsemble, Question
from rlfocal.online.decisions import batch, path_of
from rlfocal.online.episodes import Episode
from rlfocal.online.exploring import Exploration, Exploring
from rlfocal.records.schema import OPTION_LETTERS

pytestmark = pytest.mark.slow

Live = Callable[..., Any]
QUERIES = [
    Question(f"{a} + {a + 3} =", task="sums")
    if a % 2
    else Question(f"Which remainder has {a} + {a + 5} by four?", ("0", "1", "2", "3"), "choices")
    for a in range(24)
]
HOW: dict[str, Any] = {"limits": Limits(early=True), "listener": Listener(on_text=lambda _: None)}
"""So that views are tried out, too, before the true ones are shown."""
EXPLORATION = Exploration(epsilon=0.6, seed=5)


def serve(exploration: Exploration) -> Callable[[LiveEnsemble], Any]:
    """Answer every query as a gateway does, with a strategy of the request's own."""

    async def act(ensemble: LiveEnsemble) -> list[tuple[Answer, Episode]]:
        assert isinstance(ensemble.strategy, RlFocal)
        done = []
        for number, query in enumerate(QUERIES):
            exploring = Exploring(ensemble.strategy, exploration.of_request(str(number)))
            own = copy.copy(ensemble)
            own.strategy = exploring
            answer = await own.answer(query, deadline_s=60, **HOW)
            done.append((answer, exploring.episode(key=str(number))))
        return done

    return act


@pytest.mark.parametrize("price", [0.2, 0.02])
def test_an_episode_says_what_was_asked_and_answered(
    learned: Checkpoint, live: Live, price: float
) -> None:
    names = learned.description.members
    for answer, episode in live(learned, serve(EXPLORATION), price=price):
        assert episode.price == price
        rounds = [[said.member for said in part.asked] for part in answer.trace.rounds]
        wanted = [[names[n] for n in np.flatnonzero(w)] for w in episode.wanted]
        assert [w for w in wanted if w] == rounds
        assert len(episode.states) == len(rounds) + 1
        spent = [part.spent for part in answer.trace.rounds]
        assert episode.states.spent[1:] == pytest.approx(spent)
        if episode.n_options:
            assert OPTION_LETTERS[episode.chosen] == answer.answer
        back = Episode.of_json(json.loads(json.dumps(episode.as_json())))
        assert back.as_json() == episode.as_json()


def test_without_exploring_the_ensemble_is_as_ever(learned: Checkpoint, live: Live) -> None:
    async def plain(ensemble: LiveEnsemble) -> list[Answer]:
        return [await ensemble.answer(query, **HOW) for query in QUERIES]

    as_ever = live(learned, plain, price=0.02)
    wrapped = live(learned, serve(Exploration()), price=0.02)
    for expected, (answer, episode) in zip(as_ever, wrapped, strict=True):
        assert answer.answer == expected.answer
        assert answer.confidence == expected.confidence
        assert [len(part.asked) for part in answer.trace.rounds] == [
            len(part.asked) for part in expected.trace.rounds
        ]
        assert (episode.propensity == 1).all()


def test_the_policy_decides_the_same_on_what_came_back(learned: Checkpoint, live: Live) -> None:
    """So a request that did not explore counts in full, and its answer is the policy's own."""
    strategy = learned.strategy
    assert isinstance(strategy, RlFocal)
    served = [episode for _, episode in live(learned, serve(Exploration()), price=0.02)]
    back = [Episode.of_json(json.loads(json.dumps(e.as_json()))).judged(1.0) for e in served]
    log = batch(back)
    path = path_of(strategy, log)
    assert (path.weight == 1).all()
    found = strategy.at(0.02).decide(log.end)
    assert np.array_equal(best_answer(log.end.available, found.answer)[0], log.chosen)
    assert path.n_unknown == 0

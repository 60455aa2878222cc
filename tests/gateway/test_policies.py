"""Policies that change while a gateway runs: episodes logged, a promotion adopted, a rollback."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from drifting import N_TRAINING, question, says, train, truth, write_pool
from serving import Served, serving, until

from rlfocal.checkpoint import load_checkpoint
from rlfocal.checkpoint.shadow import save_shadow
from rlfocal.cli.main import main
from rlfocal.deliberation.view import View
from rlfocal.gateway.store import PolicyRow
from rlfocal.online.episodes import Episode
from rlfocal.pool.stub import StubServer, StubThread

pytestmark = pytest.mark.slow

Ask = Callable[..., Any]
N_JUDGED = 600
"""Half of them teach. Which explore is fixed here, by their ids; left to chance, they taught enough
in 20 of 21 runs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("policies"))


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[Served]:
    copy = tmp_path / "checkpoint"
    shutil.copytree(folder, copy)
    with StubThread(StubServer(says())) as upstream:
        pool = write_pool(tmp_path / "pool.toml", upstream.base_url)
        with serving(copy, pool, str(tmp_path / "gateway.db"), poll_s=0.1, explore=0.5) as gateway:
            yield gateway


def rows(served: Served, n: int) -> list[Any]:
    """The last n requests, once they are written down."""

    def written() -> list[Any]:
        with served.store.connections.read() as connection:
            return list(served.store.log.requests(connection, 1000))

    until(lambda: len(written()) >= n)
    return written()[:n]


def test_what_was_decided_is_logged_with_its_propensities(served: Served, ask: Ask) -> None:
    n = 40
    for k in range(n):
        extension = {"task": "sums"}
        reply = ask(served, question(N_TRAINING + k), model="rlfocal:0.05", extension=extension)
        assert reply.status_code == 200
    departed = 0
    for row in rows(served, n):
        episode = Episode.of_json(row.episode)
        assert episode.epsilon == 0.5
        assert episode.price == pytest.approx(0.05)
        assert ((episode.propensity > 0) & (episode.propensity <= 1)).all()
        members = served.gateway.checkpoint.description.members
        asked = {members[n] for n in np.flatnonzero(episode.wanted[:, : len(members)].any(axis=0))}
        assert asked == set(row.given)
        departed += bool((episode.propensity < 0.5).any())
    assert 0 < departed < n


def shadow_of(served: Served, tmp_path: Path) -> tuple[Path, str]:
    """Another policy of the same pool: the live one with its Decider shaken."""
    live = Path(served.gateway.policies.folder)
    strategy = load_checkpoint(live).strategy
    shaken = {
        name: array * array.dtype.type(0.9) if name.startswith("decider") else array
        for name, array in strategy.state().items()
    }
    where, digest = save_shadow(live, strategy.restore(shaken), tmp_path / "shadow")
    return where, digest[:16]


def put(served: Served, policy: PolicyRow) -> None:
    with served.store.connections.write() as connection:
        served.store.log.add_policy(connection, policy)


def set_state(served: Served, policy: str, state: str) -> None:
    with served.store.connections.write() as connection:
        served.store.log.set_policy(connection, policy, state=state)


def test_a_promotion_is_adopted_and_a_rollback_taken_back(
    served: Served, ask: Ask, tmp_path: Path
) -> None:
    given = served.gateway.policies.id
    where, name = shadow_of(served, tmp_path)
    put(served, PolicyRow(id=name, parent=given, created_at=1.0, state="shadow", path=str(where)))
    time.sleep(0.3)
    assert served.gateway.policies.id == given  # a shadow does not decide
    set_state(served, name, "live")
    until(lambda: served.gateway.policies.id == name)
    assert ask(served, question(1)).status_code == 200
    assert rows(served, 1)[0].policy == name
    set_state(served, given, "live")
    until(lambda: served.gateway.policies.id == given)
    assert ask(served, question(2)).status_code == 200
    assert rows(served, 2)[0].policy == given


def test_a_policy_that_cannot_be_read_changes_nothing(
    served: Served, ask: Ask, tmp_path: Path
) -> None:
    given = served.gateway.policies.id
    where, name = shadow_of(served, tmp_path)
    weights = next(where.glob("weights-*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    put(served, PolicyRow(id=name, parent=given, created_at=1.0, state="live", path=str(where)))
    time.sleep(0.5)
    assert served.gateway.policies.id == given
    assert ask(served, question(1)).status_code == 200


def test_a_restart_goes_on_with_the_promoted_policy(folder: Path, tmp_path: Path, ask: Ask) -> None:
    db = str(tmp_path / "gateway.db")
    with StubThread(StubServer(says())) as upstream:
        pool = write_pool(tmp_path / "pool.toml", upstream.base_url)
        with serving(folder, pool, db, poll_s=0.1) as served:
            given = served.gateway.policies.id
            where, name = shadow_of(served, tmp_path)
            put(served, PolicyRow(
                id=name, parent=given, created_at=1.0, state="live", path=str(where)
            ))  # fmt: skip
        with serving(folder, pool, db, poll_s=0.1) as served:
            assert served.gateway.policies.id == name
        # Another checkpoint than its ancestor is not overruled.
        other = tmp_path / "other"
        with serving(where, pool, db, poll_s=0.1) as served:
            assert served.gateway.policies.id == name
        assert not other.exists()


def first_asked(strategy: Any, states: View) -> list[int]:
    """Whom a policy asks first, of requests of which nothing is known yet."""
    return [int(n) for n in strategy.at(0.05).decide(states).ask.argmax(axis=1)]


def test_judged_answers_are_learned_from(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The member that is asked first has become ten times as dear since training.

    Answers are as before, so the memory of judged answers does not tell; what calls came to does.
    At a price of .05 such a call costs half a right answer's worth, and other members are right
    about as often for a tenth of that.
    """
    ids = itertools.count()  # a request's id is the seed of what it explores
    monkeypatch.setattr("rlfocal.gateway.gateway.secrets.token_hex", lambda _: f"{next(ids):024x}")
    copy, db = tmp_path / "checkpoint", str(tmp_path / "gateway.db")
    shutil.copytree(folder, copy)
    live = load_checkpoint(copy)
    with StubThread(StubServer(says())) as upstream:
        pool = write_pool(tmp_path / "pool.toml", upstream.base_url)
        with serving(copy, pool, db, explore=0.5) as served:
            states = first_states(served, 20)
            (dear,) = set(first_asked(live.strategy, states))
        name, dearer = live.description.members[dear], pool.read_text(encoding="utf-8")
        cheap = f'[prices."{name}"]\nprompt = 1.0\ncompletion = 2.0\n'
        assert cheap in dearer
        dearer = dearer.replace(cheap, f'[prices."{name}"]\nprompt = 10.0\ncompletion = 20.0\n')
        pool.write_text(dearer, encoding="utf-8")
        with serving(copy, pool, db, explore=0.5) as served:
            first_states(served, N_JUDGED, first=N_TRAINING + 20)
    with pytest.raises(SystemExit) as left:
        main(["shadow", "learn", str(copy), "--db", db, "--json"])
    said = capsys.readouterr()
    assert left.value.code in (0, None), said.err
    learned = json.loads(said.out)
    assert learned["state"] == "shadow"
    shadow = next(path for path in tmp_path.iterdir() if path.name.startswith("checkpoint-"))
    # Nearly every question begins alike: now somebody else is asked first.
    asked = first_asked(load_checkpoint(shadow).strategy, states)
    assert asked.count(dear) < len(asked) / 2
    with pytest.raises(SystemExit):
        main(["shadow", "list", str(copy), "--db", db])
    assert "live" in capsys.readouterr().out


def first_states(served: Served, n: int, first: int = N_TRAINING) -> View:
    """Ask and judge n questions; what was known before anybody was asked."""
    with httpx2.Client(base_url=served.url, headers=served.headers, timeout=60) as client:
        for k in range(n):
            asked = question(first + k)
            body = {"model": "rlfocal:0.05", "messages": [{"role": "user", "content": asked}],
                    "rlfocal": {"task": "sums"}}  # fmt: skip
            found = client.post("/v1/chat/completions", json=body).json()
            label = {"id": found["id"], "answer": str(truth(asked))}
            assert client.post("/v1/feedback", json=label).status_code == 200
    states = [Episode.of_json(row.episode).states for row in rows(served, n)]
    return View.concat([part.take(np.array([0])) for part in states])


def test_decisions_are_kept_without_exploring(folder: Path, tmp_path: Path, ask: Ask) -> None:
    db = str(tmp_path / "gateway.db")
    with StubThread(StubServer(says())) as upstream:
        pool = write_pool(tmp_path / "pool.toml", upstream.base_url)
        with serving(folder, pool, db, keep_decisions=True) as served:
            for k in range(5):
                assert ask(served, question(k), extension={"task": "sums"}).status_code == 200
            for row in rows(served, 5):
                assert (Episode.of_json(row.episode).propensity == 1).all()
        with serving(folder, pool, str(tmp_path / "other.db")) as served:
            assert ask(served, question(1), extension={"task": "sums"}).status_code == 200
            assert rows(served, 1)[0].episode is None

"""`rlfocal shadow`: learned from a gateway's database, promoted if surely better, rolled back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.checkpoint import load_checkpoint, save_checkpoint
from rlfocal.checkpoint.shadow import save_shadow
from rlfocal.deliberation.replay import replay
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.gateway.store import FeedbackRow, PolicyRow, RequestRow, open_store
from rlfocal.online.episodes import Episode
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.records import Calibration, PoolModel, ResponseTable, build_table, simulate

if TYPE_CHECKING:
    from conftest import Run

BEFORE, AFTER = (0.9, 0.7, 0.65, 0.6), (0.3, 0.7, 0.65, 0.6)


def pool(accuracy: tuple[float, ...], n_queries: int, seed: int) -> ResponseTable:
    model = PoolModel(accuracy=[list(accuracy)])
    data = simulate(model, n_queries, rng=np.random.default_rng([7, seed]))
    return build_table(data, encode=None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of members as they were; the best of them has become bad since."""
    table = pool(BEFORE, 800, 0)
    config = RlFocalConfig(learn_from=10**6, default_price=0.1)
    strategy = RlFocal(config).fit(table, rng=np.random.default_rng(0))
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    save_checkpoint(folder, strategy, table, Calibration.fit(table), encoder_spec=None, seed=0)
    return folder


@pytest.fixture(scope="module")
def logged(trained: Path) -> Callable[..., list[Episode]]:
    """logged(AFTER) → what serving the checkpoint leaves behind."""
    strategy = load_checkpoint(trained).strategy
    assert isinstance(strategy, RlFocal)

    def make(accuracy: tuple[float, ...], n: int = 4000) -> list[Episode]:
        return log_replay(strategy, pool(accuracy, n, 3), Exploration(epsilon=0.5, seed=4))

    return make


@pytest.fixture
def served(trained: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the checkpoint, and the database of a gateway that has begun to serve it."""
    folder, db = tmp_path / "live", tmp_path / "gateway.db"
    folder.mkdir()
    for path in trained.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with open_store(db) as store, store.connections.write() as connection:
        row = PolicyRow(id=id_of(folder), created_at=1.0, state="live", path=str(folder))
        store.log.add_policy(connection, row)
    return folder, db


def id_of(folder: Path) -> str:
    return load_checkpoint(folder).description.weights_sha256[:16]


def put(db: Path, policy: str, episodes: list[Episode]) -> None:
    """Write down requests and their judgements, as a gateway does."""
    members = [f"model-{n + 1}" for n in range(4)]
    with open_store(db) as store, store.connections.write() as connection:
        for number, episode in enumerate(episodes):
            blank = dataclasses.replace(episode, worth=np.full(4, np.nan))
            name, answer = f"r{number}", episode.states.answer[-1].tolist()
            given = {m: a for m, a in zip(members, answer, strict=True) if a >= 0}
            scores = {m: float(s) for m, a in given.items() if not np.isnan(s := episode.worth[a])}
            assert episode.score is not None
            store.log.add_request(
                connection,
                RequestRow(
                    id=name, key_id=None, created_at=float(number), model="rlfocal", task="task0",
                    policy=policy, status=200, given=given, episode=blank.as_json(),
                ),
            )  # fmt: skip
            store.log.put_feedback(
                connection,
                FeedbackRow(
                    request_id=name, key_id=None, created_at=1.0, score=episode.score,
                    earned=episode.score, task="task0", given=given, member_scores=scores,
                ),
            )  # fmt: skip


def states(db: Path) -> dict[str, str]:
    with open_store(db) as store, store.connections.read() as connection:
        return {row.id: row.state for row in store.log.policies(connection)}


def events(db: Path) -> list[tuple[str, Any]]:
    with open_store(db) as store, store.connections.read() as connection:
        return [(event.kind, event.what) for event in store.log.events(connection, 10)][::-1]


def utility(folder: Path) -> float:
    strategy = load_checkpoint(folder).strategy
    outcome = replay(strategy, pool(AFTER, 5000, 9))
    return float((outcome.score - 0.1 * outcome.n_calls).mean())


@pytest.mark.slow
def test_a_shadow_is_learned_promoted_and_rolled_back(
    run: Run, served: tuple[Path, Path], logged: Callable[..., list[Episode]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder, db = served
    before = id_of(folder)
    # With no memory of recent answers, so that the frozen policy does not adapt by itself.
    monkeypatch.setattr(
        "rlfocal.gateway.judged.feedback_memory.memory_of", lambda rows, checkpoint: None
    )
    put(db, before, logged(AFTER))
    ran = run("shadow", "learn", folder, "--db", db, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    place = Path(told["path"])
    assert place.parent == folder.parent
    assert (told["id"], told["parent"]) == (id_of(place), before)
    assert told["estimates"]["may_promote"], told["estimates"]["reason"]
    assert states(db) == {before: "live", told["id"]: "shadow"}
    assert utility(place) > utility(folder) + 0.25

    listed = run("shadow", "list", folder, "--db", db)
    assert told["id"] in listed.out
    assert "yes" in listed.out
    rows = json.loads(run("shadow", "list", folder, "--db", db, "--json").out)
    assert [row["state"] for row in rows] == ["live", "shadow"]

    assert run("shadow", "promote", folder, "--db", db).code == 0
    assert states(db) == {before: "retired", told["id"]: "live"}
    again = run("shadow", "promote", folder, "--db", db)
    assert again.code == 2
    assert "no shadow of" in again.err

    assert run("shadow", "rollback", folder, "--db", db).code == 0
    assert states(db) == {before: "live", told["id"]: "retired"}
    assert events(db) == [
        ("shadow learned", {"policy": told["id"], "parent": before}),
        ("policy promoted", {"policy": told["id"], "before": before, "forced": False}),
        ("policy rolled back", {"policy": before, "before": told["id"]}),
    ]
    nothing = run("shadow", "rollback", folder, "--db", db)
    assert nothing.code == 2
    assert "nothing was before it" in nothing.err


def shadow_of(folder: Path) -> tuple[Path, str]:
    """A checkpoint whose Decider differs a little."""
    strategy = load_checkpoint(folder).strategy
    assert isinstance(strategy, RlFocal)
    bias = {"stop_head.bias": strategy.decider_["stop_head.bias"] + np.float32(0.5)}
    parts = strategy.fitted_pool_, {**strategy.decider_, **bias}, strategy.fallback_
    place, sha256 = save_shadow(folder, RlFocal(strategy.config).assemble(*parts))
    return place, sha256[:16]


@pytest.mark.slow
def test_one_that_is_not_surely_better_is_promoted_by_force_alone(
    run: Run, served: tuple[Path, Path]
) -> None:
    folder, db = served
    place, name = shadow_of(folder)
    why = {"may_promote": False, "reason": "gains +0.0001 an episode"}
    row = PolicyRow(
        id=name, parent=id_of(folder), created_at=2.0, state="shadow", path=str(place),
        estimates=why,
    )  # fmt: skip
    with open_store(db) as store, store.connections.write() as connection:
        store.log.add_policy(connection, row)
    refused = run("shadow", "promote", folder, "--db", db)
    assert refused.code == 2
    assert "gains +0.0001" in refused.err
    assert states(db)[name] == "shadow"
    assert run("shadow", "promote", folder, "--db", db, "--force").code == 0
    assert states(db)[name] == "live"
    assert events(db)[-1][1]["forced"] is True
    # Of the new one there is no shadow, and what was judged beside another does not count.
    old = run("shadow", "promote", folder, "--db", db, "--id", id_of(folder))
    assert old.code == 2
    assert "nothing is known" in old.err
    unknown = run("shadow", "promote", folder, "--db", db, "--id", "f00")
    assert "no shadow 'f00'" in unknown.err


def test_a_shadow_whose_files_are_gone_is_not_promoted(
    run: Run, served: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, db = served
    row = PolicyRow(
        id="a" * 16, parent=id_of(folder), created_at=2.0, state="shadow",
        path=str(tmp_path / "gone"), estimates={"may_promote": True, "reason": "gains"},
    )  # fmt: skip
    with open_store(db) as store, store.connections.write() as connection:
        store.log.add_policy(connection, row)
    ran = run("shadow", "promote", folder, "--db", db)
    assert ran.code == 2
    assert "holds no checkpoint" in ran.err


def test_a_shadow_on_disk_is_the_one_in_memory(served: tuple[Path, Path]) -> None:
    folder, _ = served
    place, name = shadow_of(folder)
    live, back = load_checkpoint(folder), load_checkpoint(place)
    assert isinstance(live.strategy, RlFocal)
    assert isinstance(back.strategy, RlFocal)
    assert back.description.weights_sha256.startswith(name)
    assert np.array_equal(back.training_queries, live.training_queries)
    for key, array in back.strategy.decider_.items():
        moved = np.float32(0.5 if key == "stop_head.bias" else 0)
        assert np.array_equal(array, live.strategy.decider_[key] + moved), key
    with pytest.raises(Exception, match="does not do already"):
        save_shadow(folder, live.strategy)
    with pytest.raises(Exception, match="holds the live policy"):
        save_shadow(folder, back.strategy, folder)


def test_too_few_judged_answers_are_said(
    run: Run, served: tuple[Path, Path], logged: Callable[..., list[Episode]]
) -> None:
    folder, db = served
    put(db, id_of(folder), logged(AFTER, 50))
    put(db, "another", logged(AFTER, 60))
    ran = run("shadow", "learn", folder, "--db", db)
    assert ran.code == 2
    assert "100 each are needed" in ran.err


def test_episodes_of_another_version_are_left_out(
    run: Run, served: tuple[Path, Path], logged: Callable[..., list[Episode]]
) -> None:
    folder, db = served
    put(db, id_of(folder), logged(AFTER, 30))
    with open_store(db) as store, store.connections.write() as connection:
        from rlfocal.gateway.store.schema import requests

        connection.execute(requests.update().values(episode={"version": 99}))
    ran = run("shadow", "learn", folder, "--db", db)
    assert "30 judged answers are left out" in ran.err


@pytest.mark.parametrize("verb", ["learn", "list", "promote", "rollback"])
def test_a_database_that_is_not_there_is_not_made(
    run: Run, trained: Path, tmp_path: Path, verb: str
) -> None:
    ran = run("shadow", verb, trained, "--db", tmp_path / "none.db")
    assert ran.code == 2
    assert "no such database" in ran.err
    assert not (tmp_path / "none.db").exists()


def test_a_checkpoint_that_nobody_served_has_no_live_policy(
    run: Run, trained: Path, tmp_path: Path
) -> None:
    db = tmp_path / "gateway.db"
    open_store(db).close()
    for verb in ("promote", "rollback"):
        ran = run("shadow", verb, trained, "--db", db)
        assert ran.code == 2
        assert "no gateway has served" in ran.err

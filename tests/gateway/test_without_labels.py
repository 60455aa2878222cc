"""A gateway that starts from a pool file: what it follows, says, keeps and hands to training."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Served, serving, until

import rlfocal
from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.errors import ConfigError
from rlfocal.gateway.judged import labels
from rlfocal.gateway.judged.judged_data import judged_dataset
from rlfocal.gateway.policies import id_of, policy_id
from rlfocal.gateway.store import open_store
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import StubServer, StubThread, prompt_of

MEMBERS = ("wrong", "good", "fine")
"""One of equals is never right; the others always are."""


def says(body: Mapping[str, Any]) -> str:
    left, right = map(int, re.findall(r"(\d+) \+ (\d+)", prompt_of(body))[0])
    return f"It is {left + right + (body['model'] == 'wrong')}."


def write_pool(folder: Path, url: str, *, prices: Mapping[str, float] | None = None) -> Path:
    path = folder / "pool.toml"
    parts = [f'[endpoints.stub]\nbase_url = "{url}"\nattempts = 1\n']
    parts += [f'[[members]]\nname = "{m}"\nendpoint = "stub"\nmodel = "{m}"\n' for m in MEMBERS]
    parts += [
        f'[prices."{m}"]\nprompt = {usd}\ncompletion = {usd}\n' for m, usd in (prices or {}).items()
    ]
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Path]:
    with StubThread(StubServer(says)) as upstream:
        yield write_pool(tmp_path, upstream.base_url)


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "gateway.db")


def ask(served: Served, k: int, model: str = "rlfocal", **extension: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model}
    body |= {"messages": [{"role": "user", "content": f"{k} + {k + 1} ="}]}
    url = f"{served.url}/v1/chat/completions"
    body |= {"rlfocal": extension} if extension else {}
    reply = httpx2.post(url, json=body, headers=served.headers, timeout=60)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def judge(served: Served, request_id: str, **judgement: Any) -> dict[str, Any]:
    """Judged, and followed."""
    before = served.gateway.recent.n_seen
    url = f"{served.url}/v1/feedback"
    body = {"id": request_id, **judgement}
    reply = httpx2.post(url, json=body, headers=served.headers, timeout=60)
    assert reply.status_code == 200, reply.text
    until(lambda: served.gateway.recent.n_seen > before)
    found: dict[str, Any] = reply.json()
    return found


def asked(reply: Mapping[str, Any]) -> list[str]:
    return [member["member"] for member in reply["rlfocal"]["members"]]


def believed(served: Served) -> dict[str, float]:
    """Log-odds of the members' accuracies, as the policy that decides believes them."""
    strategy: Any = served.gateway.recent.strategy
    names = served.gateway.checkpoint.description.members
    return dict(zip(names, strategy._pool_state.statistics.log_odds[-1].tolist(), strict=True))


def test_decisions_follow_judged_answers_from_the_first_and_survive_a_restart(
    pool: Path, db: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(None, pool, db, answers="number", poll_s=0.05) as served:
        caplog.set_level(logging.INFO)
        names = httpx2.get(f"{served.url}/v1/models", headers=served.headers, timeout=60).json()
        assert [one["id"] for one in names["data"]] == ["rlfocal", *MEMBERS]
        equal = believed(served)
        assert len(set(equal.values())) == 1
        first = ask(served, 0, "rlfocal:0")  # where calls cost nothing, all are asked
        assert sorted(asked(first)) == sorted(MEMBERS)
        told = judge(served, first["id"], answer="1")
        assert told["members"]["wrong"] == 0
        after = believed(served)
        assert after["wrong"] < min(after["good"], after["fine"])
        for k in range(1, 12):
            judge(served, ask(served, k)["id"], answer=str(2 * k + 1))
        assert "wrong" not in asked(ask(served, 50))
        assert ask(served, 51)["rlfocal"]["answer"] == "103"
        assert served.gateway.labels is not None
        assert served.gateway.labels[:2] == (12, 0)
        policy, end = served.gateway.policies.id, believed(served)
        assert "keep_prompts = true" in caplog.text
    with serving(None, pool, db, answers="number", poll_s=0.05) as again:
        assert again.gateway.policies.id == policy == id_of(pool)
        assert believed(again) == pytest.approx(end)
        assert "wrong" not in asked(ask(again, 60))


def test_judged_requests_become_data_once_their_prompts_are_kept(
    pool: Path, db: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "ENOUGH", 4)
    options = ["3", "5", "7"]
    with serving(None, pool, db, answers="number", poll_s=0.05, keep_prompts=True) as served:
        caplog.set_level(logging.INFO)
        for k in range(1, 4):
            judge(served, ask(served, k, task="sums")["id"], answer=str(2 * k + 1))
        assert served.gateway.labels is not None
        assert served.gateway.labels.next is None
        assert "rlfocal export" not in caplog.text
        chosen = ask(served, 2, choices=options)
        judge(served, chosen["id"], score=0.0)
        until(lambda: "enough to train" in caplog.text)
        assert f"rlfocal export {db} --gateway -o judged && rlfocal train judged" in caplog.text
    with open_store(db) as store:
        data = judged_dataset(store, name="judged")
    rows = {row["query_id"]: row for row in data.queries.to_pylist()}
    assert [row["prompt"] for row in rows.values()] == [
        "1 + 2 =", "2 + 3 =", "3 + 4 =", "2 + 3 =",
    ]  # fmt: skip
    assert [row["label"] for row in rows.values()] == ["3", "5", "7", None]
    assert [row["task"] for row in rows.values()] == ["sums"] * 3 + ["all"]
    assert rows[chosen["id"]]["choices"] == options
    assert data.kinds["sums"].name == "number"
    said = [r for r in data.responses.to_pylist() if rows[r["query_id"]]["prompt"] == "1 + 2 ="]
    assert {r["member"]: r["answer"] for r in said}["wrong"] == "4"
    assert {r["member"] for r in said} <= set(MEMBERS)
    # Of the choice only the answer that was given is known to be wrong.
    known = [r for r in data.responses.to_pylist() if r["query_id"] == chosen["id"]]
    right = {r["member"]: r["score"] for r in known}
    assert set(right.values()) <= {0.0, None}
    assert 0.0 in right.values()


def test_what_nobody_has_stored_cannot_be_loaded_and_is_not_asked_for(
    pool: Path, db: str, tmp_path: Path
) -> None:
    """Another gateway's start without labels, live in the same database."""
    with serving(None, pool, db, answers="number", poll_s=0.05) as served:
        given = served.gateway.policies.id
        with served.store.connections.read() as connection:
            (row,) = served.store.log.policies(connection)
        assert (row.id, row.state, row.path) == (given, "live", "")
        other = row.__class__(id="f" * 16, created_at=1.0, state="live", path="")
        with served.store.connections.write() as connection:
            served.store.log.add_policy(connection, other)
        until(lambda: served.gateway.policies._refused == other.id)
        assert ask(served, 1)["rlfocal"]["answer"] == "3"
        with served.store.connections.write() as connection:
            served.store.log.set_policy(connection, given, state="live")
        assert served.gateway.policies.id == given


def test_the_same_pool_makes_the_same_start_and_another_another(tmp_path: Path) -> None:
    def start(**prices: float) -> Any:
        return start_without_labels(read_pool(write_pool(tmp_path, "http://x/v1", prices=prices)))

    same, again = start(), start()
    assert policy_id(same.description) == policy_id(again.description)
    assert same.description.cost_unit == "call"
    assert same.description.n_training_queries == 0
    assert same.strategy.relative_cost_.tolist() == [1, 1, 1]
    priced = start(wrong=5.0, good=1.0, fine=0.0)
    assert priced.description.cost_unit == "usd"
    assert policy_id(priced.description) != policy_id(same.description)
    cost = priced.strategy.relative_cost_
    assert cost[0] / cost[1] == pytest.approx(5)
    assert cost[0] / cost[2] == pytest.approx(50)  # free is not for nothing: it has to be called
    assert priced.ranking.tolist() == [2, 1, 0]
    # Where one has no price, nobody's counts.
    assert start(wrong=5.0, good=1.0).strategy.relative_cost_.tolist() == [1, 1, 1]
    (tmp_path / "pool.toml").write_text(
        (tmp_path / "pool.toml").read_text().replace('name = "fine"', 'name = "dandy"')
    )
    renamed = start_without_labels(read_pool(tmp_path / "pool.toml"))
    assert policy_id(renamed.description) != policy_id(same.description)


def test_python_starts_from_a_pool_file_too(pool: Path) -> None:
    ensemble = rlfocal.Ensemble(pool=pool, answers="number")
    assert ensemble.members == MEMBERS
    answer = ensemble.ask("3 + 4 =")
    assert answer.answer == "7"
    assert answer.trace.strategy == "rl-focal-prior"
    with pytest.raises(ConfigError, match="the pool is missing"):
        rlfocal.Ensemble(pool)

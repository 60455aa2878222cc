"""Figures of the dashboard against values worked out by hand, from rows in a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from rlfocal.gateway.dashboard.accuracy import mean_score, over_time
from rlfocal.gateway.dashboard.history import History, Known
from rlfocal.gateway.dashboard.members import Training, member_figures
from rlfocal.gateway.dashboard.savings import mean_costs, savings
from rlfocal.gateway.store import FeedbackRow, RequestRow, Store
from rlfocal.numbers import wilson

MakeRow = Callable[..., RequestRow]
NOON = 1_767_268_800.0
MEMBERS = ("a", "b", "c")


def call(member: str, **more: Any) -> dict[str, Any]:
    return {
        "member": member, "answer": "A", "support": 1.0, "cost": 1.0, "latency_s": 1.0,
        "cost_usd": 0.01, **more,
    }  # fmt: skip


def failed(member: str, kind: str) -> dict[str, Any]:
    return {"member": member, "answer": None, "support": None, "cost": 1.0, "failure": kind}


def trace(*rounds: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"rounds": [{"asked": asked} for asked in rounds], "price": 0.1, "kind": "choice"} | more


def judgement(request_id: str, earned: float, **scores: float | None) -> FeedbackRow:
    return FeedbackRow(
        request_id=request_id, key_id=None, created_at=NOON, score=earned, earned=earned,
        task="sums", given={}, member_scores=scores,
    )  # fmt: skip


@pytest.fixture
def put(store: Store, row: MakeRow) -> Callable[..., None]:
    """put("r1", [call("a")], [call("b")], usd=..., ...) → a request with these rounds."""

    def add(request_id: str, *rounds: list[dict[str, Any]], shut: Any = (), **more: Any) -> None:
        calls = [one for asked in rounds for one in asked]
        fields: dict[str, Any] = {
            "trace": trace(*rounds, shut=list(shut)),
            "n_calls": len(calls),
            "usd": sum(one.get("cost_usd") or 0 for one in calls),
            "n_unpriced": sum("failure" not in o and o.get("cost_usd") is None for o in calls),
        } | more
        with store.connections.write() as connection:
            store.log.add_request(connection, row(request_id, None, **fields))

    return add


def judge(store: Store, *rows: FeedbackRow) -> None:
    with store.connections.write() as connection:
        for one in rows:
            store.log.put_feedback(connection, one)


def money(known: Known, best: str | None = "a") -> dict[str, Any]:
    mean = mean_costs(known.requests, MEMBERS)
    return savings(known.requests, known.judged, members=MEMBERS, best=best, mean=mean)


def test_reading_goes_on_where_it_stopped(store: Store, put: Callable[..., None]) -> None:
    history = History(store, n=3)
    assert history.read() == Known((), {}, True)
    put("r1", [call("a")])
    put("r2", [call("a")])
    judge(store, judgement("r1", 1.0), judgement("r2", 0.5))
    first = history.read()
    assert [r.row.id for r in first.requests] == ["r1", "r2"]
    assert first.is_all
    for k in (3, 4, 5):
        put(f"r{k}", [call("a")])
    judge(store, judgement("r1", 0.0))
    later = history.read()
    assert [r.row.id for r in later.requests] == ["r3", "r4", "r5"]
    assert not later.is_all
    assert [j.request_id for j in later.judged.values()] == ["r2", "r1"]
    assert later.judged["r1"].earned == 0
    # Whoever begins later sees the same.
    assert History(store, n=3).read() == later


def test_savings_count_what_others_would_have_cost(store: Store, put: Callable[..., None]) -> None:
    put("r1", [call("a", cost_usd=0.01)])
    put("r2", [call("a", cost_usd=0.03)], [call("b", cost_usd=0.05)])
    put("r3", [call("b", cost_usd=0.07), call("c", cost_usd=0.2)])
    put("r4", [failed("a", "timeout")], status=502, error="nobody_answered")
    judge(store, judgement("r1", 1.0, a=1.0), judgement("r2", 1.0, a=0.0, b=1.0))
    judge(store, judgement("r3", 0.0, b=0.0, c=None))
    found = money(History(store).read())
    assert (found["n"], found["n_calls"]) == (3, 5)
    assert found["usd"] == pytest.approx(0.36)
    # Means: a 0.02, b 0.06, c 0.2. Not asked: b and c of r1, c of r2, a of r3.
    everybody = found["everybody"]
    assert (everybody["calls_saved"], everybody["n_calls"]) == (4, 9)
    assert everybody["usd_saved"] == pytest.approx(0.06 + 0.2 + 0.2 + 0.02)
    assert everybody["usd"] == pytest.approx(0.36 + 0.48)
    # a alone: asked in r1 and r2; in r3 in place of b and c.
    single = found["single"]
    assert single["calls_saved"] == 1 - 3
    assert single["usd_saved"] == pytest.approx(0.02 - 0.05 - 0.07 - 0.2)
    assert single["usd"] == pytest.approx(0.01 + 0.03 + 0.02)
    assert single["accuracy"]["mean"] == 0.5
    assert single["ensemble_accuracy"]["mean"] == 1.0
    assert single["accuracy"]["n"] == 2


def test_what_has_no_price_is_never_zero(store: Store, put: Callable[..., None]) -> None:
    put("r1", [call("a")])
    put("r2", [call("a"), call("b", cost_usd=None)])
    found = money(History(store).read())
    assert found["n_unpriced"] == 1
    assert found["everybody"]["usd_saved"] is None
    assert found["everybody"]["usd"] is None
    assert found["everybody"]["unknown"] == {"b": "unpriced", "c": "not asked"}
    assert found["single"]["usd_saved"] is None
    assert found["single"]["unknown"] == {"b": "unpriced"}
    assert money(History(store).read(), best=None)["single"] is None


def test_who_is_left_alone_counts_for_neither_side(store: Store, put: Callable[..., None]) -> None:
    put("r1", [call("a"), call("b")], shut=["c"])  # as an earlier version wrote it
    assert money(History(store).read())["everybody"]["calls_saved"] == 0


def test_a_synthesis_is_no_member_asked(store: Store, row: MakeRow) -> None:
    with store.connections.write() as connection:
        made = trace([call("a", cost_usd=0.01)], synthesis=call("b", cost_usd=0.5))
        store.log.add_request(connection, row("r1", None, trace=made, n_calls=2, usd=0.51))
    found = money(History(store).read())
    assert found["n_calls"] == 2
    assert found["everybody"]["calls_saved"] == 2
    assert found["single"]["usd_saved"] == pytest.approx(-0.5)


EVEN = Training(MEMBERS, (), np.full((1, 3), 0.5, dtype=np.float32))


def figures_of(
    known: Known, training: Training = EVEN, circuits: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    rows = member_figures(
        (*MEMBERS, "spare"), known.requests,
        ensemble=MEMBERS, lately=list(known.judged.values()), training=training,
        mean=mean_costs(known.requests, (*MEMBERS, "spare")), circuits=circuits or {},
    )  # fmt: skip
    return {found["name"]: found for found in rows}


def test_members_are_counted(store: Store, put: Callable[..., None]) -> None:
    put("r1", [call("a", latency_s=1.0)], [call("b", latency_s=4.0)])
    put("r2", [call("a", latency_s=2.0), failed("c", "timeout")])
    put("r3", [call("a", latency_s=3.0), failed("c", "cancelled")])
    put("r4", [call("a", latency_s=4.0, answer=None)], [failed("c", "server-error")])
    put("r5", [call("spare")], model="spare")
    found = figures_of(History(store).read(), circuits={"c": "open"})
    a, b, c, spare = (found[name] for name in (*MEMBERS, "spare"))
    assert (a["share_first"], a["share_asked"]) == (1.0, 1.0)
    assert (b["share_first"], b["share_asked"]) == (0.0, 0.25)
    assert (c["share_first"], c["share_asked"]) == (0.5, 0.75)
    assert c["failures"] == {"timeout": 1, "server-error": 1}
    assert (c["n_calls"], c["n_not_waited_for"], c["failure_rate"]) == (2, 1, 1.0)
    assert (c["circuit"], c["p50_s"]) == ("open", None)
    assert (a["p50_s"], a["p95_s"]) == (2.5, pytest.approx(3.85))
    assert a["n_without_answer"] == 1
    assert (spare["n_asked"], spare["n_calls"], spare["in_ensemble"]) == (0, 1, False)
    assert spare["drift"] is None
    assert c["mean_usd"] == {"usd": None, "n": 0, "why": "not asked"}


def test_drift_is_marked_where_the_interval_leaves_training_out(store: Store) -> None:
    for k in range(40):
        judge(store, judgement(f"r{k}", 1.0, a=float(k % 2), b=float(k % 10 > 0), c=None))
    training = Training(
        MEMBERS, ("sums",),
        np.array([[0.8, 0.9, 0.5], [0.6, 0.9, 0.5]], dtype=np.float32),
    )  # fmt: skip
    found = figures_of(History(store).read(), training)
    low, high = wilson(0.5, 40)
    assert found["a"]["drift"]["lately"] == {"n": 40, "mean": 0.5, "low": low, "high": high}
    # 0.6 on all tasks would be within the interval; 0.8 on these is not.
    assert low < 0.6 < high < 0.8
    assert found["a"]["drift"]["expected"] == pytest.approx(0.8)
    assert found["a"]["drift"]["training"] == pytest.approx(0.6)
    assert found["a"]["drift"]["verdict"] == "worse"
    assert found["b"]["drift"]["verdict"] == "as in training"
    assert found["c"]["drift"]["verdict"] == "unknown"


def test_accuracy_over_time_falls_into_round_bins(store: Store, put: Callable[..., None]) -> None:
    put("r1", [call("a")], created_at=NOON - 3000)
    put("r2", [call("a")], created_at=NOON - 10)
    put("r3", [call("a")], created_at=NOON - 5)
    judge(store, judgement("r2", 1.0), judgement("r3", 0.0))
    known = History(store).read()
    bins = over_time(known.requests, known.judged, since=NOON - 3600, now=NOON - 1)
    assert [b["n_requests"] for b in bins] == [0, 0, 1] + 8 * [0] + [2]
    assert bins[0]["start"] == NOON - 3600
    assert {b["end"] - b["start"] for b in bins} == {300}
    assert bins[-1]["accuracy"] == mean_score([1.0, 0.0])
    assert bins[2]["accuracy"]["mean"] is None


def test_one_moment_alone_makes_a_bin() -> None:
    judged: dict[str, FeedbackRow] = {}
    assert len(over_time([], judged, since=NOON, now=NOON)) == 1


def test_wilson_at_the_edges() -> None:
    assert wilson(1.0, 10)[1] == 1.0
    assert wilson(0.0, 10)[0] == 0.0
    assert mean_score([]) == {"n": 0, "mean": None, "low": None, "high": None}

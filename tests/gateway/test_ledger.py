"""KeyLimits: rates, requests under way and dollars, one request after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError
from rlfocal.gateway.store import Admitted, Key, KeyLimits, Refused, RequestRow, Store, open_store
from rlfocal.gateway.store.ledger import burst_of
from rlfocal.gateway.store.schema import reservations, spending

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import AddKey, MakeRow

NOON = 1_767_268_800.0
"""2026-01-01T12:00Z."""
HOUR, DAY = 3600.0, 86400.0
LEASE_S = 600.0


class Desk:
    """One store, one key, one call a line."""

    def __init__(self, store: Store, key: Key) -> None:
        self.store, self.key, self.n = store, key, 0

    def admit(
        self,
        now: float = NOON,
        usd: float | None = 0.0,
        name: str | None = None,
        process: str | None = None,
    ) -> Admitted | Refused:
        self.n += 1
        with self.store.connections.write() as connection:
            return self.store.ledger.admit(
                connection, self.key, name or f"r{self.n}", usd, LEASE_S, now, process
            )

    def beat(self, process: str, now: float = NOON) -> None:
        with self.store.connections.write() as connection:
            self.store.processes.beat(connection, process, now)

    def code(
        self,
        now: float = NOON,
        usd: float | None = 0.0,
        name: str | None = None,
        process: str | None = None,
    ) -> str:
        decision = self.admit(now, usd, name, process)
        return "" if isinstance(decision, Admitted) else decision.code

    def finish(self, row: RequestRow, now: float = NOON) -> bool:
        with self.store.connections.write() as connection:
            return self.store.ledger.finish(connection, row, now)

    def sweep(self, now: float) -> int:
        with self.store.connections.write() as connection:
            return self.store.ledger.sweep(connection, now)

    def use(self, now: float = NOON) -> tuple[float, float]:
        with self.store.connections.read() as connection:
            (use,) = self.store.keys.uses(connection, now)
        return use.spent_usd, use.held_usd

    def days(self) -> dict[str, tuple[float, float, int]]:
        c = spending.c
        columns = sa.select(c.day, c.usd, c.unsettled_usd, c.n_requests)
        with self.store.connections.read() as connection:
            return {day: tuple(rest) for day, *rest in connection.execute(columns)}


def test_a_budget_holds_what_requests_may_cost_until_they_are_settled(
    store: Store, add_key: AddKey, row: MakeRow
) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0, "total")).key)
    assert [desk.code(usd=0.4) for _ in range(3)] == ["", "", "insufficient_quota"]
    desk.finish(row("r1", desk.key, usd=0.1, unsettled_usd=0.05))
    assert desk.use() == pytest.approx((0.15, 0.4))
    assert desk.code(usd=0.46) == "insufficient_quota"
    assert desk.code(usd=0.45) == ""


def test_ten_times_ten_cents_fit_into_a_dollar(store: Store, add_key: AddKey, row: MakeRow) -> None:
    """Though the sum of the floats is a little off."""
    desk = Desk(store, add_key(limits=KeyLimits(1.0, "total")).key)
    for i in range(10):
        assert desk.code(usd=0.1, name=f"t{i}") == ""
        if i % 2:
            desk.finish(row(f"t{i}", desk.key, usd=0.1))
    assert desk.code(usd=1e-6) == "insufficient_quota"


def test_a_budget_of_nothing_lets_only_free_requests_pass(store: Store, add_key: AddKey) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(0.0)).key)
    assert [desk.code(usd=0.01), desk.code(usd=0.0)] == ["insufficient_quota", ""]


@pytest.mark.parametrize(
    ("period", "fresh"),
    [("day", [False, True, True]), ("month", [False, False, True]), ("total", [False] * 3)],
)
def test_a_budget_is_fresh_in_the_next_period(
    store: Store, add_key: AddKey, row: MakeRow, period: Any, fresh: list[bool]
) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0, period)).key)
    assert desk.code(usd=1.0, name="first") == ""
    desk.finish(row("first", desk.key, usd=1.0), NOON)
    later = (NOON + 11.9 * HOUR, NOON + 12 * HOUR, NOON + 30.5 * DAY)  # the last is 1 February
    codes = [desk.code(now, 0.3, f"later{now}") for now in later]
    assert [code == "" for code in codes] == fresh


def test_a_refusal_says_when_waiting_helps(store: Store, add_key: AddKey, row: MakeRow) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0, "day")).key)
    assert desk.admit(usd=0.9, name="big") == Admitted()

    def after(usd: float) -> float | None:
        decision = desk.admit(usd=usd)
        assert isinstance(decision, Refused)
        return decision.retry_after_s

    assert after(0.5) == 1.0  # when the big one has come back
    assert after(1.5) is None  # never
    desk.finish(row("big", desk.key, usd=0.9))
    assert after(0.5) == 12 * HOUR  # tomorrow


def test_what_runs_over_midnight_counts_on_both_days(
    store: Store, add_key: AddKey, row: MakeRow
) -> None:
    """While it runs on the second, and on the one on which it ended."""
    desk = Desk(store, add_key(limits=KeyLimits(1.0, "day")).key)
    late, early = NOON + 12 * HOUR - 1, NOON + 12 * HOUR + 1
    assert desk.code(late, 0.8, "over") == ""
    assert desk.code(early, 0.5) == "insufficient_quota"
    desk.finish(row("over", desk.key, usd=0.2), early)
    assert desk.days() == {"2026-01-02": (0.2, 0.0, 1)}
    assert desk.code(early, 0.8) == ""


def test_a_request_is_counted_once(store: Store, add_key: AddKey, row: MakeRow) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0)).key)
    desk.admit(usd=0.5)
    done = row("r1", desk.key, usd=0.25, n_calls=3, n_prompt_tokens=7)
    assert [desk.finish(done), desk.finish(done)] == [True, False]
    assert desk.use() == (0.25, 0.0)
    assert desk.days() == {"2026-01-01": (0.25, 0.0, 1)}


def test_several_at_once_come_to_what_they_come_to_one_by_one(
    store: Store, row: MakeRow, add_key: AddKey
) -> None:
    one, two = Desk(store, add_key("one").key), Desk(store, add_key("two").key)
    there = row("r0", one.key, usd=8.0)
    assert one.finish(there)
    rows = [
        row("r1", one.key, usd=0.25, n_calls=3, n_prompt_tokens=7),
        row("r2", two.key, usd=0.5, unsettled_usd=0.125),
        row("r3", None, usd=1.0),
        row("r1", one.key, usd=64.0),
        there,
        row("r4", one.key, usd=2.0),
    ]
    for _ in range(2):  # the second time counts nothing
        with store.connections.write() as connection:
            store.ledger.finish_all(connection, rows, NOON)
    with store.connections.read() as connection:
        found = store.log.requests(connection, 9)
        spent = {
            use.key.name: (use.spent_usd, use.unsettled_usd)
            for use in store.keys.uses(connection, NOON)
        }
    assert [(r.id, r.usd) for r in found[::-1]] == [
        ("r0", 8.0), ("r1", 0.25), ("r2", 0.5), ("r3", 1.0), ("r4", 2.0),
    ]  # fmt: skip
    assert spent == {"one": (10.25, 0.0), "two": (0.625, 0.125)}


def test_requests_without_a_key_are_written_down_and_not_charged(
    store: Store, row: MakeRow, add_key: AddKey
) -> None:
    desk = Desk(store, add_key().key)
    assert desk.finish(row("r1", None, usd=1.0))
    assert desk.days() == {}
    with store.connections.read() as connection:
        assert [r.usd for r in store.log.requests(connection, 9)] == [1.0]


def test_as_many_at_once_as_allowed(store: Store, add_key: AddKey, row: MakeRow) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(concurrency=2)).key)
    assert [desk.code() for _ in range(3)] == ["", "", "concurrency_limit_exceeded"]
    desk.finish(row("r1", desk.key))
    assert [desk.code(), desk.code()] == ["", "concurrency_limit_exceeded"]
    assert desk.code(NOON + LEASE_S) == ""  # those before are lost, and hold no place


def test_a_released_request_holds_nothing(store: Store, add_key: AddKey) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0, concurrency=1)).key)
    assert desk.code(usd=1.0) == ""
    with store.connections.write() as connection:
        store.ledger.release(connection, "r1")
        store.ledger.release(connection, "never there")
    assert desk.code(usd=1.0) == ""


def test_a_revoked_or_expired_key_is_refused_first(store: Store, add_key: AddKey) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(0.0), expires_at=NOON + 10).key)
    assert desk.code(NOON + 9, 1.0) == "insufficient_quota"
    assert desk.code(NOON + 10, 1.0) == "invalid_api_key"
    with store.connections.write() as connection:
        store.keys.revoke(connection, "me", now=NOON)
    assert desk.code(NOON, 1.0) == "invalid_api_key"
    assert Desk(store, Key("nobody00", "nobody")).code() == "invalid_api_key"


def test_limits_are_looked_at_in_order_and_a_refused_request_uses_nothing(
    store: Store, add_key: AddKey, row: MakeRow
) -> None:
    desk = Desk(
        store, add_key(limits=KeyLimits(1.0, "total", 6.0, 1)).key
    )  # one, then one each 10 s
    assert desk.code(usd=0.9) == ""
    assert desk.code(usd=9.0) == "rate_limit_exceeded"
    assert desk.code(NOON + 10, usd=9.0) == "concurrency_limit_exceeded"
    desk.finish(row("r1", desk.key, usd=0.9))
    assert desk.code(NOON + 10, usd=9.0) == "insufficient_quota"
    assert desk.code(NOON + 10, usd=0.1) == ""  # its token was still there


def test_changed_limits_hold_at_once(store: Store, add_key: AddKey) -> None:
    """Though the caller may know the key as it was."""
    desk = Desk(store, add_key(limits=KeyLimits(9.0)).key)
    with store.connections.write() as connection:
        known = store.keys.find(connection, desk.key.id)
        assert known is not None
        changed = Key(known.key.id, "me", limits=KeyLimits(1.0))
        store.keys.put(connection, type(known)(changed, known.digest), now=NOON)
    assert desk.code(usd=2.0) == "insufficient_quota"


@pytest.mark.parametrize("usd", [-0.1, float("nan")])
def test_an_impossible_price_is_refused(store: Store, add_key: AddKey, usd: float) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0)).key)
    with pytest.raises(ValueError, match="most_usd"):
        desk.admit(usd=usd)


def test_what_nobody_can_price_does_not_pass_a_budget(store: Store, add_key: AddKey) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0)).key)
    assert [desk.code(usd=None), desk.code(usd=float("inf"))] == ["unpriced", "insufficient_quota"]
    rated = Desk(store, add_key("rated", limits=KeyLimits(requests_per_minute=60)).key)
    assert rated.code(usd=None, name="x") == ""


class TestSweep:
    def test_what_a_killed_process_held_stays_spent(self, store: Store, add_key: AddKey) -> None:
        desk = Desk(store, add_key(limits=KeyLimits(1.0, "total")).key)
        assert desk.code(usd=0.75) == ""
        assert desk.sweep(NOON + LEASE_S - 1) == 0
        over = NOON + LEASE_S
        assert desk.code(over, 0.5) == "insufficient_quota"  # not swept yet, and counted
        assert [desk.sweep(over), desk.sweep(over)] == [1, 0]
        assert desk.use(over) == (0.75, 0.0)
        assert desk.days() == {"2026-01-01": (0.0, 0.75, 1)}
        assert desk.code(over, 0.5) == "insufficient_quota"
        with store.connections.read() as connection:
            (lost,) = store.log.requests(connection, 9)
        assert (lost.id, lost.error, lost.unsettled_usd) == ("r1", "abandoned", 0.75)

    def test_it_counts_on_the_day_on_which_its_lease_ended(
        self, store: Store, add_key: AddKey
    ) -> None:
        desk = Desk(store, add_key(limits=KeyLimits(1.0, "day")).key)
        desk.admit(usd=0.75)
        desk.sweep(NOON + 3 * DAY)
        assert list(desk.days()) == ["2026-01-01"]
        assert desk.code(NOON + 3 * DAY, 1.0) == ""

    def test_a_request_that_was_only_slow_counts_as_what_it_came_to(
        self, store: Store, add_key: AddKey, row: MakeRow
    ) -> None:
        desk = Desk(store, add_key(limits=KeyLimits(1.0, "total")).key)
        desk.admit(usd=0.75)
        desk.sweep(NOON + LEASE_S)
        assert desk.finish(row("r1", desk.key, usd=0.5), NOON + DAY)
        assert desk.use() == (0.5, 0.0)
        assert desk.days()["2026-01-01"] == (0.0, 0.0, 0)
        assert desk.days()["2026-01-02"] == (0.5, 0.0, 1)
        assert not desk.finish(row("r1", desk.key, usd=0.5), NOON + DAY)
        with store.connections.read() as connection:
            assert [r.error for r in store.log.requests(connection, 9)] == [None]

    def test_a_reservation_beside_a_finished_request_is_cleared(
        self, store: Store, add_key: AddKey, row: MakeRow
    ) -> None:
        """It cannot come about, and must not stay for ever if it does."""
        desk = Desk(store, add_key(limits=KeyLimits(1.0)).key)
        desk.finish(row("r1", desk.key, usd=0.1))
        desk.admit(usd=0.5, name="r1")
        assert [desk.sweep(NOON + LEASE_S), desk.sweep(NOON + LEASE_S)] == [1, 0]
        assert desk.use() == (0.1, 0.0)


class NaiveBucket:
    """The rule as it is written, in steps of a hundredth of a second."""

    def __init__(self, per_minute: float) -> None:
        self.per_step, self.burst = per_minute / 60 / 100, burst_of(per_minute)
        self.left = self.burst

    def wait(self, steps: int) -> None:
        for _ in range(steps):
            self.left = min(self.burst, self.left + self.per_step)

    def take(self) -> bool:
        if self.left < 1 - 1e-6:
            return False
        self.left -= 1
        return True


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from([1.0, 7.0, 60.0, 250.0]),
    st.lists(st.one_of(st.just(0), st.integers(1, 300), st.integers(3000, 9000)), max_size=60),
)
def test_rates_follow_the_naive_bucket(tmp_path: Path, per_minute: float, waits: list[int]) -> None:
    naive = NaiveBucket(per_minute)
    with (
        open_store(tmp_path / "rates.db") as store,
        store.connections.engine.connect() as connection,
        connection.begin() as undone,
    ):
        limits = KeyLimits(requests_per_minute=per_minute)
        key = store.keys.add(connection, "me", now=NOON, limits=limits).key
        steps, passed = 0, list[float]()
        for i, wait in enumerate(waits):
            steps += wait
            naive.wait(wait)
            now = NOON + steps / 100
            decision = store.ledger.admit(connection, key, f"r{i}", 0.0, 1e9, now)
            assert (decision == Admitted()) == naive.take(), (i, naive.left)
            if isinstance(decision, Refused):
                assert decision.retry_after_s == pytest.approx(
                    (1 - naive.left) / per_minute * 60, abs=1e-3
                )
            else:
                passed.append(now)
        for i, first in enumerate(passed):  # the promise: burst + t * rate in any t seconds
            for j, last in enumerate(passed[i:], start=1):
                assert j <= burst_of(per_minute) + (last - first) * per_minute / 60 + 1e-6
        undone.rollback()


def test_a_clock_that_goes_back_gives_no_requests(store: Store, add_key: AddKey) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(requests_per_minute=6)).key)
    limited = "rate_limit_exceeded"
    times = (0, -5, 5, -5, 5, 9.9, 10)
    assert [desk.code(NOON + t) for t in times] == ["", *[limited] * 5, ""]


@pytest.mark.parametrize("ahead_s", [61.0, DAY, 1000 * DAY])
def test_one_clock_that_was_ahead_locks_nobody_out(
    store: Store, add_key: AddKey, ahead_s: float
) -> None:
    """The bucket goes on from where it was, though its moment has not come."""
    desk = Desk(store, add_key(limits=KeyLimits(requests_per_minute=6)).key)
    limited = "rate_limit_exceeded"
    assert desk.code(NOON + ahead_s) == ""
    times = (0, 5, 9.9, 10, 15, 20)
    assert [desk.code(NOON + t) for t in times] == [limited, limited, limited, "", limited, ""]


def test_a_lease_by_a_clock_that_was_ahead_ends_with_its_process(
    store: Store, add_key: AddKey, row: MakeRow
) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0, "day", concurrency=1)).key)
    ahead = NOON + 40 * DAY
    desk.beat("fast", ahead)
    assert desk.code(ahead, 0.5, "r1", "fast") == ""
    # A sign of life that has not come yet is none.
    assert desk.code(NOON, 0.5, "r2") == ""
    desk.finish(row("r2", desk.key, usd=0.0))
    assert desk.sweep(NOON) == 1
    assert desk.days()["2026-01-01"] == (0.0, 0.5, 2)


class TestGhosts:
    """Requests of processes that were killed."""

    def test_their_places_are_free_in_seconds_and_their_money_is_held(
        self, store: Store, add_key: AddKey
    ) -> None:
        desk = Desk(store, add_key(limits=KeyLimits(1.0, "total", concurrency=2)).key)
        for name in ("killed", "lives"):
            desk.beat(name)
            assert desk.code(usd=0.4, process=name) == ""
        full = "concurrency_limit_exceeded"
        assert desk.code(usd=0.1, process="lives") == full
        desk.beat("lives", NOON + 6)
        assert desk.code(NOON + 7, usd=0.1, process="lives") == full
        desk.beat("lives", NOON + 8)
        assert desk.use(NOON + 8.1)[1] == pytest.approx(0.8)
        assert desk.code(NOON + 8.1, usd=0.3, process="lives") == "insufficient_quota"
        assert desk.code(NOON + 8.1, usd=0.2, process="lives") == ""
        assert desk.code(NOON + 8.1, usd=0.0, process="lives") == full

    def test_they_are_given_up_long_before_their_lease(
        self, store: Store, add_key: AddKey, row: MakeRow
    ) -> None:
        desk = Desk(store, add_key(limits=KeyLimits(1.0, "total")).key)
        for name in ("killed", "lives"):
            desk.beat(name)
            desk.admit(usd=0.4, name=name, process=name)
        for later in range(10, 70, 10):
            assert desk.sweep(NOON + later - 0.1) == 0
            desk.beat("lives", NOON + later)
        assert [desk.sweep(NOON + 61), desk.sweep(NOON + 61)] == [1, 0]
        assert desk.use() == pytest.approx((0.4, 0.4))
        with store.connections.read() as connection:
            (lost,) = store.log.requests(connection, 9)
        assert (lost.id, lost.error, lost.created_at) == ("killed", "abandoned", NOON + 61)
        # It was only cut off, and comes back: what it came to counts.
        assert desk.finish(row("killed", desk.key, usd=0.1), NOON + 62)
        assert desk.use() == pytest.approx((0.1, 0.4))

    def test_a_process_that_left_in_order_is_no_longer_there(
        self, store: Store, add_key: AddKey
    ) -> None:
        desk = Desk(store, add_key(limits=KeyLimits(concurrency=1)).key)
        desk.beat("a")
        assert desk.code(process="a") == ""
        with store.connections.write() as connection:
            store.processes.leave(connection, "a")
        assert desk.code() == ""


class TestSettling:
    """What abandoned requests came to, by whoever has seen the bill."""

    @pytest.fixture
    def desk(self, store: Store, add_key: AddKey) -> Desk:
        desk = Desk(store, add_key(limits=KeyLimits(1.0, "total")).key)
        for name, usd in (("a", 0.25), ("b", 0.5)):
            desk.admit(usd=usd, name=name)
        desk.sweep(NOON + LEASE_S)
        return desk

    def settle(self, desk: Desk, usd: float, *only: str) -> list[str]:
        with desk.store.connections.write() as connection:
            done = desk.store.abandoned.settle(
                connection, desk.key, usd, by="ops@host", now=NOON + DAY, only=only
            )
        return [lost.id for lost in done]

    def test_they_are_listed_until_they_are_settled(self, desk: Desk) -> None:
        with desk.store.connections.read() as connection:
            there = desk.store.abandoned.of(connection, desk.key)
        assert [tuple(lost) for lost in there] == [
            ("a", NOON + LEASE_S, 0.25), ("b", NOON + LEASE_S, 0.5),
        ]  # fmt: skip
        assert self.settle(desk, 0.0, "a") == ["a"]
        with desk.store.connections.read() as connection:
            assert [lost.id for lost in desk.store.abandoned.of(connection, desk.key)] == ["b"]

    def test_forgiven_is_forgiven(self, desk: Desk) -> None:
        assert desk.use() == (0.75, 0.0)
        assert self.settle(desk, 0.0) == ["a", "b"]
        assert desk.use() == (0.0, 0.0)
        assert desk.days() == {"2026-01-01": (0.0, 0.0, 2)}

    def test_what_they_came_to_is_shared_out_and_who_said_so_is_kept(self, desk: Desk) -> None:
        self.settle(desk, 0.03)
        assert desk.days()["2026-01-01"] == pytest.approx((0.03, 0.0, 2))
        with desk.store.connections.read() as connection:
            rows = {row.id: row for row in desk.store.log.requests(connection, 9)}
            event = desk.store.log.events(connection, 1)[0]
        assert [rows[name].usd for name in "ab"] == pytest.approx([0.01, 0.02])
        assert rows["b"].trace == {
            "settled": {"by": "ops@host", "at": NOON + DAY, "unsettled_usd": 0.5}
        }
        assert (event.kind, event.what["by"]) == ("requests settled", "ops@host")
        assert event.what["requests"] == ["a", "b"]

    def test_one_that_comes_back_afterwards_counts_as_what_it_came_to(
        self, desk: Desk, row: MakeRow
    ) -> None:
        self.settle(desk, 0.03)
        assert desk.finish(row("b", desk.key, usd=0.125), NOON + DAY)
        assert desk.use() == pytest.approx((0.01 + 0.125, 0.0))

    def test_what_cannot_be_settled_is_refused(self, desk: Desk) -> None:
        with pytest.raises(ConfigError, match="'z' is no abandoned request of key 'me'"):
            self.settle(desk, 0.0, "a", "z")
        for usd in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="usd"):
                self.settle(desk, usd)
        self.settle(desk, 0.0)
        with pytest.raises(ConfigError, match="no abandoned requests"):
            self.settle(desk, 0.0)

    def test_the_list_of_keys_shows_what_is_unsettled(self, desk: Desk) -> None:
        with desk.store.connections.read() as connection:
            (use,) = desk.store.keys.uses(connection, NOON)
        assert (use.spent_usd, use.unsettled_usd) == (0.75, 0.75)


def test_a_database_of_the_version_before_is_brought_up_to_date(
    store: Store, database_url: str, add_key: AddKey
) -> None:
    """Its reservations are of processes that nobody knows, and hold until their lease is over."""
    key = add_key(limits=KeyLimits(1.0, "total", concurrency=1)).key
    with store.connections.write() as connection:
        connection.exec_driver_sql("DROP TABLE gateway_processes")
        connection.exec_driver_sql("DROP TABLE gateway_circuits")
        connection.exec_driver_sql("ALTER TABLE gateway_reservations DROP COLUMN process")
        connection.exec_driver_sql("ALTER TABLE gateway_reservations DROP COLUMN n_places")
        connection.exec_driver_sql("ALTER TABLE gateway_requests DROP COLUMN choices")
        connection.exec_driver_sql("UPDATE gateway_meta SET value = '1'")
        held = "INSERT INTO gateway_reservations (request_id, key_id, usd, until) VALUES "
        connection.exec_driver_sql(f"{held} ('old', '{key.id}', 0.5, {NOON + LEASE_S})")
    with open_store(database_url) as opened:
        desk = Desk(opened, key)
        assert desk.code(NOON + 100) == "concurrency_limit_exceeded"
        assert desk.sweep(NOON + 100) == 0
        desk.beat("new", NOON + LEASE_S)
        assert desk.sweep(NOON + LEASE_S) == 1
        assert desk.code(NOON + LEASE_S, 0.5, process="new") == ""


def test_nothing_is_reserved_for_a_request_that_is_refused(store: Store, add_key: AddKey) -> None:
    desk = Desk(store, add_key(limits=KeyLimits(1.0)).key)
    desk.admit(usd=2.0)
    with store.connections.read() as connection:
        assert connection.execute(sa.select(reservations)).all() == []

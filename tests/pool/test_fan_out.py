"""Asking many at once: every slot is filled, nobody is left behind, the deadline holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request, Response, ask_all

Virtually = Callable[[Coroutine[Any, Any, Any]], Any]
ASKED = Request((Message("user", "?"),))


def now() -> float:
    return asyncio.get_running_loop().time()


class Member:
    """Answers, or raises what it is given, after a time; deaf ones do not hear a cancellation."""

    def __init__(
        self, takes_s: float, raises: Exception | None = None, *, deaf: bool = False
    ) -> None:
        self.takes_s, self.raises, self.deaf = takes_s, raises, deaf
        self.timeout_s = 0.0
        self.cancelled_at: float | None = None

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.timeout_s = timeout_s
        until = now() + self.takes_s
        while now() < until:
            try:
                await asyncio.sleep(until - now())
            except asyncio.CancelledError:
                self.cancelled_at = now()
                if not self.deaf:
                    raise
        if self.raises is not None:
            raise self.raises
        return Response(f"after {self.takes_s:g}")

    async def close(self) -> None: ...
    async def __aenter__(self) -> Member:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


def calls(**members: Member) -> dict[str, tuple[Member, Request]]:
    return {name: (member, ASKED) for name, member in members.items()}


def short(slots: dict[str, Response | MemberError]) -> dict[str, str]:
    return {n: s.text if isinstance(s, Response) else s.failure.value for n, s in slots.items()}


def test_all_are_asked_at_once_and_slots_keep_the_order(virtually: Virtually) -> None:
    async def go() -> None:
        broken = MemberError("down", failure=Failure.SERVER_ERROR)
        members = calls(slow=Member(3), broken=Member(1, broken), fast=Member(2))
        slots = await ask_all(members, deadline_s=10)
        assert list(slots) == ["slow", "broken", "fast"]
        assert slots["broken"] is broken
        assert short(slots) == {"slow": "after 3", "broken": "server-error", "fast": "after 2"}
        assert now() == pytest.approx(3)

    virtually(go())


def test_nobody_asked_is_nobody_answering(virtually: Virtually) -> None:
    assert virtually(ask_all({}, deadline_s=1)) == {}


def test_a_late_member_is_dropped_at_the_deadline(virtually: Virtually) -> None:
    async def go() -> None:
        late = Member(60)
        slots = await ask_all(calls(late=late, fast=Member(1)), deadline_s=5)
        assert short(slots) == {"late": "timeout", "fast": "after 1"}
        assert "member 'late': no reply within 5 s" in str(slots["late"])
        assert now() == late.cancelled_at == pytest.approx(5)

    virtually(go())


def test_one_that_does_not_hear_holds_nobody_up(virtually: Virtually) -> None:
    async def go() -> None:
        slots = await ask_all(calls(deaf=Member(60, deaf=True), fast=Member(1)), deadline_s=5)
        assert short(slots) == {"deaf": "timeout", "fast": "after 1"}
        assert now() == pytest.approx(5, abs=0.1)
        await asyncio.sleep(60)  # it ends by itself, and nobody complains of its result

    virtually(go())


def test_members_get_the_time_they_may_take(virtually: Virtually) -> None:
    async def go() -> None:
        members = {name: Member(0) for name in ("short", "long", "plain")}
        await ask_all(
            calls(**members), deadline_s=5, member_timeout_s={"short": 2, "long": 50, "else": 1}
        )
        assert {n: m.timeout_s for n, m in members.items()} == {"short": 2, "long": 5, "plain": 5}

    virtually(go())


def test_a_settled_outcome_ends_the_wait(virtually: Virtually) -> None:
    async def go() -> None:
        seen: list[list[str]] = []

        def two(slots: dict[str, Response | MemberError]) -> bool:
            seen.append(list(slots))
            return len(slots) >= 2

        members = calls(c=Member(9), a=Member(1), b=Member(2), d=Member(8))
        slots = await ask_all(members, deadline_s=10, enough=two)
        assert short(slots) == {"c": "cancelled", "a": "after 1", "b": "after 2", "d": "cancelled"}
        assert "settled without it" in str(slots["c"])
        assert seen == [["a"], ["a", "b"]]
        assert now() == pytest.approx(2, abs=0.02)

    virtually(go())


def test_what_enough_does_to_its_view_changes_nothing(virtually: Virtually) -> None:
    async def go() -> None:
        def meddle(slots: dict[str, Response | MemberError]) -> bool:
            slots.clear()
            return False

        slots = await ask_all(calls(a=Member(1), b=Member(2)), deadline_s=10, enough=meddle)
        assert short(slots) == {"a": "after 1", "b": "after 2"}

    virtually(go())


def test_a_bug_is_raised_and_the_others_are_cancelled(virtually: Virtually) -> None:
    async def go() -> None:
        other = Member(60)
        members = calls(other=other, buggy=Member(1, KeyError("bug")), same=Member(1, KeyError()))
        with pytest.raises(KeyError, match="bug") as raised:
            await ask_all(members, deadline_s=90)
        assert raised.value.__notes__ == ["in the call of member 'buggy'"]
        assert other.cancelled_at == pytest.approx(1)

    virtually(go())


def test_a_bug_in_enough_is_raised_too(virtually: Virtually) -> None:
    async def go() -> None:
        other = Member(60)
        with pytest.raises(ZeroDivisionError):
            await ask_all(
                calls(a=Member(1), other=other), deadline_s=90, enough=lambda slots: bool(1 // 0)
            )
        assert other.cancelled_at == pytest.approx(1, abs=0.02)

    virtually(go())


def test_who_comes_at_about_the_same_time_is_not_worth_the_question(virtually: Virtually) -> None:
    async def go() -> None:
        seen: list[list[str]] = []

        def never(slots: dict[str, Response | MemberError]) -> bool:
            seen.append(list(slots))
            return False

        together = calls(a=Member(1), b=Member(1.004), c=Member(1.008), d=Member(3))
        await ask_all(together, deadline_s=10, enough=never)
        assert seen == [["a", "b", "c"]]

    virtually(go())


def test_cancelling_the_caller_leaves_no_task_behind(virtually: Virtually) -> None:
    async def go() -> None:
        members = [Member(60), Member(70)]
        caller = asyncio.create_task(
            ask_all(calls(a=members[0], b=members[1], c=Member(1)), deadline_s=90)
        )
        await asyncio.sleep(5)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert [member.cancelled_at for member in members] == pytest.approx([5, 5])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(go())


def test_a_call_cancelled_from_elsewhere_is_a_slot_and_no_cancellation_of_ours(
    virtually: Virtually,
) -> None:
    class Giving(Member):
        async def send(self, request: Request, *, timeout_s: float) -> Response:
            raise asyncio.CancelledError

    async def go() -> None:
        slots = await ask_all(calls(up=Giving(0), fine=Member(1)), deadline_s=5)
        assert short(slots) == {"up": "cancelled", "fine": "after 1"}

    virtually(go())


def test_a_deadline_of_nothing_asks_in_vain(virtually: Virtually) -> None:
    async def go() -> None:
        slots = await ask_all(calls(a=Member(1)), deadline_s=0)
        assert short(slots) == {"a": "timeout"}
        assert now() == pytest.approx(0, abs=0.1)

    virtually(go())

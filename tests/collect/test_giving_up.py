"""When a member is given up: at once for what is final, else after failures one after another."""

from __future__ import annotations

import pytest

from rlfocal.collect.giving_up import GivingUp
from rlfocal.errors import Failure, MemberError


def error(failure: Failure = Failure.SERVER_ERROR) -> MemberError:
    return MemberError(f"no: {failure}", failure=failure)


@pytest.mark.parametrize("failure", [Failure.UNAUTHORISED, Failure.OUT_OF_CREDIT])
def test_what_is_final_is_believed_at_once(failure: Failure) -> None:
    assert GivingUp().failed(0, 0.0, 1.0, error(failure)) == f"no: {failure}"


def test_failures_of_calls_under_way_together_count_once() -> None:
    giving_up = GivingUp()
    for k in range(100):  # all begun before the first of them failed
        assert giving_up.failed(0, begun=0.5 * (k % 2), now=1.0 + k, exc=error()) is None


def test_failures_one_after_another_give_it_up() -> None:
    giving_up = GivingUp()
    said = [giving_up.failed(0, begun=k, now=k + 0.5, exc=error()) for k in range(10)]
    assert said[:9] == [None] * 9
    assert said[9] == "10 failures in a row, the last: no: server-error"


def test_rounds_of_parallel_failures_give_it_up() -> None:
    giving_up = GivingUp()
    said = [
        giving_up.failed(0, begun=r, now=r + 0.5 + k / 100, exc=error())
        for r in range(4)
        for k in range(8)
    ]
    assert said.index(next(filter(None, said))) == 3 * 8  # with the fourth round


def test_a_success_in_between_begins_anew_and_members_are_apart() -> None:
    giving_up = GivingUp()
    for k in range(60):
        assert giving_up.failed(0, begun=k, now=k + 0.1, exc=error()) is None
        if k % 9 == 8:
            giving_up.answered(0)
    assert giving_up.failed(1, begun=60, now=60.5, exc=error()) is None


def test_an_unknown_model_is_believed_the_second_time() -> None:
    giving_up = GivingUp()
    unknown = error(Failure.UNKNOWN_MODEL)
    assert giving_up.failed(0, 0.0, 1.0, unknown) is None
    assert giving_up.failed(0, 0.0, 1.1, unknown) is None
    assert giving_up.failed(0, 1.1, 2.0, unknown) is not None

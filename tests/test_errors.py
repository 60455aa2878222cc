"""Errors travel between processes whole."""

import pickle

import pytest

from rlfocal import errors
from rlfocal.errors import Failure, MemberError, NobodyAnswered, RlfocalError

_MADE_WITH: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {
    "MemberError": (("m: slow",), {"failure": Failure.TIMEOUT}),
    "NobodyAnswered": (({"a": "away"}, {}), {}),
}
"""Classes that are not made from one message."""


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, RlfocalError)
    ],
)
def test_every_error_travels_and_can_be_told_where_it_happened(kind: type[RlfocalError]) -> None:
    args, named = _MADE_WITH.get(kind.__name__, (("what was met",), {}))
    error = kind(*args, **named)
    error.add_note("in job: 3")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.args, back.__dict__) == (error.args, error.__dict__)
    placed = pickle.loads(pickle.dumps(error.within("fold 1")))
    assert (type(placed), str(placed)) == (kind, f"fold 1: {error}")
    assert placed.__dict__ == error.__dict__


def test_a_member_error_comes_back_whole() -> None:
    error = MemberError("m: slow", failure=Failure.RATE_LIMITED, status=429, retry_after_s=2.5)
    error.add_note("in the call of member 'm'")
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), back.failure, back.status, back.retry_after_s) == (
        "m: slow", Failure.RATE_LIMITED, 429, 2.5,
    )  # fmt: skip
    assert back.__notes__ == error.__notes__


def test_nobody_answered_comes_back_with_its_causes() -> None:
    inner = MemberError("a: away", failure=Failure.UNREACHABLE)
    back = pickle.loads(pickle.dumps(NobodyAnswered({"a": "away"}, {"a": inner})))
    assert back.causes == {"a": "away"}
    assert back.failures["a"].failure is Failure.UNREACHABLE


@pytest.mark.parametrize("failure", list(Failure))
def test_every_kind_of_failure_travels(failure: Failure) -> None:
    assert pickle.loads(pickle.dumps(MemberError("x", failure=failure))).failure is failure


def test_a_refusal_of_the_gateway_travels() -> None:
    from rlfocal.gateway.errors import ApiError

    error = ApiError(429, "overloaded", "too many", retry_after_s=1.0, extra={"members": {}})
    back = pickle.loads(pickle.dumps(error))
    assert (back.status, back.as_json(), back.headers) == (429, error.as_json(), error.headers)

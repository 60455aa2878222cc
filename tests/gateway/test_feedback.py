"""Judged answers: what they say of members, by hand; over HTTP, and what the policy remembers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest
from serving import Served, until

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.feedback import Judgement, judged, read_judgement
from rlfocal.gateway.store import RequestRow

Ask = Callable[..., Any]
Serve = Callable[..., Any]
CHOICE = "Which remainder has 3 + 4 by four?"
OPTIONS = {"choices": ["0", "1", "2", "3"], "task": "choices"}


def row(**changes: Any) -> RequestRow:
    """Four members: two gave the answer that was chosen, one another, one failed."""
    said = [
        {"member": "a"}, {"member": "b"}, {"member": "c"}, {"member": "d", "failure": "timeout"},
    ]  # fmt: skip
    given: dict[str, Any] = {
        "id": "r", "key_id": "k", "created_at": 0.0, "model": "rlfocal", "task": "t",
        "policy": "p", "status": 200, "given": {"a": 0, "b": 0, "c": 1, "d": None},
        "candidates": ["B", "C"], "chosen": 0,
        "trace": {"kind": "choice", "rounds": [{"asked": said}]},
    }  # fmt: skip
    return RequestRow(**(given | changes))


def scores(request: RequestRow, *, score: float | None = None, answer: str | None = None) -> Any:
    found = judged(request, Judgement(id="r", score=score, answer=answer), now=0.0)
    return found.earned, dict(found.member_scores)


@pytest.mark.parametrize(
    ("judgement", "earned", "members"),
    [
        ({"answer": "B"}, 1, {"a": 1, "b": 1, "c": 0, "d": None}),
        ({"answer": "(b)"}, 1, {"a": 1, "b": 1, "c": 0, "d": None}),
        ({"answer": "The answer is C."}, 0, {"a": 0, "b": 0, "c": 1, "d": None}),
        ({"answer": "D"}, 0, {"a": 0, "b": 0, "c": 0, "d": None}),
        # Only one option is right, so the others' were wrong...
        ({"score": 1.0}, 1, {"a": 1, "b": 1, "c": 0, "d": None}),
        # ...and of a wrong one nobody knows whether another was right.
        ({"score": 0.0}, 0, {"a": 0, "b": 0, "c": None, "d": None}),
        ({"score": 0.4}, 0.4, {"a": 0.4, "b": 0.4, "c": None, "d": None}),
    ],
)
def test_what_a_judgement_says_of_each_member(
    judgement: dict[str, Any], earned: float, members: dict[str, float | None]
) -> None:
    assert scores(row(), **judgement) == (earned, members)


def test_a_reply_without_an_answer_is_wrong_and_a_failure_is_nothing() -> None:
    request = row(given={"a": 0, "b": None, "d": None}, candidates=["B"])
    assert scores(request, answer="B") == (1, {"a": 1, "b": 0, "d": None})


def test_numbers_are_compared_as_numbers() -> None:
    trace = {"kind": "number", "rounds": []}
    request = row(given={"a": 0, "b": 1}, candidates=["1200", "12"], trace=trace)
    assert scores(request, answer="1,200.0") == (1, {"a": 1, "b": 0})


@pytest.mark.parametrize(("kind", "answer"), [("choice", "the first"), ("number", "many")])
def test_a_right_answer_of_another_kind_is_refused(kind: str, answer: str) -> None:
    trace = {"kind": kind, "rounds": []}
    with pytest.raises(ApiError, match=f"of the kind '{kind}'") as caught:
        scores(row(trace=trace), answer=answer)
    assert caught.value.status == 400


def test_of_free_words_several_may_be_good() -> None:
    trace = {"kind": "open", "rounds": []}
    request = row(candidates=["sha256:ab", "sha256:cd"], trace=trace)
    assert scores(request, score=1.0)[1]["c"] is None
    with pytest.raises(ApiError, match="send a score") as caught:
        scores(request, answer="whatever")
    assert (caught.value.status, caught.value.code) == (409, "score_needed")


def test_of_what_was_given_in_a_calls_place_nothing_follows_for_the_others() -> None:
    held = {"tool": "send", "confidence": 0.6, "least_confidence": 0.9, "instead": "confirm"}
    trace = {"kind": "choice", "rounds": [], "held_back": held}
    nothing = {"a": None, "b": None, "c": None}
    given = {"a": 0, "b": 0, "c": 1}
    assert scores(row(chosen=None, trace=trace, given=given), score=1.0) == (1, nothing)


OFFERED = [{"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}]
CALLS = ['[{"arguments":{"n":1},"name":"f"}]', "[]"]


@pytest.mark.parametrize(
    ("judgement", "earned", "members"),
    [
        ({"outcome": "executed"}, 1, {"a": 1, "b": 1, "c": None, "d": None}),
        ({"outcome": "failed"}, 0, {"a": 0, "b": 0, "c": None, "d": None}),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": '{"n": "1"}'}}],
             "tools": OFFERED},
            1, {"a": 1, "b": 1, "c": 0, "d": None},
        ),
        ({"tool_calls": [], "tools": OFFERED}, 0, {"a": 0, "b": 0, "c": 1, "d": None}),
        (
            {"tool_calls": [{"name": "f", "arguments": {"n": 2}}], "tools": OFFERED},
            0, {"a": 0, "b": 0, "c": 0, "d": None},
        ),
    ],
)  # fmt: skip
def test_what_became_of_calls_judges_them(
    judgement: dict[str, Any], earned: float, members: dict[str, float | None]
) -> None:
    trace = row().trace
    assert trace is not None
    request = row(candidates=CALLS, trace=trace | {"kind": "tools"})
    found = judged(request, Judgement(id="r", **judgement), now=0.0)
    assert (found.earned, dict(found.member_scores)) == (earned, members)


def test_what_became_of_calls_says_nothing_of_other_answers() -> None:
    for judgement in ({"outcome": "executed"}, {"tool_calls": [], "tools": OFFERED}):
        with pytest.raises(ApiError, match="not answered among calls"):
            judged(row(), Judgement(id="r", **judgement), now=0.0)


def test_a_request_without_an_answer_cannot_be_judged() -> None:
    with pytest.raises(ApiError) as caught:
        scores(row(status=502, given={"a": None}), score=1.0)
    assert caught.value.code == "nothing_to_judge"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"id": 3, "score": 1}', b'{"id": "x"}', b'{"id": "x", "score": 1.5}',
     b'{"id": "x", "score": NaN}', b'{"id": "x", "score": true}', b'{"id": "x", "answer": 3}',
     b'{"id": "x", "score": 1, "answer": "B"}', b'{"id": "x", "score": 1, "label": "B"}',
     b'{"id": "x", "tool_calls": []}', b'{"id": "x", "outcome": "maybe"}',
     b'{"id": "x", "tools": []}'],
)  # fmt: skip
def test_a_body_that_is_no_judgement_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        read_judgement(body)
    assert caught.value.status == 400


# Over HTTP ---------------------------------------------------------------------------------------


def send(served: Served, key: str | None = None, **body: Any) -> httpx2.Response:
    headers = served.headers if key is None else {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{served.url}/v1/feedback", json=body, headers=headers, timeout=30)


def test_judged_answers_become_the_memory_of_the_policy(serve: Serve, ask: Ask) -> None:
    with serve(least_remembered=3, remember=4, poll_s=0.1) as (served, _):
        ids = []
        for k in range(6):
            reply = ask(served, f"Which remainder has {k} + 4 by four?", model="rlfocal:0",
                        extension=OPTIONS).json()  # fmt: skip
            ids.append(reply["id"])
            right = "ABCD"[(k + 4) % 4]
            assert send(served, id=reply["id"], answer=right).status_code == 200
        until(lambda: served.gateway.recent.n_seen == 6)
        until(lambda: served.gateway.recent.memory is not None)
        memory = served.gateway.recent.memory
        assert memory.member_score.shape == (4, 4)
        assert [r.request_id for r in served.gateway.recent.rows] == ids[2:]
        names = served.gateway.checkpoint.description.members
        for w, judgement in enumerate(served.gateway.recent.rows):
            for n, name in enumerate(names):
                worth = judgement.member_scores[name]
                known = np.nan if worth is None else worth  # one that was not waited for
                np.testing.assert_equal(memory.member_score[w, n], known)
        # Judged again it takes the place of the first judgement, and comes last.
        assert send(served, id=ids[3], score=0.0).json()["earned"] == 0
        until(lambda: served.gateway.recent.n_seen == 7)
        assert [r.request_id for r in served.gateway.recent.rows][-1] == ids[3]
        assert len(served.gateway.recent.rows) == 4


def test_a_strategy_is_set_to_a_price_once_until_more_is_judged(serve: Serve, ask: Ask) -> None:
    with serve(least_remembered=1, poll_s=0.1) as (served, _):
        recent = served.gateway.recent
        before = recent.at_price(0.0)
        assert before.price == 0
        assert recent.at_price(0.0) is before
        reply = ask(served, CHOICE, model="rlfocal:0", extension=OPTIONS).json()
        assert send(served, id=reply["id"], score=1).status_code == 200
        until(lambda: recent.memory is not None)
        assert recent.at_price(0.0) is not before


def test_a_member_asked_by_its_name_is_judged_too(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        reply = ask(served, model="plain").json()
        found = send(served, id=reply["id"], score=0.5).json()
        assert found["members"] == {"plain": 0.5}


def test_a_key_judges_its_own_requests_alone(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        mine, other = served.add_key("mine"), served.add_key("other")
        reply = ask(served, CHOICE, key=mine, extension=OPTIONS).json()
        stranger = send(served, other, id=reply["id"], score=1)
        unknown = send(served, other, id="chatcmpl-made-up", score=1)
        # In the same words: nobody learns that it is there.
        assert stranger.status_code == unknown.status_code == 404
        assert stranger.json() == unknown.json()
        assert send(served, mine, id=reply["id"], score=1).status_code == 200
        assert send(served, id=reply["id"], score=0).status_code == 200  # an administrator


def test_a_restart_remembers(serve: Serve, ask: Ask, database_url: str) -> None:
    with serve(db=database_url) as (served, _):
        reply = ask(served, CHOICE, extension=OPTIONS).json()
        assert send(served, id=reply["id"], score=1).status_code == 200
    with serve(db=database_url) as (served, _):
        assert [row.request_id for row in served.gateway.recent.rows] == [reply["id"]]

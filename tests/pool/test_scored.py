"""Who is asked for log-probabilities and gives none has not answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request, Response
from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Said, StubServer
from rlfocal.pool.wrappers.base import Wrapper
from rlfocal.pool.wrappers.scored import Scored

POOL = """
[endpoints.stub]
base_url = "{url}"

[[members]]
name = "m"
endpoint = "stub"
model = "mute"
answers = "option-scores"
"""


class Saying(Wrapper):
    def __init__(self, reply: Response) -> None:
        self._reply = reply

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        return self._reply


def send(reply: Response, n_logprobs: int) -> Response:
    asked = Request((Message("user", "?"),), n_logprobs=n_logprobs)
    return asyncio.run(Scored(Saying(reply)).send(asked, timeout_s=1))


@pytest.mark.parametrize(("text", "failure"), [("A", Failure.MALFORMED), (" ", Failure.EMPTY)])
def test_no_log_probabilities_are_a_failure_with_its_remedy(text: str, failure: Failure) -> None:
    for found in (None, {}):
        with pytest.raises(MemberError, match=r'set answers = "reply"') as caught:
            send(Response(text, first_logprobs=found), 20)
        assert caught.value.failure is failure


def test_who_is_not_asked_or_tells_is_left_alone() -> None:
    assert send(Response("A"), 0) == Response("A")
    told = Response("x", first_logprobs={"x": -0.1})
    assert send(told, 20) is told


@pytest.mark.parametrize(
    "told",
    [
        {"\n\n": -0.01, "Okay": -3.0},
        {"(": -0.1, "[": -2.0},
        {"token_id:33": -0.1, "token_id:34": -2.0},
        {"The": -0.1, "a": -2.0},  # an article, where no letter is likelier
        {"E": -0.1},  # there are four options
    ],
)
def test_a_first_token_that_is_no_letter_is_told_and_not_counted_as_wrong(
    told: dict[str, float],
) -> None:
    asked = Request((Message("user", "?"),), n_logprobs=20, n_options=4)
    with pytest.raises(MemberError, match="none of the options' letters") as caught:
        asyncio.run(Scored(Saying(Response("B", first_logprobs=told))).send(asked, timeout_s=1))
    assert caught.value.failure is Failure.MALFORMED
    assert "score_tokens" in str(caught.value)


def test_who_thinks_first_has_no_scores() -> None:
    for first in ("<think>", "<|channel|>", "[THINK]", "\u25c1think\u25b7", "<seed:think>"):
        with pytest.raises(MemberError, match="thinks first"):
            send(Response(first, first_logprobs={first: -0.1, "B": -9.0}), 20)


def test_a_member_whose_server_gives_none_fails(tmp_path: Path) -> None:
    async def run() -> None:
        async with StubServer(lambda *_: Said("A")) as stub:
            (tmp_path / "pool.toml").write_text(POOL.format(url=stub.base_url))
            async with LivePool(read_pool(tmp_path / "pool.toml")) as pool:
                (member,) = pool.members
                with pytest.raises(MemberError, match='"option-scores" needs'):
                    await member.ask(Question("?", ("a", "b")))
                assert len(stub.bodies) == 1  # it would say the same again
                assert (await member.ask(Question("?"))).text == "A"

    asyncio.run(run())

"""A server that has no room just now is waited for, and not paid for."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request, Response
from rlfocal.pool.openai.replies.errors.busy import is_busy
from rlfocal.pool.openai.replies.errors.reading import Upstream, read_error
from rlfocal.pool.wrappers.patient import Patient
from rlfocal.pool.wrappers.unsettled import Unsettled, billed

Virtually = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (503, "Loading model"),
        (503, "Model org/name is currently loading"),
        (503, "The server is still loading the weights"),
        (503, "no slot available"),
        (503, "No available workers"),
        (503, "The request queue is full"),
        (503, "all slots are busy"),
        (498, "This model is currently over capacity"),
        (498, "Flex tier capacity exceeded: insufficient capacity"),
        (529, "Overloaded"),
        (503, "The model is overloaded. Please try again later."),
        (503, "We are experiencing high demand"),
        (425, "Model is not ready yet"),
        (503, "the server is busy"),
        (503, "the instance is starting up"),
        (503, "当前服务繁忙 请稍后再试"),
        (529, ""),
        (None, "Overloaded"),
    ],
)
def test_words_of_who_is_busy(status: int | None, words: str) -> None:
    assert is_busy(status, words)
    if status is not None:
        body = json.dumps({"error": {"message": words}}).encode()
        error = read_error(body, status, Upstream("s"))
        assert error.turned_away


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (503, "error loading model: no such file"),
        (503, "loading the weights failed"),
        (503, "failed to load the model"),
        (503, "CUDA out of memory while loading the model"),
        (503, "upstream connect error"),
        (503, ""),
        (500, "Loading model"),
        (502, "Overloaded"),
        (503, "unsupported capacity unit"),
    ],
)
def test_words_of_who_is_broken(status: int, words: str) -> None:
    assert not is_busy(status, words)


def test_a_code_says_it_as_well() -> None:
    assert is_busy(529, "", ["overloaded_error"])
    assert not is_busy(503, "", ["unavailable_error"])


def test_what_had_begun_is_no_refusal() -> None:
    error = MemberError("x", failure=Failure.SERVER_ERROR)
    assert not error.turned_away
    error.busy = True
    assert error.turned_away
    error.has_begun = True
    assert not error.turned_away


class Loading:
    """Loads its model for a while."""

    def __init__(self, takes_s: float, words: str = "Loading model") -> None:
        self.takes_s, self.words, self.n_asked, self.n_answered = takes_s, words, 0, 0

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.n_asked += 1
        await asyncio.sleep(0.01)
        if asyncio.get_running_loop().time() < self.takes_s:
            body = json.dumps({"error": {"code": 503, "message": self.words}}).encode()
            raise read_error(body, 503, Upstream("s"))
        self.n_answered += 1
        return Response("x")

    async def close(self) -> None: ...
    async def __aenter__(self) -> Loading:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


async def ask(server: Loading, n: int, patience_s: float) -> tuple[list[Any], float]:
    unsettled = Unsettled(server, lambda _: 1.0)
    endpoint = Patient(
        unsettled,
        concurrency=8,
        attempts=4,
        patience_s=patience_s,
        rng=random.Random(0),
        clock=asyncio.get_running_loop().time,
    )
    asked = Request((Message("user", "?"),), model="m")
    with billed() as bill:
        found = await asyncio.gather(
            *(endpoint.send(asked, timeout_s=5) for _ in range(n)), return_exceptions=True
        )
    assert bill.unsettled_usd == pytest.approx(unsettled.usd)
    return found, unsettled.usd


def test_forty_queries_wait_for_a_model_that_is_loaded(virtually: Virtually) -> None:
    async def go() -> None:
        server = Loading(15)
        found, usd = await ask(server, 40, patience_s=600)
        assert all(isinstance(reply, Response) for reply in found)
        assert server.n_answered == 40
        assert server.n_asked <= 40 + 8 + 6  # those under way at first, then one at a time
        assert usd == 0
        assert asyncio.get_running_loop().time() < 40

    virtually(go())


def test_one_that_never_has_room_is_given_up_when_patience_ends(virtually: Virtually) -> None:
    async def go() -> None:
        found, usd = await ask(Loading(1e9), 40, patience_s=30)
        assert all(isinstance(error, MemberError) for error in found)
        assert any("patience ends" in str(error) for error in found)
        assert usd == 0
        assert asyncio.get_running_loop().time() <= 30

    virtually(go())


def test_one_that_is_broken_is_not_waited_for_and_may_send_a_bill(virtually: Virtually) -> None:
    async def go() -> None:
        server = Loading(1e9, "error loading model")
        found, usd = await ask(server, 2, patience_s=600)
        assert all(isinstance(error, MemberError) for error in found)
        assert server.n_asked == usd == 8

    virtually(go())

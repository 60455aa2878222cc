"""The stub keeps its promises, so that tests built on it mean something."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import aiohttp
import pytest

from rlfocal.pool.stub import Fault, Said, StubServer

CHAT = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}


async def post(
    server: StubServer, body: dict[str, Any], path: str = "/chat/completions", **more: Any
) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.base_url + path, json=body, **more) as reply,
    ):
        return reply.status, dict(reply.headers), await reply.json()


def test_it_echoes_and_counts_words() -> None:
    async def go() -> None:
        async with StubServer() as server:
            status, _, reply = await post(server, CHAT)
            assert status == 200
            assert reply["choices"][0]["message"]["content"] == "one two three"
            assert reply["usage"] == {
                "prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6,
            }  # fmt: skip
            _, _, reply = await post(server, {"prompt": "a b"}, "/completions")
            assert reply["choices"][0]["text"] == "a b"
            assert server.bodies == [CHAT, {"prompt": "a b"}]
            assert dict(server.answered) == {"one two three": 1, "a b": 1}

    asyncio.run(go())


def test_logprobs_come_only_when_asked_for_in_the_shape_of_the_api() -> None:
    said = Said("A", logprobs={"A": -0.1, "B": -3.0})

    async def choice(like_llama_cpp: bool, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with StubServer(lambda _: said, like_llama_cpp=like_llama_cpp) as server:
            _, _, reply = await post(server, body, path)
            return dict(reply["choices"][0])

    async def go() -> None:
        plain = {"prompt": "x", "logprobs": 2}
        top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -3.0}]
        content = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": top}]}
        assert "logprobs" not in await choice(False, "/chat/completions", CHAT)
        asked = CHAT | {"logprobs": True, "top_logprobs": 2}
        assert (await choice(False, "/chat/completions", asked))["logprobs"] == content
        assert (await choice(True, "/completions", plain))["logprobs"] == content
        assert (await choice(False, "/completions", plain))["logprobs"] == {
            "top_logprobs": [{"A": -0.1, "B": -3.0}]
        }

    asyncio.run(go())


def test_faults_come_in_order_and_end() -> None:
    async def go() -> None:
        faults = [Fault("503", {"Retry-After": "2"}, "busy"), None, Fault("filtered")]
        async with StubServer(faults=faults) as server:
            status, headers, reply = await post(server, CHAT)
            assert (status, headers["Retry-After"]) == (503, "2")
            assert reply == {"error": {"message": "busy"}}
            finishes = [
                (await post(server, CHAT))[2]["choices"][0]["finish_reason"] for _ in range(3)
            ]
            assert finishes == ["stop", "content_filter", "stop"]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "Bearer no"}, 401), ({"Authorization": "Bearer k"}, 200)],
)
def test_it_wants_its_key(headers: dict[str, str], status: int) -> None:
    async def go() -> None:
        async with StubServer(key="k") as server:
            assert (await post(server, CHAT, headers=headers))[0] == status

    asyncio.run(go())


def test_it_lists_its_models() -> None:
    async def go() -> None:
        async with (
            StubServer(models=["a", "b"]) as server,
            aiohttp.ClientSession() as session,
            session.get(f"{server.base_url}/models") as reply,
        ):
            assert [model["id"] for model in (await reply.json())["data"]] == ["a", "b"]

    asyncio.run(go())


def test_latency_is_waited_and_many_are_under_way_at_once() -> None:
    async def go() -> None:
        draw = random.Random(1)
        async with StubServer(latency_s=lambda: 1 + draw.random() / 100) as server:
            started = time.perf_counter()
            await asyncio.gather(*(post(server, CHAT) for _ in range(5)))
            assert time.perf_counter() - started >= 1
            assert (server.most_under_way, server.n_under_way) == (5, 0)

    asyncio.run(go())


def test_who_hangs_up_is_no_longer_under_way() -> None:
    async def go() -> None:
        async with StubServer(faults=[Fault("hang")]) as server:
            task = asyncio.create_task(post(server, CHAT))
            for _ in range(6000):
                if server.n_under_way:
                    break
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(6000):
                if not server.n_under_way:
                    break
                await asyncio.sleep(0.01)
            assert server.n_under_way == 0

    asyncio.run(go())

"""An upstream that bills every call the moment it takes it on, whatever becomes of it afterwards.

What it bills is worked out from what it was sent and what it says, without any of rlfocal's code:
words count as tokens, at one and two dollars a million. Calls that it turns away are free.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, get_args

from aiohttp import web

Habit = Literal[
    "plain", "thinks", "tells-cost", "total-only",
    "no-usage", "zeros", "floats", "negative", "absurd", "free", "prompt-only",
    "500", "429", "400", "thinks-then-429", "cut", "broken-json", "empty", "hang",
]  # fmt: skip
HABITS: tuple[Habit, ...] = get_args(Habit)
COUNTED: tuple[Habit, ...] = ("plain", "thinks", "tells-cost", "floats", "free")
"""With these nothing fails, and every token stands in the reply."""
_FREE = ("429", "400")
_GRACE_S = 60.0
_THOUGHT = 9
"""Words of it that no text shows."""
PROMPT_USD, COMPLETION_USD = 1e-6, 2e-6


class BillingUpstream:
    """Listens on the loopback interface in a thread of its own; a context.

    Args:
        latency_s: before each reply.
    """

    def __init__(self, *, latency_s: float = 0.0) -> None:
        self._latency_s = latency_s
        self._habits: Any = itertools.repeat("plain")
        self.billed_usd, self.n_billed = 0.0, 0
        self.base_url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def behave(self, habits: Iterable[Habit], latency_s: float = 0.0) -> None:
        """Have one habit for each call, over and over, and begin a new bill."""
        self._habits, self._latency_s = itertools.cycle(habits), latency_s
        self.billed_usd, self.n_billed = 0.0, 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(_GRACE_S)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(_GRACE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE_S)
        self._loop.close()

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._handle)
        # Who hangs up is not noticed: the model goes on, and so does the bill.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = "http://{}:{}/v1".format(*self._runner.addresses[0][:2])

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        habit: Habit = next(self._habits)
        n_prompt = sum(len(m["content"].split()) for m in body["messages"])
        text = "That is 7." if "Which" not in body["messages"][-1]["content"] else "(B)"
        n_completion = len(text.split()) + (_THOUGHT if habit in ("thinks", "total-only") else 0)
        usd = n_prompt * PROMPT_USD + n_completion * COMPLETION_USD
        if habit not in _FREE:
            self.billed_usd += usd
            self.n_billed += 1
        await asyncio.sleep(self._latency_s)
        if habit in ("500", "429", "400"):
            return web.json_response({"error": {"message": "no"}}, status=int(habit))
        if habit == "hang":
            await asyncio.sleep(20)
        usage = _usage(habit, n_prompt, n_completion, usd)
        if habit == "empty":
            text = ""
        if body.get("stream") or habit == "thinks-then-429":
            return await _streamed(request, habit, text, usage)
        return await _whole(request, habit, text, usage)


def _usage(habit: Habit, n_prompt: int, n_completion: int, usd: float) -> Any:
    counted: dict[str, Any] = {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_completion,
        "total_tokens": n_prompt + n_completion,
    }
    changed: Mapping[Habit, Any] = {
        "no-usage": None,
        "tells-cost": counted | {"cost": usd},
        "free": counted | {"cost": 0},
        "zeros": dict.fromkeys(counted, 0),
        "floats": {name: float(value) for name, value in counted.items()},
        "negative": {name: -value for name, value in counted.items()},
        "absurd": dict.fromkeys(counted, 2**40),
        "prompt-only": {"prompt_tokens": n_prompt},
        "total-only": counted | {"completion_tokens": n_completion - _THOUGHT},
    }
    return changed.get(habit, counted)


async def _whole(request: web.Request, habit: Habit, text: str, usage: Any) -> web.StreamResponse:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    data = json.dumps({"choices": [{"index": 0, **choice}], "usage": usage}).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    if habit == "broken-json":
        data = data[: len(data) // 3]
    response.content_length = len(data)
    await response.prepare(request)
    if habit == "cut":
        await response.write(data[: len(data) // 3])
        assert request.transport is not None
        request.transport.close()
        return response
    await response.write(data)
    await response.write_eof()
    return response


async def _streamed(
    request: web.Request, habit: Habit, text: str, usage: Any
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    if habit == "thinks-then-429":
        choice = {"index": 0, "delta": {"reasoning_content": "Hm, "}, "finish_reason": None}
        error = {"message": "slow down", "code": "rate_limit_exceeded"}
        for part in ({"choices": [choice]}, {"error": error}):
            await response.write(f"data: {json.dumps(part)}\n\n".encode())
        await response.write_eof()
        return response
    for k, word in enumerate(text.split()):
        choice = {"index": 0, "delta": {"content": word + " "}, "finish_reason": None}
        await response.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
        await asyncio.sleep(0.002)
        if k and habit in ("cut", "broken-json"):
            assert request.transport is not None
            request.transport.close()
            return response
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
    await response.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
    await response.write_eof()
    return response

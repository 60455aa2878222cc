"""An upstream that says as much as it is told to, whole or as a stream.

    python benchmarks/load/talkative.py [--port 0]

It prints its port. A prompt that holds "<<UNIT*COUNT>>" is answered by the unit so many times, any
other one by "Answer: A"; "<<UNIT*COUNT no line ends>>" as a stream whose first line never ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any

from aiohttp import web

_SAY = re.compile(r"<<(?P<unit>[^*]*)\*(?P<count>\d+)(?P<endless> no line ends)?>>")
_AT_ONCE = 50
"""Events of a stream that are sent together."""


async def complete(request: web.Request) -> web.StreamResponse:
    """One chat completion."""
    body = await request.json()
    prompt = json.dumps(body["messages"][-1]["content"])
    found = _SAY.search(prompt)
    if found is None:
        unit, count = "Answer: A", 1
    else:
        unit, count = json.loads(f'"{found["unit"]}"'), int(found["count"])
    if found is not None and found["endless"]:
        return await _endless(request, unit * count)
    if body.get("stream"):
        return await _streamed(request, unit, count)
    message = {"role": "assistant", "content": unit * count}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response(_head("chat.completion", choice) | {"usage": _usage(count)})


def _head(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {"id": "c", "object": kind, "created": 1, "model": "talkative", "choices": [choice]}


def _usage(count: int) -> dict[str, int]:
    return {"prompt_tokens": 40, "completion_tokens": count, "total_tokens": 40 + count}


async def _begun(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    return reply


async def _streamed(request: web.Request, unit: str, count: int) -> web.StreamResponse:
    reply = await _begun(request)
    choice = {"index": 0, "delta": {"content": unit}, "finish_reason": None}
    event = b"data: " + json.dumps(_head("chat.completion.chunk", choice)).encode() + b"\n\n"
    for start in range(0, count, _AT_ONCE):
        await reply.write(event * min(_AT_ONCE, count - start))
    end = _head("chat.completion.chunk", {"index": 0, "delta": {}, "finish_reason": "stop"})
    last = json.dumps(end | {"usage": _usage(count)}).encode()
    await reply.write(b"data: " + last + b"\n\ndata: [DONE]\n\n")
    await reply.write_eof()
    return reply


async def _endless(request: web.Request, text: str) -> web.StreamResponse:
    reply = await _begun(request)
    data = ("data: " + text).encode()
    for start in range(0, len(data), 8192):
        await reply.write(data[start : start + 8192])
    await reply.write_eof()
    return reply


async def _counts(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": []})


async def _serve(port: int) -> None:
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/counts", _counts)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    asyncio.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()

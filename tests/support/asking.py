"""One request to a server with habits, and what the client makes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from habits import Habits, Script

from rlfocal.errors import MemberError
from rlfocal.pool import Message, OpenAIEndpoint, Request, Response

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("look", "add")]
ASKED = Request((Message("user", "What is eight and nine?"),), "m", 64)
WITH_TOOLS = replace(ASKED, extra={"tools": TOOLS})


def ask(
    script: Script, request: Request = ASKED, *, streamed: bool = False, timeout_s: float = 30
) -> Response:
    told: list[str] = []

    async def go() -> Response:
        async with Habits(lambda body, n: script) as server, OpenAIEndpoint(server.url) as endpoint:
            asked = replace(request, on_text=told.append) if streamed else request
            return await endpoint.send(asked, timeout_s=timeout_s)

    found = asyncio.run(asyncio.wait_for(go(), 60))
    assert not streamed or "".join(told) == found.text
    return found


def fails(script: Script, request: Request = ASKED, *, streamed: bool = False) -> MemberError:
    with pytest.raises(MemberError) as caught:
        ask(script, request, streamed=streamed)
    return caught.value

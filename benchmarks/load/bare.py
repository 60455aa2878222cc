"""A server that does as little as can be, so that what is measured is the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing.connection import Connection

__all__ = ["serve_bare"]


def serve_bare(pipe: Connection, reply: Callable[[bytes], bytes]) -> None:
    """Answer every request at once, on a free loopback port, until the process is ended.

    Args:
        pipe: is told the port.
        reply: from the body of a request to all bytes of its response, head included.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
                length = next(x for x in lines if x.startswith(b"content-length:"))
                writer.write(reply(await reader.readexactly(int(length.split(b":")[1]))))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def go() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(go())

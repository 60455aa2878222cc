#!/usr/bin/env bash
# aiohttp 3.14.5 (client): bytes that came before a connection broke are kept back from the reader.
#
# One would expect to read what has arrived and to be told of the break after it. Where both have come
# by the time of the first read, every public way to read a body raises ClientPayloadError at once and
# hands out nothing: a whole JSON document whose Content-Length is too large, or whose last chunk never
# comes, seems not to have come at all, though it lies in the reader's buffer.
#
# Seen: readany, read, readchunk and iter_any all raise with 0 bytes read, while total_bytes says that
# all 15 bytes of the document have arrived; asked before the connection ends, readany hands them out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet aiohttp==3.14.5
cat > "$work/run.py" <<'PY'
import asyncio

import aiohttp

DOCUMENT = b'{"answer": 17}\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"


async def serve(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + DOCUMENT)
    await writer.drain()
    await asyncio.sleep(0.5)
    writer.close()


async def every_chunk(content):
    async for part in content.iter_any():
        return part
    return b""


WAYS = {
    "readany": lambda content: content.readany(),
    "read": lambda content: content.read(),
    "readchunk": lambda content: content.readchunk(),
    "iter_any": every_chunk,
}


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, aiohttp.ClientSession() as session:
        async with session.get(url) as reply:
            assert await reply.content.readany() == DOCUMENT
        print("asked in time, readany:", len(DOCUMENT), "bytes")
        for name, read in WAYS.items():
            async with session.get(url) as reply:
                await asyncio.sleep(1.5)  # by now the connection has ended, too
                try:
                    found = await read(reply.content)
                except aiohttp.ClientPayloadError as exc:
                    print(f"{name}: {type(exc).__name__}, {reply.content.total_bytes} bytes had come")
                    assert reply.content.total_bytes == len(DOCUMENT)
                else:
                    raise SystemExit(f"{name} gave {found!r}: it keeps nothing back any more")


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/run.py"

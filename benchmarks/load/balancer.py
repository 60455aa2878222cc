"""A balancer that does as little as can be: in turn to whoever says that it is ready.

    python benchmarks/load/balancer.py PORT URL URL ...
    python benchmarks/load/balancer.py --haproxy PORT URL URL

It looks at /readyz of each gateway five times a second, sends each request to the next one that was
ready, and repeats nothing: what fails there, fails. The header `x-backend` of a reply says who has
made it: 0, 1, ... With --haproxy it is HAProxy with the configuration of deploy/, of which only the
addresses are changed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

__all__ = ["Balancer", "haproxy"]

LOOK_S = 0.2
_SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "balancer" / "haproxy.cfg"
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Balancer:
    """Passes requests on.

    Args:
        urls: of the gateways.
        session: asks them.
    """

    def __init__(self, urls: Sequence[str], session: aiohttp.ClientSession) -> None:
        self._urls, self._session = list(urls), session
        self._is_ready = [False] * len(urls)
        self._turn = itertools.cycle(range(len(urls)))

    async def watch(self, number: int) -> None:
        """Look whether a gateway is ready, until cancelled."""
        wait = aiohttp.ClientTimeout(total=2)
        while True:
            try:
                async with self._session.get(f"{self._urls[number]}/readyz", timeout=wait) as told:
                    self._is_ready[number] = told.status == 200
            except (aiohttp.ClientError, TimeoutError):
                self._is_ready[number] = False
            await asyncio.sleep(LOOK_S)

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Have a request answered."""
        several = itertools.islice(self._turn, len(self._urls))
        number = next((n for n in several if self._is_ready[n]), None)
        if number is None:
            return web.Response(status=503, text="nobody is ready")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_ONE_HOP}
        body = await request.read()
        try:
            async with self._session.request(
                request.method, self._urls[number] + request.path_qs, data=body, headers=headers
            ) as told:
                back = {k: v for k, v in told.headers.items() if k.lower() not in _OF_ONE_HOP}
                back["x-backend"] = str(number)
                reply = web.StreamResponse(status=told.status, headers=back)
                await reply.prepare(request)
                async for part in told.content.iter_any():
                    await reply.write(part)
                await reply.write_eof()
                return reply
        except aiohttp.ClientError as exc:
            text = f"gateway {number}: {type(exc).__name__}"
            return web.Response(status=502, text=text, headers={"x-backend": str(number)})


async def serve(port: int, urls: Sequence[str]) -> None:
    """Balance until the process is ended."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        balancer = Balancer(urls, session)
        watching = [asyncio.create_task(balancer.watch(n)) for n in range(len(urls))]
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/balancer", lambda _: asyncio.sleep(0, web.Response(text="here")))
        app.router.add_route("*", "/{path:.*}", balancer.pass_on)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.gather(*watching)


def haproxy() -> str | None:
    """Where HAProxy is; None where it is not installed."""
    return shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def configured(port: int, urls: Sequence[str]) -> str:
    """The configuration of deploy/ for one gateway or two on this machine."""
    text = _SHIPPED.read_text(encoding="utf-8").replace("bind :8000", f"bind 127.0.0.1:{port}")
    for number, url in enumerate(urls):
        text = text.replace(f"gateway-{number + 1}:8000", urlsplit(url).netloc)
    text = re.sub(r".* gateway-\d:8000.*\n", "", text)
    # No name is asked for, and replies say who has made them.
    text = re.sub(r"^resolvers docker\n(    .*\n)+", "", text, flags=re.M)
    text = text.replace(" resolvers docker", "")
    told = "".join(
        f"    http-response set-header x-backend {number} if {{ srv_name -m str {name} }}\n"
        for number, name in enumerate(("one", "two"))
    )
    return text.replace("frontend api\n", f"frontend api\n{told}")


def main() -> None:
    """Read the words of the command line."""
    words = sys.argv[1:]
    if words[0] != "--haproxy":
        asyncio.run(serve(int(words[0]), words[1:]))
        return
    program = haproxy()
    if program is None:
        raise SystemExit("haproxy is not installed: apt-get install haproxy")
    file = os.memfd_create("haproxy.cfg", 0)  # which it inherits, and nobody has to delete
    os.write(file, configured(int(words[1]), words[2:]).encode())
    os.lseek(file, 0, os.SEEK_SET)
    os.execv(program, [program, "-db", "-f", f"/proc/self/fd/{file}"])


if __name__ == "__main__":
    main()

"""A pool file for the members of the data set `demo`, who always give the same letter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlfocal.pool.stub import StubServer, StubThread

N_MEMBERS = 8
_MEMBER = '\n[[members]]\nname = "model-{n}"\nendpoint = "stub"\n'


@contextmanager
def demo_pool(folder: Path, said: str = "The answer is (B).") -> Iterator[tuple[Path, StubServer]]:
    """Serve them from another thread; yields the pool file and the server."""
    with StubThread(StubServer(lambda _: said)) as stub:
        path = folder / "pool.toml"
        members = "".join(_MEMBER.format(n=n + 1) for n in range(N_MEMBERS))
        head = f'[endpoints.stub]\nbase_url = "{stub.base_url}"\nattempts = 1\n'
        path.write_text(head + members, encoding="utf-8")
        yield path, stub

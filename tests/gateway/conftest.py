"""A gateway's database, on every engine, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Served, serving
from stub_pool import ACCURACY, pool_file, says, trained

from rlfocal.gateway.store import Key, NewKey, RequestRow, Store, Writer, open_store
from rlfocal.pool.stub import Fault, StubServer, StubThread

NOON = 1_767_268_800.0
"""2026-01-01T12:00Z."""

AddKey = Callable[..., NewKey]
MakeRow = Callable[..., RequestRow]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with open_store(database_url, busy_timeout_s=20) as opened:
        yield opened


@pytest.fixture
def writer(store: Store) -> Iterator[Writer]:
    opened = Writer(store)
    yield opened
    opened.close()


@pytest.fixture
def add_key(store: Store) -> AddKey:
    """add_key("me", limits=Limits(...)) → a key that is stored."""

    def add(name: str = "me", **more: Any) -> NewKey:
        with store.connections.write() as connection:
            return store.keys.add(connection, name, **{"now": NOON, **more})

    return add


@pytest.fixture
def row() -> MakeRow:
    """row("r1", key, usd=0.5) → a request of that key (None: of nobody)."""

    def make(request_id: str, key: Key | None, **more: Any) -> RequestRow:
        fields: dict[str, Any] = {
            "created_at": NOON, "model": "rlfocal", "task": "sums", "policy": "p1", "status": 200,
        } | more  # fmt: skip
        return RequestRow(id=request_id, key_id=key and key.id, **fields)

    return make


# A gateway over a pool of stubs ------------------------------------------------------------------


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the pool of `stub_pool`, four members: plain, letters, sampled, hasty."""
    return trained(tmp_path_factory, "rl-focal")


Serve = Callable[..., AbstractContextManager[tuple[Served, StubServer]]]


@pytest.fixture
def serve(trained_folder: Path, tmp_path: Path) -> Serve:
    """serve(folder=..., says=..., faults=..., edit=..., stub={}, **settings) → both servers.

    `edit` changes the text of the pool file, whose members are priced at 1 and 2 dollars per
    million tokens.
    """

    @contextmanager
    def start(
        *,
        folder: Path = trained_folder,
        says: Callable[[Mapping[str, Any]], Any] = says,
        faults: Iterable[Fault | None] = (),
        edit: Callable[[str], str] = str,
        stub: Mapping[str, Any] | None = None,
        db: str | None = None,
        **settings: Any,
    ) -> Iterator[tuple[Served, StubServer]]:
        with StubThread(StubServer(says, faults=faults, **(stub or {}))) as upstream:
            path = pool_file(tmp_path, upstream.base_url)
            prices = "".join(
                f'\n[prices."{name}"]\nprompt = 1.0\ncompletion = 2.0\n' for name in ACCURACY
            )
            path.write_text(edit(path.read_text(encoding="utf-8") + prices), encoding="utf-8")
            url = db or str(tmp_path / "gateway.db")
            with serving(folder, path, url, **settings) as served:
                yield served, upstream

    return start


@pytest.fixture
def ask() -> Callable[..., Any]:
    """ask(served, question, model=..., choices=..., headers=..., **fields) → the HTTP response."""

    def post(
        served: Served,
        question: str = "3 + 4 =",
        *,
        model: str = "rlfocal",
        key: str | None = None,
        extension: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> httpx2.Response:
        body: dict[str, Any] = {
            "model": model, "messages": [{"role": "user", "content": question}], **fields,
        }  # fmt: skip
        if extension is not None:
            body["rlfocal"] = dict(extension)
        headers = served.headers if key is None else {"Authorization": f"Bearer {key}"}
        url = f"{served.url}/v1/chat/completions"
        return httpx2.post(url, json=body, headers=headers, timeout=60, verify=False)

    return post

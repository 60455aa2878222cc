"""`rlfocal serve`: what it refuses before it listens, and how it ends."""

from __future__ import annotations

import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from process import GatewayProcess
from stub_pool import pool_file, trained

Run = Callable[..., object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and a pool file whose server is not there."""
    folder = tmp_path_factory.mktemp("serve")
    shutil.copytree(trained(tmp_path_factory, "rl-focal-prior"), folder / "checkpoint")
    pool_file(folder, "http://127.0.0.1:9/v1")
    return folder


def refused(run: Run, folder: Path, tmp_path: Path, *options: str) -> str:
    pool = str(folder / "pool.toml")
    result = run(
        "serve", str(folder / "checkpoint"), pool, "--db", str(tmp_path / "g.db"), *options
    )
    assert result.code == 2  # type: ignore[attr-defined]
    return str(result.err)  # type: ignore[attr-defined]


def test_without_a_key_it_does_not_start(run: Run, folder: Path, tmp_path: Path) -> None:
    said = refused(run, folder, tmp_path)
    assert "holds no key" in said
    assert "rlfocal keys add" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "example.org", "::"])
def test_an_open_door_is_for_this_machine_alone(
    host: str, run: Run, folder: Path, tmp_path: Path
) -> None:
    said = refused(run, folder, tmp_path, "--open", "--host", host)
    assert f"--open with --host {host}" in said


def test_an_unknown_limit_is_named_with_the_nearest(run: Run, folder: Path, tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("deadlines_s = 3\n")
    said = refused(run, folder, tmp_path, "--config", str(limits))
    assert f"{limits}: unknown key 'deadlines_s'; did you mean 'deadline_s'?" in said


def test_a_synthesiser_that_is_no_member_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text('synthesiser = "plane"\n')
    said = refused(run, folder, tmp_path, "--open", "--config", str(limits))
    assert "did you mean 'plain'?" in said


def test_a_port_that_is_taken_is_an_error(run: Run, folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(run, folder, tmp_path, "--open", "--port", port)
        assert f"127.0.0.1:{port}: Address already in use" in said


def test_without_a_pool_file_it_says_what_is_missing(run: Run, folder: Path) -> None:
    for arguments, message in (
        ((), "the pool file is missing: rlfocal serve [CHECKPOINT] POOL.toml"),
        ((folder / "checkpoint",), "a folder alone; the pool file is missing"),
        ((folder / "pool.toml", folder / "checkpoint"), "the checkpoint comes before the pool"),
        ((folder / "lost.toml",), "lost.toml: no such file"),
        ((folder / "lost", folder / "pool.toml"), "lost: no checkpoint there"),
    ):
        result = run("serve", *arguments)
        assert result.code == 2  # type: ignore[attr-defined]
        assert message in str(result.err)  # type: ignore[attr-defined]


def test_what_was_not_kept_cannot_be_exported_and_the_prior_learns_no_shadow(
    run: Any, folder: Path, tmp_path: Path
) -> None:
    from rlfocal.gateway.store import open_store

    db = tmp_path / "g.db"
    with open_store(str(db)):
        pass
    ran = run("export", db, "--gateway", "-o", tmp_path / "judged")
    assert ran.code == 2
    assert "no judged request has its prompt (0 were judged); prompts are kept from" in ran.err
    assert "keep_prompts = true" in ran.err
    assert not (tmp_path / "judged").exists()
    assert "no such database of a gateway" in run(
        "export", tmp_path / "lost.db", "--gateway", "-o", tmp_path / "judged"
    ).err  # fmt: skip
    learned = run("shadow", "learn", folder / "pool.toml", "--db", db)
    assert learned.code == 2
    assert "a start without labels learns no shadow" in learned.err
    assert run("shadow", "list", folder / "pool.toml", "--db", db, "--json").out == "[]\n"


@pytest.mark.slow
def test_without_labels_it_says_so_and_listens_when_it_answers(
    folder: Path, tmp_path: Path
) -> None:
    from rlfocal.gateway.store import open_store

    db = str(tmp_path / "g.db")
    with open_store(db) as store, store.connections.write() as connection:
        key = store.keys.add(connection, "me", now=0.0).plaintext
    process = GatewayProcess(None, folder / "pool.toml", db, tmp_path / "log", None)
    try:
        # It listens only when it answers, so that nobody waits for anything.
        reply = httpx2.get(
            f"{process.url}/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=2
        )
        assert reply.status_code == 200
    finally:
        process.stop()
    said = process.said()
    assert "no labels yet: the shipped prior decides" in said
    assert "keep_prompts = true in --config FILE" in said
    assert said.index("startup complete") < said.index("listening on http://")
    assert not re.search(r"uvicorn|INFO|ERROR", said)


@pytest.mark.slow
def test_it_ends_in_order_when_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    from rlfocal.gateway.store import open_store

    db = str(tmp_path / "g.db")
    with open_store(db) as store, store.connections.write() as connection:
        key = store.keys.add(connection, "me", now=0.0).plaintext
    process = GatewayProcess(
        folder / "checkpoint", folder / "pool.toml", db, tmp_path / "log", None
    )
    try:
        headers = {"Authorization": f"Bearer {key}"}
        models = httpx2.get(f"{process.url}/v1/models", headers=headers, timeout=60).json()["data"]
        assert [m["id"] for m in models] == ["rlfocal", "plain", "letters", "sampled", "hasty"]
    finally:
        code = process.stop()
    # It raises the signal again when all is done, so that whoever sent it sees that.
    assert code in (0, -signal.SIGTERM), process.said()
    assert "Application shutdown complete" in process.said()
    assert not re.search(r"Traceback|ERROR", process.said())
    assert key not in process.said()

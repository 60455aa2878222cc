"""The dashboard's routes: who may see figures, what pages carry, and what becomes of errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Served, serving
from stub_pool import pool_file

import rlfocal.gateway.dashboard as package
from rlfocal.errors import DatabaseError

Ask = Callable[..., Any]
Serve = Callable[..., Any]
DATA = (
    "/dashboard/figures", "/dashboard/traffic", "/dashboard/frontier", "/dashboard/requests/r1",
)  # fmt: skip
CHOICE = "Which remainder has 3 + 4 by four?"
OWN = {"choices": ["0", "1", "2", "3"], "task": "choices"}
ASSETS = Path(str(package.__file__)).parent / "assets"


def get(served: Served, path: str, key: str | None = None) -> httpx2.Response:
    headers = served.headers if key is None else {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.get(served.url + path, headers=headers, timeout=30)


def test_figures_are_for_administrators(serve: Serve) -> None:
    with serve() as (served, _):
        ordinary = served.add_key("ordinary")
        for path in DATA:
            assert get(served, path, "").status_code == 401
            assert get(served, path, f"rlf_abcdefgh_{'x' * 43}").status_code == 401
            refused = get(served, path, ordinary)
            assert (refused.status_code, refused.json()["error"]["code"]) == (
                403, "admin_key_needed",
            )  # fmt: skip
        for path in DATA[:3]:
            reply = get(served, path)
            assert reply.status_code == 200
            assert reply.headers["cache-control"] == "no-store"
        assert get(served, DATA[3]).status_code == 404
        for path in DATA[:2]:
            wrong = get(served, f"{path}?window=5y")
            assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "window")
            for window in ("15m", "24h", "7d", "all"):
                assert get(served, f"{path}?window={window}").json()["window"]["name"] == window


def test_pages_hold_no_data_and_load_nothing_from_elsewhere(serve: Serve) -> None:
    with serve() as (served, _):
        for path in ("/", "/requests/anything", "/requests/%3Cscript%3E"):
            page = get(served, path, "")
            assert page.status_code == 200
            assert page.headers["content-type"].startswith("text/html")
            assert (
                "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
            )
            assert "plain" not in page.text
            assert "<script>" not in page.text
            assert "style=" not in page.text
            assert "anything" not in page.text
        for file in [*ASSETS.iterdir(), ASSETS.parents[2] / "page.css"]:
            if file.suffix == ".html":
                continue
            found = get(served, f"/dashboard/assets/{file.name}", "")
            kind = {".js": "text/javascript", ".css": "text/css"}[file.suffix]
            assert found.headers["content-type"].startswith(kind)
            assert found.content == file.read_bytes()
            assert "://" not in found.text.replace("http://www.w3.org/2000/svg", "")
            assert "innerHTML" not in found.text


@pytest.mark.parametrize(
    "name", ["index.html", "..%2froutes.py", "%2e%2e/routes.py", "none.js", "__init__.py", "%00.js"]
)
def test_no_other_file_is_served(serve: Serve, name: str) -> None:
    with serve() as (served, _):
        assert get(served, f"/dashboard/assets/{name}").status_code == 404


def test_an_open_door_needs_no_key(trained_folder: Path, tmp_path: Path) -> None:
    path = pool_file(tmp_path, "http://127.0.0.1:9/v1")
    with serving(trained_folder, path, str(tmp_path / "g.db"), open_door=True) as served:
        found = get(served, "/dashboard/figures").json()
        assert found["latest"] == []
        assert found["accuracy"]["mean"] is None
        assert found["savings"]["unpriced"] == ["plain", "letters", "sampled", "hasty"]
        other = httpx2.get(
            f"{served.url}/dashboard/figures", headers={"Host": "evil.example"}, timeout=60
        )
        assert other.status_code == 403


def test_figures_are_those_of_the_requests(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        replies = [ask(served, CHOICE, extension=OWN).json() for _ in range(3)]
        replies.append(ask(served, "5 + 6 =", model="plain").json())
        judgement = {"id": replies[0]["id"], "score": 0.5}
        httpx2.post(f"{served.url}/v1/feedback", json=judgement, headers=served.headers, timeout=60)
        found = until(lambda: get(served, "/dashboard/figures").json(), 4)
        own = [reply["rlfocal"] for reply in replies]
        assert {line["id"] for line in found["latest"]} == {reply["id"] for reply in replies}
        assert found["savings"]["n"] == 3
        assert found["savings"]["n_calls"] == sum(o["n_calls"] for o in own[:3])
        assert found["savings"]["usd"] == pytest.approx(sum(o["cost_usd"] for o in own[:3]))
        assert found["accuracy"]["n"] == 1
        assert found["accuracy"]["mean"] == 0.5
        assert found["live"]["per_minute"] == 4
        assert found["policy"]["id"] == served.gateway.policies.id
        plain = next(m for m in found["members"] if m["name"] == "plain")
        asked = sum(m["member"] == "plain" for o in own[:3] for m in o["members"])
        assert (plain["n_asked"], plain["n_calls"]) == (asked, asked + 1)
        one = get(served, f"/dashboard/requests/{replies[0]['id']}").json()
        assert one["feedback"]["earned"] == 0.5
        assert one["prompt"] is None
        assert len(one["trace"]["rounds"]) == own[0]["n_rounds"]


def until(look: Callable[[], Any], n: int) -> Any:
    """Rows are written just after replies, and figures are kept for a second."""
    deadline = time.monotonic() + 60
    while len((found := look())["latest"]) < n:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_the_database_may_be_away(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def away() -> Iterator[Any]:
        raise DatabaseError("gone")
        yield

    with serve() as (served, _):
        get(served, "/dashboard/figures")  # the key is known from now on
        with monkeypatch.context() as patched:
            patched.setattr(served.store.connections, "read", away)
            for path in ("/dashboard/figures?window=24h", *DATA[1:]):
                reply = get(served, path)
                assert (reply.status_code, reply.json()["error"]["code"]) == (
                    503, "database_unavailable",
                )  # fmt: skip
        assert get(served, "/dashboard/figures?window=24h").status_code == 200

"""Makes the pictures of the documents from the code as it is, so that none is older than it.

    python docs/pictures/make.py dashboard docs/pictures/dashboard.png --height 905
    python docs/pictures/make.py report docs/pictures/report.png --width 1180 --height 1330
    python docs/pictures/make.py questions docs/pictures/questions.png

`--work FOLDER` keeps what takes minutes to make: a trained policy, a benchmark.
A browser draws them: Chromium, by Playwright. Nothing of this machine or of a person is in them.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
)  # fmt: skip
WAIT_S = 120


def main() -> None:
    """Make one picture."""
    parser = argparse.ArgumentParser(description="Make a picture of the documents.")
    parser.add_argument("what", choices=PICTURES)
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--width", type=int, default=1366, help="of the window, in pixels")
    parser.add_argument("--height", type=int, default=900, help="0: the whole page")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--work", type=Path, help="folder to keep what takes long to make")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = given.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        PICTURES[given.what](given, work)


# The browser ------------------------------------------------------------------------------------


@contextmanager
def page_of(given: argparse.Namespace) -> Iterator[Any]:
    """A page of the size and colours that were asked for."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(BROWSER))
        yield browser.new_page(
            viewport={"width": given.width, "height": given.height or 900},
            color_scheme="dark" if given.dark else "light",
            timezone_id="UTC",
            device_scale_factor=2 if given.width < 500 else 1,
        )
        browser.close()


def shoot(page: Any, given: argparse.Namespace) -> None:
    """Write the picture."""
    page.screenshot(path=given.out, full_page=not given.height)
    sys.stdout.write(f"{given.out}\n")


# The dashboard ------------------------------------------------------------------------------------


def dashboard(given: argparse.Namespace, work: Path) -> None:
    """A gateway over the built-in pool, with an hour of its recorded questions as traffic."""
    from gateway_hour import an_hour, checkpoint_of, pool_of

    checkpoint, pool, db = checkpoint_of(work), pool_of(work), work / "gateway.db"
    db.unlink(missing_ok=True)
    key = run("keys", "add", "admin", "--admin", "--db", str(db)).strip()
    an_hour(checkpoint, db, now=time.time())
    with serving(checkpoint, pool, db) as url, page_of(given) as page:
        page.add_init_script(f"sessionStorage.setItem('rlfocal-key', '{key}')")
        page.goto(url)
        page.wait_for_selector("#price-table tbody tr", state="attached", timeout=1000 * WAIT_S)
        page.wait_for_selector("#keys-table tbody tr", state="attached", timeout=1000 * WAIT_S)
        page.wait_for_timeout(500)
        shoot(page, given)


def run(*arguments: str) -> str:
    """What a verb of rlfocal prints."""
    command = [sys.executable, "-m", "rlfocal", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def serving(checkpoint: Path, pool: Path, db: Path) -> Iterator[str]:
    """`rlfocal serve` on a free port; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "rlfocal", "serve", str(checkpoint), str(pool)]
    process = subprocess.Popen([*command, "--db", str(db), "--port", str(port)])
    try:
        until = time.monotonic() + WAIT_S
        while not _answers(f"{url}/healthz"):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the gateway did not start")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


# The report ---------------------------------------------------------------------------------------


def report(given: argparse.Namespace, work: Path, at: str = "", ready: str = "h1") -> None:
    """A report of the built-in pool: its advice and leaderboard."""
    folder = work / "report"
    if not folder.exists():
        run("bench", "localpool", "--strategies", "quick", "--report", str(folder))
    with page_of(given) as page:
        page.goto(f"{next(folder.glob('*.html')).resolve().as_uri()}{at}")
        page.wait_for_selector(ready, timeout=1000 * WAIT_S)
        page.wait_for_timeout(500)
        shoot(page, given)


def questions(given: argparse.Namespace, work: Path) -> None:
    """The viewer of questions, at one on which members disagree."""
    way = "#browse&show=disagree&sort=disagreement"
    report(given, work, way, "#viewer:not([hidden]) [role=option]")


PICTURES = {"dashboard": dashboard, "report": report, "questions": questions}

if __name__ == "__main__":
    main()

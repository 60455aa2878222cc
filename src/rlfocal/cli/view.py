"""`rlfocal view`: a report in the browser, served on this machine's own address alone."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import remark
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

__all__ = ["view"]

_PORT = 8001


def view(
    run: Annotated[
        Path, argument("RUN", "Folder of a report (of bench --report, or quickstart), or its page.")
    ],
    port: Annotated[
        int | None,
        option(
            value="PORT",
            min=0,
            max=65535,
            help="0 takes a free one.",
            show_default=f"{_PORT}, or a free one",
        ),
    ] = None,
    no_browser: Annotated[bool, option("--no-browser", help="Print the address only.")] = False,
) -> None:
    """Show a report in the browser, from this machine to this machine. Ctrl-C ends."""
    folder = _folder_of(run)
    from rlfocal.report.serving import HOST

    with _listening(folder, port) as server:
        address = f"http://{HOST}:{server.server_port}/"
        typer.echo(address)
        remark("Ctrl-C ends")
        if not no_browser and _has_browser():
            import webbrowser

            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _folder_of(run: Path) -> Path:
    """The folder with the page.

    Raises:
        ConfigError: there is none.
    """
    from rlfocal.report.place import PAGE, is_report

    if run.name == PAGE and run.is_file():
        run = run.parent
    if not run.exists():
        raise ConfigError(f"{run}: no such folder; `rlfocal bench DATA --report {run}` makes one")
    for folder in (run, run / "report"):  # a quickstart has it in "report"
        if is_report(folder / PAGE):
            return folder
    if (run / "bench.json").is_file():
        from rlfocal.bench import BenchResult
        from rlfocal.cli.output.leaderboard import show_leaderboard

        show_leaderboard(BenchResult.read(run), has_report=True)
        raise ConfigError(
            f"{run}: holds the results above but no page; draw it by `rlfocal bench DATA --report "
            f"{run} --overwrite`, or in Python by write_report(BenchResult.read(...), table, ...)"
        )
    raise ConfigError(f"{run}: holds no report; `rlfocal bench DATA --report DIR` writes one")


def _listening(folder: Path, port: int | None) -> ThreadingHTTPServer:
    """The server, on the wanted port; on any where none is wanted and the usual one is taken.

    Raises:
        ConfigError: the port is taken, or not allowed.
    """
    from rlfocal.report.serving import server

    try:
        return server(folder, _PORT if port is None else port)
    except OSError as exc:
        if port is None and exc.errno == errno.EADDRINUSE:
            return server(folder, 0)
        reason = exc.strerror or str(exc)
        raise ConfigError(f"--port {port}: {reason}; --port 0 takes a free one") from exc


def _has_browser() -> bool:
    """Whether a window could open; a browser in the terminal would take the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

"""Output that documents show is what the commands print today: no figure is older than the code.

A fenced block after `<!-- output of: COMMAND -->` shows lines of what the command prints at 80
columns, in their order; `...` stands for lines left out. Words must be equal, numbers within a last
digit or two: processors differ in the last bit, and a fit may turn a query.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SHOWN = re.compile(r"^<!-- output of: (.+?) -->\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")
MOST_APART = 0.3
LIMIT_S = 600

EXAMPLES = [
    (page.relative_to(ROOT).as_posix(), command, block)
    for page in PAGES
    for command, block in SHOWN.findall(page.read_text("utf-8"))
]


@cache
def printed(command: str) -> tuple[str, ...]:
    """Lines that a command prints on a terminal of 80 columns, in a folder of its own."""
    words = shlex.split(command)
    assert words[0] == "rlfocal", f"only rlfocal is run here, not {words[0]}"
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    lines: list[str] = []
    with TemporaryDirectory() as scratch, os.fdopen(ours, encoding="utf-8") as screen:
        remarks = Path(scratch) / "remarks"
        with remarks.open("w") as stderr:
            running = subprocess.Popen(
                [sys.executable, "-c", "from rlfocal.cli.main import main; main()", *words[1:]],
                cwd=scratch,
                env={**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"},
                stdout=theirs,
                stderr=stderr,
            )
            os.close(theirs)
            with suppress(OSError):  # this is how a terminal says that nobody writes to it any more
                lines += screen
        assert running.wait(LIMIT_S) == 0, "".join(lines) + remarks.read_text()
        lines += remarks.read_text().splitlines()
    return tuple(line.strip() for line in lines)


def alike(shown: str, found: str) -> bool:
    """Whether two lines say the same: the same words, and numbers that are nearly equal.

    >>> alike("agreement  90.1 %", "agreement 90.2 %"), alike("agreement 90.1", "stacking 90.1")
    (True, False)
    """
    if " ".join(NUMBER.sub("0", shown).split()) != " ".join(NUMBER.sub("0", found).split()):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(found), strict=True)
    return all(
        abs(float(a.replace(",", "")) - float(b.replace(",", ""))) <= MOST_APART for a, b in pairs
    )


def test_a_changed_figure_and_a_changed_word_are_noticed() -> None:
    assert alike("agreement  90.1 % [88.5, 91.7]", "agreement 90.1 % [88.6, 91.7]")
    assert not alike("agreement  90.1 %", "agreement  90.9 %")
    assert not alike("agreement  90.1 %", "plurality  90.1 %")


def test_the_readme_repeats_what_stands_among_the_results() -> None:
    """So that a figure that is measured anew changes in both."""
    readme, results = (
        rows(ROOT / name, first="| pool |") for name in ("README.md", "docs/results.md")
    )
    for pool, found in readme.items():
        whole = results[pool]
        shown = {
            "best-single": whole["best-single"],
            "plurality": whole["plurality"],
            "stacking": whole["stacking"],
            "rl-focal's gain": whole["gain"],  # the last of the two columns called so
            "its calls": whole["at the default dial: calls"],
            "oracle": whole["oracle"],
        }
        assert found == shown, pool
    assert len(readme) >= 4


def rows(page: Path, *, first: str) -> dict[str, dict[str, str]]:
    """The first table of a page that begins so: pool → column → cell."""
    lines = iter(page.read_text("utf-8").splitlines())
    head = next(line for line in lines if line.startswith(first))
    names = [cell.strip() for cell in head.strip("|").split("|")]
    next(lines)
    found = {}
    for line in lines:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[cells[0]] = dict(zip(names[1:], cells[1:], strict=True))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command", "block"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_a_page_shows_what_its_command_prints(page: str, command: str, block: str) -> None:
    found = iter(printed(command))
    for line in block.splitlines():
        if line.strip() and line.strip() != "...":
            assert any(alike(line, other) for other in found), (
                f"{page}: `{command}` does not print (after the line before it): {line}"
            )

"""The program as a whole: quick help, versions, interrupts, pipes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rlfocal
from rlfocal.cli import main as command_line

if TYPE_CHECKING:
    from conftest import Run

PROGRAM = Path(sys.executable).with_name("rlfocal")
VERBS = (
    "collect",
    "export",
    "inspect",
    "diversity",
    "bench",
    "train",
    "evaluate",
    "explain",
    "ask",
    "chat",
)


def test_help_names_every_verb(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    assert all(f"\n  {verb} " in ran.out for verb in (*VERBS, "import", "keys"))


@pytest.mark.parametrize("group", [[], ["import"], ["keys"], ["shadow"], ["blend"]], ids=str)
def test_no_verb_is_cut_off_in_a_list_of_verbs(
    run: Run, monkeypatch: pytest.MonkeyPatch, group: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, _, listed = run(*group, "--help").out.partition("\nCommands:\n")
    assert listed
    assert [line for line in listed.splitlines() if line.endswith("...")] == []
    assert max(map(len, listed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench"], "error: missing argument 'DATA'; see rlfocal bench --help"),
        (["bench", "demo", "--fold", "3"], "error: no such option: --fold (Possible options"),
        (["keys", "ad"], "error: no such command 'ad'"),
        (["--loud"], "error: no such option: --loud; see rlfocal --help"),
    ],
    ids=str,
)
def test_a_wrong_command_is_said_like_other_errors_below_its_usage(
    run: Run, words: list[str], said: str
) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    *usage, error = ran.err.splitlines()
    assert usage[0].startswith("Usage: rlfocal")
    assert error.startswith(said)


def test_a_group_without_a_verb_shows_its_help(run: Run) -> None:
    ran = run("keys")
    assert ran.code == 2
    assert "Commands:" in ran.err
    assert "error" not in ran.err


def test_help_loads_nothing_heavy() -> None:
    """But for `import TOOL`, whose options only its importer can name."""
    code = f"""
import sys
from rlfocal.cli.main import main
for words in [], *([verb] for verb in {VERBS}), ["import", "data"], ["keys", "add"]:
    try:
        main([*words, "--help"])
    except SystemExit as left:
        assert not left.code, words
heavy = "torch", "sklearn", "numpy", "pyarrow", "pydantic", "rich", "asyncio"
print([module for module in heavy if module in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "verb",
    [["bench", "demo", "--strategies"], ["train", "demo", "-o", "x", "--strategy"]],
    ids=["bench", "train"],
)
def test_a_wrong_name_is_told_before_anything_heavy_is_loaded(verb: list[str]) -> None:
    code = f"""
import sys
from rlfocal.cli.main import main
try:
    main([*{verb}, "pluralty"])
except SystemExit as left:
    assert left.code == 2
print([module for module in ("torch", "numpy", "asyncio", "rich") if module in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "did you mean 'plurality'?" in ran.stderr
    assert ran.stdout == "[]\n"


def test_version(run: Run) -> None:
    assert run("--version").out == f"rlfocal {rlfocal.__version__}\n"


def test_an_unknown_verb_is_answered_with_the_nearest(run: Run) -> None:
    ran = run("inspekt")
    assert ran.code == 2
    assert "Did you mean 'inspect'?" in ran.err


def test_an_interrupt_exits_130_without_a_traceback(
    run: Run, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlfocal.records.build_table", interrupted)
    ran = run("inspect", small)
    assert (ran.code, ran.out, ran.err) == (command_line.INTERRUPTED, "", "interrupted\n")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds workers through /proc")
def test_ctrl_c_in_a_bench_ends_its_workers_too() -> None:
    command = [PROGRAM, "bench", "demo", "--jobs", "2", "--seeds", "500", "--no-features"]
    with subprocess.Popen(
        [*command, "--strategies", "random"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until = time.monotonic() + 240
        while len(workers := children.read_text().split()) < 3:  # two, and what tracks resources
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == command_line.INTERRUPTED
    assert (out, err) == ("", "interrupted\n")
    until = time.monotonic() + 60
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_error_of_the_system_is_one_line(
    run: Run, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", "out.json")

    monkeypatch.setattr("rlfocal.records.build_table", full)
    ran = run("inspect", small)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: [Errno 28] No space left on device: 'out.json'\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [PROGRAM, "inspect", "demo", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0

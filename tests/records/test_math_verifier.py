"""The process that compares: started late, watched, killed, started again, never in the way."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import dedent

import pytest

from rlfocal.errors import ConfigError
from rlfocal.records.answers.mathematics.comparing import worker
from rlfocal.records.answers.mathematics.comparing.verifier import Verifier, check_installed

HEAD = """
import json, os, sys, time
def say(value):
    print(json.dumps(value), flush=True)
say({"ready": True})
for line in sys.stdin:
    for a, b in json.loads(line)["pairs"]:
"""
ECHO = "        say(a.lower() == b.lower())"
SLEEPY = """
        if "sleep" in a:
            time.sleep(60)
        say(a.lower() == b.lower())
"""
DYING = """
        if "die" in a:
            sys.exit(1)
        say(a.lower() == b.lower())
"""
FOREVER = "        time.sleep(60)"


def fake(body: str) -> list[str]:
    return [sys.executable, "-c", HEAD + body.strip("\n")]


@contextmanager
def running(
    command: Sequence[str] | None, *, seconds: float = 0.2, max_starts: int = 5
) -> Iterator[Verifier]:
    tool = Verifier(command, seconds=seconds, grace_seconds=0.1, max_starts=max_starts)
    try:
        yield tool
    finally:
        tool.close()


def test_nothing_runs_until_something_is_asked() -> None:
    with running(fake(ECHO)) as tool:
        assert tool.compare([]) == {}
        assert tool.starts == 0
        assert tool.compare([("a", "A"), ("a", "b")]) == {("a", "A"): True, ("a", "b"): False}
        assert tool.starts == 1


def test_what_is_known_is_not_asked_again_in_either_order() -> None:
    with running(fake(ECHO)) as tool:
        tool.compare([("a", "A")])
        tool.close()
        assert tool.compare([("A", "a")]) == {("A", "a"): True}
        assert tool.starts == 1


def test_a_comparison_that_takes_too_long_is_given_up_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pairs = [("a", "A"), ("sleep", "x"), ("b", "B"), ("sleep", "y"), ("c", "d")]
    with caplog.at_level(logging.WARNING), running(fake(SLEEPY)) as tool:
        start = time.monotonic()
        found = tool.compare(pairs)
        assert time.monotonic() - start < 30
        assert list(found.values()) == [True, None, True, None, False]
        assert (tool.starts, tool.undecided) == (3, 2)
    assert len(caplog.records) == 1  # once, however many
    assert "counted as not equal" in caplog.text


def test_a_process_that_dies_costs_one_comparison() -> None:
    with running(fake(DYING), seconds=10) as tool:
        found = tool.compare([("a", "A"), ("die", "x"), ("b", "B")])
        assert list(found.values()) == [True, None, True]


def test_what_the_libraries_cannot_work_out_is_counted_by_its_error() -> None:
    body = '        say({"error": "TokenError"} if "[" in a else a == b)'
    with running(fake(body), seconds=10) as tool:
        assert tool.compare([("[a", "b"), ("[c", "b"), ("a", "a")]) == {
            ("[a", "b"): None, ("[c", "b"): None, ("a", "a"): True,
        }  # fmt: skip
        assert (tool.failures, tool.undecided) == ({"TokenError": 2}, 0)

    def compare(first: str, second: str) -> bool | None:
        raise RecursionError(first + second)

    assert worker._decide(compare, "a", "b", 10) == {"error": "RecursionError"}


def test_it_is_not_started_without_end() -> None:
    pairs = [(f"a{number}", "b") for number in range(20)]
    with running(fake(FOREVER), seconds=0.05, max_starts=3) as tool:
        assert set(tool.compare(pairs).values()) == {None}
        assert (tool.starts, tool.undecided) == (3, 20)


def test_more_pairs_than_a_pipe_holds() -> None:
    pairs = [(f"ab{number}" * 80, f"ab{number}" * 80 + "x") for number in range(100, 1100)]
    with running(fake(ECHO), seconds=10) as tool:
        assert set(tool.compare(pairs).values()) == {False}
        assert tool.starts == 1


def test_it_is_renewed_now_and_then() -> None:
    tool = Verifier(fake(ECHO), renew_after=10)
    pids = set()
    for start in range(0, 40, 4):
        tool.compare([(f"a{k}", "b") for k in range(start, start + 4)])
        pids.add(tool._process.pid if tool._process else None)
    tool.close()
    assert len(pids - {None}) > 2
    assert tool.starts <= 1
    assert tool.undecided == 0


def test_a_process_that_cannot_start_says_why() -> None:
    silent = [sys.executable, "-c", "pass"]
    missing = [sys.executable, "-c", 'print(\'{"ready": false, "why": "no sympy"}\')']
    with running(silent) as tool, pytest.raises(ConfigError, match="rlfocal\\[math\\]"):
        tool.compare([("a", "b")])
    with running(missing) as tool, pytest.raises(ConfigError, match="no sympy"):
        tool.compare([("a", "b")])
    with running(["/no/such/program"]) as tool, pytest.raises(ConfigError, match="cannot start"):
        tool.compare([("a", "b")])


def test_a_missing_library_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from rlfocal.records.answers import extractor
    from rlfocal.records.answers.maths import MathExtractor

    monkeypatch.setattr("rlfocal.extras.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="rlfocal\\[math\\]"):
        check_installed()
    with pytest.raises(ConfigError, match="math_verify"):
        extractor("math")
    with running(fake(ECHO)) as tool:  # with a verifier of one's own nothing is missing
        assert MathExtractor(tool).equal("1/2", "0.5")


def test_huge_powers_and_deep_nesting_are_never_asked_about() -> None:
    texts = [
        "9^{99999}",
        "9^{9^9}",
        "99999!",
        "(10^9)!",
        "9!!",
        "(" * 50 + "1" + ")" * 50,
        "x" * 3000,
    ]
    with running(fake(ECHO)) as tool:
        assert set(tool.compare([(text, "1") for text in texts]).values()) == {None}
        assert (tool.starts, tool.undecided) == (0, len(texts))


def test_many_threads_may_ask_at_once() -> None:
    found: dict[int, dict[tuple[str, str], bool | None]] = {}
    with running(fake(ECHO), seconds=10) as tool:

        def ask(number: int) -> None:
            found[number] = tool.compare([(f"a{k}", f"A{k}") for k in range(number, number + 20)])

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert tool.starts == 1
    assert all(set(verdicts.values()) == {True} for verdicts in found.values())


def run_alone(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_a_forked_child_starts_its_own_and_leaves_the_parents_alone() -> None:
    done = run_alone(f"""
        import os
        from rlfocal.records.answers.mathematics.comparing.verifier import Verifier
        tool = Verifier({fake(ECHO)!r})
        tool.compare([("a", "b")])
        mine = tool._process.pid
        child = os.fork()
        if child == 0:
            tool.compare([("c", "C")])
            same = tool._process.pid == mine
            tool.close()
            os._exit(1 if same else 0)
        assert os.waitpid(child, 0)[1] == 0
        assert tool.compare([("d", "D")]) == {{("d", "D"): True}}
        assert tool._process.pid == mine
    """)
    assert done.stderr == ""


def test_the_process_ends_with_its_parent() -> None:
    done = run_alone(f"""
        from rlfocal.records.answers.mathematics.comparing.verifier import Verifier
        tool = Verifier({fake(ECHO)!r})
        tool.compare([("a", "b")])
        print(tool._process.pid)
    """)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(int(done.stdout), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("it still runs")


def test_importing_answers_imports_no_algebra() -> None:
    done = run_alone("""
        import sys
        from rlfocal.records.answers import extractor
        assert extractor("math").extract(r"\\boxed{1/2}") == r"\\frac{1}{2}"
        print(sorted({"sympy", "math_verify", "latex2sympy2_extended"} & set(sys.modules)))
    """)
    assert done.stdout.strip() == "[]"


def test_the_real_process_gives_up_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    # Too little time for anything, so nothing slow is needed to see it.
    with running(None, seconds=0.001) as tool:
        tool._grace_seconds = 60
        assert tool.compare([(r"\frac{x^2-1}{x-1}", "x+1")]) == {
            (r"\frac{x^2-1}{x-1}", "x+1"): None
        }
        assert tool.starts == 1
        assert tool._process is not None


def test_the_real_process_is_given_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_API_KEY", "s3cret")
    show = "import json, os; print(json.dumps({'ready': False, 'why': str(sorted(os.environ))}))"
    with running([sys.executable, "-c", show]) as tool:
        with pytest.raises(ConfigError) as caught:
            tool.compare([("a", "b")])
        assert "EXAMPLE" not in str(caught.value)
        assert "PATH" in str(caught.value)
    assert json.dumps("s3cret") not in str(caught.value)

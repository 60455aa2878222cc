"""One worker process that compares expressions, started when it is first needed.

The process is `worker.py`, spoken to by lines of JSON. It is killed when a comparison takes longer
than it may, and started again, `MAX_STARTS` times at most; what was never decided counts as "not
shown equal", is counted in `undecided`, and logged once. What the libraries cannot read or work out
is not shown equal either, and counted in `failures` by the name of their error. Any thread may ask:
one conversation is held at a time. A forked child never speaks to its parent's worker, it starts
its own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import re
import selectors
import subprocess
import sys
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from rlfocal.errors import ConfigError, NotInstalled
from rlfocal.extras import lacking

__all__ = ["Verifier", "check_installed", "shared"]

REMEDY = "pip install 'rlfocal[math]'"
SECONDS = 3.0
"""Of the processor, for one comparison; what is decided at all mostly takes a tenth of one."""
GRACE_SECONDS = 17.0
"""The worker interrupts itself after `SECONDS`; arithmetic that cannot be interrupted is killed
when these have passed too, by the clock."""
START_SECONDS = 120.0
MAX_STARTS = 50
RENEW_AFTER = 20_000
MAX_CHARS = 1500
_HUGE = re.compile(
    r"[0-9]{200}|\^\s*(?:\{-?[0-9]{5,}|\{[0-9]+\^|\{[0-9]+!)|[0-9]{4,}\s*!|!\s*\)?\s*!"
    r"|(?:[0-9]{4,}|\^)[^()]{0,40}\)\s*!|(?:[({\[]\s*){40}"
)
"""Powers, factorials and nesting that take all the time there is, for a number nobody means."""
CACHE_SIZE = 100_000
BATCH = 200
"""Pairs in one line: a line and its replies stay below what a pipe holds."""
KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SYSTEMROOT", "LANG", "TZ")
"""Expressions come from anybody: the process that reads them is given no keys."""

Pair = tuple[str, str]
_LOG = logging.getLogger(__name__)


def check_installed() -> None:
    """Make sure that math-verify is there, without importing it.

    Raises:
        NotInstalled: it is not.
    """
    told = lacking("math_verify", "latex2sympy2_extended", "antlr4")
    if told is not None:
        raise NotInstalled(f"comparing answers of kind 'math' {told}")


class Verifier:
    """Decides whether expressions in LaTeX are equal.

    Args:
        command: what runs the worker; another one for tests.
        seconds: of the processor, that one comparison may take.
        grace_seconds: how much later, by the clock, the worker is killed.
        max_starts: of the process, over the life of this object, planned renewals apart.
        renew_after: so many comparisons: what the libraries keep of each is given back.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        seconds: float = SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        max_starts: int = MAX_STARTS,
        renew_after: int = RENEW_AFTER,
    ) -> None:
        here = Path(__file__).with_name("worker.py")
        # -P: the folder of the worker must not shadow the standard library.
        self._command = list(command or (sys.executable, "-P", str(here)))
        self._seconds, self._grace_seconds = seconds, grace_seconds
        self._max_starts, self._renew_after = max_starts, renew_after
        self._served = 0
        self._known: OrderedDict[Pair, bool | None] = OrderedDict()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_logged = False
        self.starts = 0
        self.undecided = 0
        """Comparisons without a verdict: they count as not equal."""
        self.failures: Counter[str] = Counter()
        """Name of the libraries' error → comparisons that it ended; they count as not equal."""
        _ALL.add(self)

    def compare(self, pairs: Iterable[Pair]) -> dict[Pair, bool | None]:
        """Compare many pairs, each once.

        Returns:
            For every pair: equal or not, or None where that was not decided. Order within a pair
            does not matter.

        Raises:
            ConfigError: the process cannot run here.
        """
        ordered = {pair: (min(pair), max(pair)) for pair in pairs}
        with self._lock:
            wanted = [p for p in dict.fromkeys(ordered.values()) if p not in self._known]
            for start in range(0, len(wanted), BATCH):
                self._ask(wanted[start : start + BATCH])
            answers = {pair: self._known[own] for pair, own in ordered.items()}
            for own in ordered.values():
                self._known.move_to_end(own)
            while len(self._known) > CACHE_SIZE:
                self._known.popitem(last=False)
        return answers

    def close(self) -> None:
        """End the process, if there is one; the next comparison starts another."""
        with self._lock:
            self._kill()

    def _ask(self, pairs: list[Pair]) -> None:
        rest = []
        for pair in pairs:
            if any(len(text) > MAX_CHARS or _HUGE.search(text) for text in pair):
                self._note([pair], "too large")
            else:
                rest.append(pair)
        while rest:
            if self._process is None and not self._start():
                self._note(rest, "the process that compares was started too often")
                return
            rest = rest[self._converse(rest) :]

    def _converse(self, pairs: list[Pair]) -> int:
        """Ask for all; returns how many are settled: all, or those up to one that took too long."""
        assert self._process is not None
        assert self._process.stdin is not None
        request = {"pairs": pairs, "seconds": self._seconds}
        rest = memoryview(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):  # then there is no reply either
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        for settled, pair in enumerate(pairs):
            line = self._line(self._seconds + self._grace_seconds)
            self._served += 1
            if line is None:
                self._kill()
                self._note([pair], "out of time or memory")
                return settled + 1
            match json.loads(line):
                case "late":
                    self._note([pair], "out of time or memory")
                case {"error": name}:
                    self.failures[name] += 1
                    self._known[pair] = None
                case verdict:
                    self._known[pair] = verdict
        if self._served >= self._renew_after:
            self._kill()
            self.starts -= 1
        return len(pairs)

    def _line(self, seconds: float) -> bytes | None:
        """The worker's next line; None when it is late or the process has ended."""
        assert self._process is not None
        stream: IO[bytes] | None = self._process.stdout
        assert stream is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(stream, selectors.EVENT_READ)
            if not waiting.select(seconds):
                return None
        # Unbuffered, and every reply is written at once, so a line that has begun is there.
        return stream.readline() or None

    def _start(self) -> bool:
        if self.starts >= self._max_starts:
            return False
        self.starts += 1
        self._served = 0
        kept = {k: os.environ[k] for k in KEPT_ENVIRONMENT if k in os.environ}
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**kept, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
                start_new_session=True,  # an interrupt at the terminal is the parent's to handle
            )
        except OSError as error:
            raise ConfigError(f"cannot start {self._command[0]} to compare answers") from error
        line = self._line(START_SECONDS)
        ready = json.loads(line) if line else {"why": "it ended, or was silent, at its start"}
        if not ready.get("ready"):
            self._kill()
            raise ConfigError(
                f"answers of kind 'math' cannot be compared ({ready.get('why')}): {REMEDY}"
            )
        return True

    def _note(self, pairs: list[Pair], why: str) -> None:
        for pair in pairs:
            self._known[pair] = None
        self.undecided += len(pairs)
        if not self._is_logged:
            self._is_logged = True
            _LOG.warning(
                "not decided whether %.80r equals %.80r (%s): counted as not equal; further ones"
                " are not logged",
                *pairs[0],
                why,
            )

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _close(process)

    def _forget(self) -> None:
        """In a forked child: the worker is the parent's, and so is a lock held by its threads."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None:
            _close(process)
            process.returncode = 0  # not ours to wait for


def shared() -> Verifier:
    """The one of this process."""
    global _SHARED
    with _SHARED_LOCK:
        if _SHARED is None:
            _SHARED = Verifier()
        return _SHARED


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


_ALL: weakref.WeakSet[Verifier] = weakref.WeakSet()
_SHARED: Verifier | None = None
_SHARED_LOCK = threading.Lock()


@atexit.register
def _end() -> None:
    # Without the lock: a thread that waits for a reply may hold it, and dies with this process.
    for verifier in list(_ALL):
        verifier._kill()


def _after_fork() -> None:
    global _SHARED_LOCK
    _SHARED_LOCK = threading.Lock()
    for verifier in list(_ALL):
        verifier._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

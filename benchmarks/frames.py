"""How much of the package one request and one replayed query run through: calls, and moves.

    python benchmarks/frames.py [--before SRC] [--queries 200] [--repeats 5] [--top 12] [--quick]

A call is a function of the package that begins or, where it waits for something, goes on; a move is
one in another file than the one before it. They are counted by `sys.setprofile` in every thread:
- request: one chat completion through `rlfocal serve`, with three of four stub members asked one
  after the other; the stubs run in a process of their own.
- replay: one recorded query by the trained policy of rl-focal, in three rounds.

Both are medians of the repeats, each on another question. --before names the folder src of another
build; it trains a checkpoint of its own on the same data, and is measured in turn with this one.
Exit code 1: with --before, some figure is above half of the other build's.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

ACCURACY = (0.7, 0.65, 0.6, 0.55)
N_ROUNDS = 3
PRICES = (0.01, 0.005, 0.02, 0.001, 0.05)
MOST_QUESTIONS = 60
AWAY_S = 0.4
"""After a reply, until it has been written down."""
SHARE = 0.5
_PACKAGE = f"{os.sep}rlfocal{os.sep}"


@dataclass
class Frames:
    """What was counted in one stretch."""

    calls: int = 0
    moves: int = 0
    functions: Counter[str] = field(default_factory=Counter)


class Counting:
    """Counts in all threads that begin later, and in this one."""

    def __init__(self) -> None:
        self._thread = threading.local()
        self._names: dict[Any, tuple[str, str] | None] = {}
        self.begin()
        threading.setprofile(self._seen)
        sys.setprofile(self._seen)

    def begin(self) -> None:
        """Anew."""
        self.found = Frames()

    def _seen(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in self._names:
            self._names[code] = _named(code.co_filename, code.co_qualname)
        if (named := self._names[code]) is None:
            return
        found = self.found
        found.calls += 1
        if getattr(self._thread, "file", None) != named[0]:
            found.moves += 1
            self._thread.file = named[0]
        found.functions[f"{named[0]}:{named[1]}"] += 1


def _named(file: str, function: str) -> tuple[str, str] | None:
    """File in the package and function; None for what is none of ours."""
    place = file.rpartition(_PACKAGE)[2] if _PACKAGE in file else ""
    return (place, function) if place and "site-packages" not in file else None


# What runs in processes of their own ------------------------------------------------------------


def serve(arguments: Sequence[str]) -> None:
    """`rlfocal serve`; every line on stdin is answered by what was counted since the last one."""
    from rlfocal.cli.main import main as rlfocal

    counting = Counting()

    def talk() -> None:
        sys.setprofile(None)
        for _ in sys.stdin:
            found = counting.found
            counting.begin()
            print(json.dumps(vars(found)), flush=True)

    threading.Thread(target=talk, daemon=True).start()
    rlfocal(list(arguments))


def replay_queries(checkpoint: str, data: str, n: int) -> None:
    """Replay queries that take three rounds, one by one, and print what was counted of each."""
    import numpy as np

    from rlfocal.records.folders import read_dataset

    load_checkpoint = _anywhere("load_checkpoint", "rlfocal.checkpoint", "rlfocal.rl.checkpoint")
    replay = _anywhere("replay", "rlfocal.deliberation.replay", "rlfocal.replay")
    loaded = load_checkpoint(Path(checkpoint))
    table = loaded.table(read_dataset(Path(data)))
    found: list[Frames] = []
    counting = Counting()
    for price in PRICES:
        strategy: Any = loaded.strategy.at(price).alone()
        outcome = replay(strategy, table)
        several = (outcome.n_rounds == N_ROUNDS) & (outcome.n_calls == N_ROUNDS)
        rows = np.flatnonzero(several)[:n]
        if len(rows) == n:
            break
    for row in rows:
        one = table.take(np.array([row]))
        counting.begin()
        replay(strategy, one)
        found.append(counting.found)
    sys.setprofile(None)
    print(json.dumps([vars(frames) for frames in found]))


def _anywhere(name: str, *modules: str) -> Any:
    """An object of the first of these modules that a build has."""
    found = next(module for module in modules if _exists(module))
    return getattr(importlib.import_module(found), name)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor what it should lie in
        return False


def stub() -> None:
    """Members that answer by the hash of what they are asked; prints where."""
    from rlfocal.pool.stub import StubServer, prompt_of

    def says(body: Mapping[str, Any]) -> str:
        digest = hashlib.sha256(f"{body['model']} {prompt_of(body)}".encode()).digest()
        drawn = random.Random(digest)
        return "B" if drawn.random() < 0.6 else drawn.choice("ABCD")

    async def stay() -> None:
        async with StubServer(says) as server:
            print(server.base_url, flush=True)
            await asyncio.Event().wait()

    asyncio.run(stay())


# What is measured -------------------------------------------------------------------------------


def requests(folder: Path, checkpoint: Path, upstream: str, environment: Any, n: int) -> list[Any]:
    """What was counted of n requests that took three rounds."""
    from load import ensemble
    from load.servers import free_port, post, wait_for

    from rlfocal.gateway.store.keys import make_plaintext

    pool = ensemble.pool_file(folder, upstream, ensemble.names(len(ACCURACY)))
    key = make_plaintext()
    keys, port = folder / "keys.toml", free_port()
    keys.write_text('[[keys]]\nname = "load"\nkey_env = "FRAMES_KEY"\n', encoding="utf-8")
    command = [
        sys.executable, __file__, "--serve", str(checkpoint), str(pool), "--port", str(port),
        "--db", str(folder / "gateway.db"), "--keys", str(keys),
    ]  # fmt: skip
    url, log = f"http://127.0.0.1:{port}", folder / "serve.log"
    with talking(command, log, {**environment, "FRAMES_KEY": key}) as server:
        wait_for(f"{url}/healthz", server, log)
        for price in PRICES:
            found: list[Any] = []
            for number in range(MOST_QUESTIONS):
                body = ensemble.chat_body(f"rlfocal:{price}", number)
                counted(server)
                status, text = post(
                    f"{url}/v1/chat/completions", body, {"Authorization": f"Bearer {key}"}
                )
                time.sleep(AWAY_S)
                frames = counted(server)
                if status != 200:
                    raise SystemExit(f"status {status}: {text}")
                told = json.loads(text)["rlfocal"]
                if told["n_calls"] == told["n_rounds"] == N_ROUNDS and number:  # the first warms up
                    found.append(frames)
                if len(found) == n:
                    return found
    raise SystemExit(f"no price of {PRICES} has {n} questions that take {N_ROUNDS} rounds")


def counted(server: subprocess.Popen[bytes]) -> Any:
    """What a server has counted since it was last asked."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(b"\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


@contextmanager
def talking(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is told and tells lines, and ends with the block."""
    with log.open("w") as complaints, subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints,
        env=dict(environment),
    ) as running:  # fmt: skip
        try:
            yield running
        finally:
            running.terminate()


def measure(folder: Path, source: Path | None, given: argparse.Namespace) -> dict[str, list[Any]]:
    """Train and count with one build."""
    folder.mkdir()
    here = str(Path(__file__).parent)
    paths = [here] if source is None else [str(source), here]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    checkpoint, data = folder / "checkpoint", folder.parent / "data"

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    settings = folder / "settings.toml"
    settings.write_text("n_iterations = 4\n" if given.quick else "", encoding="utf-8")
    run(
        "-c", "from rlfocal.cli.main import main; main()",
        "train", str(data), "-o", str(checkpoint), "--config", str(settings), "--holdout", "0",
    )  # fmt: skip
    n = str(given.repeats)
    replayed = json.loads(run(__file__, "--replay", str(checkpoint), str(data), n))
    command = [sys.executable, __file__, "--stub"]
    with talking(command, folder / "stub.log", {**os.environ}) as members:
        assert members.stdout is not None
        upstream = members.stdout.readline().decode().strip()
        served = requests(folder, checkpoint, upstream, environment, given.repeats)
    return {"request": served, "replay": replayed}


def main() -> None:
    """Train, count, print, and say by the exit code whether it is half of what it was."""
    given = arguments()
    from load import ensemble
    from load.figures import markdown

    from rlfocal.records.folders import write_dataset

    found = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_dataset(ensemble.simulated(ACCURACY, given.queries, seed=0), folder / "data")
        sources = {"now": None} if given.before is None else {"before": given.before, "now": None}
        for name, source in sources.items():
            found[name] = measure(folder / name, source, given)
    rows, missed = [], False
    for what in ("request", "replay"):
        figures = {name: middle(of[what]) for name, of in found.items()}
        for name, of in figures.items():
            rows.append({"journey": what, "build": name} | {k: f"{v:,.0f}" for k, v in of.items()})
            if "before" in figures:
                missed |= any(of[k] > SHARE * figures["before"][k] for k in of) and name == "now"
    print(markdown(rows))
    if given.before is not None:
        print(f"\nat most half of before: {'MISSED' if missed else 'ok'}")
    for what, frames in found["now"].items():
        print(f"\n{what}, where the calls go:")
        for name, count in Counter(frames[0]["functions"]).most_common(given.top):
            print(f"{count:>5}  {name}")
    sys.exit(missed)


def middle(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Medians."""
    files = [len({name.partition(":")[0] for name in one["functions"]}) for one in found]
    return {
        "calls": median(one["calls"] for one in found),
        "functions": median(len(one["functions"]) for one in found),
        "files": median(files),
        "moves": median(one["moves"] for one in found),
    }


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, metavar="SRC", help="src of another build")
    parser.add_argument("--queries", type=int, default=200, help="to train on (200)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--top", type=int, default=12, help="functions that are shown (12)")
    parser.add_argument("--quick", action="store_true", help="little training: does it run?")
    return parser.parse_args()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--stub"]:
            stub()
        case ["--serve", *rest]:
            serve(["serve", *rest])
        case ["--replay", checkpoint, data, n]:
            replay_queries(checkpoint, data, int(n))
        case _:
            main()

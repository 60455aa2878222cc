"""The rlfocal side: a small trained ensemble, its pool file, and `rlfocal serve`.

The checkpoint is trained at start on simulated answers, in seconds. At price 0 ("rlfocal:0") it
asks all members in one round and fuses their answers with the trained agent: the fan-out that
others offer, and a decision on top of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from load.builds import NOW, Build
from load.servers import Server, free_port, process, wait_for
from rlfocal.gateway.store.keys import make_plaintext
from rlfocal.records.dataset import Dataset
from rlfocal.records.folders import write_dataset
from rlfocal.records.synthetic import PoolModel, simulate

PROGRAM = str(Path(sys.executable).with_name("rlfocal"))
EVERYBODY = "rlfocal:0"
FEEDBACK = "/v1/feedback"
DATABASE = "gateway.db"
_KEY_ENV = "RLFOCAL_LOAD_KEY"
_NAMED = (
    "choice_template = "
    '"{{question}}\\n\\n{{options}}\\n\\nAnswer with the letter of the right option, {name}."\n'
)
OPTIONS = ("iron", "water", "salt", "air")


def simulated(accuracy: Sequence[float], n_queries: int, *, seed: int) -> Dataset:
    """Multiple choice questions, and what members of known accuracy answer, independently.

    Args:
        accuracy: of model-1, model-2, ...
        n_queries: how many questions.
        seed: of the answers.
    """
    rng = np.random.default_rng(seed)
    return simulate(PoolModel(accuracy=[list(accuracy)]), n_queries, rng=rng, name="mock")


def train(
    folder: Path,
    data: Dataset,
    *,
    strategy: str = "rl-focal",
    seed: int,
    build: Build = NOW,
    byte_code: Path | None = None,
) -> Path:
    """A checkpoint, trained as users train one.

    Args:
        folder: where data and checkpoint go.
        data: recorded answers.
        strategy: its name.
        seed: of training.
        build: that trains.
        byte_code: folder for it; None for where it is by default.
    """
    write_dataset(data, folder / "data", format="parquet")
    checkpoint = folder / "checkpoint"
    env = {} if byte_code is None else build.environment(byte_code)
    build.train(folder / "data", checkpoint, strategy=strategy, seed=seed, env=env)
    return checkpoint


def names(n: int) -> list[str]:
    """Members, as the simulated data call them."""
    return [f"model-{k + 1}" for k in range(n)]


def pool_file(
    folder: Path,
    base_url: str,
    members: Sequence[str],
    *,
    concurrency: int = 256,
    attempts: int = 2,
    prices: Sequence[tuple[float, float]] = (),
    named: bool = False,
) -> Path:
    """A pool of members that one upstream serves, each on an endpoint of its own.

    Args:
        folder: where it goes.
        base_url: of the upstream, with /v1.
        members: their names; also the models'.
        concurrency: calls under way at once of each; so many that none waits for its turn.
        attempts: times a call is sent at most.
        prices: dollars per million tokens of prompt and completion; by default 1 and 1.
        named: whether each prompt names the member it goes to.
    """
    parts = []
    for k, name in enumerate(members):
        prompt, completion = prices[k] if prices else (1.0, 1.0)
        parts.append(
            f'[endpoints.{name}]\nbase_url = "{base_url}"\nconcurrency = {concurrency}\n'
            f"attempts = {attempts}\ntimeout_s = 60\n\n"
            f'[prices."{name}"]\nprompt = {prompt}\ncompletion = {completion}\n\n'
            f'[[members]]\nname = "{name}"\nendpoint = "{name}"\nmodel = "{name}"\n'
            f"max_tokens = 16\n{_NAMED.format(name=name) if named else ''}"
        )
    path = folder / "pool.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def chat_body(model: str, number: int, **extension: Any) -> dict[str, Any]:
    """A multiple choice question as our gateway takes it."""
    message = {"role": "user", "content": f"Synthetic question {number} about topic0."}
    own = {"choices": list(OPTIONS), **extension}
    return {"model": model, "messages": [message], "rlfocal": own}


def plain_body(model: str, number: int) -> dict[str, Any]:
    """The same question as a client puts it to a model: options in the text."""
    options = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", OPTIONS, strict=True))
    asked = f"Synthetic question {number} about topic0.\n\n{options}\n\n"
    text = f"{asked}Answer with the letter of the right option."
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 16}


@contextmanager
def serve(
    checkpoint: Path | None,
    pool: Path,
    folder: Path,
    *,
    limits: Mapping[str, float] | None = None,
    build: Build = NOW,
    byte_code: Path | None = None,
) -> Iterator[Server]:
    """`rlfocal serve` with keys and an SQLite database, as users run it.

    Args:
        checkpoint: what decides; None for what has seen no label.
        pool: its members.
        folder: for the database, the file of keys and the log.
        limits: of the key, as a file of keys has them; None for a key without any.
        build: that serves.
        byte_code: folder for it; None for where it is by default.
    """
    port, log, key = free_port(), folder / "rlfocal.log", make_plaintext()
    lines = [f"{name} = {value}" for name, value in (limits or {}).items()]
    keys = folder / "keys.toml"
    keys.write_text(
        "\n".join(
            ["[[keys]]", 'name = "load"', f'key_env = "{_KEY_ENV}"', "admin = true", *lines, ""]
        ),
        encoding="utf-8",
    )
    where = ["--host", "127.0.0.1", "--port", str(port), "--keys", str(keys)]
    database = ["--db", str(folder / DATABASE)]
    files = [str(path) for path in (checkpoint, pool) if path is not None]
    command = [*build.command, "serve", *files, *where, *database]
    headers = {"Authorization": f"Bearer {key}"}
    env = {} if byte_code is None else build.environment(byte_code)
    begun = time.perf_counter()
    with process(command, log, {_KEY_ENV: key, **env}) as running:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/v1/models", running, log, headers)
        ready_s = time.perf_counter() - begun
        yield Server(build.name, url, running.pid, headers, log, ready_s=ready_s)

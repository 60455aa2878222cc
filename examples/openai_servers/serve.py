"""Serve the endpoints of a pool file on this machine, until Ctrl-C.

    python serve.py pool.toml                       # made-up replies: nothing to fetch
    python serve.py pool.toml --models FOLDER       # FOLDER/MODEL.gguf, by llama.cpp

Each [endpoints.NAME] gets a server on a free port, behind the key that its key_env names; the
addresses are written into the file.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rlfocal.errors import ConfigError
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Said, StubServer, StubThread, prompt_of

END = (signal.SIGINT, signal.SIGTERM)


def made_up(body: Mapping[str, Any]) -> Said:
    """Right on four of five sums, some letter for all else; the same model, the same reply."""
    prompt = prompt_of(body)
    question = prompt.rpartition("Question: ")[2]  # below the worked examples
    rng = random.Random(f"{body.get('model')} {question}")
    digits = [int(x) for x in re.findall(r"\d+", question)]
    letters = re.findall(r"^([A-Z])\. ", question, re.MULTILINE)
    if letters:
        weights = {letter: -rng.expovariate(1.0) for letter in letters}
        return Said(max(letters, key=weights.__getitem__), logprobs=weights)
    return Said(str(sum(digits) + (rng.random() > 0.8)))


@contextmanager
def made_up_server(key: str | None) -> Iterator[str]:
    """A server without a model; its base URL."""
    with StubThread(StubServer(made_up, key=key)) as stub:
        yield stub.base_url


@contextmanager
def llama_cpp_server(model: Path, key: str | None, concurrency: int) -> Iterator[str]:
    """llama.cpp's own HTTP server; its base URL."""
    try:
        import xllamacpp
    except ImportError:
        sys.exit("--models needs xllamacpp: pip install 'rlfocal[local]'")
    if not model.is_file():
        sys.exit(f"{model}: is missing; ../local_models/fetch.py fetches it")
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_parallel = concurrency
    params.n_ctx = 512 * concurrency  # shared out among the calls under way
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.port, params.api_keys = 0, [key] if key else []
    params.offline, params.ui, params.warmup, params.verbosity = True, False, False, -1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path, metavar="POOL.toml")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="of GGUF files")
    args = parser.parse_args()
    # Threads inherit it: a signal waits for sigwait, whichever thread it reaches.
    signal.pthread_sigmask(signal.SIG_BLOCK, END)
    moved: dict[str, str] = {}
    with ExitStack() as servers:
        try:
            pool = read_pool(args.pool)
            for name, endpoint in pool.endpoints.items():
                if not isinstance(endpoint, OpenAISettings):
                    continue
                if args.models is None:
                    server = made_up_server(endpoint.key(os.environ))
                else:
                    model = next(m.model for m in pool.members if m.endpoint == name)
                    file = args.models / f"{model}.gguf"
                    server = llama_cpp_server(file, endpoint.key(os.environ), endpoint.concurrency)
                moved[endpoint.base_url] = servers.enter_context(server)
                print(f"{name}: {moved[endpoint.base_url]}", flush=True)
        except ConfigError as exc:
            sys.exit(str(exc))
        text = args.pool.read_text(encoding="utf-8")
        known = "|".join(map(re.escape, moved))
        text = re.sub(rf'"({known})/?"', lambda found: f'"{moved[found[1]]}"', text)
        args.pool.write_text(text, encoding="utf-8")
        print(f"serving {args.pool}; Ctrl-C ends it", flush=True)
        signal.sigwait(END)


if __name__ == "__main__":
    main()

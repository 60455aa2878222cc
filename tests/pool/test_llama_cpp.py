"""A real model of 270 million parameters, in this process: what it says and how it fails."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.llama_cpp import LlamaCppEndpoint
from rlfocal.pool.prompting import Question, letter_scores
from rlfocal.pool.settings import LlamaCppSettings, read_pool
from rlfocal.pool.types import Message, Request

pytestmark = pytest.mark.models

POOL = """
[endpoints.gemma]
kind = "llama-cpp"
path = "{path}"
api = "completions"
n_context = 1024
concurrency = 2

[[members]]
name = "by example"
endpoint = "gemma"
template = "Question: {{question}}\\nAnswer:"
choice_template = "Question: {{question}}\\n{{options}}\\nAnswer:"
shots = [
    {{ question = "What is the capital of Italy?", reply = "Rome" }},
    {{ question = "What is the capital of Spain?", reply = "Madrid" }},
]
stop = ["\\n"]
max_tokens = 8

[[members]]
name = "letters"
endpoint = "gemma"
answers = "option-scores"
choice_template = "{{question}}\\n{{options}}\\nAnswer:"

[[members]]
name = "talks on"
endpoint = "gemma"
max_tokens = 900
"""
COUNT = Question(", ".join(map(str, range(1, 60))) + ",")
"""The model counts on until it is stopped: a call of at least ten seconds."""

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="module")
def model(models_folder: Path) -> Path:
    return models_folder / "gemma-3-270m.gguf"


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """One event loop for the whole file: the pool below lives in it."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def members(model: Path, tmp_path_factory: pytest.TempPathFactory, run: Run) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("pool") / "pool.toml"
    file.write_text(POOL.format(path=model))
    pool = LivePool(read_pool(file))
    run(pool.__aenter__())
    yield {member.name: member for member in pool.members}
    run(pool.__aexit__())


def test_it_goes_on_with_worked_examples(members: dict[str, LiveMember], run: Run) -> None:
    reply = run(members["by example"].ask(Question("What is the capital of France?")))
    assert reply.text.strip() == "Paris"
    assert reply.finish == "stop"
    assert reply.n_prompt_tokens > 30
    assert reply.n_completion_tokens > 0
    assert reply.cost_usd == 0
    assert reply.latency_s > 0


def test_the_same_question_gets_the_same_reply(members: dict[str, LiveMember], run: Run) -> None:
    asked = Question("What is the capital of Greece?")
    first, second = (run(members["by example"].ask(asked)) for _ in range(2))
    assert first.text == second.text


def test_options_get_log_probabilities(members: dict[str, LiveMember], run: Run) -> None:
    asked = Question("1, 2, 3, 4: what comes next?", ("5", "apples", "Rome"))
    reply = run(members["letters"].ask(asked))
    assert reply.n_completion_tokens == 1
    assert len(reply.first_logprobs) == 20
    scores = letter_scores(reply.first_logprobs, 3)
    assert scores is not None
    assert all(-20 < score < 0 for score in scores)
    assert len(set(scores)) == 3


def test_two_calls_run_beside_each_other(members: dict[str, LiveMember], run: Run) -> None:
    """The short one is done while the long one, which came first, is still at it."""

    async def go() -> bool:
        long = asyncio.create_task(members["talks on"].ask(COUNT))
        await asyncio.sleep(0.1)
        await members["by example"].ask(Question("What is the capital of France?"))
        still = not long.done()
        long.cancel()
        await asyncio.wait([long])
        return still and long.cancelled()

    assert run(go())


def test_calls_given_up_make_room_at_once(members: dict[str, LiveMember], run: Run) -> None:
    """Both places are taken by calls of ten seconds and more; then by none."""

    async def go() -> tuple[float, float]:
        started = time.perf_counter()
        given_up = [members["talks on"].ask(COUNT, timeout_s=0.3) for _ in range(2)]
        for error in await asyncio.gather(*given_up, return_exceptions=True):
            assert isinstance(error, MemberError)
            assert error.failure is Failure.TIMEOUT
        middle = time.perf_counter()
        short = [members["letters"].ask(Question(f"{k}?", ("a", "b"))) for k in range(2)]
        await asyncio.gather(*short)
        return middle - started, time.perf_counter() - middle

    until_given_up, until_answered = run(go())
    assert 0.3 <= until_given_up < 2
    assert until_answered < 5


def test_a_prompt_over_the_context_is_refused(members: dict[str, LiveMember], run: Run) -> None:
    secret = "zebra " * 2000
    with pytest.raises(MemberError, match="exceeds the available context size") as caught:
        run(members["by example"].ask(Question(secret)))
    assert (caught.value.failure, caught.value.status) == (Failure.BAD_REQUEST, 400)
    assert "zebra" not in str(caught.value)


def _missing(model: Path, folder: Path) -> dict[str, Any]:
    return {"path": folder / "none.gguf"}


def _no_gguf(model: Path, folder: Path) -> dict[str, Any]:
    (folder / "text.gguf").write_text("this is no model")
    return {"path": folder / "text.gguf"}


def _header_only(model: Path, folder: Path) -> dict[str, Any]:
    (folder / "short.gguf").write_bytes(b"GGUF")
    return {"path": folder / "short.gguf"}


def _truncated(model: Path, folder: Path) -> dict[str, Any]:
    with model.open("rb") as file:
        (folder / "half.gguf").write_bytes(file.read(8 << 20))
    return {"path": folder / "half.gguf"}


def _other_hash(model: Path, folder: Path) -> dict[str, Any]:
    return {"path": model, "sha256": hashlib.sha256(b"another file").hexdigest()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_missing, "none.gguf: cannot be read: No such file"),
        (_no_gguf, "text.gguf: is no GGUF file"),
        (_header_only, "short.gguf: llama.cpp cannot load it"),
        (_truncated, "half.gguf: llama.cpp cannot load it"),
        (_other_hash, "gemma-3-270m.gguf: has sha256 [0-9a-f]{64}, not"),
    ],
)
def test_a_bad_file_is_named_before_anything_is_asked(
    model: Path,
    tmp_path: Path,
    run: Run,
    spoil: Callable[[Path, Path], dict[str, Any]],
    message: str,
) -> None:
    settings = LlamaCppSettings(kind="llama-cpp", **spoil(model, tmp_path))
    with pytest.raises(ConfigError, match=message):
        run(LlamaCppEndpoint(settings).__aenter__())


def test_closing_frees_the_port(model: Path, run: Run) -> None:
    settings = LlamaCppSettings(kind="llama-cpp", path=model, api="completions", n_context=256)
    asked = Request((Message("user", "Once upon a"),), max_tokens=1)

    async def go() -> int:
        async with LlamaCppEndpoint(settings) as endpoint:
            assert (await endpoint.send(asked, timeout_s=60)).text == " time"
            port = int(endpoint._server.listening_address.rpartition(":")[2])
            socket.create_connection(("127.0.0.1", port), 1).close()
            return port

    port = run(go())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_an_endpoint_that_is_not_open_says_so(model: Path, run: Run) -> None:
    endpoint = LlamaCppEndpoint(LlamaCppSettings(kind="llama-cpp", path=model))
    with pytest.raises(RuntimeError, match="open the endpoint first"):
        run(endpoint.send(Request((Message("user", "?"),)), timeout_s=1))
    run(endpoint.close())

"""A real model of 270 million parameters, in this process: what it says and how it fails."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.live.calls import called
from rlfocal.pool.asking.prompting import Question, letter_scores
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.llama_cpp import LlamaCppEndpoint
from rlfocal.pool.settings import read_pool
from rlfocal.pool.types import JsonObject, Message, Request, Response

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
stop = ["\\n"]

[[members]]
name = "sampled"
endpoint = "gemma"
choice_template = "Question: {{question}}\\n{{options}}\\nAnswer:"
shots = [
    {{ question = "2 + 1 =", options = ["5", "2", "3", "9"], reply = "C" }},
    {{ question = "4 + 4 =", options = ["8", "6", "12", "7"], reply = "A" }},
]
temperature = 1
max_tokens = 1

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
    assert len(reply.first_logprobs) > 900  # some tokens read alike
    scores = letter_scores(reply.first_logprobs, 3)
    assert scores is not None
    assert all(-20 < score < 0 for score in scores)
    assert len(set(scores)) == 3


def test_scores_come_whatever_the_first_token_is(members: dict[str, LiveMember], run: Run) -> None:
    """A new line is likeliest here, and it is a stop text of the member."""
    asked = Question("Write an empty line.\n\n\n\n", ("x", "y"))
    reply = run(members["letters"].ask(asked))
    assert letter_scores(reply.first_logprobs, 2) is not None


def test_scores_do_not_depend_on_what_was_asked_before(
    members: dict[str, LiveMember], run: Run
) -> None:
    asked = Question("1, 2, 3, 4: what comes next?", ("5", "apples", "Rome"))
    first = run(members["letters"].ask(asked)).first_logprobs
    run(members["letters"].ask(Question("1, 2, 3, 4: what came before?", ("0", "pears"))))
    run(members["by example"].ask(Question("What is the capital of France?")))
    assert run(members["letters"].ask(asked)).first_logprobs == first


@pytest.mark.slow
def test_temperature_is_that_of_the_model_and_not_of_its_likeliest_tokens(
    members: dict[str, LiveMember], run: Run
) -> None:
    """Left alone llama.cpp draws among the first of them only.

    How many those are depends on the machine's arithmetic; with the same seeds and the same
    tokens to choose from the two sets would be equal.
    """

    async def drawn(**extra: Any) -> set[str]:
        member, texts = members["talks on"], set()
        for seed in range(60):
            asked = replace(member.request(Question("My favourite word is")), extra=extra)
            request = replace(asked, seed=seed, temperature=1.0, max_tokens=1, top_p=None)
            try:
                texts.add((await member.endpoint.send(request, timeout_s=60)).text)
            except MemberError:  # a blank is no reply
                texts.add("")
        return texts

    likeliest = run(drawn(top_k=40, min_p=0.05, top_p=0.95))
    assert len(run(drawn()) - likeliest) >= 5


@pytest.mark.slow
def test_the_number_right_varies_from_seed_to_seed_as_a_binomial_does(
    members: dict[str, LiveMember], run: Run
) -> None:
    """With one seed for all questions it varies more: see benchmarks/seeds.py."""
    rng = random.Random(0)
    asked = []
    for _ in range(40):
        a, b = rng.randint(2, 49), rng.randint(2, 49)
        wrong = rng.sample([a + b + d for d in (-10, -2, -1, 1, 2, 10)], 3)
        options = rng.sample([a + b, *wrong], 4)
        question = Question(f"{a} + {b} =", tuple(map(str, options)))
        asked.append((question, "ABCD"[options.index(a + b)]))

    async def is_right(member: LiveMember, question: Question, label: str) -> bool:
        try:
            return (await member.ask(question)).text.strip() == label
        except MemberError:  # a blank is no reply
            return False

    async def right(seed: int) -> int:
        member = members["sampled"]
        settings = member.settings.model_copy(update={"seed": seed})
        seeded = replace(member, settings=settings)
        return sum([await is_right(seeded, question, label) for question, label in asked])

    found = [run(right(seed)) for seed in range(16)]
    share = statistics.mean(found) / 40
    assert statistics.variance(found) <= 1.5 * 40 * share * (1 - share), found


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
    assert until_answered < 10


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
            port = int(endpoint._server.address.rpartition(":")[2])
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


_DAY = {"enum": ["Friday", "Sunday"]}


def _called(
    folder: Path, name: str, *, day: Any = _DAY, words: Any = None, **more: Any
) -> tuple[Any, int, str]:
    """What a model calls where two functions are offered; its prompt's tokens, and its words."""
    schema = {"type": "object", "properties": {"day": day}, "required": ["day"],
              "additionalProperties": False, **(words or {})}  # fmt: skip
    tools = [
        {"type": "function", "function": {"name": n, "parameters": schema}}
        for n in ("free_tables", "free_rooms")
    ]
    extra = JsonObject({"tools": tools, **more})
    settings = LlamaCppSettings(kind="llama-cpp", path=folder / f"{name}.gguf", n_context=1024)
    asked = Message("user", "Which tables are free on Friday?")

    async def ask() -> Response:
        async with LlamaCppEndpoint(settings) as endpoint:
            request = Request((asked,), max_tokens=60, extra=extra)
            return await endpoint.send(request, timeout_s=300)

    reply = asyncio.run(ask())
    found = called(Question(asked.content, extra=extra), reply)
    return found.answer, reply.n_prompt_tokens or 0, reply.text


@pytest.mark.slow
def test_a_model_whose_template_has_no_words_for_tools_is_told_of_them(
    models_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """llama.cpp would leave them out, and what has to be called with them."""
    caplog.set_level("INFO", "rlfocal.pool.llama_cpp")
    told, n_told, words = _called(models_folder, "gemma-3-270m", tool_choice="required")
    assert "gemma-3-270m.gguf: its chat template has no words for tools" in caplog.text
    assert n_told > 150
    assert words.startswith("[{")
    (call, *_) = json.loads(told)
    assert call["name"] in ("free_tables", "free_rooms")
    assert call["arguments"]["day"] in ("Friday", "Sunday")
    assert _called(models_folder, "gemma-3-270m", tool_choice="none")[1] < 60


@pytest.mark.slow
def test_functions_in_words_may_refer_to_parts_of_themselves(models_folder: Path) -> None:
    days, own = {"$defs": {"Day": _DAY}}, {"type": "dict"}
    for words in (days, days | own):
        told, *_ = _called(
            models_folder, "gemma-3-270m", day={"$ref": "#/$defs/Day"}, words=words,
            tool_choice="required", response_format={"type": "json_object"},
        )  # fmt: skip
        (call,) = json.loads(told)
        assert call["arguments"]["day"] in _DAY["enum"]


@pytest.mark.slow
def test_a_model_whose_template_has_them_is_told_by_it(
    models_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rlfocal.pool.llama_cpp")
    told, n_told, _ = _called(models_folder, "qwen2.5-coder-0.5b")
    assert "no words" not in caplog.text
    assert n_told > 150
    assert json.loads(told)[0] == {"arguments": {"day": "Friday"}, "name": "free_tables"}

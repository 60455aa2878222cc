"""Two real models in this process, asked as a checkpoint has learned to."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlfocal.checkpoint import load_checkpoint
from rlfocal.cli.main import main
from rlfocal.live import FREE_WORDS, Answer, LiveEnsemble, Question, members_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.records import PoolModel, simulate
from rlfocal.records.folders import write_dataset

pytestmark = pytest.mark.models

POOL = """
[endpoints.gemma]
kind = "llama-cpp"
path = "{folder}/gemma-3-270m.gguf"
api = "completions"
n_context = 512

[endpoints.qwen]
kind = "llama-cpp"
path = "{folder}/qwen2.5-coder-0.5b.gguf"
n_context = 512

[[members]]
name = "model-1"
endpoint = "qwen"
choice_template = "{{question}}\\n{{options}}\\nAnswer with a letter only."
answers = "option-scores"

[[members]]
name = "model-2"
endpoint = "gemma"
template = "Question: {{question}}\\nAnswer:"
choice_template = "Question: {{question}}\\n{{options}}\\nAnswer:"
shots = [
    {{ question = "1 + 1 =", reply = "2" }},
    {{ question = "Which can fly?", options = ["a stone", "a sparrow"], reply = "B" }},
]
stop = ["\\n"]
max_tokens = 4
"""


@pytest.fixture(scope="module")
def files(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A checkpoint of two members, and the pool file of two models under their names."""
    folder = tmp_path_factory.mktemp("real")
    pool = PoolModel(accuracy=[[0.7, 0.6]])
    write_dataset(simulate(pool, 100, rng=np.random.default_rng(0)), folder / "data")
    trained = ["train", str(folder / "data"), "--strategy", "rl-focal-prior"]
    with pytest.raises(SystemExit) as left:
        main([*trained, "-o", str(folder / "checkpoint")])
    assert not left.value.code
    (folder / "pool.toml").write_text(POOL.format(folder=models_folder))
    return str(folder / "checkpoint"), str(folder / "pool.toml")


def ask(files: tuple[str, str], capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["ask", *files, *words])
    out, err = capsys.readouterr()
    assert not left.value.code, err
    return out


@pytest.mark.slow
def test_two_real_models_answer_and_the_trace_says_how(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("Which of these is an animal?", "--choice", "a horse", "--choice", "a spoon")
    shown = ask(files, capsys, *words, "--explain", "--price", "0.001")
    assert shown.startswith(("A. a horse\n", "B. a spoon\n"))
    for member in ("model-1", "model-2"):
        assert f"  {member} answered " in shown
    found: dict[str, Any] = json.loads(ask(files, capsys, *words, "--json", "--price", "0.001"))
    said = {s["member"]: s for part in found["trace"]["rounds"] for s in part["asked"]}
    assert set(said) == {"model-1", "model-2"}
    # The first is asked for its letters' log-probabilities, so it is not sure; the second is.
    assert 0.5 <= said["model-1"]["support"] < 1
    assert said["model-2"]["support"] == 1
    assert all(s["n_prompt_tokens"] > 10 and s["latency_s"] > 0 for s in said.values())
    assert all(s["cost_usd"] == 0 for s in said.values())


LOCALPOOL = """
[[members]]
name = "qwen-0.5b-steps"
endpoint = "qwen"
max_tokens = 24

[[members]]
name = "qwen-0.5b"
endpoint = "qwen"
template = "{question}\\nAnswer with a number only."
max_tokens = 8

[[members]]
name = "gemma-270m"
endpoint = "gemma"
template = "Question: {question}\\nAnswer:"
shots = [{ question = "25 - 14 + 38 =", reply = "49" }]
stop = ["\\n"]
max_tokens = 8
"""
OFF_TOPIC = (
    "Why is the sky blue?", "How do bees make honey?", "What is inflation?", "Nice to meet you!",
    "Wie wird das Wetter morgen?",
)  # fmt: skip


@pytest.mark.slow
def test_real_models_taught_sums_do_not_say_a_sure_number_about_the_sky(
    models_folder: Path, tmp_path: Path
) -> None:
    """Trained on what they recorded; one of them says a number whatever it is asked."""
    endpoints = POOL.format(folder=models_folder).split("[[members]]")[0]
    (tmp_path / "pool.toml").write_text(endpoints + LOCALPOOL)
    pool = read_pool(tmp_path / "pool.toml")
    names = ",".join(member.name for member in pool.members)
    words = ["train", "localpool", "--strategy", "weighted-vote"]  # it asks all of them
    with pytest.raises(SystemExit) as left:
        main([*words, "--members", names, "-o", str(tmp_path / "checkpoint")])
    assert not left.value.code
    checkpoint = load_checkpoint(tmp_path / "checkpoint")

    async def asked() -> list[Answer]:
        async with LivePool(pool, members_for(checkpoint, pool)) as live:
            ensemble = LiveEnsemble(checkpoint, live.members)
            return [await ensemble.answer(Question(text)) for text in (*OFF_TOPIC, "17 + 25 =")]

    *found, like = asyncio.run(asked())
    bare = 0
    for text, answer in zip(OFF_TOPIC, found, strict=True):
        assert answer.trace.unlike, text
        assert answer.trace.kind == FREE_WORDS, text
        assert answer.confidence <= 0.5, text
        assert re.search("[a-z]{2}", answer.text), text
        bare += any(re.fullmatch(r"\s*\d+\W*", str(call.text)) for call in answer.trace.calls)
    assert bare  # without the rule, one of those could have been the answer
    assert not like.trace.unlike
    assert like.trace.kind == "number"

"""`ask` and `chat`: a checkpoint, a pool file and a question make an answer."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stub_pool

from rlfocal.pool.stub import StubServer, StubThread, prompt_of
from rlfocal.records import PoolModel, simulate
from rlfocal.records.folders import write_dataset

MEMBERS = ("model-1", "model-2", "model-3")


def says(body: Mapping[str, Any]) -> str:
    """All agree on options; on open questions the third sees it otherwise."""
    prompt = prompt_of(body)
    if "A." in prompt:
        return "The answer is (B)."
    if "Several assistants" in prompt:
        return "In one word: Paris."
    n_turns = len(body["messages"])
    if body["model"] == "model-3":
        return "Bananas are yellow."
    if body["model"] == "model-2":
        return "Paris it is."
    return f"It is Paris, said after {n_turns} turns."


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubThread(StubServer(says)) as served:
        yield served


@pytest.fixture(scope="module")
def pool_file(stub: StubServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pool") / "pool.toml"
    members = "".join(
        f'[[members]]\nname = "{m}"\nendpoint = "stub"\nmodel = "{m}"\n' for m in MEMBERS
    )
    path.write_text(f'[endpoints.stub]\nbase_url = "{stub.base_url}"\nattempts = 1\n{members}')
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first member is the best."""
    from rlfocal.cli.main import main

    folder = tmp_path_factory.mktemp("trained")
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5]])
    write_dataset(simulate(model, 200, rng=np.random.default_rng(0)), folder / "data")
    arguments = ["train", str(folder / "data"), "--strategy", "rl-focal-prior"]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "-o", str(folder / "checkpoint")])
    assert not left.value.code
    return folder / "checkpoint"


CHOICE = ("Which city is on the Seine?", "--choice", "Rome", "--choice", "Paris")


def test_a_choice_is_answered_by_its_letter_and_text(
    run: Any, checkpoint: Path, pool_file: Path
) -> None:
    ran = run("ask", checkpoint, pool_file, *CHOICE)
    assert (ran.code, ran.out) == (0, "B. Paris\n")


def test_json_holds_the_whole_trace(run: Any, checkpoint: Path, pool_file: Path) -> None:
    found = json.loads(run("ask", checkpoint, pool_file, *CHOICE, "--json").out)
    assert (found["answer"], found["text"]) == ("B", "Paris")
    assert 0 < found["confidence"] <= 1
    trace = found["trace"]
    said = [s for part in trace["rounds"] for s in part["asked"]]
    assert all(s["answer"] == "B" and s["text"] == "The answer is (B)." for s in said)
    assert sorted([s["member"] for s in said] + trace["not_asked"]) == list(MEMBERS)


def test_explain_says_who_was_asked_and_why_it_stopped(
    run: Any, checkpoint: Path, pool_file: Path
) -> None:
    shown = run("ask", checkpoint, pool_file, *CHOICE, "--explain").out
    assert shown.startswith("B. Paris\n")
    assert "round 1\n" in shown
    assert "answered B in " in shown
    assert "stopped: " in shown


def test_a_question_unlike_those_of_training_is_remarked_on_beside_its_answer(
    run: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trained, off, like = stub_pool.trained(tmp_path_factory, "agreement"), "Sing a song", "3 + 4 ="
    with StubThread(StubServer(lambda _: "La la 7")) as served:
        pool = stub_pool.pool_file(tmp_path, served.base_url)
        found = json.loads(run("ask", trained, pool, off, "--json").out)
        assert found["trace"]["unlike"]
        ran = run("ask", trained, pool, off)
        told = f"confidence lowered to {found['confidence']:.2f}"
        assert ran.out == "La la 7\n"  # standard output holds the answer alone
        assert f"unlike the questions it was trained on: {told}\n" in ran.err
        assert "unlike" not in run("ask", trained, pool, off, "--explain").err  # shown in full
        assert "unlike" not in run("ask", trained, pool, like).err
        assert "unlike" not in run("ask", trained, pool, off, "--json").err


def test_route_only_asks_nobody(
    run: Any, checkpoint: Path, pool_file: Path, stub: StubServer
) -> None:
    before = len(stub.bodies)
    assert run("ask", checkpoint, pool_file, *CHOICE, "--route-only").out == "model-1\n"
    found = run("ask", checkpoint, pool_file, *CHOICE, "--route-only", "--json").out
    assert json.loads(found) == {"first_round": ["model-1"]}
    assert len(stub.bodies) == before


def test_a_dear_call_is_streamed_from_one_member(
    run: Any, checkpoint: Path, pool_file: Path, stub: StubServer
) -> None:
    ran = run("ask", checkpoint, pool_file, "Where is it?", "--answers", "open", "--price", "0.3")
    assert ran.out == "It is Paris, said after 1 turns.\n"
    assert stub.bodies[-1]["stream"] is True


def test_one_reply_is_made_out_of_several(run: Any, checkpoint: Path, pool_file: Path) -> None:
    ran = run(
        "ask", checkpoint, pool_file, "Where is it?", "--answers", "open", "--price", "0.001",
        "--synthesise", "model-2", "--json",
    )  # fmt: skip
    found = json.loads(ran.out)
    assert found["text"] == "In one word: Paris."
    assert found["trace"]["synthesis"]["member"] == "model-2"


def test_the_question_may_come_from_input(
    run: Any, checkpoint: Path, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Which city?\n"))
    ran = run("ask", checkpoint, pool_file, "-", *CHOICE[1:])
    assert ran.out == "B. Paris\n"


def test_a_chat_remembers_what_was_said(
    run: Any, checkpoint: Path, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Where is it?\nAre you sure?\n\n"))
    ran = run("chat", checkpoint, pool_file, "--price", "0.3")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "It is Paris, said after 1 turns.",
        "It is Paris, said after 3 turns.",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((" ",), "the question is empty"),
        (("?", "--choice", "one"), "1 choices: give 2 to 26, or none"),
        (("?", "--price", "9"), "price: "),
        (("?", "--answers", "numbre"), "did you mean 'number'?"),
        (("?", "--synthesise", "model-4"), "no member 'model-4'; did you mean 'model-"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    run: Any,
    checkpoint: Path,
    pool_file: Path,
    stub: StubServer,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    before = len(stub.bodies)
    ran = run("ask", checkpoint, pool_file, *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert len(stub.bodies) == before


def test_nobody_left_is_one_error_with_every_cause(
    run: Any, checkpoint: Path, pool_file: Path, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.toml"
    lines = pool_file.read_text().splitlines()
    lines[1] = 'base_url = "http://127.0.0.1:9/v1"'
    dead.write_text("\n".join(lines))
    ran = run("ask", checkpoint, dead, *CHOICE)
    assert ran.code == 2
    assert ran.out == ""
    assert "no member answered (3 asked)" in ran.err
    assert ran.err.count("connection refused") == 3


def test_without_a_checkpoint_the_shipped_prior_decides(run: Any, pool_file: Path) -> None:
    ran = run("ask", pool_file, *CHOICE)
    assert (ran.code, ran.out) == (0, "B. Paris\n")
    assert ran.err.startswith("no labels yet: the shipped prior decides whom to ask; ")
    assert "calls are taken to cost the same" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("POOL", "FOLDER", "why?"), "the checkpoint comes before the pool file: rlfocal ask "),
        (("FOLDER", "POOL"), "the question is missing"),
        (("POOL",), "the question is missing"),
        (("lost.toml", "why?"), "lost.toml: no such file; rlfocal ask [CHECKPOINT] POOL.toml QU"),
        (("FOLDER", "FOLDER", "why?"), "is a folder, and the pool file stands second"),
        (("POOL", "POOL", "why?"), "the first is a checkpoint's folder"),
    ],
)
def test_places_that_are_mixed_up_are_told_apart(
    run: Any, pool_file: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    named = {"POOL": pool_file, "FOLDER": tmp_path}
    ran = run("ask", *[named.get(text, text) for text in arguments])
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1


class Typed(io.StringIO):
    """What somebody types."""

    def isatty(self) -> bool:
        return True


def test_a_chat_greets_and_knows_its_commands(
    run: Any, checkpoint: Path, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = (
        "/explain\nWhere is it?\n/explain\n/members\n/help\n/exlpain\n/quit\nNobody hears this.\n"
    )
    monkeypatch.setattr("sys.stdin", Typed(typed))
    ran = run("chat", checkpoint, pool_file, "--price", "0.3")
    assert ran.out == "It is Paris, said after 1 turns.\n"
    said = ran.err
    assert said.startswith("3 members: model-1, model-2, model-3\nrl-focal-prior decides whom to")
    assert "(price of a call 0.3)\n" in said
    assert said.index("nothing was answered yet") < said.index("round 1") < said.index("model-1: ")
    assert "% right in training" in said
    assert "/quit      leave" in said
    assert "/exlpain: no such command" in said


def test_a_chat_that_is_piped_says_its_answers_alone(
    run: Any, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("/tmp is a folder. Where is it?\n/quit\nNo.\n"))
    ran = run("chat", pool_file, "--price", "0.3")
    assert (ran.out, ran.err) == ("It is Paris, said after 1 turns.\n", "")

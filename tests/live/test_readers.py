"""Members that read one another, asked live: failures, money, time, and what is shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from reading_pool import falters, pool_file, recorded, says, trained

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.trace import Trace
from rlfocal.errors import NobodyAnswered
from rlfocal.live import Answer, Limits, Listener, LiveEnsemble, Question, members_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Fault, Said, StubServer, prompt_of

Factory = pytest.TempPathFactory
ASKED = Question("3 + 4 =", task="sums")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """run(checkpoint, questions, says=..., faults=..., priced=..., **options) → answers, bodies."""

    def start(
        checkpoint: Checkpoint,
        questions: Iterable[Question] = (ASKED,),
        *,
        answer: Callable[[Mapping[str, Any]], Any] = says,
        faults: Iterable[Fault | None] = (),
        priced: bool = False,
        answers: str | None = None,
        **options: Any,
    ) -> tuple[list[Answer], list[dict[str, Any]]]:
        async def inside() -> list[Any]:
            async with StubServer(answer, faults=faults) as stub:
                path = pool_file(tmp_path, stub.base_url)
                if priced:
                    models = set(re.findall(r'model = "(\w+)"', path.read_text()))
                    price = '\n[prices."{}"]\nprompt = 1.0\ncompletion = 2.0\n'
                    path.write_text(path.read_text() + "".join(map(price.format, models)))
                settings = read_pool(path)
                async with LivePool(settings, members_for(checkpoint, settings)) as pool:
                    ensemble = LiveEnsemble(checkpoint, pool.members, answers=answers)
                    found = [await one_of(ensemble, one, options) for one in questions]
                bodies.extend(stub.bodies)
                return found

        async def one_of(
            ensemble: LiveEnsemble, question: Question, options: dict[str, Any]
        ) -> Answer | None:
            try:
                return await ensemble.answer(question, **options)
            except NobodyAnswered:
                return None

        bodies = list[dict[str, Any]]()
        return asyncio.run(inside()), bodies

    return start


@pytest.fixture
def vote(tmp_path_factory: Factory) -> Checkpoint:
    return load_checkpoint(trained(tmp_path_factory, "plurality"))


@pytest.fixture
def follower(tmp_path_factory: Factory) -> Checkpoint:
    """Of one member, "top", which reads the judge and "plain"."""
    found = load_checkpoint(trained(tmp_path_factory, "best-single"))
    assert found.description.members[found.best_member] == "top"
    return found


def models(bodies: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(str(body["model"]) for body in bodies)


def call(answer: Answer, member: str) -> Any:
    return next(one for one in answer.trace.calls if one.member == member)


# Replay and live use -----------------------------------------------------------------------------


def test_readers_are_told_who_failed_as_they_were_when_recorded(
    run: Any, tmp_path_factory: Factory
) -> None:
    dataset = recorded(tmp_path_factory, faltering=True)
    checkpoint = load_checkpoint(trained(tmp_path_factory, "plurality", faltering=True))
    table = checkpoint.table(dataset)
    table = table.take(table.split == "test")
    assert not table.is_complete
    outcome = replay(checkpoint.strategy, table)
    rows = [row for row in dataset.queries.to_pylist() if row["split"] == "test"]
    asked = [Question(row["prompt"], tuple(row["choices"] or ()), row["task"]) for row in rows]
    found, _ = run(checkpoint, asked, answer=falters)
    unread = 0
    for row, answer in enumerate(found):
        if answer is None:
            assert outcome.chosen[row] < 0, row
            continue
        replied = {one.member for one in answer.trace.calls if one.failure is None}
        place = answer.trace.answer
        assert {table.members[n] for n in np.flatnonzero(outcome.asked[row])} == replied, row
        assert place == table.candidates[row][outcome.chosen[row]], row
        assert answer.confidence == pytest.approx(float(outcome.confidence[row]), abs=1e-5), row
        for name in answer.trace.nothing_to_read:
            n = table.members.index(name)
            assert not table.recorded[row, table.reads.direct[n]].any()
            assert not any(one.member == name for one in answer.trace.calls)
            unread += 1
    assert unread > 10


@pytest.mark.parametrize("name", ["agreement", "plurality"])
def test_within_a_budget(name: str, run: Any, tmp_path_factory: Factory) -> None:
    dataset, checkpoint = (
        recorded(tmp_path_factory), load_checkpoint(trained(tmp_path_factory, name))
    )  # fmt: skip
    table = checkpoint.table(dataset)
    table = table.take(table.split == "test").take(np.arange(40))
    outcome = replay(checkpoint.strategy, table, budget=3.0)
    rows = [row for row in dataset.queries.to_pylist() if row["split"] == "test"][:40]
    asked = [Question(row["prompt"], tuple(row["choices"] or ()), row["task"]) for row in rows]
    found, _ = run(checkpoint, asked, limits=Limits(budget=3.0))
    for row, answer in enumerate(found):
        if outcome.chosen[row] < 0:
            continue
        who = {one.member for one in answer.trace.calls}
        assert who == {table.members[n] for n in np.flatnonzero(outcome.asked[row])}, row
        assert answer.answer == table.candidates[row][outcome.chosen[row]], row


# What is shown -----------------------------------------------------------------------------------


def test_each_sample_of_a_judge_sees_another_order(vote: Checkpoint, run: Any) -> None:
    (answer,), bodies = run(vote)
    sent = [prompt_of(body) for body in bodies if body["model"] == "judge"]
    said = {name: call(answer, name).text for name in ("plain", "letters", "sampled")}
    read = call(answer, "judge").read
    assert len(read) == 2
    assert read[0] == read[1][::-1]
    for order in read:
        at = ["\n".join([f"Reply {k}:", said[name]]) for k, name in enumerate(order, start=1)]
        assert any(all(part in prompt for part in at) for prompt in sent)
    pairs = call(answer, "pairs").read
    assert len(set(pairs)) == 6
    assert all(len(pair) == 2 for pair in pairs)
    assert call(answer, "second").read[0][-1] == "second-first"  # its own earlier one
    assert call(answer, "plain").read is None
    again = Trace.of_json(answer.trace.as_json())
    assert again.calls == answer.trace.calls
    assert again.readers == answer.trace.readers


def test_a_judges_verdict_is_its_answer(vote: Checkpoint, run: Any) -> None:
    (answer,), _ = run(vote)
    judge = call(answer, "judge")
    assert len(judge.verdict) == 2
    named = {name for name in judge.verdict if name}
    assert judge.answer in {call(answer, name).answer for name in named} | {None}
    assert call(answer, "critic").answer is None
    assert "judge (read" in str(answer)


def test_in_free_words_a_judge_speaks_by_the_reply_that_it_names(
    vote: Checkpoint, run: Any
) -> None:
    texts = {"plain": "Paris is the capital of France.", "sampled": "Bananas are yellow fruit."}

    def answer(body: Mapping[str, Any]) -> Said:
        prompt, model = prompt_of(body), str(body["model"])
        if model == "judge":
            shown = re.findall(r"Reply (\d+):\n(.*)", prompt)
            return Said(next((f"Reply {k}." for k, text in shown if "Paris" in text), "Neither."))
        if model in ("critic", "check"):
            return Said("Wrong.")
        return Said(texts.get(model, f"Somebody called {model} wrote of {len(prompt)} things."))

    (found,), _ = run(vote, [Question("What is it?")], answer=answer, answers="open")
    assert found.text == texts["plain"]
    assert call(found, "judge").answer == texts["plain"]
    assert call(found, "judge").text.startswith("Reply ")
    assert call(found, "critic").answer is None
    assert call(found, "check").verdict == ("",)


def test_a_synthesiser_reads_answers_and_no_verdicts(vote: Checkpoint, run: Any) -> None:
    (answer,), bodies = run(vote, synthesiser="plain")
    assert answer.trace.synthesis is not None
    prompt = prompt_of(bodies[-1])
    assert "Several assistants" in prompt
    assert "Reply 1." not in prompt
    assert "no mistake" not in prompt


def test_route_says_whom_the_first_stage_asks(follower: Checkpoint, tmp_path: Path) -> None:
    settings = read_pool(pool_file(tmp_path, "http://127.0.0.1:9/v1"))
    pool = LivePool(settings, members_for(follower, settings))
    assert LiveEnsemble(follower, pool.members).route(ASKED) == ["plain", "letters", "sampled"]


# Failures, time and money ------------------------------------------------------------------------


def test_where_nobody_replies_a_reader_is_not_asked(follower: Checkpoint, run: Any) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        return Said("") if body["model"] in ("plain", "letters", "sampled") else says(body)

    (found,), bodies = run(follower, answer=answer)
    assert found.trace.nothing_to_read[:2] == ["judge", "top"]
    assert "judge" not in models(bodies)
    assert "nobody whom they read has replied: judge, top" in str(found)
    assert found.answer  # of the best of the others, who was asked then


def test_a_stage_leaves_those_after_it_their_share_of_the_deadline(
    follower: Checkpoint, run: Any
) -> None:
    (found,), bodies = run(follower, faults=[Fault("hang")], deadline_s=6.0)
    failed = [one.member for one in found.trace.calls if one.failure == "timeout"]
    assert len(failed) == 1
    assert bodies[-1]["model"] == "top"
    assert [len(part.asked) for part in found.trace.rounds] == [3, 1, 1]
    assert failed[0] not in {name for order in call(found, "judge").read for name in order}


def test_where_readers_take_too_long_those_they_read_have_answered(
    follower: Checkpoint, run: Any
) -> None:
    (found,), bodies = run(
        follower, faults=[None, None, None, None, None, *[Fault("hang")] * 9], deadline_s=2.0
    )
    failed = {one.member for one in found.trace.calls if one.failure}
    assert failed == {"judge", "top"}
    assert len(bodies) == 8
    assert found.answer in {call(found, n).answer for n in ("plain", "letters", "sampled")}


def test_money_is_held_for_all_whom_a_reader_reads(
    follower: Checkpoint, vote: Checkpoint, run: Any
) -> None:
    (rich,), _ = run(follower, priced=True, limits=Limits(max_usd=1.0))
    assert {"top", "judge", "plain"} <= {one.member for one in rich.trace.calls}
    (poor,), bodies = run(follower, priced=True, limits=Limits(max_usd=0.006))
    assert "top" not in models(bodies)
    assert "judge" not in models(bodies)
    assert poor.trace.usd <= 0.006
    reads, numbers = vote.description.reads, list[int]()
    assert reads is not None
    for most_usd in (0.002, 0.004, 0.008, 0.016):
        (most,), bodies = run(vote, priced=True, limits=Limits(max_usd=most_usd))
        numbers.append(len(bodies))
        assert most.trace.usd + most.trace.uncertain_cost_usd <= most_usd
        asked = {one.member for one in most.trace.calls}
        for member in asked:
            for other in np.flatnonzero(reads.direct[reads.members.index(member)]):
                assert reads.members[other] in asked
    assert numbers == sorted(set(numbers))  # more money asks more


def test_readers_that_could_change_nothing_are_not_asked(vote: Checkpoint, run: Any) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        return Said("Reply 1." if body["model"] == "judge" else "That is 7.")

    (whole,), _ = run(vote, answer=answer)
    (early,), bodies = run(vote, answer=answer, limits=Limits(early=True))
    assert whole.answer == early.answer == "7"
    assert not {"check", "mend", "top"} & set(models(bodies))
    assert {"judge", "critic"} <= set(models(bodies))
    assert early.trace.stopped == "it has enough"
    assert set(early.trace.not_asked) == {"check", "mend", "top"}
    assert early.confidence == pytest.approx(1.0)


def test_one_that_reads_streams_where_its_word_is_last(
    follower: Checkpoint, vote: Checkpoint, run: Any
) -> None:
    told = list[str]()
    (found,), bodies = run(follower, listener=Listener(on_text=told.append))
    assert "".join(told) == found.text == call(found, "top").text
    assert found.streamed
    assert [body["model"] for body in bodies if body.get("stream")] == ["top"]
    told.clear()
    (other,), bodies = run(vote, listener=Listener(on_text=told.append))
    assert not told
    assert not other.streamed
    assert not any(body.get("stream") for body in bodies)


def test_of_who_follows_a_silent_reader_the_best_one_read_is_the_answer(
    follower: Checkpoint, run: Any
) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        return Said("I do not know.") if body["model"] == "top" else says(body)

    (found,), bodies = run(follower, answer=answer)
    assert found.answer in {one.answer for one in found.trace.calls if one.answer}
    assert len(bodies) == 8  # nobody else is asked


def test_without_labels_readers_are_asked_too(run: Any, tmp_path: Path) -> None:
    start = start_without_labels(read_pool(pool_file(tmp_path, "http://127.0.0.1:9/v1")))
    asked = [Question(f"{k} + 4 =") for k in range(12)]
    found, _ = run(start, asked, answers="number")
    reads = start.description.reads
    assert reads is not None
    for answer in found:
        who = {one.member for one in answer.trace.calls}
        assert answer.answer
        for member in who:
            behind = np.flatnonzero(reads.closure[reads.members.index(member)]).tolist()
            assert {reads.members[n] for n in behind} <= who


def test_one_that_kept_failing_is_absent(vote: Checkpoint, tmp_path: Path) -> None:
    bodies = list[dict[str, Any]]()
    circuit: Any = SimpleNamespace(n_failures=3, state="open", retry_after_s=1.0)

    async def inside() -> Answer:
        async with StubServer(says) as stub:
            settings = read_pool(pool_file(tmp_path, stub.base_url))
            async with LivePool(settings, members_for(vote, settings)) as pool:
                members = [
                    replace(one, circuit=circuit) if one.name == "plain" else one
                    for one in pool.members
                ]
                found = await LiveEnsemble(vote, members).answer(ASKED)
            bodies.extend(stub.bodies)
            return found

    found = asyncio.run(inside())
    assert found.trace.circuit_open == ["plain"]
    assert found.trace.nothing_to_read == ["critic", "mend"]
    assert not {"plain", "critic", "mend"} & set(models(bodies))
    assert set(call(found, "judge").read[0]) == {"letters", "sampled"}

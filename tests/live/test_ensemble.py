"""What an ensemble does when members fail, time or money runs out, or words differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stub_pool import pool_file

from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.view import Decision, View
from rlfocal.deliberation.wrapper import Wrapper
from rlfocal.errors import ConfigError, NobodyAnswered
from rlfocal.live import Answer, Limits, Listener, LiveEnsemble, Question
from rlfocal.live.ensemble import members_for
from rlfocal.live.replies import record_of
from rlfocal.pool.asking.prompting import request_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Fault, Said, prompt_of
from rlfocal.pool.types import Message, Response

Live = Callable[..., Any]
Says = Callable[[Mapping[str, Any]], Said]
SUM = Question("3 + 4 =", task="sums")
CHOICE = Question("Which remainder has 3 + 4 by four?", ("0", "1", "2", "3"), "choices")
DEAR, FREE, LOWEST = 0.2, 0.02, 0.001


def unreachable(*members: str) -> Callable[[str], str]:
    """Edits the pool file so that these members' server refuses connections."""

    def edit(text: str) -> str:
        text += '\n[endpoints.gone]\nbase_url = "http://127.0.0.1:9/v1"\nattempts = 1\n'
        for member in members:
            name = f'name = "{member}"\nendpoint = '
            text = text.replace(f'{name}"stub"', f'{name}"gone"')
        return text

    return edit


def asked(answer: Answer) -> list[str]:
    return [said.member for part in answer.trace.rounds for said in part.asked]


def test_a_failed_member_is_one_that_gave_no_answer(checkpoint: Checkpoint, live: Live) -> None:
    whole = live(checkpoint, lambda e: e.answer(SUM), price=FREE)
    gone = asked(whole)[0]
    answer = live(checkpoint, lambda e: e.answer(SUM), price=FREE, edit=unreachable(gone))
    first = next(s for part in answer.trace.rounds for s in part.asked if s.member == gone)
    assert first.answer is None
    assert first.failure == "unreachable"
    assert "127.0.0.1:9" in str(first.detail)
    assert set(asked(answer)) - {gone}
    assert answer.answer


def test_the_best_that_are_left_answer_when_those_it_wants_fail(
    checkpoint: Checkpoint, live: Live
) -> None:
    names = checkpoint.description.members
    ranked = [names[n] for n in checkpoint.ranking]
    only = ranked[-2]
    others = unreachable(*(name for name in names if name != only))
    answer = live(checkpoint, lambda e: e.answer(CHOICE), price=DEAR, edit=others)
    said = {s.member: s for part in answer.trace.rounds for s in part.asked}
    assert said[only].answer == answer.answer
    assert answer.text == CHOICE.choices["ABCD".index(answer.answer)]


@pytest.mark.parametrize("query", [SUM, CHOICE], ids=["open", "choice"])
def test_when_nobody_is_left_one_error_lists_every_cause(
    query: Question, checkpoint: Checkpoint, live: Live
) -> None:
    everybody = checkpoint.description.members
    with pytest.raises(NobodyAnswered) as caught:
        live(checkpoint, lambda e: e.answer(query), edit=unreachable(*everybody))
    assert set(caught.value.causes) == set(everybody)
    assert all(name in str(caught.value) for name in everybody)
    assert {error.failure.value for error in caught.value.failures.values()} == {"unreachable"}


def test_replies_without_an_answer_are_named_as_such(checkpoint: Checkpoint, live: Live) -> None:
    with pytest.raises(NobodyAnswered, match="its reply holds no usable answer"):
        live(checkpoint, lambda e: e.answer(SUM), says=lambda _: Said("Who knows?"))


def test_a_deadline_ends_the_wait(checkpoint: Checkpoint, live: Live) -> None:
    async def timed(ensemble: LiveEnsemble) -> float:
        clock = asyncio.get_running_loop().time
        started = clock()
        with pytest.raises(NobodyAnswered, match="no reply within"):
            await ensemble.answer(SUM, deadline_s=0.3)
        return clock() - started

    # Who hangs does so for an hour, and a member's own limit is a minute.
    assert 0.25 < live(checkpoint, timed, faults=[Fault("hang")] * 20) < 30


@pytest.mark.slow
def test_after_the_deadline_the_best_so_far_is_given(checkpoint: Checkpoint, live: Live) -> None:
    # The first member answers, whoever comes next hangs.
    hangs = [None, *[Fault("hang")] * 20]
    act = lambda e: e.answer(SUM, deadline_s=3)  # noqa: E731
    answer = live(checkpoint, act, price=FREE, faults=hangs)
    if len(answer.trace.rounds) > 1:
        assert answer.trace.rounds[-1].asked[0].failure == "timeout"
    assert answer.answer


def test_a_budget_ends_the_asking(checkpoint: Checkpoint, live: Live) -> None:
    whole = live(checkpoint, lambda e: e.answer(SUM), price=LOWEST)
    short = live(checkpoint, lambda e: e.answer(SUM, limits=Limits(budget=1.0)), price=LOWEST)
    assert len(asked(whole)) > 1
    assert asked(short) == asked(whole)[:1]
    assert short.trace.stopped == "the budget is spent"


def test_a_route_is_the_first_round(checkpoint: Checkpoint, live: Live) -> None:
    async def both(ensemble: LiveEnsemble) -> tuple[list[str], Answer]:
        return ensemble.route(CHOICE), await ensemble.answer(CHOICE)

    route, answer = live(checkpoint, both)
    assert route == [said.member for said in answer.trace.rounds[0].asked]


@pytest.mark.parametrize("price", [DEAR, FREE])
def test_words_are_told_early_only_where_one_member_is_enough(
    checkpoint: Checkpoint, live: Live, price: float
) -> None:
    pieces: list[str] = []
    listener = Listener(on_text=pieces.append)
    answer = live(checkpoint, lambda e: e.answer(SUM, listener=listener), price=price)
    alone = len(asked(answer)) == 1
    # One that is sampled several times has no single reply to tell, and where replies are read, a
    # bad one might have had others asked.
    if alone and asked(answer) != ["sampled"] and not checkpoint.strategy.at(price).reads_replies:
        assert answer.streamed
    assert answer.streamed <= alone
    assert "".join(pieces) == (answer.text if answer.streamed else "")


class Doubting(Wrapper):
    """Whatever is within, it asks everybody where a reply is judged to be wrong."""

    @property
    def reads_replies(self) -> bool:
        return True

    def decide(self, view: View) -> Decision:
        judged = None if view.replies is None else view.replies.judged
        bad = np.zeros(len(view), bool) if judged is None else (judged < 0).any(axis=1)
        found = self.within.decide(view)
        return found._replace(ask=found.ask | (bad[:, None] & ~view.asked))


def test_no_words_are_told_early_where_they_may_be_doubted(
    checkpoint: Checkpoint, live: Live
) -> None:
    pieces: list[str] = []
    reading = replace(checkpoint, strategy=Doubting(checkpoint.strategy))
    listener = Listener(on_text=pieces.append)
    answer = live(reading, lambda e: e.answer(SUM, listener=listener), price=DEAR)
    assert (pieces, answer.streamed) == ([], False)
    assert asked(answer) == asked(live(checkpoint, lambda e: e.answer(SUM), price=DEAR))


def test_a_reply_that_breaks_off_is_followed_by_a_whole_one(
    checkpoint: Checkpoint, live: Live
) -> None:
    pieces: list[str] = []
    listener = Listener(on_text=pieces.append)
    broken = [Fault("cut"), *[None] * 20]
    act = lambda e: e.answer(SUM, listener=listener)  # noqa: E731
    answer = live(checkpoint, act, price=DEAR, faults=broken)
    if answer.trace.rounds[0].asked[0].failure is None:  # it was not streamed
        assert pieces == []
        return
    # Whoever came after the half was told from its beginning, or not at all.
    assert ("".join(pieces) == answer.text) is answer.streamed
    assert len(asked(answer)) > 1


WORDS = {
    "plain": "The capital of France is Paris.",
    "letters": "Paris is the capital of France.",
    "sampled": "The capital city of France is Paris.",
    "hasty": "Bananas are rich in potassium.",
}


def in_words(body: Mapping[str, Any]) -> Said:
    prompt = prompt_of(body)
    if "Several assistants" in prompt:
        return Said(f"In one: {prompt.count('Paris')} say Paris.")
    return Said(WORDS[str(body["model"])])


def test_free_words_that_mean_the_same_are_one_candidate(
    checkpoint: Checkpoint, live: Live
) -> None:
    query = Question("What is the capital of France?")
    answer = live(checkpoint, lambda e: e.answer(query), says=in_words, answers="open", price=FREE)
    assert "Paris" in answer.text
    assert answer.text in WORDS.values()  # verbatim
    candidates = {s.answer for part in answer.trace.rounds[-1:] for s in part.asked}
    assert len(candidates) == 1


def test_a_synthesis_is_written_by_one_member_from_fenced_replies(
    checkpoint: Checkpoint, live: Live
) -> None:
    query = Question("What is the capital of France?")
    sent: list[str] = []

    def says(body: Mapping[str, Any]) -> Said:
        sent.append(prompt_of(body))
        return in_words(body)

    act = lambda e: e.answer(query, synthesiser="plain")  # noqa: E731
    answer = live(checkpoint, act, says=says, answers="open", price=FREE)
    written = answer.trace.synthesis
    if len({s.text for part in answer.trace.rounds for s in part.asked}) < 2:
        assert written is None  # there is nothing to make one of
        return
    assert written is not None
    assert answer.text == written.text
    assert answer.text.startswith("In one: ")
    mark = sent[-1].split("two lines that read ")[1].split(". They")[0]
    assert sent[-1].count(f"\n{mark}\n") >= 2
    assert mark not in sent[0]


@pytest.mark.parametrize(
    ("written", "failure"),
    [
        (Said("In one: it is Par", finish="length"), "malformed"),
        (Said("<think>They say Paris, and one says"), "empty"),
        (Said("<think>Let me see", finish="length"), "empty"),
    ],
)
def test_a_synthesis_that_is_not_whole_leaves_the_answer_as_it_is(
    vote: Checkpoint, live: Live, written: Said, failure: str
) -> None:
    def says(body: Mapping[str, Any]) -> Said:
        said = in_words(body)
        return written if said.text.startswith("In one: ") else said

    query = Question("What is the capital of France?")
    act = lambda e: e.answer(query, synthesiser="plain")  # noqa: E731
    answer = live(vote, act, says=says, answers="open")
    assert answer.text in WORDS.values()
    assert answer.finish == "stop"
    call = answer.trace.synthesis
    assert call is not None
    assert (call.failure, call.cost, call.text) == (failure, 1.0, written.text)
    assert "the synthesis" in str(call.detail)


def test_mistakes_are_named_before_anybody_is_asked(checkpoint: Checkpoint, live: Live) -> None:
    for change, message in [
        ({"price": 7.0}, "price: "),
        ({"answers": "numbr"}, "did you mean 'number'"),
        ({"edit": lambda text: text.replace('name = "hasty"', 'name = "hastY"')}, "did you mean"),
    ]:
        with pytest.raises(ConfigError, match=message):
            live(checkpoint, lambda e: e.answer(SUM), **change)
    for act, message in [
        (lambda e: e.answer(Question("?", ("one",))), "1 choices: give 2 to 26"),
        (lambda e: e.answer(SUM, synthesiser="plane"), "did you mean 'plain'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            live(checkpoint, act)


def test_members_see_the_conversation() -> None:
    member = MemberSettings(name="m", endpoint="e", template="Q: {question}")
    question = Question(
        "And Italy?",
        history=(Message("user", "Capital of France?"), Message("assistant", "Paris.")),
    )
    contents = [message.content for message in request_for(member, question).messages]
    assert contents == ["Q: Capital of France?", "Paris.", "Q: And Italy?"]
    text = request_for(member, question, api="completions").text
    assert text == "Q: Capital of France? Paris.\n\nQ: And Italy?"


def test_a_trace_is_plain_json(checkpoint: Checkpoint, live: Live) -> None:
    answer = live(checkpoint, lambda e: e.answer(SUM), edit=unreachable("plain"))
    figures = answer.trace.as_json()
    said = [s for part in figures["rounds"] for s in part["asked"]]
    assert sorted([s["member"] for s in said] + figures["not_asked"]) == sorted(figures["members"])
    assert figures["rounds"][-1]["spent"] == len(said)
    for s in said:
        assert "failure" in s or np.isclose(s["cost"], 1.0)


def test_whom_a_caller_names_is_asked_first_and_the_strategy_decides_the_rest(
    learned: Checkpoint, live: Live
) -> None:
    def first(*names: str, price: float) -> tuple[list[str], bool]:
        begin = lambda e: e.begin(SUM, first=names).run(60.0)  # noqa: E731
        trace = live(learned, begin, price=price).trace
        return [call.member for call in trace.rounds[0].asked], trace.by_session

    everybody, _ = first(price=0)
    assert sorted(everybody) == sorted(learned.description.members)
    assert first("hasty", price=0) == (everybody, False)
    usual, _ = first(price=0.3)
    assert len(usual) == 1
    assert usual != ["hasty"]
    assert first("hasty", price=0.3) == (["hasty"], True)
    assert first("hasty", "nobody", price=0.3) == (usual, False)


def test_cached_tokens_of_samples_add_up_where_their_prompts_are_known() -> None:
    def cached(*pairs: tuple[int | None, int | None]) -> int | None:
        replies = [Response("7", n_prompt_tokens=n, n_cached_tokens=c) for n, c in pairs]
        return record_of("m", replies, cost=1.0).n_cached_tokens

    assert cached((10, 8), (10, 9)) == 17
    assert cached((10, 8), (10, None)) == 8
    assert cached((10, 0)) == 0
    assert cached((10, None)) is None
    assert cached((10, 8), (None, 9)) is None


def test_requests_led_by_copies_are_of_one_stream(vote: Checkpoint, tmp_path: Path) -> None:
    settings = read_pool(pool_file(tmp_path, "http://127.0.0.1:9/v1"))
    pool = LivePool(settings, members_for(vote, settings))
    ensemble = LiveEnsemble(vote, pool.members)
    begun = [ensemble.led_by(vote.strategy).begin(SUM) for _ in range(3)]
    begun.append(ensemble.begin(SUM))
    views = [one._new_state(np.inf).view() for one in begun]
    assert [int(view.position[0]) for view in views] == [0, 1, 2, 3]

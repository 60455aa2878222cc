"""Self-refine and best of n with a judge, message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from talks import PROMPT, Says, Stage, shown_in

from rlfocal.conversations.refining import BestOfNJudge, SelfRefine

Messages = Sequence[Mapping[str, str]]


def refining(*remarks: str) -> Says:
    """Drafts 41, then 42, 43, ...; remarks as they are given, one after another."""
    left = list(remarks)

    def says(member: str, messages: Messages) -> str:
        text = messages[-1]["content"]
        if "Name the mistakes" in text:
            return left.pop(0)
        return "41" if text == PROMPT else f"It is {42 + len(remarks) - len(left) - 1}."

    return says


def test_a_draft_is_criticised_and_repaired_by_the_same_member(stage: Stage) -> None:
    held = stage.hold(SelfRefine(), refining("6 * 7 is not 41.", "No mistake."))
    assert held.course == [
        (1, "draft", "ann"), (2, "remarks", "ann"), (3, "draft", "ann"), (4, "remarks", "ann"),
    ]  # fmt: skip
    draft, remarks, repaired, again = held.talk.turns
    assert draft.messages[-1].content == PROMPT
    assert remarks.shown == ("draft",)
    assert "41" in remarks.messages[-1].content
    assert repaired.shown == ("draft", "remarks")
    text = repaired.messages[-1].content
    assert text.index("\n41\n") < text.index("\n6 * 7 is not 41.\n")
    assert again.shown == ("draft",)
    assert "It is 42." in again.messages[-1].content
    assert (held.talk.answer, held.talk.score) == ("42", 1.0)


def test_no_mistake_ends_it_at_once(stage: Stage) -> None:
    held = stage.hold(SelfRefine(), refining("There is no mistake in it."))
    assert (held.talk.n_calls, held.talk.answer) == (2, "41")


def test_no_mistake_in_one_step_ends_nothing(stage: Stage) -> None:
    long = "I see no mistake in the first step, but the product that follows from it is wrong."
    held = stage.hold(SelfRefine(rounds=1), refining(long))
    assert (held.talk.n_calls, held.talk.answer) == (3, "42")


def test_the_rounds_are_bounded(stage: Stage) -> None:
    held = stage.hold(SelfRefine(rounds=1), refining("Wrong."))
    assert (held.talk.n_calls, held.talk.answer) == (3, "42")


def test_a_failed_draft_ends_it(stage: Stage) -> None:
    held = stage.hold(SelfRefine(), lambda *_: "")
    assert (held.talk.n_calls, held.talk.reply) == (1, None)


DRAWN = {0: "41", 1: "It is 42.", 2: "So 42.", 3: "40"}


def judging(*names: str) -> Says:
    """Draws DRAWN, in the order of requests; the judge names replies by their texts."""
    count: Counter[str] = Counter()

    def says(member: str, messages: Messages) -> str:
        text = messages[-1]["content"]
        if text == PROMPT:
            count["drawn"] += 1
            return DRAWN[count["drawn"] - 1]
        count["judged"] += 1
        name = names[count["judged"] - 1]
        shown = shown_in(text)
        return f"Reply {shown.index(name) + 1}" if name in shown else name

    return says


def best(stage: Stage, *names: str) -> str | None:
    held = stage.hold(BestOfNJudge(), judging(*names), concurrency=1)
    drawn, judged = held.talk.turns[:4], held.talk.turns[4:]
    assert [turn.speaker for turn in drawn] == [f"reply {n}" for n in (1, 2, 3, 4)]
    assert [turn.sample for turn in drawn] == [0, 1, 2, 3]
    assert all(body["temperature"] == 0.7 for body in held.bodies[:4])
    assert len({body["seed"] for body in held.bodies[:4]}) == 4
    assert [turn.speaker for turn in judged] == ["judge, order 1", "judge, order 2"]
    assert judged[0].shown == judged[1].shown[::-1]
    assert held.talk.n_rounds == 2
    return held.talk.answer


def test_the_judge_sees_both_orders_and_both_have_a_vote(stage: Stage) -> None:
    assert best(stage, "40", "40") == "40"


def test_a_tie_of_the_orders_goes_to_the_answer_given_more_often(stage: Stage) -> None:
    assert best(stage, "40", "So 42.") == "42"


def test_a_vote_counts_against_a_verdict_that_cannot_be_read(stage: Stage) -> None:
    assert best(stage, "Neither.", "41") == "41"


def test_two_unreadable_verdicts_leave_nothing_to_chance(stage: Stage) -> None:
    assert best(stage, "Neither.", "All of them") == "42"


def test_replies_that_agree_need_no_judge(stage: Stage) -> None:
    held = stage.hold(BestOfNJudge(), lambda *_: "42")
    assert (held.talk.n_calls, held.talk.answer) == (4, "42")


def test_all_fail(stage: Stage) -> None:
    held = stage.hold(BestOfNJudge(), lambda *_: "")
    assert (held.talk.n_calls, held.talk.answer, held.talk.score) == (4, None, 0.0)


@pytest.mark.parametrize("make", [lambda: BestOfNJudge(n=1), lambda: SelfRefine(rounds=0)])
def test_settings_out_of_range(make: type) -> None:
    with pytest.raises(ValueError, match="at least"):
        make()

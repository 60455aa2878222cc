"""MoA and TOPLA-Summary, message by message, against transcripts written by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest
from talks import MEMBERS, PROMPT, Stage, query, shown_in

from rlfocal.conversations.moa import MixtureOfAgents, ToplaSummary

FENCE = re.compile(r"^=== [0-9a-f]{16} ===$", re.MULTILINE)


def numbers(member: str, messages: Sequence[Mapping[str, str]]) -> str:
    """Alone ann and bob are right; whoever reads says what most of those read say."""
    text = messages[-1]["content"]
    if text == PROMPT:
        return {"ann": "42", "bob": "It is 42.", "cid": "41", "dot": "36"}[member]
    shown = shown_in(text)
    return "42" if sum("42" in said for said in shown) >= 2 else "41"


def test_two_layers_are_proposers_and_an_aggregator(stage: Stage) -> None:
    held = stage.hold(MixtureOfAgents(), numbers)
    assert held.course == [
        (1, "ann", "ann"), (1, "bob", "bob"), (1, "cid", "cid"), (1, "dot", "dot"),
        (2, "aggregator", "ann"),
    ]  # fmt: skip
    *first, last = held.talk.turns
    for turn in first:
        assert [(m.role, m.content) for m in turn.messages] == [("user", PROMPT)]
        assert turn.shown == ()
    assert sorted(last.shown) == sorted(MEMBERS)
    assert (held.talk.answer, held.talk.score, held.talk.n_calls, held.talk.n_rounds) == (
        "42", 1.0, 5, 2,
    )  # fmt: skip
    assert len(held.bodies) == 5


def test_replies_are_fenced_in_the_turn_of_the_user_not_in_the_system_message(
    stage: Stage,
) -> None:
    last = stage.hold(MixtureOfAgents(), numbers).talk.turns[-1]
    (message,) = last.messages
    assert message.role == "user"
    assert len(FENCE.findall(message.content)) == len(MEMBERS) + 1
    texts = {"ann": "42", "bob": "It is 42.", "cid": "41", "dot": "36"}
    places = [message.content.index(f"Reply {n}:\n{texts[who]}")
              for n, who in enumerate(last.shown, start=1)]  # fmt: skip
    assert places == sorted(places)


def test_the_order_of_replies_is_drawn_and_not_that_of_the_pool_file(stage: Stage) -> None:
    queries = [query(f"How much is {k} + 1?") for k in range(12)]
    held = stage.hold(MixtureOfAgents(), lambda *_: "42", queries=queries)
    orders = {talk.turns[-1].shown for talk in held.talks}
    assert len(orders) > 4


def test_three_layers_ask_the_proposers_twice(stage: Stage) -> None:
    held = stage.hold(MixtureOfAgents(layers=3), numbers)
    assert [course[0] for course in held.course] == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    for turn in held.talk.turns[4:]:
        assert sorted(turn.shown) == sorted(MEMBERS)
    # The aggregator reads the second layer, in which all say 42, not the first.
    assert shown_in(held.talk.turns[-1].messages[-1].content) == ["42"] * 4


def test_a_proposer_that_failed_is_said_to_be_absent(stage: Stage) -> None:
    def says(member: str, messages: Sequence[Mapping[str, str]]) -> str:
        return "" if member == "cid" else numbers(member, messages)

    talk = stage.hold(MixtureOfAgents(), says).talk
    assert sorted(talk.turns[-1].shown) == ["ann", "bob", "dot"]
    assert "No reply came from 1 more" in talk.turns[-1].messages[-1].content
    assert talk.answer == "42"


def test_where_all_members_fail_nobody_aggregates(stage: Stage) -> None:
    held = stage.hold(MixtureOfAgents(), lambda *_: "")
    assert len(held.bodies) == held.talk.n_calls == 4
    assert (held.talk.reply, held.talk.answer, held.talk.score) == (None, None, 0.0)


def test_a_mixture_needs_two_layers() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        MixtureOfAgents(layers=1)


def test_the_generator_reads_the_last_sentences_of_everybody_and_its_own_words_count(
    stage: Stage,
) -> None:
    def says(member: str, messages: Sequence[Mapping[str, str]]) -> str:
        if messages[-1]["content"] == PROMPT:
            return " ".join(f"Sentence {n}." for n in range(1, 9)) + f" By {member} it is 41."
        return "They lead to 42."

    held = stage.hold(ToplaSummary(), says)
    assert held.course[-1] == (2, "generator", "ann")
    shown = held.talk.turns[-1].messages[-1].content
    assert "Sentence 4. Sentence 5. Sentence 6. Sentence 7. Sentence 8. By ann it is 41." in shown
    assert "Sentence 3." not in shown
    # Real decoding: the generator's own words are scored, not the label behind a right prefix.
    assert (held.talk.reply, held.talk.score) == ("They lead to 42.", 1.0)

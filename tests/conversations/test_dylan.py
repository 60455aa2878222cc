"""DyLAN, repaired and as released, message by message, against transcripts written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talks import PROMPT, Held, Says, Stage, query, shown_in

from rlfocal.conversations.calls import Heard
from rlfocal.conversations.dylan import Dylan, DylanReleased, importance
from rlfocal.conversations.judging import ratings
from rlfocal.conversations.talk import Turn
from rlfocal.conversations.wording import ROLES

Messages = Sequence[Mapping[str, str]]
ONE = ("ann",)
FOUR = Dylan(agents=4)
RELEASED = DylanReleased(agents=4)


def agent_of(messages: Messages) -> int:
    """From 1, by its role; 0 for a ranker."""
    system = messages[0]["content"]
    return ROLES.index(system) + 1 if system in ROLES else 0


def script(
    first: Sequence[str], second: Sequence[str], ranked: Sequence[str] | str = "", third: str = "42"
) -> Says:
    """What agents 1 to 4 say in the first two rounds; whom, by what it said, the ranker names."""

    def says(member: str, messages: Messages) -> str:
        text, agent = messages[-1]["content"], agent_of(messages)
        shown = shown_in(text)
        if "Which 2 of these replies" in text:
            if isinstance(ranked, str):
                return ranked
            return " and ".join(str(shown.index(said) + 1) for said in ranked)
        if not shown:
            return first[agent - 1]
        if set(shown) <= set(first):
            lines = [f"Rating of reply {n}: {1 + n % 5}" for n in range(1, len(shown) + 1)]
            return "\n".join([*lines, second[agent - 1]])
        return third

    return says


def speakers(held: Held) -> list[str]:
    return [turn.speaker for turn in held.talk.turns]


def test_three_of_four_that_agree_end_the_talk_and_the_fourth_is_not_asked(stage: Stage) -> None:
    held = stage.hold(FOUR, lambda *_: "42", members=ONE)
    assert (held.talk.n_calls, held.talk.n_rounds, held.talk.answer) == (3, 1, "42")
    for turn in held.talk.turns:
        role = ROLES[int(turn.speaker.removeprefix("agent ")) - 1]
        assert [(m.role, m.content) for m in turn.messages] == [("system", role), ("user", PROMPT)]


DISAGREE = ("42", "41", "40", "39"), ("It is 42.", "It is 41.", "It is 40.", "It is 39.")


def test_who_is_asked_in_which_order_and_what_they_are_shown(stage: Stage) -> None:
    held = stage.hold(FOUR, script(*DISAGREE, ranked=("It is 40.", "It is 42.")), members=ONE)
    turns = held.talk.turns
    assert [turn.round for turn in turns] == [1, 1, 1, 2, 3, 3, 3, 4, 5, 6, 6]
    every = [f"agent {n}" for n in (1, 2, 3, 4)]
    assert sorted(speakers(held)[:4]) == sorted(speakers(held)[4:8]) == every
    assert speakers(held)[8] == "ranker"
    assert sorted(speakers(held)[9:]) == ["agent 1", "agent 3"]
    for turn in turns[4:8]:
        assert sorted(turn.shown) == every
        assert sorted(shown_in(turn.messages[-1].content)) == sorted(DISAGREE[0])
        assert "First rate each of these replies" in turn.messages[-1].content
    assert turns[8].messages[0].role == "user"
    # What is passed on, and read, is a reply without its ratings.
    assert sorted(shown_in(turns[8].messages[-1].content)) == sorted(DISAGREE[1])
    assert held.talk.answer == "42"


def test_the_order_in_which_agents_speak_is_drawn(stage: Stage) -> None:
    says = script(*DISAGREE)
    orders = {
        tuple(speakers(stage.hold(FOUR, says, members=ONE, seed=seed))[:4]) for seed in range(6)
    }
    assert len(orders) > 3


@pytest.mark.parametrize("seed", range(6))
def test_the_agents_that_the_ranker_names_go_on(stage: Stage, seed: int) -> None:
    held = stage.hold(
        FOUR, script(*DISAGREE, ranked=("It is 39.", "It is 41.")), members=ONE, seed=seed
    )
    assert sorted(speakers(held)[9:]) == ["agent 2", "agent 4"]


def test_released_the_ranker_is_asked_and_its_choice_is_not_applied(stage: Stage) -> None:
    went_on = set()
    for seed in range(12):
        held = stage.hold(
            RELEASED, script(*DISAGREE, ranked=("It is 39.", "It is 41.")), members=ONE, seed=seed
        )
        assert speakers(held)[8] == "ranker"
        went_on.add(tuple(sorted(speakers(held)[9:])))
    assert len(went_on) > 2


@pytest.mark.parametrize("ranked", ["All of them.", "5 and 9", "1"])
def test_a_ranking_that_cannot_be_read_sends_nobody_home(stage: Stage, ranked: str) -> None:
    held = stage.hold(FOUR, script(*DISAGREE, ranked=ranked, third="Who knows"), members=ONE)
    assert len(held.talk.turns) == 13
    assert held.talk.answer == "42" or held.talk.answer in {"41", "40", "39"}


def test_replies_without_an_answer_agree_on_nothing(stage: Stage) -> None:
    held = stage.hold(FOUR, script(["No idea."] * 4, ["Still none."] * 4), members=ONE)
    assert held.talk.n_calls > 8
    assert held.talk.answer == "42"


def test_released_a_crowd_of_unreadable_replies_reaches_consensus_on_nothing(stage: Stage) -> None:
    held = stage.hold(RELEASED, script(["No idea."] * 4, ["42"] * 4), members=ONE)
    assert (held.talk.n_calls, held.talk.answer, held.talk.reply) == (3, None, None)


def test_released_more_than_three_rounds_fail_and_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 3"):
        DylanReleased(rounds=4)
    assert Dylan(rounds=4).rounds == 4


def test_four_rounds_are_possible(stage: Stage) -> None:
    says = script(*DISAGREE, ranked=("It is 40.", "It is 42."), third="")
    held = stage.hold(Dylan(agents=4, rounds=4), says, members=ONE)
    assert held.talk.answer in {"39", "40", "41", "42"}


def test_where_all_fail_the_first_round_is_the_last(stage: Stage) -> None:
    held = stage.hold(FOUR, lambda *_: "", members=ONE)
    assert (len(held.bodies), held.talk.n_rounds, held.talk.answer) == (4, 2, None)
    assert set(held.talk.importance.values()) == {0.0}


def test_ratings_are_no_answers(stage: Stage) -> None:
    talk = stage.hold(FOUR, script(*DISAGREE, ranked=("It is 40.", "It is 42.")), members=ONE).talk
    rated = talk.turns[4]
    assert rated.text is not None
    assert "Rating of reply 1" in rated.text
    assert rated.answer in {"42", "41", "40", "39"}
    assert rated.said in DISAGREE[1]


# Importance ------------------------------------------------------------------------------------


def turn(speaker: str, answer: str, shown: tuple[str, ...] = (), text: str = "") -> Turn:
    return Turn(speaker, "m", "", 1, 0, (), shown, Heard(text), answer, answer)


def test_importance_by_hand() -> None:
    rated = "Rating of reply 1: 3\nRating of reply 2: 1\n42"
    rounds = [
        [turn("a", "42"), turn("b", "41")],
        [turn("a", "42", ("a", "b"), rated), turn("b", "41", ("b", "a"), "Nobody is rated.")],
    ]
    assert importance(rounds, "42") == {"a": 1.75, "b": 0.25}
    both = [[*rounds[0]], [rounds[1][0], turn("b", "42", ("b", "a"), "Nobody is rated.")]]
    assert importance(both, "42") == {"a": 0.5 + 0.375 + 0.25, "b": 0.5 + 0.125 + 0.25}
    assert importance(rounds, None) == {"a": 0, "b": 0}


@given(st.data())
def test_importance_is_the_sum_over_all_ways_to_those_who_were_right(data: st.DataObject) -> None:
    n_agents, n_rounds = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    names = [f"agent {n}" for n in range(n_agents)]
    rounds = []
    for number in range(n_rounds):
        said = []
        for name in names:
            shown = tuple(data.draw(st.permutations(names))) if number else ()
            marks = [data.draw(st.integers(1, 5)) for _ in shown]
            lines = [f"Rating of reply {n}: {mark}" for n, mark in enumerate(marks, start=1)]
            answer = data.draw(st.sampled_from(["1", "2"]))
            said.append(turn(name, answer, shown, "\n".join(lines)))
        rounds.append(said)
    answer = rounds[-1][0].answer
    right = [n for n, last in enumerate(rounds[-1]) if last.answer == answer]
    naive = dict.fromkeys(names, 0.0)
    for start in range(n_rounds):
        for way in product(range(n_agents), repeat=n_rounds - start):
            if way[-1] not in right:
                continue
            share = 1 / len(right)
            for step, (reads, read) in enumerate(zip(way[1:], way[:-1], strict=True), start=1):
                by = rounds[start + step][reads]
                weights = ratings(by.text, n_agents)
                share *= weights[by.shown.index(names[read])]
            naive[names[way[0]]] += share
    found = importance(rounds, answer)
    assert found == pytest.approx(naive)
    assert sum(found.values()) == pytest.approx(n_rounds)


# Team optimisation -----------------------------------------------------------------------------


def test_the_most_important_roles_on_training_queries_are_kept(stage: Stage) -> None:
    good = {2, 3, 5}

    def says(member: str, messages: Messages) -> str:
        text, agent = messages[-1]["content"], agent_of(messages)
        if "Which 2 of" in text:
            return "neither"
        shown = shown_in(text)
        right = "42" if agent in good else f"It may be {agent}."
        lines = [f"Rating of reply {n}: {5 if '42' in said else 1}"
                 for n, said in enumerate(shown, start=1)]  # fmt: skip
        return "\n".join([*lines, right])

    training = [query(f"Training {k}?") for k in range(6)]
    conversation = Dylan(agents=6, team_size=3, fit_queries=4)
    held = stage.hold(conversation, says, members=ONE, training=training)
    fitted = [body for body in held.bodies if "Training" in body["messages"][-1]["content"]]
    about = {body["messages"][-1]["content"].split("?")[0] for body in fitted}
    assert len(about) == 4
    assert {agent_of([m.as_json() for m in t.messages]) for t in held.talk.turns} == good
    assert held.talk.n_calls == 3


def test_folds_share_the_talks_of_team_optimisation(stage: Stage) -> None:
    queries = [query(f"Training {k}?") for k in range(6)]
    conversation = Dylan(agents=4, team_size=2, fit_queries=2)
    says = script(["1", "2", "3", "4"], ["1.", "2.", "3.", "4."], third="4")
    first = stage.hold(conversation, says, members=ONE, training=queries)
    again = stage.hold(conversation, says, members=ONE, training=queries[::-1])
    assert first.bodies
    assert again.bodies == []


@pytest.mark.parametrize("setting", ["agents", "team_size"])
def test_settings_out_of_range(setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be at least 2"):
        Dylan(**{setting: 1})

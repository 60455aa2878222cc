"""SMoA, repaired and as released, message by message, against transcripts written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from talks import MEMBERS, PROMPT, Held, Says, Stage, query, shown_in

from rlfocal.conversations.smoa import Sparse, SparseReleased
from rlfocal.conversations.wording import ROLES

ALONE = {"ann": "40", "bob": "It is 42.", "cid": "41", "dot": "So 42."}
Messages = Sequence[Mapping[str, str]]


def script(
    *, judge: str | None = None, moderator: str = "no", released: str = "", failing: str = ""
) -> Says:
    """Members who read nobody say what stands in ALONE; who reads says 42.

    The judge names the places of bob and dot, unless it says something else.
    """

    def says(member: str, messages: Messages) -> str:
        text, system = messages[-1]["content"], messages[0]["content"]
        if member == failing:
            return ""
        if "Which 2 of these replies" in text:
            shown = shown_in(text)
            best = [
                str(shown.index(ALONE[who]) + 1) for who in ("bob", "dot") if ALONE[who] in shown
            ]
            return ", ".join(best) if judge is None else judge
        if "settled the question" in text:
            return moderator
        if system.startswith("You judge"):
            return released
        if text == PROMPT and "Others have replied" not in system:
            return ALONE[member]
        return "42"

    return says


PROPOSED = [(1, name, name) for name in MEMBERS]


def test_judge_and_moderator_are_asked_apart_and_the_second_round_reads_what_was_kept(
    stage: Stage,
) -> None:
    held = stage.hold(Sparse(), script())
    assert held.course == [
        *PROPOSED,
        (2, "judge", "ann"),
        (3, "moderator", "ann"),
        *[(4, name, name) for name in MEMBERS],
        (5, "judge", "ann"),
        (6, "aggregator", "ann"),
    ]
    first, judge, moderator = held.talk.turns[:4], held.talk.turns[4], held.talk.turns[5]
    for number, turn in enumerate(first):
        said = [(m.role, m.content) for m in turn.messages]
        assert said == [("system", ROLES[number]), ("user", PROMPT)]
    assert sorted(judge.shown) == sorted(MEMBERS)
    assert sorted(moderator.shown) == ["bob", "dot"]
    for turn in held.talk.turns[6:10]:
        assert sorted(turn.shown) == ["bob", "dot"]
        assert "40" not in shown_in(turn.messages[-1].content)
    assert held.talk.answer == "42"


def test_the_moderator_ends_the_debate(stage: Stage) -> None:
    held = stage.hold(Sparse(), script(moderator="Yes."))
    assert [course[1] for course in held.course[4:]] == ["judge", "moderator", "aggregator"]
    assert sorted(held.talk.turns[-1].shown) == ["bob", "dot"]


@pytest.mark.parametrize("verdict", ["All are good.", "1, 2, 3", "9, 1", "1", "0, 2"])
def test_a_verdict_that_cannot_be_read_selects_nobody_away(stage: Stage, verdict: str) -> None:
    held = stage.hold(Sparse(), script(judge=verdict, moderator="Hard to say."))
    assert [course[1] for course in held.course[4:6]] == ["judge", "moderator"]
    for turn in held.talk.turns[6:10]:
        assert sorted(turn.shown) == sorted(MEMBERS)
    assert sorted(held.talk.turns[-1].shown) == sorted(MEMBERS)


def test_a_failed_member_is_absent_and_the_others_go_on(stage: Stage) -> None:
    held = stage.hold(Sparse(rounds=1), script(failing="cid"))
    assert [course[1] for course in held.course] == [*MEMBERS, "judge", "aggregator"]
    assert sorted(held.talk.turns[4].shown) == ["ann", "bob", "dot"]
    assert held.talk.answer == "42"


def test_two_replies_need_no_judge(stage: Stage) -> None:
    held = stage.hold(Sparse(rounds=1), script(), members=("ann", "bob"))
    assert [course[1] for course in held.course] == ["ann", "bob", "aggregator"]


def test_where_all_members_fail_nobody_judges(stage: Stage) -> None:
    for conversation in (Sparse(), SparseReleased()):
        held = stage.hold(conversation, lambda *_: "", db=f"{conversation.name}.db")
        assert len(held.bodies) == held.talk.n_calls == 4
        assert held.talk.answer is None


# As released -----------------------------------------------------------------------------------

JSON = '{"why": "they agree", "best": [2, 4], "end": false}'


def names(held: Held) -> list[str]:
    return [speaker for _, speaker, _ in held.course]


def test_released_judge_moderates_too_and_replies_stand_unfenced_in_the_system_message(
    stage: Stage,
) -> None:
    held = stage.hold(SparseReleased(), script(released=JSON))
    assert names(held) == [*MEMBERS, "judge", *MEMBERS, "judge", "aggregator"]
    judge, second = held.talk.turns[4], held.talk.turns[5]
    assert [m.role for m in judge.messages] == ["system", "user"]
    listed = "1. 40\n2. It is 42.\n3. 41\n4. So 42."
    assert judge.messages[0].content.endswith(listed)
    assert judge.messages[1].content == PROMPT
    assert second.messages[0].content.startswith(ROLES[0])
    assert second.messages[0].content.endswith("\n1. It is 42.\n2. So 42.")
    assert "===" not in second.messages[0].content


def test_released_judge_ends_the_debate_in_the_same_call(stage: Stage) -> None:
    held = stage.hold(SparseReleased(), script(released=JSON.replace("false", "true")))
    assert names(held) == [*MEMBERS, "judge", "aggregator"]


def test_released_an_unreadable_verdict_keeps_two_at_random(stage: Stage) -> None:
    queries = [query(PROMPT, label=str(k)) for k in range(1)]
    kept = set()
    for seed in range(8):
        held = stage.hold(
            SparseReleased(), script(released="Both."), seed=seed, queries=queries, db="random.db"
        )
        kept.add(held.talk.turns[5].messages[0].content.split("wrong.\n")[1])
    assert len(kept) > 2
    assert all(len(listed.split("\n")) == 2 for listed in kept)


def test_released_one_failed_call_makes_the_answer_null(stage: Stage) -> None:
    held = stage.hold(SparseReleased(), script(released=JSON, failing="cid"))
    assert (names(held), held.talk.reply) == ([*MEMBERS], None)


def test_released_judge_sees_the_options_of_a_choice(stage: Stage) -> None:
    def says(member: str, messages: Messages) -> str:
        return JSON if messages[0]["content"].startswith("You judge") else "B"

    held = stage.hold(
        SparseReleased(), says, queries=[query("Which is even?", "B", ["one", "two"])]
    )
    assert held.talk.turns[4].messages[-1].content == "Which is even?\n\nA. one\nB. two"
    assert (held.talk.answer, held.talk.score) == ("B", 1.0)


def test_settings_out_of_range() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Sparse(rounds=0)

"""Questions unlike those of training: said, answered in free words, and with less confidence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stub_pool import says, trained

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.deliberation.trace import Trace
from rlfocal.features import Reach
from rlfocal.live import FREE_WORDS, Answer, LiveEnsemble, Question
from rlfocal.live.unlike import Unlike, lowered
from rlfocal.pool.stub import Said, prompt_of

Live = Callable[..., Any]
OFF_TOPIC = Path(__file__).parents[2] / "benchmarks" / "off_topic.json"
APART = [
    text
    for texts in json.loads(OFF_TOPIC.read_text(encoding="utf-8"))["kept apart"].values()
    for text in texts
]
NUMBERS, PROSE, LIST = "1", "Rayleigh scattering, in short.", "1. Blue light is scattered more."


def small_model(body: Mapping[str, Any]) -> Said:
    """What small models say off topic: a number as they were taught, words, or a list."""
    if re.search(r"\d \+ \d", prompt_of(body)):
        found: Said = says(body)
        return found
    said = {"plain": NUMBERS, "letters": NUMBERS, "sampled": LIST}.get(body["model"], PROSE)
    return Said(said, logprobs={"A": -0.1, "B": -2.5})


@pytest.fixture(scope="session")
def agreement(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(trained(tmp_path_factory, "agreement"))


def asked(live: Live, checkpoint: Checkpoint, *questions: Question, **options: Any) -> list[Answer]:
    async def act(ensemble: LiveEnsemble) -> list[Answer]:
        return [await ensemble.answer(question) for question in questions]

    found: list[Answer] = live(checkpoint, act, says=small_model, **options)
    return found


def test_twenty_questions_of_other_kinds_are_not_answered_by_a_sure_number(
    agreement: Checkpoint, live: Live
) -> None:
    assert len(APART) == 20
    found = asked(live, agreement, *map(Question, APART))
    for text, answer in zip(APART, found, strict=True):
        assert answer.confidence <= 0.5, text
        assert answer.trace.kind == FREE_WORDS, text
        assert answer.trace.unlike.startswith("unlike the training queries: the most similar")
        assert answer.trace.learned_confidence is not None
        assert answer.trace.learned_confidence >= answer.confidence
        assert answer.text in (PROSE, LIST)  # a reply as it is, and never a bare number


def test_bare_numbers_give_way_to_one_reply_in_words(agreement: Checkpoint, live: Live) -> None:
    """The first member to be asked speaks; of the others one says a letter, the rest numbers."""
    first = agreement.description.members[agreement.ranking[0]]

    def says_one(body: Mapping[str, Any]) -> Said:
        return Said({first: "I see why.", "letters": "B"}.get(body["model"], NUMBERS))

    async def act(ensemble: LiveEnsemble) -> list[Answer]:
        why = Question("Why is the sky blue?")
        return [await ensemble.answer(q) for q in (why, replace(why, answers="number"))]

    free, number = live(agreement, act, says=says_one)
    assert free.text == "I see why."
    believed = free.trace.rounds[-1].probabilities
    assert believed[NUMBERS] > believed["I see why."] > 0  # and more of them would not change it
    assert free.trace.learned_confidence == believed["I see why."]
    assert free.confidence == lowered(believed["I see why."], in_free_words=True)
    assert number.text == NUMBERS  # who says the kind gets it
    assert number.trace.kind == "number"


def test_where_nobody_says_more_a_bare_number_stands_by_a_half_at_most(
    agreement: Checkpoint, live: Live
) -> None:
    async def act(ensemble: LiveEnsemble) -> Answer:
        return await ensemble.answer(Question("Why is the sky blue?"))

    answer: Answer = live(agreement, act, says=lambda _: Said(NUMBERS))
    assert (answer.text, answer.trace.kind) == (NUMBERS, FREE_WORDS)
    assert answer.confidence <= 0.5


def test_without_what_is_known_of_the_training_queries_all_is_as_before(
    agreement: Checkpoint, live: Live
) -> None:
    (answer,) = asked(live, replace(agreement, reach=None), Question("Why is the sky blue?"))
    assert answer.trace.kind == "number"
    assert not answer.trace.unlike
    assert answer.answer == NUMBERS
    (now,) = asked(live, agreement, Question("Why is the sky blue?"))
    assert now.confidence < answer.confidence


def test_who_says_the_kind_gets_it_but_no_more_confidence(
    agreement: Checkpoint, live: Live
) -> None:
    question = Question("Why is the sky blue?")
    (told,) = asked(live, agreement, question, answers="number")
    (itself,) = asked(live, agreement, replace(question, answers="number"))
    for answer in (told, itself):
        assert answer.trace.kind == "number"
        assert answer.answer == NUMBERS
        assert answer.trace.learned_confidence is not None
        assert answer.confidence == lowered(answer.trace.learned_confidence, in_free_words=False)
        assert answer.trace.unlike
    (choice,) = asked(live, agreement, Question("Why is the sky blue?", ("Dust", "Air")))
    assert choice.trace.kind == "choice"
    assert choice.trace.unlike


def test_a_question_like_those_of_training_is_answered_as_they_are(
    agreement: Checkpoint, live: Live
) -> None:
    like, named = asked(
        live, agreement, Question("12 + 30 ="), Question("Why is 3 + 4 blue?", task="sums")
    )
    for answer in (like, named):  # who names a task of training is believed
        assert not answer.trace.unlike
        assert answer.trace.learned_confidence is None
        assert answer.trace.kind == "number"


def test_what_was_found_is_written_into_the_trace(agreement: Checkpoint, live: Live) -> None:
    (answer,) = asked(live, agreement, Question("Why is the sky blue?"))
    written = json.loads(json.dumps(answer.trace.as_json()))
    assert written["unlike"] == answer.trace.unlike
    assert Trace.of_json(written) == answer.trace
    del written["unlike"], written["learned_confidence"]  # as an earlier version wrote it
    assert Trace.of_json(written).unlike == ""


def test_in_words_by_hand() -> None:
    """Two texts without a run in common, and one of which the other is a half."""
    row = np.zeros((1, 1 << 16), dtype=np.float32)
    judge = Unlike(Reach(row, 0.25, {"name": "runs", "n_features": 1 << 16}))
    assert judge.why("a b") == (
        "unlike the training queries: the most similar of them is at 0.00, and 99 % of those have "
        "another at 0.25 or above (1: the same words)"
    )
    assert Unlike(Reach(row, 0.0, {"name": "runs", "n_features": 1 << 16})).why("a b") == ""
    assert lowered(0.9, in_free_words=False) == pytest.approx(0.675)
    assert lowered(0.9, in_free_words=True) == 0.5
    assert lowered(0.4, in_free_words=True) == pytest.approx(0.3)


def test_where_most_replies_hold_no_number_the_question_asks_for_none(
    agreement: Checkpoint, live: Live
) -> None:
    """As near as can be, and yet: one member says a number, the others none."""

    def mostly_words(body: Mapping[str, Any]) -> Said:
        return Said(NUMBERS if body["model"] == "plain" else PROSE)

    async def act(ensemble: LiveEnsemble) -> Answer:
        return await ensemble.answer(Question("3 + 4 ="))

    answer: Answer = live(agreement, act, says=mostly_words)
    assert answer.trace.kind == FREE_WORDS
    assert answer.confidence <= 0.5
    assert re.fullmatch(
        r"unlike the training queries: [234] of [234] replies hold no number", answer.trace.unlike
    )

"""A blank that some models begin with is no part of a reply that all write together."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tests.support.table_models import BYTES
from tests.support.table_voices import asked

from rlfocal.pool.blends.beginning import after_blank, begins_blank
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.reading_aloud import likelihood
from rlfocal.pool.blends.spans import Spans
from rlfocal.pool.blends.voices import END, Proposal
from rlfocal.pool.blends.weighing import Fixed, Weighed
from rlfocal.pool.blends.writing import Counts, Writing
from rlfocal.simulator.voices import Table, TableVoice

TOKENS = (*BYTES, b" 1", b" 2", b" 12")


def saying(*steps: dict[bytes, float]) -> Table:
    """A model by the number of bytes that it has said; it ends after the last step."""

    def table(written: bytes) -> dict[bytes, float]:
        return steps[len(written)] if len(written) < len(steps) else {END: 1.0}

    return table


def goes_on(*steps: dict[bytes, float]) -> TableVoice:
    return TableVoice(TOKENS, saying(*steps), name="base", in_turns=False)


def replies(*steps: dict[bytes, float]) -> TableVoice:
    return TableVoice(TOKENS, saying(*steps), name="chat")


def written(*voices: TableVoice, weights: tuple[float, ...] | None = None) -> str:
    method = Weighed(Fixed(weights or (1.0,) * len(voices)))
    return asyncio.run(write(asked("Q:", max_tokens=4), voices, method)).response.text


TWO = {b"2": 0.6, b"3": 0.4}


def test_a_blank_within_tokens_votes_for_no_digit() -> None:
    """Alone it says 1, by .55; the other says 2: together .25 stands against .75."""
    base = {b" 1": 0.5, b" 2": 0.4, b"1": 0.05, b"2": 0.05}
    assert written(goes_on(base, {}, {END: 1.0}), replies({b"2": 0.9, b"1": 0.1})) == "2"
    # The token that it has read is the one with the blank, as it would have written it.
    voice = goes_on(base, {b"x": 1.0}, {END: 1.0})
    assert written(voice, replies({b"2": 0.9, b"1": 0.1}, {END: 1.0})) == "2"
    assert voice.asked[-1][-1] == TOKENS.index(b" 2") + 1


def test_a_blank_of_its_own_is_read_and_not_written() -> None:
    voice = goes_on({b" ": 0.9, b"1": 0.1}, {b"1": 0.7, b"2": 0.3}, {END: 1.0})
    assert written(voice, replies({b"2": 0.9, b"1": 0.1}, {END: 1.0})) == "2"
    blank, two = TOKENS.index(b" ") + 1, TOKENS.index(b"2") + 1
    assert voice.asked[-1][-2:] == (blank, two)


def test_what_it_has_no_token_for_is_spelled_after_its_blank() -> None:
    voice = goes_on({b" 1": 1.0}, {}, {END: 1.0})
    assert written(voice, replies({b"7": 1.0}, {END: 1.0}), weights=(1, 3)) == "7"
    assert voice.asked[-1][-2:] == (TOKENS.index(b" ") + 1, TOKENS.index(b"7") + 1)


@pytest.mark.parametrize("make", [goes_on, replies])
def test_models_of_one_kind_write_it(make) -> None:
    voices = [make({b" 1": 0.9, b"2": 0.1}, {}, {END: 1.0}) for _ in range(2)]
    assert written(*voices) == " 1"
    assert written(voices[0]) == " 1"


def test_spans_are_judged_without_the_form() -> None:
    """Each finds its own likeliest; that one is surer decides, not that it tells a blank."""
    base = goes_on({b" 1": 0.6, b" 2": 0.4}, {}, {END: 1.0})
    chat = replies({b"2": 0.9, b"1": 0.1}, {END: 1.0})
    found = asyncio.run(write(asked("Q:", max_tokens=4), [base, chat], Spans(span=2)))
    assert found.response.text == "2"


def test_a_text_is_as_likely_as_with_its_blank() -> None:
    async def read() -> float:
        voices = [goes_on({b" 1": 0.6, b" 2": 0.4}, {}, {END: 1.0}), replies({b"1": 1.0})]
        writing = await Writing.begin(asked("Q:"), voices, np.random.default_rng(0))
        await writing.propose()
        found = await likelihood(writing.tracks[0].fork(), b"2", Counts([0]), 0)
        return float(np.exp(found.logprob))

    assert asyncio.run(read()) == pytest.approx(0.4)


def test_by_hand() -> None:
    own = {b" 1": 7, b" ": 8, b"1": 9, b"x": 10}
    said = Proposal({b" 1": 0.4, b" ": 0.2, b"1": 0.1, b"x": 0.1, END: 0.1}, own, 0.1, 0.1)
    assert begins_blank(said)
    token, after = after_blank(said)
    assert token is None
    assert after.pieces == pytest.approx({b"1": 0.5, b"x": 0.1, END: 0.1})
    assert after.ids == {b"1": 7, b"x": 10}
    assert after.rest == pytest.approx(0.3)
    assert after.most_unnamed == pytest.approx(0.2)
    assert after_blank(said._replace(pieces={b" ": 0.6, b" 1": 0.3}))[0] == 8
    assert not begins_blank(said._replace(pieces={b" 1": 0.4, b"1": 0.6}))

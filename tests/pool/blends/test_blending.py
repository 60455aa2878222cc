"""Blends of models of which everything is known: what comes out is what it should be."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.table_voices import asked

from rlfocal.errors import Failure
from rlfocal.pool.blends.blend import Reply, write
from rlfocal.pool.blends.mixing import mix
from rlfocal.pool.blends.voices import END, ContextFull, Proposal
from rlfocal.pool.blends.weighing import ByConfidence, Fixed, Weighed
from rlfocal.pool.blends.writing import Method, Writing
from rlfocal.simulator.voices import Table, TableVoice, random_table

FINE = (b"a", b"b", b"c", b"ab", b" ")
COARSE = (b"a", b"b", b"c", b" ", b"bca", b"ca", b"a ", b"abc ab")


def reply(
    voices: Sequence[TableVoice], method: Method, *, most: int = 40, **fields: object
) -> Reply:
    return asyncio.run(write(asked(max_tokens=most, **fields), voices, method))


def greedy_alone(tokens: Sequence[bytes], table: Table, most: int) -> tuple[bytes, int]:
    """What a model writes by itself, without any of the code that is tested; and its tokens."""
    text, n = b"", 0
    while n < most:
        p = table(text)
        best = max(p, key=lambda piece: p[piece])
        if best == END:
            break
        text, n = text + best, n + 1
    return text, n


def greedy_together(
    tables: Sequence[Table], weights: Sequence[float], most: int
) -> tuple[bytes, list[float]]:
    """The mean of whole distributions, by plain loops."""
    text, logprobs = b"", list[float]()
    while len(logprobs) < most:
        total: dict[bytes, float] = {}
        for table, weight in zip(tables, weights, strict=True):
            for piece, p in table(text).items():
                total[piece] = total.get(piece, 0) + weight / sum(weights) * p
        best = max(total, key=lambda piece: total[piece])
        if best == END:
            break
        text += best
        logprobs.append(math.log(total[best]))
    return text, logprobs


def test_a_mean_of_two_agrees_with_plain_loops() -> None:
    for seed in range(30):
        one, other = random_table(FINE, seed, ends=0.02), random_table(COARSE, 100 + seed, ends=0.1)
        voices = [TableVoice(FINE, one), TableVoice(COARSE, other)]
        found = reply(voices, Weighed(Fixed((0.3, 0.9)), span=3), logprobs=True)
        text, logprobs = greedy_together([one, other], [0.3, 0.9], 40)
        assert found.response.text == text.decode()
        tokens = found.response.tokens
        assert tokens is not None
        assert tokens.logprob == pytest.approx(logprobs, abs=1e-5)
        assert tokens.chars.sum() == len(text)
        assert found.response.finish == ("length" if len(logprobs) == 40 else "stop")
        assert found.response.n_completion_tokens == len(logprobs)
        assert found.counts.n_uncertain == 0


def test_two_copies_write_what_one_writes() -> None:
    for seed in range(20):
        table = random_table(COARSE, seed)
        voices = [TableVoice(COARSE, table), TableVoice(COARSE, table)]
        text, n = greedy_alone(COARSE, table, 40)
        for weigher in (Fixed((1, 1)), Fixed((0.2, 3)), ByConfidence()):
            found = reply(voices, Weighed(weigher, span=2))
            assert found.response.text == text.decode()
            assert found.response.n_completion_tokens == n


@pytest.mark.parametrize("heard", [0, 1])
def test_a_member_that_has_all_the_weight_writes_alone(heard: int) -> None:
    for seed in range(10):
        tables = [random_table(FINE, seed), random_table(COARSE, 50 + seed)]
        voices = [TableVoice(FINE, tables[0]), TableVoice(COARSE, tables[1])]
        weights = tuple(float(n == heard) for n in range(2))
        found = reply(voices, Weighed(Fixed(weights), span=8))
        text, _ = greedy_alone([FINE, COARSE][heard], tables[heard], 40)
        assert found.response.text == text.decode()


vocabularies = st.sets(st.text("ab é", min_size=1, max_size=3), max_size=8).map(
    lambda pieces: sorted({b"a", b"b", b" ", b"\xc3", b"\xa9", *(p.encode() for p in pieces)})
)


@settings(max_examples=60, deadline=None)
@given(one=vocabularies, other=vocabularies, seed=st.integers(0, 1000), span=st.integers(1, 5))
def test_all_models_stand_at_one_text_and_read_nothing_twice(
    one: list[bytes], other: list[bytes], seed: int, span: int
) -> None:
    tables = [whole_characters(tokens, seed + n) for n, tokens in enumerate((one, other))]
    voices = [TableVoice(one, tables[0]), TableVoice(other, tables[1])]

    async def written() -> Writing:
        writing = await Writing.begin(asked(), voices, np.random.default_rng(0))
        method = Weighed(Fixed((1, 1)), span=span)
        for _ in range(6):
            if (await method.go_on(writing))[-1].piece == END:
                break
        return writing

    writing = asyncio.run(written())
    for number, (track, voice) in enumerate(zip(writing.tracks, voices, strict=True)):
        assert voice.text(track.ids) + track.waiting == writing.text
        # Every token that was put to a model was read once, the empty beginning as one.
        longest = max(voice.asked, key=len)
        assert writing.counts.evaluated[number] <= len(longest) + 1
        for earlier, later in zip(voice.asked, voice.asked[1:], strict=False):
            assert later[: len(earlier)] == earlier


def whole_characters(tokens: Sequence[bytes], seed: int) -> Table:
    """A table that ends a character before it begins another, as models do."""
    table = random_table(tokens, seed)

    def careful(text: bytes) -> dict[bytes, float]:
        found = table(text)
        if text.endswith(b"\xc3"):
            return {b"\xa9": 1.0}
        fits = {p: v for p, v in found.items() if not p.startswith(b"\xa9")}
        total = sum(fits.values())
        return {p: v / total for p, v in fits.items()}

    return careful


distributions = st.dictionaries(
    st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f", END]), st.floats(0.01, 1), min_size=3
).map(lambda p: {piece: value / sum(p.values()) for piece, value in p.items()})


@settings(max_examples=200, deadline=None)
@given(
    full=st.lists(distributions, min_size=1, max_size=3),
    n_named=st.integers(1, 5),
    weights=st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
def test_what_is_not_named_is_bounded(
    full: list[dict[bytes, float]], n_named: int, weights: list[float]
) -> None:
    tokens = (b"a", b"b", b"c", b"d", b"e", b"f")

    async def named(p: Mapping[bytes, float]) -> object:
        voice = TableVoice(tokens, lambda _: dict(p), n_named=n_named)
        return await voice.propose([])

    proposals = [asyncio.run(named(p)) for p in full]
    weight = np.array(weights[: len(full)])
    mixed = mix(proposals, weight)  # type: ignore[arg-type]
    true: dict[bytes, float] = {}
    for p, share in zip(full, weight / weight.sum(), strict=True):
        for piece, value in p.items():
            true[piece] = true.get(piece, 0) + share * value
    for piece, p, slack in zip(mixed.pieces, mixed.p, mixed.slack, strict=True):
        assert p - 1e-9 <= true[piece] <= p + slack + 1e-9
    for piece in true.keys() - set(mixed.pieces):
        assert true[piece] <= mixed.unnamed + 1e-9
    if mixed.is_certain:
        assert true[mixed.pieces[mixed.best]] >= max(true.values()) - 1e-9
    assert mixed.p.sum() + mixed.rest == pytest.approx(1)


def test_uncertain_choices_are_counted() -> None:
    flat = dict.fromkeys(FINE, 0.2)
    skewed = {b"b": 0.4, b"a": 0.35, b"c": 0.25}
    voices = [
        TableVoice(FINE, lambda _: flat, n_named=1),
        TableVoice(FINE, lambda _: skewed, n_named=1),
    ]
    found = reply(voices, Weighed(Fixed((1, 1))), most=5)
    assert found.counts.n_uncertain == 5
    assert found.counts.rest == pytest.approx(5 * (0.8 + 0.6) / 2)


def test_draws_follow_the_mean_of_the_distributions() -> None:
    one, other = {b"a": 0.9, b"b": 0.1}, {b"b": 0.5, b"c": 0.5}
    voices = [TableVoice(FINE, lambda _: one), TableVoice(FINE, lambda _: other)]
    n = 3000
    method = Weighed(Fixed((3, 1)))
    text = reply(voices, method, most=n, temperature=1.0, seed=7).response.text
    wanted = {"a": 0.675, "b": 0.2, "c": 0.125}
    for letter, p in wanted.items():
        assert text.count(letter) / n == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))
    assert text == reply(voices, method, most=n, temperature=1.0, seed=7).response.text
    narrow = reply(voices, method, most=n, temperature=1.0, seed=7, top_p=0.8).response.text
    assert set(narrow) == {"a", "b"}
    assert narrow.count("a") / n == pytest.approx(0.675 / 0.875, abs=0.03)


def test_a_reply_ends_before_a_stop_text_and_is_streamed_up_to_it() -> None:
    def spelled(text: bytes) -> dict[bytes, float]:
        whole = b"abcab c ab ab"
        return {whole[len(text) : len(text) + 1] or END: 1.0}

    told: list[str] = []
    voice = TableVoice(FINE, spelled)
    found = reply(
        [voice], Weighed(Fixed((1,))), stop=("c a", "never"), on_text=told.append, logprobs=True
    )
    assert found.response.text == "abcab " == "".join(told)
    assert found.response.finish == "stop"
    assert found.response.tokens is not None
    assert found.response.tokens.chars.tolist() == [1] * 6


def test_first_tokens_are_told_where_options_are_scored() -> None:
    voices = [
        TableVoice(FINE, lambda _: {b"a": 0.6, b"b": 0.4}),
        TableVoice(FINE, lambda _: {b"b": 0.7, b"c": 0.3}),
    ]
    found = reply(voices, Weighed(Fixed((1, 1))), most=1, n_logprobs=2).response.first_logprobs
    assert found is not None
    assert list(found) == ["b", "a"]
    assert math.exp(found["b"]) == pytest.approx(0.55)


def test_a_reply_that_becomes_too_long_ends() -> None:
    class Short(TableVoice):
        async def propose(self, ids: Sequence[int]) -> Proposal:
            if len(ids) > 3:
                raise ContextFull("too long", failure=Failure.BAD_REQUEST)
            return await super().propose(ids)

    found = reply([Short(FINE, lambda _: {b"a": 1.0})], Weighed(Fixed((1,))), most=9).response
    assert (found.text, found.finish) == ("aaaa", "length")
    with pytest.raises(ContextFull):
        asyncio.run(write(asked("aaaa", max_tokens=9), [Short(FINE, lambda _: {b"a": 1.0})],
                          Weighed(Fixed((1,)))))  # fmt: skip


def test_any_seed_is_one() -> None:
    method = Weighed(Fixed((1,)))
    voices = [TableVoice(FINE, random_table(FINE, 1))]
    first, again, other = (
        reply(voices, method, temperature=1.0, seed=seed).response.text for seed in (-1, -1, -2)
    )
    assert first == again != other


def test_the_surer_model_is_heard_more() -> None:
    sure, unsure = {b"a": 1.0}, {b"b": 0.5, b"c": 0.5}
    voices = [TableVoice(FINE, lambda _: unsure), TableVoice(FINE, lambda _: sure)]
    found = reply(voices, Weighed(ByConfidence()), most=1, logprobs=True)
    assert found.response.text == "a"
    assert found.response.tokens is not None
    assert math.exp(found.response.tokens.logprob[0]) == pytest.approx(2 / 3)

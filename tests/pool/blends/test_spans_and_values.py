"""Spans chosen by the others, tokens by what they lead to, and texts read aloud."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest
from tests.support.table_voices import asked

from rlfocal.pool.blends import spans
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.reading_aloud import Likelihood, likelihood
from rlfocal.pool.blends.spans import Spans
from rlfocal.pool.blends.switching import Switching, Worth
from rlfocal.pool.blends.voices import END, Proposal
from rlfocal.pool.blends.writing import Counts, Track, Writing
from rlfocal.simulator.voices import Table, TableVoice, random_table

LETTERS = (b"a", b"b", b"c")
PAIRS = (b"a", b"b", b"c", b"ab", b"bc")


def follower(word: bytes, p: float) -> Table:
    """A model that goes on with a word, letter by letter, with probability p of each letter."""

    def table(text: bytes) -> dict[bytes, float]:
        if len(text) >= len(word):
            return {END: 1.0}
        right = word[len(text) : len(text) + 1]
        others = [letter for letter in LETTERS if letter != right]
        return {right: p, **dict.fromkeys(others, (1 - p) / len(others))}

    return table


def read(voice: TableVoice, text: bytes, *, ends: bool = False) -> tuple[Likelihood, Counts]:
    async def run() -> tuple[Likelihood, Counts]:
        counts = Counts([0])
        track = Track(voice, await voice.begin(asked()))
        return await likelihood(track, text, counts, 0, ends=ends), counts

    return asyncio.run(run())


def test_a_text_is_as_likely_as_the_product_of_its_tokens() -> None:
    table = random_table(PAIRS, 3)
    found, counts = read(TableVoice(PAIRS, table), b"abcab", ends=True)
    # Longest match first: ab, c, ab, and the end.
    places = [(b"", b"ab"), (b"ab", b"c"), (b"abc", b"ab"), (b"abcab", END)]
    assert found.logprob == pytest.approx(sum(math.log(table(text)[p]) for text, p in places))
    assert (found.n_bytes, found.n_tokens, found.n_bounded) == (5, 4, 0)
    assert found.per_byte == pytest.approx(found.logprob / 5)
    assert counts.n_asked == 4


def test_tokens_that_were_not_named_are_bounded() -> None:
    table = random_table(PAIRS, 3)
    whole, _ = read(TableVoice(PAIRS, table), b"cabbcab")
    some, _ = read(TableVoice(PAIRS, table, n_named=2), b"cabbcab")
    assert 0 < some.n_bounded < some.n_tokens
    assert some.logprob >= whole.logprob


def test_nothing_is_as_likely_as_can_be() -> None:
    found, _ = read(TableVoice(PAIRS, random_table(PAIRS, 3)), b"")
    assert found.logprob == 0
    assert math.isnan(found.per_byte)


def test_the_span_that_the_models_find_likeliest_is_written() -> None:
    # The first is alone with its word; the other two agree, and would not write it.
    voices = [
        TableVoice(LETTERS, follower(b"ccc", 0.5)),
        TableVoice(LETTERS, follower(b"abc", 0.8)),
        TableVoice(LETTERS, follower(b"abc", 0.7)),
    ]
    reply = asyncio.run(write(asked(max_tokens=9), voices, Spans(span=2)))
    assert reply.response.text == "abc"
    assert reply.response.finish == "stop"


def test_one_span_is_not_read_by_anybody() -> None:
    voices = [TableVoice(LETTERS, follower(b"abc", p)) for p in (0.6, 0.9)]
    reply = asyncio.run(write(asked(max_tokens=9), voices, Spans(span=4)))
    assert reply.response.text == "abc"
    assert reply.counts.n_asked == 2 * 4  # each wrote it, and its end


def test_later_spans_are_judged_like_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[bytes, int]] = []

    async def spying(track: Track, text: bytes, *args: object, **more: object) -> Likelihood:
        before = len(track.ids)
        found = await likelihood(track, text, *args, **more)  # type: ignore[arg-type]
        read.append((text, found.n_bytes))
        assert len(track.ids) - before == found.n_tokens - bool(more["ends"])
        return found

    monkeypatch.setattr(spans, "likelihood", spying)
    voices = [
        TableVoice(PAIRS, random_table(PAIRS, seed, ends=0.001)) for seed in (21, 22, 23)
    ]  # fmt: skip
    reply = asyncio.run(write(asked(max_tokens=12), voices, Spans(span=3)))
    assert reply.response.n_completion_tokens == 12
    assert len(read) > 6
    for text, n_bytes in read:
        assert n_bytes == len(text) <= 6


def test_who_writes_keeps_its_own_tokens() -> None:
    voice = TableVoice(PAIRS, follower(b"abcabc", 0.9))

    async def written() -> Writing:
        writing = await Writing.begin(asked(), [voice], np.random.default_rng(0))
        for _ in range(2):
            await Spans(span=2).go_on(writing)
        return writing

    # Letter by letter it was written, though the vocabulary has pairs.
    assert [PAIRS[n - 1] for n in asyncio.run(written()).tracks[0].ids] == [b"a", b"b", b"c", b"a"]


def test_a_seed_is_one_reply_whatever_answers_first() -> None:
    async def slowly(voice: TableVoice, delay: float) -> str:
        propose = voice.propose

        async def late(ids: Sequence[int]) -> Proposal:
            await asyncio.sleep(delay)
            return await propose(ids)

        voice.propose = late  # type: ignore[method-assign]
        other = TableVoice(PAIRS, random_table(PAIRS, 32))
        request = asked(max_tokens=8, temperature=1.0, seed=5)
        return (await write(request, [voice, other], Spans(span=2))).response.text

    found = {
        asyncio.run(slowly(TableVoice(PAIRS, random_table(PAIRS, 31)), delay))
        for delay in (0.0, 0.003)
    }
    assert len(found) == 1


def test_of_one_model_spans_are_what_it_writes() -> None:
    table = random_table(PAIRS, 11, ends=0.02)
    text = b""
    for _ in range(20):
        p = table(text)
        best = max(p, key=lambda piece: p[piece])
        if best == END:
            break
        text += best
    reply = asyncio.run(write(asked(max_tokens=20), [TableVoice(PAIRS, table)], Spans(span=3)))
    assert reply.response.text == text.decode()


async def likes_b(prompt: str, text: str) -> Worth:
    return Worth(text.count("b") / max(1, len(text)), n_evaluated=3)


@pytest.mark.parametrize("span", [1, 3])
def test_whoever_leads_to_more_is_followed(span: int) -> None:
    voices = [
        TableVoice(LETTERS, follower(b"aaabbb", 0.9)), TableVoice(LETTERS, follower(b"bbbaaa", 0.6))
    ]  # fmt: skip
    method = Switching(likes_b, span=span, horizon=0)
    reply = asyncio.run(write(asked(max_tokens=6), voices, method))
    assert reply.response.text == "bbbbbb"


def test_a_rollout_sees_what_comes_later() -> None:
    # The first begins well and ends badly: nothing of it is seen without going on.
    voices = [
        TableVoice(LETTERS, follower(b"baaaaa", 0.9)), TableVoice(LETTERS, follower(b"abbbbb", 0.9))
    ]  # fmt: skip
    blind = asyncio.run(write(asked(max_tokens=6), voices, Switching(likes_b, horizon=0)))
    far = asyncio.run(write(asked(max_tokens=6), voices, Switching(likes_b, horizon=9)))
    assert (blind.response.text[0], far.response.text[0]) == ("b", "a")


def test_what_a_judge_reads_counts() -> None:
    voices = [TableVoice(LETTERS, follower(b"bbb", p)) for p in (0.6, 0.9)]
    reply = asyncio.run(write(asked(max_tokens=2), voices, Switching(likes_b, horizon=0)))
    assert reply.counts.judged == 2 * 2 * 3  # two pieces, a candidate of each


def test_a_dear_departure_from_the_reference_is_not_taken() -> None:
    voices = [
        TableVoice(LETTERS, follower(b"aaa", 0.98)), TableVoice(LETTERS, follower(b"bbb", 0.98))
    ]  # fmt: skip
    free = asyncio.run(write(asked(max_tokens=3), voices, Switching(likes_b, horizon=0)))
    dear = asyncio.run(write(asked(max_tokens=3), voices, Switching(likes_b, horizon=0, kl=1.0)))
    assert (free.response.text, dear.response.text) == ("bbb", "aaa")


def test_with_nothing_to_gain_the_reference_writes() -> None:
    async def indifferent(prompt: str, text: str) -> Worth:
        return Worth(0.5)

    table = random_table(PAIRS, 5, ends=0.02)
    voices = [TableVoice(PAIRS, table), TableVoice(LETTERS, follower(b"bbb", 0.98))]
    reply = asyncio.run(write(asked(max_tokens=5), voices, Switching(indifferent, horizon=2)))
    alone = asyncio.run(write(asked(max_tokens=5), voices[:1], Switching(indifferent, horizon=2)))
    assert reply.response.text == alone.response.text
    assert reply.counts.n_evaluated > alone.counts.n_evaluated

"""What a strategy is handed: the replies at its own places, and no others."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError
from rlfocal.records.signals import Family, Replies, ReplyStore, SeenReply, TokenLogprobs, registry
from rlfocal.records.signals import store as signal_store
from rlfocal.records.signals.registry import families

NAMES = ("text.length", "answer.magnitude", "own", "server.cut")


def store_of(n: int, seed: int = 0) -> ReplyStore:
    rng = np.random.default_rng(seed)
    return ReplyStore(
        [
            SeenReply(
                text="so it is " + "x" * int(rng.integers(30)),
                answer=str(int(rng.integers(100))),
                kind="number",
                given={"own": float(rng.normal())} if rng.random() < 0.7 else {},
            )
            for _ in range(n)
        ],
        ["own"],
    )


@st.composite
def replies(draw: st.DrawFn) -> Replies:
    n = draw(st.integers(1, 8))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)))
    row = draw(st.lists(st.integers(-1, n - 1), min_size=12, max_size=12))
    store = store_of(n, draw(st.integers(0, 3)))
    return Replies(store, np.array(row[: shape[0] * shape[1]], dtype=np.int64).reshape(shape))


def seen(part: Replies) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All that it says: what is there, signals, and words as a dense sum by row."""
    words = part.words()
    assert words.n_rows == part.present.size
    weight = np.random.default_rng(9).normal(size=1 << 15)
    return part.present, part.signals(NAMES), words.dot(weight).reshape(part.shape)


def check_same(part: Replies, *expected: np.ndarray) -> None:
    for found, wanted in zip(seen(part), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@settings(max_examples=40, deadline=None)
@given(replies(), st.data())
def test_choosing_places_is_choosing_what_they_say(part: Replies, data: st.DataObject) -> None:
    present, values, words = seen(part)
    n = part.shape[0]
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=6)), dtype=np.int64)
    check_same(part[rows], present[rows], values[rows], words[rows])
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    check_same(part[mask], present[mask], values[mask], words[mask])
    query, member = np.nonzero(present)
    check_same(part[query, member], present[present], values[present], words[present])


@settings(max_examples=40, deadline=None)
@given(replies(), st.integers(0, 99))
def test_what_is_not_known_says_nothing(part: Replies, seed: int) -> None:
    present, values, words = seen(part)
    known = np.random.default_rng(seed).random(part.shape) < 0.5
    hidden = np.where(known[..., None], values, np.float32(np.nan))
    check_same(part.where(known), present & known, hidden, np.where(known, words, 0))
    assert not part.where(known & False).present.any()


@settings(max_examples=40, deadline=None)
@given(replies(), st.data())
def test_other_places_reach_no_other_replies(part: Replies, data: st.DataObject) -> None:
    present, values = (each.reshape(part.present.size, -1) for each in seen(part)[:2])
    place = np.array(data.draw(st.lists(st.integers(-1, len(present) - 1))), dtype=np.int64)
    there = place >= 0
    found = part.at(place)
    np.testing.assert_array_equal(found.present, there & present[place, 0])
    expected = np.where(there[:, None], values[place], np.float32(np.nan))
    np.testing.assert_array_equal(found.signals(NAMES), expected)
    assert not hasattr(part, "row")
    assert not hasattr(part, "store")
    with pytest.raises(IndexError):
        part.at(np.array([part.present.size]))


@settings(max_examples=40, deadline=None)
@given(st.lists(replies(), min_size=1, max_size=3), st.booleans())
def test_parts_of_one_or_several_stores_join(parts: list[Replies], one_store: bool) -> None:
    width = min(part.shape[1] for part in parts)
    if one_store:
        parts = [parts[0], parts[0].where(np.arange(parts[0].shape[1]) > 0)]
        width = parts[0].shape[1]
    narrow = [part[:, :width] for part in parts]
    whole = Replies.concat(narrow)
    expected = [np.concatenate(each) for each in zip(*map(seen, narrow), strict=True)]
    check_same(whole, *expected)
    flipped = np.arange(whole.shape[0])[::-1]
    check_same(whole[flipped], *(each[::-1] for each in expected))
    check_same(Replies.concat([whole, whole]), *(np.concatenate([e, e]) for e in expected))


@settings(max_examples=40, deadline=None)
@given(replies())
def test_they_reach_a_worker_process_as_they_are(part: Replies) -> None:
    check_same(pickle.loads(pickle.dumps(part)), *seen(part))


def test_contents_tell_replies_apart() -> None:
    def contents(**changed: object) -> bytes:
        told = {"text": "so", "answer": "1", "finish": "stop", "latency_s": 1.0} | changed
        tokens = TokenLogprobs(np.array([2], np.int32), np.array([-1.0], np.float32))
        reply = SeenReply(tokens=tokens, **told)
        return Replies(ReplyStore([reply]), np.array([[0]])).contents()

    assert contents() == contents()
    changes = [{"text": None}, {"answer": "2"}, {"latency_s": 2.0}, {"given": {"a": 1.0}}]
    assert len({contents(), *(contents(**change) for change in changes)}) == 5
    two = Replies(store_of(2), np.array([[0, 1]]))
    assert (
        two.contents() != two[:, ::-1].contents() != two.where(np.array([True, False])).contents()
    )
    joined = Replies.concat([two, Replies(store_of(2, 1), np.array([[0, 1]]))])
    assert joined.contents() != joined[::-1].contents()


def test_an_unknown_signal_is_named() -> None:
    with pytest.raises(ValueError, match=r"no signal 'owm'; known: text.length, .*, own"):
        Replies(store_of(1), np.array([[0]])).signals(["owm"])


class Counting(list[SeenReply]):
    n = 0

    def __iter__(self) -> Iterator[SeenReply]:
        self.n += 1
        return super().__iter__()


def test_each_family_reads_when_it_is_asked_for_and_once() -> None:
    replies = Counting([SeenReply(text="a"), SeenReply(text="b")])
    part = Replies(ReplyStore(replies), np.array([[0, 1]]))
    assert replies.n == 0
    part.signals(["text.length", "text.lines"])
    part[:, :1].signals(["text.numbers"])
    assert replies.n == 1
    part.signals(["server.cut"])
    part.words()
    part.words()
    assert replies.n == 3


def test_families_asked_for_together_are_read_together() -> None:
    replies = Counting([SeenReply(text=None, given={"own": 2.0}), SeenReply(text=None)])
    store = ReplyStore(replies, ["own"])
    part = Replies(store, np.array([[0, 1]]))
    assert part.signals(store.names)[0, :, -1].tolist()[0] == 2.0
    assert part.words().n_rows == 2  # without a text there is nothing to read again
    assert replies.n == 1


def test_blocks_of_replies_change_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(20)
    whole = store_of(20).signals(NAMES, rows)
    monkeypatch.setattr(signal_store, "_BLOCK", 6)
    assert np.array_equal(store_of(20).signals(NAMES, rows), whole, equal_nan=True)


@pytest.fixture
def other_families(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """Families of another package, by name."""
    added: dict[str, object] = {}

    class Loaded(registry.Registry):
        def added(self) -> tuple[str, ...]:
            return tuple(added)

        def load(self, name: str) -> object:
            return added[name] if name in added else super().load(name)

    known = registry._FAMILIES
    monkeypatch.setattr(registry, "_FAMILIES", Loaded(known.group, known.what, known.built_in))
    families.cache_clear()
    yield added
    families.cache_clear()


def test_a_family_of_another_package_is_read_and_made_finite(
    other_families: dict[str, object],
) -> None:
    other_families["odd"] = Family(("odd.a", "odd.b"), lambda _: (np.inf, 1e300))
    part = Replies(ReplyStore([SeenReply(text="")]), np.array([0]))
    assert "odd.b" in part.names
    assert np.isnan(part.signals(["odd.a", "odd.b"])).all()
    other_families["odd"] = Family(("odd.a", "odd.b"), lambda _: (1.0,))
    families.cache_clear()
    part = Replies(ReplyStore([SeenReply(text="")]), np.array([0]))
    with pytest.raises(ValueError, match=r"signal 'odd.a' and those read with it: cannot reshape"):
        part.signals(["odd.a"])


def test_names_of_signals_are_taken_once(other_families: dict[str, object]) -> None:
    other_families["mine"] = Family(("text.length",), lambda _: (1.0,))
    with pytest.raises(ConfigError, match=r"'mine': 'text' has a signal 'text.length' already; ca"):
        families()
    other_families["mine"] = Family(("mine.a\nb",), lambda _: (1.0,))
    with pytest.raises(ConfigError, match=r"'mine': the name 'mine.a\\nb' should be on one line"):
        families()
    other_families["mine"] = len
    with pytest.raises(ConfigError, match="'mine': expected a Family, found <built-in function l"):
        families()

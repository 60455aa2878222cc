"""Cross-examination of stored replies by models of which everything is known."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pyarrow.compute as pc
import pytest
from tests.support.table_voices import asked

from rlfocal.collect.examining import (
    Examiner,
    check_who_examines,
    examine,
    settle_who_examines,
)
from rlfocal.errors import ConfigError
from rlfocal.pool.blends.voices import END
from rlfocal.records.built_in import localpool
from rlfocal.records.database import StoredResponse, open_database, query_key_of, settings_key_of
from rlfocal.records.database.examined import Who, n_lacking
from rlfocal.records.database.importing import import_dataset
from rlfocal.records.signals.examined import signals_of
from rlfocal.simulator.voices import TableVoice

LETTERS = (b"a", b"b", b"c", b"?")
SETTINGS = settings_key_of({"kind": "stub"})


def knows(text: bytes) -> dict[bytes, float]:
    """A model that goes on with b at .8, wherever it is, and ends at .1."""
    return {b"b": 0.8, b"a": 0.06, b"c": 0.04, END: 0.1}


def likes_a(text: bytes) -> dict[bytes, float]:
    return {b"a": 0.5, b"b": 0.25, b"c": 0.15, END: 0.1}


class ByPrompt(TableVoice):
    """Goes on one way after a question, and another way after none."""

    async def propose(self, ids):  # type: ignore[no-untyped-def]
        self._table = knows if self.n_prompt else likes_a
        return await super().propose(ids)


def database_with(folder: Path, replies: dict[tuple[str, str], str | None]) -> str:
    url = f"sqlite:///{folder}/answers.db"
    with open_database(url) as database:
        prompts = sorted({prompt for prompt, _ in replies})
        database.add_queries(
            [{"query_id": f"q-{p}", "prompt": p, "choices": None, "label": "a"} for p in prompts]
        )
        database.add_responses([
            StoredResponse(
                query_key=query_key_of(prompt, None), query_id=f"q-{prompt}", member=member,
                settings_key=SETTINGS, sample=0, text=text,
                finish="stop" if member != "cut" else "length", signals={"mine": 1.0},
            )
            for (prompt, member), text in replies.items()
        ])  # fmt: skip
    return url


def examiner(name: str = "ex-1", letters: tuple[bytes, ...] = LETTERS) -> Examiner:
    voice = ByPrompt(letters, knows)
    return Examiner(Who(name, "key"), voice, lambda question: asked(question.prompt))


def signals(url: str) -> dict[str, dict[str, float]]:
    import sqlalchemy as sa

    from rlfocal.records.database.schema import responses

    with open_database(url) as database, database.connections.read() as connection:
        rows = connection.execute(sa.select(responses.c.member, responses.c.signals))
        return {member: dict(found or {}) for member, found in rows}


def test_each_reply_is_told_how_likely_it_is(tmp_path: Path) -> None:
    replies = {
        ("a?", "right"): "bb", ("a?", "wrong"): "ac", ("a?", "cut"): "bb", ("a?", "no"): "",
        ("a?", "apart"): " bb\n", ("a?", "blank"): " \n",
    }  # fmt: skip
    url = database_with(tmp_path, dict(replies))
    with open_database(url) as database:
        told = asyncio.run(examine(database, [examiner()]))
        again = asyncio.run(examine(database, [examiner()]))
    assert (told.n_replies, told.n_skipped) == (4, 1)
    assert again.n_replies == 0
    found, (likely, cross) = signals(url), signals_of("ex-1")
    assert found["right"][likely] == pytest.approx(math.log(0.8))
    assert found["right"][cross] == pytest.approx(math.log(0.8) - math.log(0.25))
    # Neither how it ended nor blanks around it are the reply's merit.
    assert found["cut"] == found["apart"] == found["right"]
    assert found["wrong"][likely] < found["right"][likely]
    assert found["right"]["mine"] == 1.0
    assert set(found["no"]) == {"mine"}


def test_whoever_is_stopped_goes_on(tmp_path: Path) -> None:
    url = database_with(tmp_path, {(p, "m"): "ab" for p in ("a?", "b?", "c?")})
    with open_database(url) as database:
        names = signals_of("ex-1")
        assert n_lacking(database, names) == n_lacking(database, names, members=["m"]) == 6
        left = iter([False, True])
        first = asyncio.run(examine(database, [examiner()], stopped=lambda: next(left)))
        assert n_lacking(database, names) == 4
        second = asyncio.run(examine(database, [examiner()]))
        assert n_lacking(database, names) == n_lacking(database, names, members=["x"]) == 0
        other = asyncio.run(examine(database, [examiner("ex.2")], members=["m"]))
        nobody = asyncio.run(examine(database, [examiner("ex-3")], members=["x"]))
    assert (first.n_replies, second.n_replies, other.n_replies, nobody.n_replies) == (1, 2, 3, 0)
    assert set(signals(url)["m"]) == {"mine", *signals_of("ex-1"), *signals_of("ex.2")}


def test_what_cannot_be_read_is_skipped(tmp_path: Path) -> None:
    url = database_with(tmp_path, {("a?", "odd"): "é", ("a?", "plain"): "b", ("b?", "late"): "b"})
    with open_database(url) as database:
        told = asyncio.run(examine(database, [examiner()]))
    assert (told.n_replies, told.n_skipped) == (2, 1)
    found = signals(url)
    assert set(found["odd"]) == {"mine"}
    assert set(found["late"]) == {"mine", *signals_of("ex-1")}


def test_equal_replies_are_read_once(tmp_path: Path) -> None:
    url = database_with(tmp_path, {("a?", f"m{n}"): "abc" for n in range(5)})
    one = examiner()
    with open_database(url) as database:
        told = asyncio.run(examine(database, [one]))
    assert told.n_replies == 5
    assert isinstance(one.voice, TableVoice)
    assert len(one.voice.asked) == 2 * 3  # three letters, with the question and without


def test_who_goes_on_with_a_text_reads_replies_as_it_would_begin_them(tmp_path: Path) -> None:
    url = database_with(tmp_path, {("a?", "m"): "bb", ("a? ", "m"): "bb"})
    one = examiner(letters=(*LETTERS, b" "))._replace(lead=" ")
    with open_database(url) as database:
        asyncio.run(examine(database, [one]))
    assert isinstance(one.voice, TableVoice)
    asked_after = {one.voice.text(ids) for ids in one.voice.asked}
    # The second prompt ends with a blank of its own.
    assert asked_after == {b"a?", b"a? ", b"a? b", b"", b" ", b" b", b"b"}


def test_a_question_that_offers_functions_is_left_out(tmp_path: Path) -> None:
    url = database_with(tmp_path, {("a?", "m"): "bb"})
    with open_database(url) as database:
        row = {"query_id": "t", "prompt": "b?", "choices": None, "label": None, "tools": "[]"}
        database.add_queries([row])
        key = query_key_of("b?", None, "[]")
        database.add_responses([
            StoredResponse(query_key=key, query_id="t", member="n", settings_key=SETTINGS, text="b")
        ])  # fmt: skip
        told = asyncio.run(examine(database, [examiner()]))
    assert (told.n_replies, told.n_skipped) == (1, 1)
    assert not signals(url)["n"]


def test_whoever_lost_its_name_to_another_model_adds_nothing(tmp_path: Path) -> None:
    """Another process examines as another model of that name, since --again was said there."""
    url = database_with(tmp_path, {(p, "m"): "ab" for p in ("a?", "b?", "c?")})
    with open_database(url) as database:
        old = examiner()
        settle_who_examines(database, [old.who])
        asyncio.run(examine(database, [old], stopped=iter([False, True]).__next__))
        with pytest.raises(ConfigError, match="say --again to take these away"):
            settle_who_examines(database, [Who("ex-1", "another")])
        settle_who_examines(database, [Who("ex-1", "another")], again=True)
        assert n_lacking(database, signals_of("ex-1")) == 6
        with pytest.raises(ConfigError, match="'ex-1' examines these replies as another model"):
            asyncio.run(examine(database, [old]))
        assert n_lacking(database, signals_of("ex-1")) == 6


def test_numbers_of_which_nothing_is_known_are_not_added_to(tmp_path: Path) -> None:
    url = database_with(tmp_path, {("a?", "m"): "ab"})
    with open_database(url) as database:
        check_who_examines(database, [Who("ex-1", "key")])
        asyncio.run(examine(database, [examiner()]))  # as if imported: no note was made
        with pytest.raises(ConfigError, match="has examined replies as another model"):
            check_who_examines(database, [Who("ex-1", "key")])
        database.set_note("examiner:ex-2", "of a run that found no model")
        check_who_examines(database, [Who("ex-2", "key")])


def test_imported_replies_are_read_like_collected_ones(tmp_path: Path) -> None:
    """Beside them, in one database."""
    url = database_with(tmp_path, {("a?", "right"): "bb"})
    data = localpool()
    with open_database(url) as database:
        import_dataset(database, data)
        reader = examiner(letters=tuple(bytes([byte]) for byte in range(256)))
        told = asyncio.run(examine(database, [reader], members=["right", "gemma-270m"]))
        assert n_lacking(database, signals_of("ex-1"), members=["right", "gemma-270m"]) == 0
    texts = data.responses.filter(pc.field("member") == "gemma-270m").column("text")
    assert told.n_replies + told.n_skipped == 1 + sum(bool(text) for text in texts.to_pylist())

"""Words that lead while as many members call a tool, of a pool of which nothing was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.live import Answer, LiveEnsemble
from rlfocal.live.calls import as_many_call
from rlfocal.live.state import Faulty, Reply
from rlfocal.pool.asking.question import Question
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import StubServer, StubThread
from rlfocal.pool.types import JsonObject

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
TOOLS = [{"type": "function", "function": {"name": "send", "parameters": SCHEMA}}]
QUESTION = Question("Tell Ann.", extra=JsonObject({"tools": TOOLS}))
SEND, LACKS = "[send(to='ann')]", "[send()]"
SAID = {"a": SEND, "b": LACKS, "c": "I have told her.", "d": "Who is Ann?", "e": SEND}


def answered(
    folder: Path,
    said: Mapping[str, str],
    question: Question = QUESTION,
    *,
    as_decided: bool = False,
) -> Answer:
    """What the members come to; they are asked in this order, the cheaper ones first."""
    with StubThread(StubServer(lambda body: said[str(body["model"])])) as stub:
        pool = folder / "pool.toml"
        members = [
            f'[[members]]\nname = "{n}"\nendpoint = "s"\nmodel = "{n}"\n'
            f'[prices."{n}"]\nprompt = {k + 1}.0\ncompletion = {k + 1}.0\n'
            for k, n in enumerate(said)
        ]
        pool.write_text(f'[endpoints.s]\nbase_url = "{stub.base_url}"\n{"".join(members)}', "utf-8")

        async def ask() -> Answer:
            settings = read_pool(pool)
            async with LivePool(settings) as live:
                ensemble = LiveEnsemble(start_without_labels(settings), live.members)
                return await ensemble.begin(question, as_decided=as_decided).run(60)

        return asyncio.run(ask())


def asked(answer: Answer) -> str:
    return "".join(call.member for call in answer.trace.calls)


def test_others_are_asked_while_as_many_call(tmp_path: Path) -> None:
    answer = answered(tmp_path, SAID)
    assert asked(answer) == "abcde"
    assert answer.answer == '[{"arguments":{"to":"ann"},"name":"send"}]'
    assert answer.tool_calls


def test_who_learns_from_decisions_asks_nobody_else(tmp_path: Path) -> None:
    answer = answered(tmp_path, SAID, as_decided=True)
    assert asked(answer) == "abcd"
    assert not answer.tool_calls


def test_where_nobody_is_left_words_are_given(tmp_path: Path) -> None:
    answer = answered(tmp_path, {name: SAID[name] for name in "abcd"})
    assert asked(answer) == "abcd"
    assert answer.text in (SAID["c"], SAID["d"])


def test_words_of_most_are_enough(tmp_path: Path) -> None:
    said = SAID | dict.fromkeys("abc", "All is done.")
    assert len(asked(answered(tmp_path, said))) < len(said)


WORDS, CALL = Reply(("[]",), 0.0), Reply(('[{"arguments":{},"name":"f"}]',), 0.0)
OTHER, NOTHING = Reply(('[{"arguments":{},"name":"g"}]',), 0.0), Reply((None,), 0.0)
BROKEN = Reply((None,), 0.0, faulty=Faulty(CALL.samples[0] or "", "missing argument", 0))
UNWANTED = Reply((None,), 0.0, faulty=Faulty("[]", "no call", 0))


@pytest.mark.parametrize(
    ("replies", "wanted"),
    [
        ([WORDS], False), ([WORDS, CALL], True), ([WORDS, WORDS, CALL], False),
        ([WORDS, WORDS, CALL, OTHER], True), ([WORDS, WORDS, CALL, BROKEN], True),
        ([WORDS, NOTHING, None], False), ([WORDS, UNWANTED, CALL], False),
    ],
)  # fmt: skip
def test_calls_of_all_kinds_count_together(replies: list[Reply | None], wanted: bool) -> None:
    assert as_many_call(replies) is wanted

"""Words that lead while as many members call a tool, of a pool of which nothing was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.deliberation.trace import Round
from rlfocal.live import Answer, LiveEnsemble
from rlfocal.live.calls import as_many_call
from rlfocal.live.given.answer import Limits, Listener
from rlfocal.live.state import Faulty, Reply
from rlfocal.pool.asking.question import Question
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Said, StubServer, StubThread
from rlfocal.pool.types import JsonObject

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
TOOLS = [{"type": "function", "function": {"name": "send", "parameters": SCHEMA}}]
QUESTION = Question("Tell Ann.", extra=JsonObject({"tools": TOOLS}))
SEND, LACKS = "[send(to='ann')]", "[send()]"
SAID = {"a": SEND, "b": LACKS, "c": "I have told her.", "d": "Who is Ann?", "e": SEND}


def answered(
    folder: Path,
    said: Mapping[str, str | Said],
    question: Question = QUESTION,
    *,
    as_decided: bool = False,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    listener: Listener = Listener(),  # noqa: B008 (frozen)
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
                begun = ensemble.begin(question, as_decided=as_decided)
                return await begun.run(60, limits=limits, listener=listener)

        return asyncio.run(ask())


def asked(answer: Answer) -> str:
    return "".join(call.member for call in answer.trace.calls)


def test_others_are_asked_while_as_many_call(tmp_path: Path) -> None:
    answer = answered(tmp_path, SAID)
    assert asked(answer) == "abcde"
    assert answer.answer == '[{"arguments":{"to":"ann"},"name":"send"}]'
    assert answer.tool_calls
    assert answer.trace.asked_on
    assert "words led" in str(answer.trace)


def test_who_learns_from_decisions_asks_nobody_else(tmp_path: Path) -> None:
    answer = answered(tmp_path, SAID, as_decided=True)
    assert asked(answer) == "abcd"
    assert not answer.tool_calls
    assert "asked_on" not in answer.trace.as_json()


def test_where_nobody_is_left_words_are_given(tmp_path: Path) -> None:
    answer = answered(tmp_path, {name: SAID[name] for name in "abcd"})
    assert asked(answer) == "abcd"
    assert answer.text in (SAID["c"], SAID["d"])


def test_words_of_most_are_enough(tmp_path: Path) -> None:
    said = SAID | dict.fromkeys("abc", "All is done.")
    assert len(asked(answered(tmp_path, said))) < len(said)


def calling(to: str) -> Said:
    function = {"name": "send", "arguments": f'{{"to": "{to}"}}'}
    return Said("", tool_calls=[{"id": "c1", "type": "function", "function": function}])


def test_where_none_may_be_called_nobody_is_asked_for_the_calls_of_others(tmp_path: Path) -> None:
    said: dict[str, str | Said] = {"a": "I have told her.", "b": calling("ann"), "c": "Done."}
    said |= {"d": calling("bo"), "e": calling("cy"), "f": calling("di"), "g": "Done."}
    question = Question("Tell Ann.", extra=JsonObject({"tools": TOOLS, "tool_choice": "none"}))
    answer = answered(tmp_path, said, question)
    decided = answered(tmp_path, said, question, as_decided=True)
    assert asked(answer) == asked(decided)
    assert not answer.trace.asked_on


def test_a_budget_that_is_spent_pays_for_nobody_else(tmp_path: Path) -> None:
    spent = answered(tmp_path, SAID, as_decided=True).trace.rounds
    budget = sum(call.cost for one in spent for call in one.asked)
    answer = answered(tmp_path, SAID, limits=Limits(budget=budget))
    assert asked(answer) == "abcd"
    assert answer.trace.stopped == "the budget is spent"
    assert answer.text in (SAID["c"], SAID["d"])


def test_past_the_deadline_nobody_else_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[str]()

    def later(part: Round) -> None:
        seen.extend(call.member for call in part.asked)
        if len(seen) == 4:
            loop = asyncio.get_running_loop()
            now = loop.time
            monkeypatch.setattr(loop, "time", lambda: now() + 100.0)

    answer = answered(tmp_path, SAID, listener=Listener(on_round=later))
    assert asked(answer) == "abcd"
    assert answer.trace.stopped == "the deadline of 60 s is over"
    assert answer.text in (SAID["c"], SAID["d"])


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

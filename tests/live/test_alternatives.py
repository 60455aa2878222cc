"""Where tools are offered an answer comes with all other candidates, and the replies behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from spy_upstream import Received, Reply, SpyUpstream, aimed_at

from rlfocal.checkpoint import Checkpoint
from rlfocal.live import Answer, LiveEnsemble, Question
from rlfocal.pool.types import JsonObject

Live = Callable[..., Any]
TEXT = {"type": "object", "properties": {"to": {"type": "string"}, "n": {"type": "integer"}}}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": TEXT}}
    for name in ("send", "look")
]
SIGNATURE = {"google": {"thought_signature": "c2ln"}}


def calling(name: str, arguments: str = "{}", **more: Any) -> Reply:
    function = {"name": name, "arguments": arguments}
    return Reply(tool_calls=[{"id": f"c-{name}", "type": "function", "function": function, **more}])


def sending(to: str) -> Reply:
    return calling("send", json.dumps({"to": to}))


def answered(
    live: Live, checkpoint: Checkpoint, said: Mapping[str, Any], *, tools: bool = True
) -> Answer:
    """What an ensemble answers whose members say this; a function says it sample by sample."""

    def says(got: Received) -> Reply:
        found = said[got.body["model"]]
        return found(got.body.get("seed")) if callable(found) else found

    extra = JsonObject({"tools": TOOLS} if tools else {})
    asked = Question(prompt="3 + 4 =", extra=extra)

    async def act(ensemble: LiveEnsemble) -> Answer:
        return await ensemble.answer(asked, deadline_s=60)

    with SpyUpstream(says) as spy:
        found: Answer = live(checkpoint, act, edit=aimed_at(spy.base_url))
    return found


SEND = calling("send", '{"n":  1, "to": "a"}')
LOOK = calling("look", extra_content=SIGNATURE)
WORDS = Reply("What\n for?")


def test_every_other_candidate_is_there_the_likeliest_first(live: Live, vote: Checkpoint) -> None:
    said = {"plain": SEND, "sampled": SEND, "hasty": LOOK, "letters": WORDS}
    found = answered(live, vote, said)
    assert found.tool_calls == tuple(SEND.tool_calls)
    assert len(found.alternatives) == 2
    (looks,) = [one for one in found.alternatives if one.tool_calls]
    (asks,) = [one for one in found.alternatives if not one.tool_calls]
    (call,) = looks.tool_calls
    assert call["id"] == "c-look"
    assert call["extra_content"] == SIGNATURE | {"rlfocal": {"member": "hasty"}}
    assert (looks.text, looks.finish) == ("", "tool_calls")
    assert (asks.text, asks.finish) == ("What\n for?", "stop")
    probabilities = [one.probability for one in found.alternatives]
    assert probabilities == sorted(probabilities, reverse=True)
    believed = found.trace.rounds[-1].probabilities
    for one in found.alternatives:
        assert one.answer != found.answer
        assert one.probability == pytest.approx(believed[one.answer])


def test_of_many_candidates_all_are_there(live: Live, vote: Checkpoint) -> None:
    """A round of the trace names four of them."""

    def sampled(seed: int) -> Reply:
        return sending(f"sample {seed % 3}")

    said = {"plain": sending("a"), "hasty": sending("b"), "letters": sending("c"),
            "sampled": sampled}  # fmt: skip
    found = answered(live, vote, said)
    assert len(found.trace.rounds[-1].probabilities) == 4
    assert len(found.alternatives) >= 4
    total = found.confidence + sum(one.probability for one in found.alternatives)
    assert total == pytest.approx(1, abs=1e-5)


def test_a_call_that_only_a_sample_made_is_an_alternative_too(live: Live, vote: Checkpoint) -> None:
    def sampled(seed: int) -> Reply:
        return LOOK if seed % 3 == 0 else SEND

    said = {"plain": SEND, "hasty": SEND, "letters": SEND, "sampled": sampled}
    found = answered(live, vote, said)
    assert found.tool_calls == tuple(SEND.tool_calls)
    (one,) = found.alternatives
    assert one.tool_calls[0]["extra_content"]["rlfocal"] == {"member": "sampled"}
    assert one.probability > 0


def test_without_tools_there_are_none(live: Live, vote: Checkpoint) -> None:
    said = {name: Reply(f"That is {k}.") for k, name in enumerate(("plain", "hasty", "sampled"))}
    found = answered(live, vote, said | {"letters": Reply("That is 0.")}, tools=False)
    assert found.alternatives == ()


def test_where_all_agree_there_are_none(live: Live, vote: Checkpoint) -> None:
    said = dict.fromkeys(("plain", "hasty", "sampled", "letters"), SEND)
    assert answered(live, vote, said).alternatives == ()


def test_of_an_unlike_question_they_are_as_much_less_likely_as_the_answer(
    live: Live, vote: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlfocal.live.unlike.Unlike.why", lambda self, prompt: "unlike")
    said = {"plain": SEND, "sampled": SEND, "hasty": LOOK, "letters": SEND}
    found = answered(live, vote, said)
    (one,) = found.alternatives
    assert found.trace.learned_confidence
    share = found.confidence / found.trace.learned_confidence
    assert share < 1
    before = found.trace.rounds[-1].probabilities[one.answer]
    assert one.probability == pytest.approx(share * before)

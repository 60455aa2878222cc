"""How calls are put: their keys, and what of a member's settings holds in a conversation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from talks import query

from rlfocal.conversations.calls import Call, Put
from rlfocal.conversations.talk import alone
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.records.database import query_key_of, settings_key_of

CHOICE = query("Which is even?", "B", ["one", "two"])
OPEN = query()


@pytest.fixture
def members(tmp_path: Path) -> dict[str, LiveMember]:
    file = tmp_path / "pool.toml"
    file.write_text(
        '[endpoints.chat]\nbase_url = "http://127.0.0.1:1/v1"\n'
        '[endpoints.plain]\nbase_url = "http://127.0.0.1:1/v1"\napi = "completions"\n'
        '[[members]]\nname = "chat"\nendpoint = "chat"\nsystem = "Be brief."\n'
        '[[members]]\nname = "scored"\nendpoint = "chat"\nanswers = "option-scores"\n'
        '[[members]]\nname = "plain"\nendpoint = "plain"\ntemplate = "Q: {question}\\nA:"\n'
    )
    return {member.name: member for member in LivePool(read_pool(file)).members}


def put(call: Call, members: dict[str, LiveMember]) -> Put:
    live = members[call.member]
    return Put.of(call, live, settings_key_of(live.identity))


def test_a_query_alone_is_the_request_and_the_key_of_collecting(
    members: dict[str, LiveMember],
) -> None:
    found = put(alone("x", "chat", CHOICE.question, "propose"), members)
    assert found.alone
    assert found.request == members["chat"].request(CHOICE.question)
    assert found.query_key == query_key_of("Which is even?", ["one", "two"])


def test_options_that_are_scored_are_asked_for_in_words(members: dict[str, LiveMember]) -> None:
    found = put(alone("x", "scored", CHOICE.question, "propose"), members)
    assert not found.alone
    assert found.request.max_tokens == members["scored"].settings.max_tokens
    assert found.request.n_logprobs == 0
    assert found.query_key != query_key_of("Which is even?", ["one", "two"])
    assert put(alone("x", "scored", OPEN.question, "propose"), members).alone


def test_a_role_stands_behind_what_the_pool_file_says(members: dict[str, LiveMember]) -> None:
    found = put(alone("x", "chat", OPEN.question, "propose", role="You doubt."), members)
    assert found.request.messages[0].content == "Be brief.\n\nYou doubt."
    plain = put(alone("x", "plain", OPEN.question, "propose", role="You doubt."), members)
    assert plain.request.text == "You doubt.\n\nQ: How much is 6 * 7?\nA:"


def test_keys_tell_calls_apart_by_all_that_is_sent(members: dict[str, LiveMember]) -> None:
    call = alone("x", "chat", OPEN.question, "propose", role="You doubt.")
    same = replace(call, speaker="y", why="again")
    others = [
        replace(call, sample=1),
        replace(call, settings={"temperature": 0.7}),
        replace(call, settings={"max_tokens": 9}),
        alone("x", "chat", OPEN.question, "propose", role="You trust."),
        alone("x", "chat", query("How much is 6 * 8?").question, "propose", role="You doubt."),
        replace(call, member="scored"),
    ]
    keys = [put(each, members).key for each in (call, *others)]
    assert put(same, members).key == keys[0]
    assert len(set(keys)) == len(keys)

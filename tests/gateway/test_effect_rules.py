"""Rules for calls of tools: whose word counts, and which words are mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rlfocal.errors import ConfigError
from rlfocal.gateway.chat import read_request
from rlfocal.gateway.effects.rules import ClientRule, HouseRule, Rule, Rules
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.dialects.chat import Chat
from rlfocal.gateway.wire.dialects.dialect import Dialect
from rlfocal.gateway.wire.dialects.messages import Messages
from rlfocal.gateway.wire.dialects.responses import Responses
from rlfocal.gateway.wire.request import ChatRequest, Context

USER = {"role": "user", "content": "3 + 4 ="}
SEND: Any = {"type": "function", "function": {"name": "send_mail"}}
LOOK: Any = {"type": "function", "function": {"name": "look"}}


def rule(house: Mapping[str, Any] | None, client: Mapping[str, Any] | None) -> Rule:
    ours = {} if house is None else {"send_*": HouseRule(**house)}
    theirs = {} if client is None else {"send_mail": ClientRule(**client)}
    return Rules(ours, theirs).of("send_mail")


@pytest.mark.parametrize(
    ("house", "client", "wanted"),
    [
        (None, None, ("read", 0.0, "confirm")),
        (None, {}, ("read", 0.0, "confirm")),
        (None, {"effect": "read"}, ("read", 0.0, "confirm")),
        (None, {"effect": "write"}, ("write", 0.9, "confirm")),
        (None, {"effect": "write", "least_confidence": 0.5}, ("write", 0.5, "confirm")),
        (None, {"effect": "write", "least_confidence": 0}, ("write", 0.0, "confirm")),
        (None, {"least_confidence": 0.4}, ("read", 0.4, "confirm")),
        ({"effect": "write"}, None, ("write", 0.9, "confirm")),
        ({"least_confidence": 0.7, "below": "read"}, None, ("read", 0.7, "read")),
        # The stricter of both.
        ({"effect": "write"}, {"effect": "read"}, ("write", 0.9, "confirm")),
        ({"effect": "write"}, {"least_confidence": 0.5}, ("write", 0.9, "confirm")),
        ({"effect": "write"}, {"least_confidence": 0.95}, ("write", 0.95, "confirm")),
        ({"least_confidence": 0.5}, {"effect": "write"}, ("write", 0.9, "confirm")),
        ({"effect": "write", "least_confidence": 0.6}, {"effect": "write"},
         ("write", 0.9, "confirm")),
        # What is given instead is the client's choice...
        ({"effect": "write", "below": "error"}, {"below": "read"}, ("write", 0.9, "read")),
        ({"effect": "write", "below": "error"}, {}, ("write", 0.9, "error")),
        # ...and its user's word lifts a bar; the call changes something all the same.
        ({"effect": "write"}, {"confirmed": True}, ("write", 0.0, "confirm")),
        ({"effect": "write"}, {"confirmed": False}, ("write", 0.9, "confirm")),
        (None, {"least_confidence": 1, "confirmed": True}, ("read", 0.0, "confirm")),
    ],
)  # fmt: skip
def test_the_stricter_word_counts(
    house: Mapping[str, Any] | None, client: Mapping[str, Any] | None, wanted: Any
) -> None:
    assert rule(house, client) == Rule(*wanted)


def test_the_first_pattern_that_fits_counts_in_the_files_order() -> None:
    house = {
        "send_test": HouseRule(),
        "send_*": HouseRule(effect="write"),
        "*": HouseRule(least_confidence=0.3),
        "look": HouseRule(least_confidence=1),
    }
    bars = {n: Rules(house).of(n).bar for n in ("send_test", "send_mail", "look", "Send_mail")}
    assert bars == {"send_test": 0.0, "send_mail": 0.9, "look": 0.3, "Send_mail": 0.3}


def test_the_houses_words_are_checked() -> None:
    found = GatewaySettings.of(
        {"tools": {"send_*": {"effect": "write", "below": "error"}}}, source="x"
    )
    assert found.tools["send_*"] == HouseRule(effect="write", below="error")
    for wrong in ({"effect": "erase"}, {"least_confidence": 1.5}, {"confirmed": True}):
        with pytest.raises(ConfigError, match=r"send_\*"):
            GatewaySettings.of({"tools": {"send_*": wrong}}, source="x")


# In a request ------------------------------------------------------------------------------------


def read(
    rules: Any,
    *,
    model: str = "rlfocal",
    tools: Any = (SEND, LOOK),
    house: Mapping[str, HouseRule] | None = None,
    **fields: Any,
) -> ChatRequest:
    body = {"model": model, "messages": [USER], "tools": list(tools), **fields}
    body["rlfocal"] = {} if rules is None else {"tools": rules}
    context = Context(["plain"], GatewaySettings(tools=dict(house or {})))
    return read_request(json.dumps(body).encode(), Chat(), context)[1]


def test_without_a_word_nothing_is_ruled() -> None:
    assert read(None).rules.are_none
    assert not read({"look": {}}).rules.are_none


@pytest.mark.parametrize(
    ("rules", "param", "words"),
    [
        ({"send_mial": {"effect": "write"}}, "rlfocal.tools.send_mial", "did you mean 'send_mail'"),
        ({"send_mail": {"efect": "write"}}, "rlfocal.tools.send_mail.efect", "mean 'effect'"),
        ({"send_mail": {"effect": "erase"}}, "rlfocal.tools.send_mail.effect", "'write'"),
        ({"send_mail": {"below": "ask"}}, "rlfocal.tools.send_mail.below", "'confirm'"),
        ({"send_mail": {"least_confidence": 2}}, "rlfocal.tools.send_mail.least_confidence", "1"),
        ({"send_mail": {"least_confidence": "1"}}, "rlfocal.tools.send_mail.least_confidence", ""),
        ({"send_mail": {"confirmed": 1}}, "rlfocal.tools.send_mail.confirmed", "bool"),
        ({"send_mail": "write"}, "rlfocal.tools.send_mail", ""),
        (["send_mail"], "rlfocal.tools", ""),
    ],
)
def test_other_words_are_mistakes(rules: Any, param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(rules)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in str(refused.value)


@pytest.mark.parametrize("tools", [[], None])
def test_a_rule_without_tools_is_a_mistake(tools: Any) -> None:
    with pytest.raises(ApiError, match="no tools in this request") as refused:
        read({"send_mail": {}}, tools=tools or ())
    assert (refused.value.status, refused.value.param) == (400, "rlfocal.tools.send_mail")


def test_nulls_say_nothing() -> None:
    nothing = dict.fromkeys(ClientRule.model_fields)
    assert read({"send_mail": nothing}).rules.of("send_mail") == Rule()


def test_a_rule_may_be_of_a_tool_that_is_not_allowed_this_time() -> None:
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "look"}]}
    choice = {"tools": [SEND, LOOK], "tool_choice": allowed}
    assert read({"send_mail": {"effect": "write"}}, **choice).rules.of("send_mail").bar == 0.9


FLAT = {"type": "function", "name": "send_mail"}
ANTHROPIC = {"name": "send_mail", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (Chat(), {"messages": [USER], "tools": [SEND]}),
        (Chat(), {"messages": [USER], "tools": [FLAT]}),
        (Responses(), {"input": "3 + 4 =", "tools": [FLAT]}),
        (Messages(), {"messages": [USER], "tools": [ANTHROPIC], "max_tokens": 9}),
    ],
)
def test_every_dialect_takes_rules(dialect: Dialect, body: Mapping[str, Any]) -> None:
    context = Context([], GatewaySettings())
    for name, effect in (("send_mail", "write"), ("sendmail", None)):
        own = {"tools": {name: {"effect": effect}}}
        given = json.dumps({"model": "rlfocal", **body, "rlfocal": own}).encode()
        if effect:
            assert read_request(given, dialect, context)[1].rules.of(name).bar == 0.9
            continue
        with pytest.raises(ApiError, match="did you mean 'send_mail'") as refused:
            read_request(given, dialect, context)
        assert refused.value.param == "rlfocal.tools.sendmail"


@pytest.mark.parametrize("whose", ["client", "house"])
def test_of_a_member_asked_by_its_name_nobody_knows_how_sure_it_is(whose: str) -> None:
    house = {"send_*": HouseRule(effect="write")} if whose == "house" else {}
    client = {"send_mail": {"effect": "write"}} if whose == "client" else {}
    with pytest.raises(ApiError, match="ask 'rlfocal'") as refused:
        read(client, model="plain", house=house)
    assert (refused.value.status, refused.value.code) == (400, "unsupported_parameter")
    assert refused.value.param == "rlfocal.tools.send_mail"
    assert read(client, house=house)
    # With no bar there is nothing to know.
    read({"send_mail": {"confirmed": True}}, model="plain", house=house)
    read({"send_mail": {"effect": "read"}}, model="plain")
    read(None, model="plain", tools=[LOOK], house=house)
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "look"}]}
    read(client, model="plain", house=house, tool_choice=allowed)

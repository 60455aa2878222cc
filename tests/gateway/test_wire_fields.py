"""Names of fields: what could say where a request goes is found, however it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.body import ChatBody
from rlfocal.gateway.wire.fields import (
    IgnoredFields,
    is_shallow,
    is_within_price,
    refuse_names,
    sort_out,
)
from rlfocal.gateway.wire.names import (
    joined,
    names_a_model,
    names_a_server,
    says_how_long,
    says_how_many,
)

SERVERS = """
api_base base_url api_key host url endpoint proxy headers extra_headers extra_body extra_query
default_headers model_list fallbacks context_window_fallbacks custom_llm_provider provider providers
organization litellm_params litellm_metadata user_config mock_response num_retries timeout plugins
transforms route models guardrails callbacks success_callback vertex_credentials
aws_bedrock_runtime_endpoint aws_access_key_id azure_ad_token client http_client cache kwargs
baseURL apiKey OPENAI_API_KEY x-api-key Authorization openai_organization serverUrl API_BASE
api-base APIBase baseurl apikey auth_token access_token server_port http_proxy https_proxy
socks_proxy webhookUrl
callback_url mcp_servers openai_project upstream_url image_url hostName domain_name client_secret
"""
HARMLESS = """
top_k min_p top_a typical_p tfs_z repetition_penalty repeat_penalty mirostat dry_multiplier
chat_template_kwargs thinking enable_thinking thinking_budget reasoning include_reasoning verbosity
guided_json guided_regex guided_choice structured_outputs grammar json_schema ignore_eos min_tokens
stop_token_ids skip_special_tokens add_generation_prompt continue_final_message prompt_logprobs
priority request_id return_token_ids length_penalty early_stopping cache_prompt n_probs samplers
safe_prompt random_seed prompt_mode prompt_cache_key prompt_cache_retention safety_identifier
service_tier search_parameters enable_search do_sample regex separate_reasoning bad_words keywords
allowed_token_ids user_id conversation_id tags cache_control annotations tool_name name status id
additional_kwargs response_metadata provider_specific_fields providerMetadata thoughtSignature
"""


@pytest.mark.parametrize("name", SERVERS.split())
def test_a_name_of_a_server_is_found(name: str) -> None:
    assert names_a_server(name)


@pytest.mark.parametrize("name", HARMLESS.split())
def test_other_names_are_harmless(name: str) -> None:
    assert not names_a_server(name)


MODELS = """
model_name modelName model_id MODEL_ID draft_model lora_adapter adapter adapter_id lora_name
base_model fallback_model model_path modelVersion speculative_model engine_id
"""
"""That another model answers."""


@pytest.mark.parametrize("name", MODELS.split())
def test_a_name_of_another_model_is_refused_at_the_top_and_within(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        refuse_names({name: "dear"}, ChatBody.model_fields)
    assert refused.value.param == name
    with pytest.raises(ApiError) as refused:
        sort_out({"thinking": {name: "dear"}}, ChatBody.model_fields, IgnoredFields(), by_name=True)
    assert refused.value.param == f"thinking...{name}"


@pytest.mark.parametrize("name", [*HARMLESS.split(), "model_identity", "model_item"])
def test_other_names_name_no_model(name: str) -> None:
    assert not names_a_model(name)


UNTOLD: dict[str, Any] = {
    "timeout": 60, "request_timeout": 9.5, "max_retries": 2, "maxRetries": 2, "num_retries": 0,
    "cache": True, "caching": False, "plugins": [], "tool_servers": [], "endpointType": "custom",
    "litellm_session_id": "s-1", "headers": {}, "models": [], "base_url": "",
}  # fmt: skip


@pytest.mark.parametrize("name", UNTOLD)
def test_what_could_not_name_a_server_is_no_error_and_not_passed_on(name: str) -> None:
    field = {name: UNTOLD[name]}
    refuse_names(field, ChatBody.model_fields)
    told = IgnoredFields()
    assert sort_out(field, ChatBody.model_fields, told, by_name=True) == {}
    assert told.names == (name,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("litellm_session_id", "https://x"), ("endpointType", {"url": "x"}), ("model_id", "x"),
        ("timeout", "http://x"), ("cache", {"host": "x"}), ("aws_access_key_id", "x"),
    ],
)  # fmt: skip
def test_what_could_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ApiError):
        refuse_names({name: value}, ChatBody.model_fields)


SCHEMA = {
    "type": "object",
    "properties": {
        name: {"type": "string", "maxLength": 5}
        for name in ("url", "host", "key", "password", "server", "n", "max_tokens", "model")
    },
    "$defs": {"endpoint": {"type": "object", "properties": {"api_key": {"type": "string"}}}},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guided_json", SCHEMA), ("format", SCHEMA), ("json_schema", SCHEMA),
        ("structured_outputs", {"json": SCHEMA}), ("response_schema", {"items": SCHEMA}),
        ("promptCacheKey", "x"), ("search_domain_filter", ["example.org"]),
        ("reasoning_format", "parsed"), ("mode", "fast"), ("speed", "fast"),
        ("reasoning", {"max_tokens": 100}), ("thinking", {"budget_tokens": 100}),
        ("chat_template_kwargs", {"model_identity": "x", "thinking_budget": 9}),
    ],
)  # fmt: skip
def test_data_are_passed_on_whatever_they_are_called(name: str, value: Any) -> None:
    if joined(name) == "promptcachekey":  # a known field in another writing
        return
    found = {name: value}
    refuse_names(found, ChatBody.model_fields)
    assert sort_out(found, ChatBody.model_fields, IgnoredFields(), by_name=True) == found


def test_a_server_does_not_hide_behind_a_schemas_words() -> None:
    for hidden in (
        {"properties": {"api_base": "https://x"}},
        {"properties": {"a": {"extra_headers": {"x": 1}}}},
        {"properties": [{"base_url": "https://x"}]},
    ):
        with pytest.raises(ApiError):
            sort_out({"guided_json": hidden}, ChatBody.model_fields, IgnoredFields(), by_name=True)


LENGTHS = """
max_new_tokens maxTokens MaxTokens max_gen_toks max_tokens_to_generate max_response_output_tokens
token_limit max_decode_len max_output_len response_length output_length num_tokens n_tokens
maxOutputTokens num_predict n_predict max_length maxlen max_thinking_tokens max_token
num_samples sample_count numResults num_candidates num_outputs N samples
"""
"""Of replies, and how many of them."""


@pytest.mark.parametrize("name", LENGTHS.split())
def test_lengths_and_counts_are_passed_on_neither_at_the_top_nor_within(name: str) -> None:
    for fields in (
        {name: 9999},
        {"parameters": {name: 9999}},
        {"config": {"generation": [{name: 9999}]}},
    ):
        told = IgnoredFields()
        assert sort_out(fields, ChatBody.model_fields, told, by_name=True) == {}
        assert told.names == tuple(fields)


def written(words: list[str], manner: str) -> str:
    if manner == "camel":
        return words[0] + "".join(word.title() for word in words[1:])
    if manner == "pascal":
        return "".join(word.title() for word in words)
    joined = manner[-1].join(words)
    return joined.upper() if manner.startswith("upper") else joined


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    before=st.lists(st.sampled_from(["my", "openai", "llm", "default", "x", "remote"]), max_size=2),
    core=st.sampled_from(
        [["api", "key"], ["base", "url"], ["endpoint"], ["proxy"], ["host"], ["secret"],
         ["auth", "token"], ["headers"], ["server"], ["credentials"], ["authorization"]]
    ),
    after=st.lists(st.sampled_from(["name", "list", "path", "env"]), max_size=1),
    manner=st.sampled_from(["camel", "pascal", "_", "-", "upper_", "upper-", "."]),
)  # fmt: skip
def test_words_are_found_in_any_writing(
    before: list[str], core: list[str], after: list[str], manner: str
) -> None:
    assert names_a_server(written([*before, *core, *after], manner))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=400))
def test_any_text_may_be_a_name(name: str) -> None:
    assert names_a_server(name) in (True, False)


# A field within which more replies or tokens are asked for ("n") is dropped before it is looked at,
# and another name of a key ("Key") may be found first.
names = st.text(max_size=5).filter(
    lambda name: not (says_how_many(name) or says_how_long(name) or names_a_server(name))
)
nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True)
@given(value=nested, where=st.integers(0, 6))
def test_a_key_is_found_at_any_depth_of_what_is_passed_on(value: Any, where: int) -> None:
    buried: Any = {"api_key": value}
    for k in range(where):
        buried = [value, buried] if k % 2 else {"a": buried}
    with pytest.raises(ApiError) as refused:
        sort_out({"top_k": buried}, ChatBody.model_fields, IgnoredFields(), by_name=True)
    assert refused.value.param == "top_k...api_key"
    told = IgnoredFields()
    assert sort_out({"top_k": buried}, ChatBody.model_fields, told, by_name=False) == {}
    assert told.names == ("top_k",)


@pytest.mark.parametrize("by_name", [False, True])
def test_each_field_is_passed_on_or_told(by_name: bool) -> None:
    fields = {
        "top_k": 4, "max_token": 5, "max_new_tokens": 9, "customLogitProcessor": "x", "best_of": 1,
        "deep": [[[[[[1]]]]]],
    }  # fmt: skip
    told = IgnoredFields()
    passed = sort_out(fields, ChatBody.model_fields, told, by_name=by_name)
    assert passed.keys() == ({"top_k", "deep"} if by_name else set())
    assert {*passed, *told.names} == fields.keys()
    assert len(told.names) + len(passed) == len(fields)


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("best_of", 2, "n"), ("use_beam_search", True, "n"), ("functions", [{}], "tools"),
        ("system", "x", "messages"), ("prompt", "x", "messages"), ("input", "x", "messages"),
    ],
)  # fmt: skip
def test_what_cannot_be_passed_over_is_refused_with_its_remedy(
    name: str, value: Any, remedy: str
) -> None:
    with pytest.raises(ApiError, match=remedy) as refused:
        sort_out({name: value}, ChatBody.model_fields, IgnoredFields(), by_name=True)
    assert (refused.value.code, refused.value.param) == ("unknown_parameter", name)


def test_the_known_are_never_refused_and_what_is_told_is_bounded() -> None:
    refuse_names({name: {"url": "x"} for name in ChatBody.model_fields}, ChatBody.model_fields)
    told = IgnoredFields()
    for k in range(1000):
        told.add(f"{k}" + "x" * 1000)
    assert len(told.names) == 64
    assert max(map(len, told.names)) == 128


def test_depth_is_counted_by_levels() -> None:
    def deep(n: int) -> Any:
        value: Any = 1
        for _ in range(n):
            value = [value]
        return value

    assert is_shallow(deep(63))
    assert not is_shallow(deep(64))


@pytest.mark.parametrize(
    ("name", "value", "is_cheap"),
    [
        ("top_k", 4, True), ("minP", 0.1, True), ("stop_token_ids", [1], True),
        ("chat_template_kwargs", {"enable_thinking": False}, True), ("guided_json", {}, True),
        ("reasoning", {"effort": "low", "exclude": True}, True),
        ("reasoning", {"max_tokens": 9999}, False), ("thinking", {"type": "disabled"}, True),
        ("thinking", {"type": "enabled", "budget_tokens": 9999}, False),
        ("thinking_budget", 9999, False), ("enable_search", True, False),
        ("search_parameters", {"mode": "on"}, False), ("web_search", True, False),
        ("image_generation", True, False), ("response_modalities", ["AUDIO"], False),
        ("performance", "fast", False), ("inference_geo", "us", False), ("speed", "fast", False),
        ("something_new", 1, False), ("ignore_eos", True, False), ("min_tokens", 9999, False),
        ("priority", 1, True), ("priority", "high", False), ("enable_thinking", False, True),
        ("enable_thinking", True, False),
    ],
)  # fmt: skip
def test_only_what_is_known_to_cost_nothing_is_within_a_price(
    name: str, value: Any, is_cheap: bool
) -> None:
    assert is_within_price(name, value) == is_cheap


@pytest.mark.parametrize("value", ["http://x", {"a": ["WSS://x/y"]}, [" https://10.0.0.1"]])
def test_an_address_is_passed_on_under_no_name(value: Any) -> None:
    told = IgnoredFields()
    assert sort_out({"notify": value}, ChatBody.model_fields, told, by_name=True) == {}
    assert told.names == ("notify",)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}
    found = {"guided_json": schema, "min_tokens": 3, "documents": ["see https://x"]}
    assert sort_out(found, ChatBody.model_fields, told, by_name=True) == found


def test_very_many_names_are_not_looked_at() -> None:
    told = IgnoredFields()
    many = {f"f{k}": k for k in range(60_000)}
    for name in ("zz", "guided_json"):
        assert sort_out({name: many}, ChatBody.model_fields, told, by_name=True) == {}
    assert told.names == ("zz", "guided_json")

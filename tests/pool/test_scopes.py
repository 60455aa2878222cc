"""A refusal of a value, or of fields together, is told apart from one of the field itself."""

from __future__ import annotations

from typing import Any

import pytest

from rlfocal.pool.openai.scopes import Scope, scope_of

SAID: list[tuple[str, str, Any, Scope]] = [
    (
        (
            "`temperature` may only be set to 1 when thinking is enabled. Please "
            "consult our documentation at https://docs.anthropic.com"
        ),
        "temperature",
        0.0,
        "request",
    ),
    (
        "Thinking may not be enabled when tool_choice forces tool use.",
        "thinking",
        {"type": "enabled"},
        "request",
    ),
    (
        (
            "Unsupported value: 'reasoning_effort' does not support 'minimal' with "
            "this model. Supported values are: 'low', 'medium', and 'high'.\n"
            "unsupported_value\ninvalid_request_error"
        ),
        "reasoning_effort",
        "minimal",
        "value",
    ),
    (
        "The 'metadata' parameter is only allowed when 'store' is enabled.",
        "metadata",
        {"a": "b"},
        "request",
    ),
    (
        "Invalid value at 'generation_config.seed' (TYPE_INT32), 5000000000",
        "seed",
        5000000000,
        "value",
    ),
    ("Invalid value at 'generation_config.seed' (TYPE_INT32)", "seed", 5000000000, "value"),
    ("stop: whitespace stop sequences are not allowed", "stop", [" "], "value"),
    ("stop_sequences: each stop sequence must contain non-whitespace", "stop", [" "], "value"),
    ("verbosity does not support 'low'", "verbosity", "low", "value"),
    (
        (
            "Unsupported value: 'verbosity' does not support 'low' with this model. "
            "Supported values are: 'medium'."
        ),
        "verbosity",
        "low",
        "value",
    ),
    ("Unrecognized request argument supplied: seed", "seed", 3, "field"),
    (
        (
            "body.seed: Extra inputs are not permitted\nextra_forbidden\nExtra inputs "
            "are not permitted"
        ),
        "seed",
        3,
        "field",
    ),
    (
        ('Invalid JSON payload received. Unknown name "seed": Cannot find field.'),
        "seed",
        3,
        "field",
    ),
    ('json: unknown field "seed"', "seed", 3, "field"),
    ("body -> seed: extra fields not permitted", "seed", 3, "field"),
    ("property 'seed' is unsupported", "seed", 3, "field"),
    ("Provider returned error: `seed` is not allowed", "seed", 3, "field"),
    (
        (
            "Unsupported value: 'temperature' does not support 0 with this model. "
            "Only the default (1) value is supported."
        ),
        "temperature",
        0.0,
        "field",
    ),
    (
        ("'temperature' does not support 0.7 with this model. Only the default (1) value"),
        "temperature",
        0.7,
        "field",
    ),
    ("`temperature` must be strictly positive", "temperature", 0.0, "value"),
    ("Input should be greater than 0", "temperature", 0.0, "value"),
    ("Extra inputs are not permitted, field: 'stream_options'", "stream_options", {}, "field"),
    ("Streaming is not supported for this model", "stream", True, "field"),
    ("Unsupported parameter: 'stop' is not supported with this model.", "stop", ["a"], "field"),
    ("Argument not supported on this model: stop", "stop", ["a"], "field"),
    ("Argument not supported on this model: topP", "top_p", 1.0, "field"),
    ("invalid temperature: only 1 is allowed for this model", "temperature", 0.5, "field"),
    (
        ("#: extraneous key [top_k] is not permitted, please reformat your input"),
        "top_k",
        3,
        "field",
    ),
    ("`temperature` is deprecated for this model.", "temperature", 0.0, "field"),
    (
        ("This model doesn't support the stopSequences field. Remove stopSequences."),
        "stop",
        ["a"],
        "field",
    ),
    (
        ("unknown field `seed`, expected one of `model`, `messages`, `temperature`"),
        "seed",
        3,
        "field",
    ),
    ("Additional properties are not allowed ('seed' was unexpected)", "seed", 3, "field"),
    ("openai does not support parameters: ['seed'], for model=x", "seed", 3, "field"),
    (
        "'parallel_tool_calls' is only allowed when 'tools' are specified.",
        "parallel_tool_calls",
        True,
        "request",
    ),
    (
        (
            "this model has beta-limitations, temperature, top_p and n are fixed at "
            "1, while presence_penalty is fixed at 0"
        ),
        "top_p",
        0.9,
        "field",
    ),
    ("top_p must be 1 when using greedy sampling.", "top_p", 0.9, "request"),
    ("top_p: this sampling parameter was removed for reasoning models", "top_p", 0.9, "field"),
    ("Stop sequences are not supported with reasoning", "stop", ["Z"], "request"),
    ("No endpoints found that support the provided 'seed' parameter.", "seed", 3, "field"),
    ("generate() got an unexpected keyword argument 'seed'", "seed", 3, "field"),
    (
        ("Supported parameters: temperature, top_p, max_tokens, stop. Unsupported parameter: seed"),
        "seed",
        3,
        "field",
    ),
    (
        (
            "Unsupported parameter: seed. Supported parameters are temperature, "
            "top_p, max_tokens and stop"
        ),
        "seed",
        3,
        "field",
    ),
    ("Only temperature, top_p and stop are supported, not 'seed'", "seed", 3, "field"),
    ("Unsupported parameters: seed, stop", "stop", ["Z"], "field"),
    ("You may only alter either temperature or top_p, not both", "temperature", 0.0, "request"),
    ("Specify only one of temperature and top_p", "temperature", 0.0, "request"),
    (
        (
            "Unsupported parameter: 'temperature' is not supported with this model.\n"
            "unsupported_parameter"
        ),
        "temperature",
        0.5,
        "field",
    ),
    ("temperature is not supported when using the o3-mini model", "temperature", 0.5, "field"),
    (
        ("Unsupported parameter: 'reasoning_effort' is not supported for this endpoint"),
        "reasoning_effort",
        "low",
        "field",
    ),
    ("reasoning_effort is not supported by this model", "reasoning_effort", "low", "field"),
    (
        "Unrecognized request argument supplied: reasoning_effort",
        "reasoning_effort",
        "low",
        "field",
    ),
    ("presence_penalty: unknown variant `high`", "presence_penalty", "high", "value"),
    ("`service_tier`: 'flex' is not available for this model", "service_tier", "flex", "value"),
    ("Service tier flex is not supported: service_tier", "service_tier", "flex", "value"),
    ("Unknown parameter: 'thinking'.", "thinking", {}, "field"),
    ("does not support parameters: thinking", "thinking", {}, "field"),
    ("To use 'logit_bias', 'reasoning_effort' must be none", "logit_bias", {}, "value"),
    (
        "frequency_penalty is not supported in combination with thinking",
        "frequency_penalty",
        0.5,
        "request",
    ),
    ("seed must be an int32", "seed", 5000000000, "value"),
    (
        ("Unsupported parameter: 'seed'. If you think this is a mistake, contact us."),
        "seed",
        3,
        "field",
    ),
    (
        (
            "litellm.UnsupportedParamsError: openai does not support parameters: "
            "['seed'], for model=x. To drop these, set `litellm.drop_params=True` or "
            "for proxy: `litellm_settings: drop_params: true`"
        ),
        "seed",
        3,
        "field",
    ),
    ("temperature and top_p cannot both be specified for this model", "top_p", 0.5, "request"),
    ("Unsupported parameter: 'temperature' is not supported for o3-mini.",
     "temperature", 0.5, "field"),
    ("temperature is not supported with gpt-5-thinking", "temperature", 0.5, "field"),
    ("temperature is not supported with `deepseek-reasoner`.", "temperature", 0.5, "field"),
    ("temperature is not supported with sonar", "temperature", 0.5, "field"),
    ("temperature is not supported because the model is a reasoning model",
     "temperature", 0.5, "field"),
    ("temperature is not supported because it is a reasoning model", "temperature", 0.5, "field"),
    ("temperature is not supported for o-series reasoning models", "temperature", 0.5, "field"),
    ("Setting 'seed' requires the beta API", "seed", 3, "field"),
    ("'top_k' requires a newer API version", "top_k", 3, "field"),
    ("'seed' is not supported for GPT-5 and o3 models", "seed", 3, "field"),
    ("top_k is not supported with gpt-4o or claude-3", "top_k", 3, "field"),
    ("top_k is not supported with reasoning-mode", "top_k", 3, "request"),
    ("temperature is not supported with tool-calling", "temperature", 0.5, "request"),
    ("seed is not supported with strict-mode and gpt-5", "seed", 3, "request"),
    ("temperature is not supported with non-streaming requests", "temperature", 0.5, "request"),
    ("temperature is not supported for o3-mini when tools are used", "temperature", 0.5,
     "request"),
    ("temperature is not supported because the model has tools when thinking", "temperature", 0.5,
     "request"),
    ("'logprobs' requires 'store'", "logprobs", True, "request"),
    ("store is not supported for zero data retention orgs", "store", True, "request"),
    ("web_search_options: not supported with n > 1", "web_search_options", {}, "request"),
    (
        "json_schema strict is not supported; parallel_tool_calls is disabled",
        "parallel_tool_calls",
        True,
        "field",
    ),
    ("The parameter `user` is not supported.", "user", "u", "field"),
    (
        ("Invalid 'user': string too long. Expected a string with maximum length 64"),
        "user",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "value",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "name", "value", "scope"), SAID)
def test_how_far_a_refusal_goes(words: str, name: str, value: Any, scope: Scope) -> None:
    assert scope_of(words, name, value, model="sonar") == scope

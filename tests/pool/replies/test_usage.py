"""What a reply took: counted in all forms, and not known rather than free."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.openai.replies.usage import Usage, merged, read_usage, usages_of


def counts(**usage: Any) -> tuple[int | None, int | None]:
    found = read_usage(usage, has_output=True)
    return found.n_prompt, found.n_completion


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, (10, 5)),
        ({"prompt_tokens": 10.0, "completion_tokens": "5"}, (10, 5)),
        ({"input_tokens": 10, "output_tokens": 5}, (10, 5)),
        ({"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 331}, (12, 319)),
        ({"prompt_tokens": 12, "total_tokens": 40}, (12, 28)),
        ({"completion_tokens": 5, "total_tokens": 15}, (10, 5)),
        ({"total_tokens": 15}, (None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (None, None)),
        ({"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}, (9, None)),
        ({"prompt_tokens": 12, "completion_tokens": 2, "reasoning_tokens": 300}, (12, 302)),
        (
            {"prompt_tokens": 12, "completion_tokens": 302, "total_tokens": 314,
             "completion_tokens_details": {"reasoning_tokens": 300}},
            (12, 302),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3}, (10, 5)),
        # Thinking counted apart, and left out of the total as well.
        ({"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14,
          "reasoning_tokens": 300}, (12, 302)),
        ({"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14,
          "completion_tokens_details": {"reasoning_tokens": 300}}, (12, 302)),
        # What Anthropic reads from its cache and writes to it is no part of its input.
        ({"input_tokens": 10, "cache_read_input_tokens": 200,
          "cache_creation_input_tokens": 100, "output_tokens": 5}, (310, 5)),
        ({"input_tokens": 10, "cache_read_input_tokens": 200, "output_tokens": 5,
          "total_tokens": 15}, (210, 5)),
        ({"input_tokens": 10, "cache_read_input_tokens": 200, "output_tokens": 5,
          "total_tokens": 215}, (210, 5)),
        ({"input_tokens": 210, "cache_read_input_tokens": 200, "output_tokens": 5,
          "total_tokens": 215}, (210, 5)),
        ({"input_tokens": 250, "cache_read_input_tokens": 200, "output_tokens": 5}, (450, 5)),
        ({"input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 100},
          "cache_creation_input_tokens": 100, "output_tokens": 5}, (110, 5)),
        ({"prompt_tokens": 210, "cache_read_input_tokens": 200, "completion_tokens": 5}, (210, 5)),
        ({"input_tokens": 210, "input_tokens_details": {"cached_tokens": 200},
          "output_tokens": 5}, (210, 5)),
        # Other servers' names.
        ({"promptTokens": 10, "completionTokens": 5, "totalTokens": 15}, (10, 5)),
        ({"inputTokens": 10, "outputTokens": 5, "totalTokens": 15,
          "cacheReadInputTokens": 0}, (10, 5)),
        ({"inputTokens": 10, "outputTokens": 5, "totalTokens": 215,
          "cacheReadInputTokens": 200}, (210, 5)),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, (10, 5)),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 300,
          "totalTokenCount": 315}, (10, 305)),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3}, (10, 8)),
        ({"prompt_n": 10, "predicted_n": 5, "predicted_ms": 3.5}, (10, 5)),
        ({"prompt_n": 3, "cache_n": 7, "predicted_n": 5}, (10, 5)),
        ({"prompt_eval_count": 10, "eval_count": 5}, (10, 5)),
        ({"prompt_tokens": -1, "completion_tokens": 5.5}, (None, None)),
        ({"prompt_tokens": 2**31, "completion_tokens": True}, (None, None)),
        ({}, (None, None)),
    ],
)  # fmt: skip
def test_tokens_by_hand(usage: dict[str, Any], expected: tuple[int | None, int | None]) -> None:
    assert counts(**usage) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, (10, None)),
        # OpenAI, and Responses.
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8}}, (10, 8)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0}}, (10, 0)),
        ({"prompt_tokens": 10, "prompt_tokens_details": None}, (10, None)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 1}}, (10, None)),
        ({"input_tokens": 210, "input_tokens_details": {"cached_tokens": 200},
          "output_tokens": 5}, (210, 200)),
        # Anthropic, whose input leaves out what was read from the cache.
        ({"input_tokens": 10, "cache_read_input_tokens": 200,
          "cache_creation_input_tokens": 100, "output_tokens": 5}, (310, 200)),
        ({"inputTokens": 10, "outputTokens": 5, "totalTokens": 215,
          "cacheReadInputTokens": 200}, (210, 200)),
        # Through a router that tells it in two places.
        ({"prompt_tokens": 210, "prompt_tokens_details": {"cached_tokens": 200},
          "cache_read_input_tokens": 200}, (210, 200)),
        ({"prompt_tokens": 210, "prompt_tokens_details": {"cached_tokens": 0},
          "cache_read_input_tokens": 200}, (210, 200)),
        ({"prompt_tokens": 210, "prompt_tokens_details": {"cached_tokens": 150},
          "cache_read_input_tokens": 200}, (210, 150)),
        # DeepSeek, llama.cpp, Gemini, Moonshot.
        ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2},
         (10, 8)),
        ({"prompt_n": 3, "cache_n": 7, "predicted_n": 5}, (10, 7)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_n": 3, "cache_n": 7}, (10, 7)),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 8, "candidatesTokenCount": 5},
         (10, 8)),
        ({"prompt_tokens": 10, "cached_tokens": 8}, (10, 8)),
        # What cannot be right.
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}, (10, None)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": -1}}, (10, None)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": True}}, (10, None)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 2.5}}, (10, None)),
        ({"prompt_tokens_details": {"cached_tokens": 8}}, (None, None)),
        ({"prompt_tokens": 0, "cached_tokens": 0}, (None, None)),
    ],
)  # fmt: skip
def test_what_came_from_a_cache(
    usage: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    found = read_usage(usage, has_output=True)
    assert (found.n_prompt, found.n_cached) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 30}, (30, None)),
        (
            {"completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 20}},
            (30, 20),
        ),
        ({"completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 0}}, (30, 0)),
        ({"completion_tokens": 30, "completion_tokens_details": None}, (30, None)),
        ({"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 20}}, (30, 20)),
        ({"completion_tokens": 30, "reasoning_tokens": 20}, (30, 20)),
        # Counted apart.
        ({"completion_tokens": 20, "reasoning_tokens": 50}, (70, 50)),
        ({"candidatesTokenCount": 20, "thoughtsTokenCount": 5}, (25, 5)),
        # A part of what is not known.
        ({"reasoning_tokens": 5}, (None, None)),
    ],
)
def test_what_it_thought_with(
    usage: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    found = read_usage(usage, has_output=True)
    assert (found.n_completion, found.n_thinking) == expected


def test_nothing_said_may_take_nothing() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 0}
    assert read_usage(usage, has_output=False) == Usage(9, 0)


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"cost": 0.0015}, 0.0015),
        ({"cost": "0.0015"}, 0.0015),
        ({"cost": {"total_cost": 0.006, "currency": "usd"}}, 0.006),
        ({"estimated_cost": 0.02}, 0.02),
        ({"cost": 0}, None),
        ({"cost": 0.0, "cost_details": {"upstream_inference_cost": 0.0123}}, 0.0123),
        ({"cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, 1.5),
        ({"cost": 0.5, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.5}}, 0.5),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0}}, None),
        ({"cost": 0.1, "cost_details": {"upstream_inference_cost": None}}, 0.1),
        ({"cost": 0.0123, "cost_details": {"upstream_inference_cost": 0.0123}}, 0.0123),
        ({"cost": 0.0006, "cost_details": {"upstream_inference_cost": 0.0123}}, 0.0123),
        ({"cost": "1.5e-05"}, 1.5e-05),
        ({"cost": "2E-7"}, 2e-7),
        ({"cost": "1e99"}, None),
        ({"cost": "about 1"}, None),
        ({"totalCost": 0.5}, 0.5),
        ({"cost": -1}, None),
        ({"cost": 1e9}, None),
        ({"cost": float("nan")}, None),
        ({"cost": True}, None),
    ],
)
def test_dollars_by_hand(usage: dict[str, Any], dollars: float | None) -> None:
    assert read_usage(usage, has_output=True).cost_usd == dollars


def test_it_is_found_in_all_its_places() -> None:
    usage = {"prompt_tokens": 1}
    for found in ({"usage": usage}, {"x_groq": {"usage": usage}}, {"choices": [{"usage": usage}]}):
        assert usages_of(found) == [usage]
    assert usages_of({"usage": [1], "x_groq": 3, "choices": [None]}) == []
    for found in ({"usage": [usage]}, {"usageMetadata": usage}, {"timings": usage},
                  {"usage_metadata": usage}, {"x_groq": {"usage": usage}}):  # fmt: skip
        assert usages_of(found) == [usage]
    assert usages_of({"meta": {"api_version": 2}, "timings": {}, "usageMetadata": 3}) == []
    billed = {"billed_units": {"input_tokens": 10, "output_tokens": 5},
              "tokens": {"input_tokens": 76, "output_tokens": 5}}  # fmt: skip
    for found in ({"usage": billed}, {"meta": billed}):
        read = read_usage(merged(usages_of(found)), has_output=True)
        assert (read.n_prompt, read.n_completion) == (10, 5)
    both = {"usage": {"prompt_tokens": 10, "completion_tokens": 5},
            "timings": {"prompt_n": 3, "predicted_n": 5}}  # fmt: skip
    read = read_usage(merged(usages_of(both)), has_output=True)
    assert (read.n_prompt, read.n_completion) == (10, 5)


def test_what_grows_counts_once_and_never_shrinks() -> None:
    pieces = [{"prompt_tokens": 9, "completion_tokens": n, "cost": None} for n in (1, 2, 3)]
    whole = {"prompt_tokens": 9, "completion_tokens": 3}
    assert merged(pieces) == whole
    assert merged([*pieces, {"prompt_tokens": 0, "completion_tokens": 0}]) == whole


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("0123456789.", max_size=12)
)


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cost",
                         "reasoning_tokens", "input_tokens", "cached_tokens",
                         "cache_read_input_tokens"]),
        VALUES,
    )
)  # fmt: skip
def test_any_usage_is_counts_within_reason_or_not_known(usage: dict[str, Any]) -> None:
    found = read_usage(usage, has_output=True)
    for count in (found.n_prompt, found.n_completion):
        assert count is None or (type(count) is int and 0 < count < 2**32)
    assert found.cost_usd is None or 0 < found.cost_usd < 1e7
    if found.n_cached is not None:
        assert found.n_prompt is not None
        assert 0 <= found.n_cached <= found.n_prompt
    if found.n_thinking is not None:
        assert found.n_completion is not None
        assert 0 <= found.n_thinking <= found.n_completion

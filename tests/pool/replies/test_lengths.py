"""Words by which real servers refuse a request for its length, and words that only sound so."""

from __future__ import annotations

import pytest

from rlfocal.pool.openai.replies.errors.lengths import has_no_room, is_too_long

NO_ROOM = [
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 "
    "`inputs` tokens and 20 `max_new_tokens`",
    "Input validation error: `inputs` must have less than 1024 tokens. Given: 1100",
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
    "prompt is too long: 205000 tokens > 200000 maximum",
    "Input is too long for requested model.",
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "the request exceeds the available context size, try increasing it",
    "invalid params, context window exceeds limit (2013)",
    "input length should be less than 8192",
    "Request too large for gpt-4 in organization org-1 on tokens per min (TPM): Limit 10",
    "Prompt 超长",
    "tokens数量超过模型最大限制",
    "输入内容过长",
]
TOO_LONG = [
    *NO_ROOM,
    "Input tokens exceed the configured limit of 272000 tokens.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens).",
    "Invalid request: Your request exceeded model token limit: 8192",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "Total tokens of image and text exceed max message tokens.",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Please reduce the length of the messages or completion.",
]
OTHER = [
    "temperature must be at most 1",
    "max_tokens is too large: 512. This model supports at most 256 completion tokens",
    "Invalid 'messages[1].name': must have at most 64 characters",
    "`top_logprobs` must be <= 5",
    "`stop` supports up to 4 stop sequences. Given: 5",
    "too many requests per minute",
    "input must be a string",
    "Invalid value at 'generation_config.seed' (TYPE_INT32), 5000000000",
]


@pytest.mark.parametrize("words", NO_ROOM)
def test_a_request_that_is_too_long_at_any_time(words: str) -> None:
    assert has_no_room(words)


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_request_that_is_too_long(words: str) -> None:
    assert is_too_long(words)


@pytest.mark.parametrize("words", OTHER)
def test_words_about_other_things(words: str) -> None:
    assert not is_too_long(words)

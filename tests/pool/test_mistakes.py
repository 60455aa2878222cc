"""Mistakes in pool files: each is met before any call, and told with what to write instead."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rlfocal.errors import ConfigError
from rlfocal.pool.settings import PoolSettings, read_pool

ENDPOINT = """
[endpoints.e]
base_url = "http://127.0.0.1:1/v1"
{endpoint}
[[members]]
name = "a"
endpoint = "e"
model = "m"
{member}
{more}
"""


def read(tmp_path: Path, *, endpoint: str = "", member: str = "", more: str = "") -> PoolSettings:
    path = tmp_path / "pool.toml"
    path.write_text(ENDPOINT.format(endpoint=endpoint, member=member, more=more))
    return read_pool(path)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("extra_body = { x = inf }", "extra_body: x: inf is no JSON value"),
        ("extra_body = { x = [1, { y = nan }] }", r"x\[1\].y: nan is no JSON value"),
        ("extra_body = { x = 2024-01-01 }", "x: a date is no JSON value; write it as a text"),
        ("temperature = inf", "temperature = inf"),
        ("timeout_s = inf", "timeout_s = inf"),
        ('temperature = "0.7"', "should be a number, without quotes"),
        ("samples = true", "should be a whole number, without quotes"),
        ('seed = "1"', "should be a whole number, without quotes"),
        ('images = "yes"', "should be true or false, without quotes"),
        ('drop = "seed"', r'should be a list: write \["..."\]'),
        (r'stop = "\n"', r'should be a list: write \["..."\]'),
        ("system = 5", "should be a text, in quotes"),
        ('drop = ["tempereture"]', "did you mean 'temperature'"),
        ("extra_body = { max_output_tokens = 5 }", "second limit; set max_tokens"),
        ("extra_body = { options = { num_predict = 5 } }", "'options.num_predict' would be"),
        ("extra_body = { generationConfig = { maxOutputTokens = 5 } }", "second limit"),
        ('extra_body = { a = { "X-Api-Key" = "abcdef123456" } }', "keys never stand"),
        ('extra_body = { a = [{ clientSecret = "abcdef123456" }] }', "keys never stand"),
        ('extra_body = { headers = { "X-Foo" = "1" } }', "set the endpoint's headers"),
        ('reasoning_effort = "low"', r"extra_body = \{ reasoning_effort = ... \}"),
        ("max_completion_tokens = 5", "is max_tokens, and max_tokens_field for its name here"),
        ("n = 5", "is samples here"),
        ('headers = { a = "b" }', "is a setting of endpoints"),
        ('modle = "m"', "did you mean 'model'"),
    ],
)
def test_a_member(tmp_path: Path, member: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, member=member)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ('headers = { "X-Foo" = "${AZ" }', r"written \$\{NAME\}, with both braces"),
        ('headers = { "X-Foo" = "$AZ" }', r"written \$\{NAME\}, with both braces"),
        ('query = { a = "x${1}" }', r"written \$\{NAME\}, with both braces"),
        ('headers = { "X-Api-Key" = "abcdef" }', "keys never stand"),
        ('kind = "azure"', "leave kind out, set query"),
        ('kind = "vllm"', "leave kind out, and set base_url"),
        ('kind = "anthropic"', "litellm"),
        ("temperature = 0.5", "is a setting of members"),
        ("concurrency = 1.5", "should be a whole number|integer"),
        ("per_minute = inf", "finite"),
    ],
)
def test_an_endpoint(tmp_path: Path, endpoint: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, endpoint=endpoint)


@pytest.mark.parametrize("harmless", ["5", "true", "1024"])
def test_a_number_is_no_key(tmp_path: Path, harmless: str) -> None:
    read(tmp_path, endpoint=f'headers = {{ "X-Max-Tokens" = "{harmless}" }}')
    read(tmp_path, member=f'extra_body = {{ "x-api-key" = "{harmless}" }}')
    read(tmp_path, member='extra_body = { prompt_cache_key = "a-session" }')


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://h/v1/chat/completions", "leave '/chat/completions' out"),
        ("http://h/v1/completions/", "leave '/completions' out"),
        ("http://h/v1/responses", "leave '/responses' out"),
        ("http://h /v1", "holds a blank"),
        (" http://h/v1", "holds a blank"),
        ("http://h:99999/v1", "not a number from 1 to 65535"),
        ("http://h:x/v1", "not a number from 1 to 65535"),
        ("https://${RES}.example.com/v1", "variables are put into headers and query alone"),
        ("https://{region}.example.com/v1", "write the address as it is"),
        ("https://<name>.example.com/v1", "holds a blank or another character"),
        ("localhost:8000/v1", "not an http or https address"),
    ],
)
def test_an_address(tmp_path: Path, url: str, message: str) -> None:
    path = tmp_path / "pool.toml"
    path.write_text(ENDPOINT.format(endpoint="", member="", more="").replace(
        "http://127.0.0.1:1/v1", url
    ))  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        read_pool(path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[prices.m]\nprompt = inf\ncompletion = 1\n", "prompt = inf"),
        ("[prices.m]\nprompt = 1\ncompletion = nan\n", "completion = nan"),
        ("[prices.m]\ninput = 1\noutput = 1\n", "'input' is called prompt here"),
        ("[prices.m]\nprompt = 1\ncompletion = 1\ncached = -1\n", "cached = -1"),
        ("[prices.m]\nprompt = 1\ncompletion = 1\ncached = 2\n", "cost no more than others"),
        ("[prices.m]\nprompt = 1\ncompletion = 1\ncahced = 1\n", "did you mean 'cached'"),
        ("[prices.m]\nprompt = 1\ncompletion = 1\ncache_read = 1\n", "is called cached here"),
        ("[prices.e.m]\nprompt = 1\ncompletion = 1\n", r'quote it: \[prices."e/m"\]'),
        ("[prices.e.m.x]\nprompt = 1\ncompletion = 1\n", r'quote it: \[prices."e/m.x"\]'),
        ("[prices.g.m]\nprompt = 1\ncompletion = 1\n", r'quote it: \[prices."g.m"\]'),
    ],
)
def test_a_price(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, more=more)


def test_what_may_be_meant_is_remarked_upon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    price = "\nprompt = 1\ncompletion = 1\n"
    with caplog.at_level(logging.WARNING):
        read(tmp_path, more=f'[prices.m]{price}[prices."e/m"]{price}')
        assert not caplog.messages
        read(tmp_path, more=f'[prices."ee/m"]{price}[prices.zzz]{price}', member='drop = ["zzz"]')
    assert any("prices.'ee/m': no member has that model; did you" in m for m in caplog.messages)
    assert any("prices.'zzz': no member" in m for m in caplog.messages)
    assert any("drop: 'zzz' is no field" in m for m in caplog.messages)

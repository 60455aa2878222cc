"""A pool file is checked whole; keys never stand in it, and none is ever shown."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest

from rlfocal.errors import ConfigError
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import PoolSettings, read_pool

POOL = """
[endpoints.hosted]
base_url = "https://api.example.com/v1/"
key_env = "EXAMPLE_KEY"
concurrency = 16

[endpoints.local]
kind = "llama-cpp"
path = "models/small.gguf"
api = "completions"

[prices."big-1"]
prompt = 3.0
completion = 15.0
as_of = 2026-10-01

[[members]]
name = "big"
endpoint = "hosted"
model = "big-1"
system = "Be brief."

[[members]]
name = "small, letters"
endpoint = "local"
answers = "option-scores"
shots = [{ question = "1 + 1?", options = ["3", "2"], reply = "B" }]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "pool.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_pool_is_read_with_paths_relative_to_it(tmp_path: Path) -> None:
    pool = read_pool(written(tmp_path, POOL))
    hosted, local = pool.endpoints["hosted"], pool.endpoints["local"]
    assert isinstance(hosted, OpenAISettings)
    assert hosted.base_url == "https://api.example.com/v1"
    assert isinstance(local, LlamaCppSettings)
    assert local.path == tmp_path / "models/small.gguf"
    assert [member.name for member in pool.members] == ["big", "small, letters"]
    assert pool.endpoint_of(pool.members[1]) is local
    assert pool.prices["big-1"].completion == 15.0
    assert pool.prices["big-1"].cached is None


def test_what_a_cache_takes_off_may_be_said(tmp_path: Path) -> None:
    pool = read_pool(
        written(tmp_path, replaced("completion = 15.0", "completion = 15.0\ncached = 0.25"))
    )
    assert pool.prices["big-1"].cached == 0.25


def replaced(old: str, new: str) -> str:
    assert old in POOL
    return POOL.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (replaced("concurrency", "concurency"), "endpoints.hosted: unknown key 'concurency'; did"),
        (replaced('system = "Be', 'sistem = "Be'), r"member 1 \(big\): unknown key 'sistem'"),
        (replaced('endpoint = "hosted"', 'endpoint = "hostd"'), "did you mean 'hosted'"),
        (replaced('name = "big"', 'name = "small, letters"'), "two members are called"),
        (replaced('name = "big"\n', ""), "'name' is missing"),
        (replaced('kind = "llama-cpp"', 'kind = "llamacpp"'), "did you mean 'llama-cpp'"),
        (replaced('kind = "llama-cpp"', 'kind = ["llama-cpp"]'), r"kind = \['llama-cpp'\]"),
        (replaced("concurrency = 16", "concurrency = 0"), "concurrency = 0: .*greater than"),
        (replaced("https://api", "ftp://api"), "not an http or https address"),
        (replaced("completion = 15.0", "completion = -1"), "prices.'big-1': completion = -1"),
        (replaced('system = "Be brief."', 'template = "{questoin}"'), "did you mean 'question'"),
        (replaced('system = "Be brief."', 'template = "Hello"'), "would not see what is asked"),
        (
            replaced('system = "Be brief."', "template = '{question} \\boxed{answer}'"),
            r"unknown placeholder \{answer\}.*written twice: \{\{answer\}\}",
        ),
        (
            replaced('system = "Be brief."', "template = '{{question}}'"),
            r"\{\{question\}\} stands for that word in braces; \{question\} is missing",
        ),
        (replaced('system = "Be brief."', "samples = 3"), "raise the temperature"),
        (POOL.partition("[[members]]")[0], "no members"),
        (POOL + "\n[member]\n", "unknown key 'member'; did you mean 'members'"),
        ("endpoints = 3\n", "'endpoints' should hold tables"),
        ("[[members]\n", "cannot read the configuration"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_pool(written(tmp_path, text))


SECRET = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        replaced('key_env = "EXAMPLE_KEY"', f'api_key = "{SECRET}"'),
        replaced('key_env = "EXAMPLE_KEY"', f'key_env = "{SECRET}"'),
        replaced("https://api", f"https://me:{SECRET}@api"),
        replaced(".com/v1/", f".com/v1?key={SECRET}"),
        replaced('model = "big-1"', f'model = "big-1"\ntoken = "{SECRET}"'),
    ],
)
def test_an_inline_key_is_refused_and_never_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_pool(written(tmp_path, text))
    assert "key_env" in str(caught.value) or "the key itself must not" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_keys_are_read_when_needed_and_missing_ones_named(tmp_path: Path) -> None:
    by_name = OpenAISettings(base_url="http://localhost/v1", key_env="EXAMPLE_KEY")
    assert by_name.key({"EXAMPLE_KEY": f" {SECRET}\n"}) == SECRET
    with pytest.raises(ConfigError, match="variable EXAMPLE_KEY is not set"):
        by_name.key({})
    file = tmp_path / "key"
    by_file = OpenAISettings(base_url="http://localhost/v1", key_file=file)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        by_file.key({})
    file.write_text(" \n")
    with pytest.raises(ConfigError, match="is empty"):
        by_file.key({})
    file.write_text(f"{SECRET}\n")
    assert by_file.key({}) == SECRET
    assert OpenAISettings(base_url="http://localhost/v1").key({}) is None


def identities(pool: PoolSettings) -> list[dict[str, object]]:
    return [member.identity(pool.endpoint_of(member)) for member in pool.members]


def pool_of(folder: Path, text: str) -> PoolSettings:
    return read_pool(written(folder, text))


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("concurrency = 16", "concurrency = 2", True),
        ('key_env = "EXAMPLE_KEY"', 'key_env = "OTHER_KEY"', True),
        ("completion = 15.0", "completion = 16.0", True),
        ('system = "Be brief."', 'system = "Be long."', False),
        ('model = "big-1"', 'model = "big-2"', False),
        ("api.example.com", "api.example.org", True),
        ("models/small.gguf", "models/other.gguf", False),
        ('reply = "B"', 'reply = "A"', False),
    ],
)
def test_what_a_reply_depends_on_decides_whether_it_is_asked_again(
    tmp_path: Path, old: str, new: str, same: bool
) -> None:
    before, after = pool_of(tmp_path, POOL), pool_of(tmp_path, replaced(old, new))
    assert (identities(before) == identities(after)) is same


def test_members_are_selected_by_name_in_the_pools_order(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, POOL)
    assert [m.name for m in pool.select(["small, letters", "big"])] == ["big", "small, letters"]
    with pytest.raises(ConfigError, match="unknown member 'bg'; did you mean 'big'"):
        pool.select(["bg"])


SHARED = POOL.replace(
    'shots = [{ question = "1 + 1?", options = ["3", "2"], reply = "B" }]',
    'shots_file = "examples.toml"',
)


def test_members_may_share_a_file_of_worked_examples(tmp_path: Path) -> None:
    (tmp_path / "examples.toml").write_text(
        '[[shots]]\nquestion = "1 + 1?"\noptions = ["3", "2"]\nreply = "B"\n', encoding="utf-8"
    )
    shared = read_pool(written(tmp_path, SHARED))
    inline = read_pool(written(tmp_path, POOL))
    # What is asked counts, not where it was written down.
    assert shared.members == inline.members


@pytest.mark.parametrize(
    ("text", "examples", "message"),
    [
        (SHARED, None, "examples.toml: cannot read"),
        (SHARED, "[[shoots]]\n", "examples.toml: unknown key 'shoots'"),
        (SHARED, '[[shots]]\nquestion = "1 + 1?"\n', "'shots.0.reply' is missing"),
        (SHARED + "shots = []\n", "", "'shots' and 'shots_file' exclude each other"),
        (SHARED.replace('"examples.toml"', "7"), "", "shots_file = 7: should be a path"),
    ],
)
def test_a_mistake_in_shared_examples_is_named(
    tmp_path: Path, text: str, examples: str | None, message: str
) -> None:
    if examples is not None:
        (tmp_path / "examples.toml").write_text(examples, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_pool(written(tmp_path, text))

"""Blends in a pool file: what is read, what is refused, and what replies depend on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rlfocal.errors import ConfigError
from rlfocal.pool.blends.endpoint import method_of
from rlfocal.pool.blends.policy import SpanPolicy, write_policy
from rlfocal.pool.blends.spans import Spans
from rlfocal.pool.blends.switching import Switching
from rlfocal.pool.blends.weighing import Weighed
from rlfocal.pool.building import LivePool, unpriced
from rlfocal.pool.endpoints import BlendSettings
from rlfocal.pool.settings import PoolSettings, read_pool

POOL = """
[endpoints.one]
kind = "llama-cpp"
path = "one.gguf"
sha256 = "{sha}"

[endpoints.two]
kind = "llama-cpp"
path = "two.gguf"

[endpoints.far]
base_url = "http://127.0.0.1:9/v1"

[endpoints.both]
kind = "blend"
parts = ["one", "two"]
{more}

[[members]]
name = "blend"
endpoint = "both"
"""


MODELS = ["one.gguf", "two.gguf"]


def pool(folder: Path, more: str = "", *, sha: str = "a" * 64) -> PoolSettings:
    path = folder / "pool.toml"
    path.write_text(POOL.format(more=more, sha=sha), encoding="utf-8")
    return read_pool(path)


def blend(found: PoolSettings) -> BlendSettings:
    served = found.endpoints["both"]
    assert isinstance(served, BlendSettings)
    return served


def identity(found: PoolSettings) -> dict[str, object]:
    return dict(found.members[0].identity(blend(found)))


def test_a_blend_is_a_member_like_any_other(tmp_path: Path) -> None:
    found = pool(tmp_path)
    assert [part.path.name for part in blend(found).files.values()] == ["one.gguf", "two.gguf"]
    member = LivePool(found).members[0]
    assert member.api == "chat"
    assert unpriced([member]) == ()  # nobody sends a bill


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ("", Weighed),
        ("weights = [0.3, 0.7]\nspan = 4", Weighed),
        ('weights = "confidence"\nsharpness = 2.0', Weighed),
        ('weights = "spans"\nspan = 6', Spans),
        ('weights = "values"\nreward = "json:dumps"\nhorizon = 4\nkl = 0.1', Switching),
    ],
)
def test_what_decides_is_named(more: str, kind: type[object], tmp_path: Path) -> None:
    assert isinstance(method_of(blend(pool(tmp_path, more))), kind)


def test_a_policy_lies_beside_the_pool_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    more = 'weights = "policy"\npolicy = "policy.safetensors"'
    settings = blend(pool(tmp_path, more))
    assert settings.policy == path
    with pytest.raises(ConfigError, match="cannot be read"):
        method_of(settings)
    write_policy(
        SpanPolicy.fresh("one", span=2, n_models=2, n_hidden=4, seed=0), path, models=MODELS
    )
    first = identity(pool(tmp_path, more))
    assert isinstance(method_of(settings), Weighed)
    write_policy(
        SpanPolicy.fresh("one", span=2, n_models=2, n_hidden=4, seed=1), path, models=MODELS
    )
    assert identity(pool(tmp_path, more)) != first  # trained anew, it says something else


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("weights = [1.0]", r"1 weights of 2 endpoints"),
        ("weights = [0.0, 0.0]", r"weights are all 0"),
        ("weights = [1.0, -1.0]", r"greater than or equal to 0"),
        ('weights = "policy"', r'weights = "policy" and policy = "\.\.\." belong together'),
        ('reward = "json:dumps"', r'weights = "values" and reward = "\.\.\." belong together'),
        ('weights = "policy"\npolicy = "p"\nspan = 3', r"leave span out"),
        ('weights = "loud"', r"weights"),
        ("concurrency = 2", r"concurrency"),
        ("spam = 3", r"unknown key 'spam'"),
        ("sharpness = 2.0", r'sharpness is of weights = "confidence"; leave it out'),
        ("horizon = 2", r'horizon is of weights = "values"; leave it out'),
        ("extra_body = {top_k = 1}", r"extra_body is of servers; leave it out"),
        ("files = {}", r"unknown key 'files'; name endpoints in 'parts'"),
        ('weights = "values"\nreward = "verify:"', r"lacks the name of an endpoint"),
        ("files = {one = 1}", r"files"),
        (
            'weights = "values"\nreward = "verify:three"',
            r"unknown endpoint 'three'; known: one, two",
        ),
        ('weights = "values"\nreward = "verify:far"', r"no llama-cpp endpoint: 'far'"),
    ],
)
def test_what_does_not_go_together_is_refused(more: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        pool(tmp_path, more)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ('["one"]', "of two llama-cpp endpoints or more"),
        ('["one", "one"]', "'one' stands there twice"),
        ('["one", "tow"]', "unknown endpoint 'tow'; did you mean 'two'"),
        ('["one", "far"]', "no llama-cpp endpoint: 'far'"),
        ('["one", "both"]', "no llama-cpp endpoint: 'both'"),
    ],
)
def test_its_parts_are_local_models(parts: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    text = POOL.format(more="", sha="a" * 64).replace('["one", "two"]', parts)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_pool(path)


def test_replies_depend_on_files_and_on_how_they_are_put_together(tmp_path: Path) -> None:
    first = identity(pool(tmp_path))
    assert identity(pool(tmp_path, "timeout_s = 9.0")) == first
    for more in ("weights = [1.0, 2.0]", 'weights = "confidence"', 'weights = "spans"'):
        assert identity(pool(tmp_path, more)) != first
    assert identity(pool(tmp_path, sha="b" * 64)) != first


def test_option_scores_need_a_distribution(tmp_path: Path) -> None:
    scored = '\n[[members]]\nname = "s"\nendpoint = "both"\nanswers = "option-scores"\n'
    for more, is_right in (("", True), ('weights = "spans"', False)):
        path = tmp_path / "pool.toml"
        path.write_text(POOL.format(more=more, sha="a" * 64) + scored, encoding="utf-8")
        if is_right:
            assert len(read_pool(path).members) == 2
        else:
            with pytest.raises(ConfigError, match="gives no distribution over first tokens"):
                read_pool(path)


def test_another_judge_is_another_member(tmp_path: Path) -> None:
    by_one, by_two = (
        identity(pool(tmp_path, f'weights = "values"\nreward = "verify:{name}"'))
        for name in ("one", "two")
    )
    assert by_one != by_two


def test_a_missing_file_is_told_before_the_first_call(tmp_path: Path) -> None:
    async def opened() -> None:
        async with LivePool(pool(tmp_path)):
            raise AssertionError("it cannot be opened")

    with pytest.raises(ConfigError, match=r"one\.gguf: cannot be read"):
        asyncio.run(opened())

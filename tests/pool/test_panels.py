"""Panels of a pool file: which members they stand for, what those are asked like, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlfocal.errors import ConfigError
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.readers import ReaderInfo, Reads

POOL = """
[endpoints.e]
base_url = "http://127.0.0.1:1/v1"

[[members]]
name = "a"
endpoint = "e"
model = "small"
template = "Q: {question}\\nA:"
shots = [{ question = "1 + 1?", reply = "2" }]
stop = ["Q:"]

[[members]]
name = "b"
endpoint = "e"
model = "middle"
temperature = 0.5
samples = 3
max_tokens = 99

[[members]]
name = "c"
endpoint = "e"
model = "large"
answers = "option-scores"
n_logprobs = 5
"""


def read(tmp_path: Path, text: str) -> PoolSettings:
    (tmp_path / "pool.toml").write_text(POOL + text, encoding="utf-8")
    return read_pool(tmp_path / "pool.toml")


def made(tmp_path: Path, text: str) -> dict[str, MemberSettings]:
    """The members that a panel stands for, by name."""
    pool = read(tmp_path, text)
    assert [member.name for member in pool.members[:3]] == ["a", "b", "c"]
    return {member.name: member for member in pool.members[3:]}


def shape(members: dict[str, MemberSettings]) -> dict[str, tuple[str, ...]]:
    """Name → model, form, whom it reads, and behind an equals sign whose reply is its own."""
    return {
        name: (m.model, m.reading, *m.reads, *([f"={m.own}"] if m.own else []))
        for name, m in members.items()
    }


def test_a_mixture_of_two_layers(tmp_path: Path) -> None:
    panel = '[[panels]]\nkind = "moa"\nmembers = ["a", "b"]\naggregator = "c"'
    assert shape(made(tmp_path, panel)) == {"moa": ("large", "aggregate", "a", "b")}


def test_a_mixture_of_three_layers_where_each_sees_its_own_reply(tmp_path: Path) -> None:
    panel = (
        '[[panels]]\nkind = "moa"\nname = "deep"\nmembers = ["a", "b"]\naggregator = "b"\n'
        "layers = 3\n"
    )
    assert shape(made(tmp_path, panel)) == {
        "deep-2-a": ("small", "aggregate", "a", "b"),
        "deep-2-b": ("middle", "aggregate", "a", "b"),
        "deep": ("middle", "aggregate", "deep-2-a", "deep-2-b"),
    }
    assert shape(made(tmp_path, f"{panel}first = true")) == {
        "deep-2-a": ("small", "aggregate", "b", "=a"),
        "deep-2-b": ("middle", "aggregate", "a", "=b"),
        "deep": ("middle", "aggregate", "deep-2-a", "=deep-2-b"),
    }


def test_a_debate_of_three_turns(tmp_path: Path) -> None:
    panel = '[[panels]]\nkind = "debate"\nmembers = ["a", "b", "c"]\nturns = 3\n'
    assert shape(made(tmp_path, panel)) == {
        "debate-2-a": ("small", "debate", "b", "c", "=a"),
        "debate-2-b": ("middle", "debate", "a", "c", "=b"),
        "debate-2-c": ("large", "debate", "a", "b", "=c"),
        "debate-3-a": ("small", "debate", "debate-2-b", "debate-2-c", "=debate-2-a"),
        "debate-3-b": ("middle", "debate", "debate-2-a", "debate-2-c", "=debate-2-b"),
        "debate-3-c": ("large", "debate", "debate-2-a", "debate-2-b", "=debate-2-c"),
    }
    apart = made(tmp_path, f"{panel}first = false")
    assert shape(apart)["debate-3-a"] == ("small", "debate", "debate-2-b", "debate-2-c")


def test_judges(tmp_path: Path) -> None:
    panel = '[[panels]]\nkind = "judge"\njudge = "a"\nreads = ["a", "b", "c"]\n'
    judge = made(tmp_path, panel)["judge"]
    assert shape({"": judge}) == {"": ("small", "judge", "a", "b", "c")}
    assert (judge.samples, judge.max_tokens, judge.stop) == (2, 32, ("Q:",))
    assert (judge.template, judge.shots) == ("{question}", ())  # they ask for an answer
    pairs = made(tmp_path, f'{panel}form = "pairwise"\nname = "pairs"')["pairs"]
    assert (pairs.reading, pairs.samples) == ("pairwise", 6)
    told = made(tmp_path, f"{panel}samples = 1\nmax_tokens = 8\nread_tokens = 50")["judge"]
    assert (told.samples, told.max_tokens, told.read_tokens) == (1, 8, 50)
    own = made(tmp_path, f"{panel}first = true")
    assert shape(own) == {"judge": ("small", "judge", "b", "c", "=a")}
    letters = '[[panels]]\nkind = "judge"\njudge = "c"\nreads = ["b"]\nform = "verify"'
    found = made(tmp_path, letters)["judge"]
    assert (found.reading, found.samples, found.answers) == ("verify", 1, "reply")
    assert found.n_logprobs is None


def test_refining(tmp_path: Path) -> None:
    alone = '[[panels]]\nkind = "refine"\ngenerator = "a"\n'
    members = made(tmp_path, alone)
    assert shape(members) == {
        "refine-remarks": ("small", "criticise", "a"),
        "refine": ("small", "refine", "a", "refine-remarks"),
    }
    assert members["refine-remarks"].shots == ()
    assert members["refine"].template == "Q: {question}\nA:"
    assert members["refine"].shots[0].reply == "2"
    assert shape(made(tmp_path, f"{alone}first = true")) == shape(members)  # the draft is its own
    three = f'{alone}verifier = "b"\nrefiner = "c"\nfirst = true\ntemperature = 0.1'
    apart = made(tmp_path, three)
    assert shape(apart) == {
        "refine-remarks": ("middle", "criticise", "a", "=b"),
        "refine": ("large", "refine", "a", "refine-remarks", "=c"),
    }
    assert {member.temperature for member in apart.values()} == {0.1}


def test_settings_are_those_of_the_member_with_the_model_but_for_its_samples(
    tmp_path: Path,
) -> None:
    panel = '[[panels]]\nkind = "debate"\nmembers = ["a", "b"]'
    pool = read(tmp_path, panel)
    for base, member in zip(pool.members[:2], pool.members[3:], strict=True):
        differ = {n for n in type(base).model_fields if getattr(base, n) != getattr(member, n)}
        assert differ <= {"name", "reads", "first", "reading", "samples"}
        assert member.samples == 1


def test_a_panel_of_a_panel(tmp_path: Path) -> None:
    text = (
        '[[panels]]\nkind = "moa"\nmembers = ["a", "b"]\naggregator = "c"\n'
        '[[panels]]\nkind = "judge"\njudge = "moa"\nreads = ["moa", "a"]\n'
        '[[panels]]\nkind = "judge"\nname = "check"\njudge = "judge"\nreads = ["judge"]\n'
        'form = "verify"\n'
    )
    pool = read(tmp_path, text)
    readers = {
        m.name: ReaderInfo(reads=list(m.reads), first=m.own) for m in pool.members if m.reads
    }
    reads = Reads.of([m.name for m in pool.members], readers)
    assert reads is not None
    assert reads.stage.tolist() == [0, 0, 0, 1, 2, 3]
    assert {m.model for m in pool.members[3:]} == {"large"}


def test_the_same_file_gives_the_same_identities(tmp_path: Path) -> None:
    panel = '[[panels]]\nkind = "moa"\nmembers = ["{}", "{}"]\naggregator = "c"'
    one, other = (read(tmp_path, panel.format(*names)) for names in (("a", "b"), ("b", "a")))
    for first, second in zip(one.members, other.members, strict=True):
        assert first.identity(one.endpoint_of(first)) == second.identity(other.endpoint_of(second))


JUDGE = '[[panels]]\nkind = "judge"\njudge = "a"\nreads = ["a", "b"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[panels]\nx = 1", r"'panels' should be tables: \[\[panels\]\]"),
        ("[[panels]]\nname = 'x'", r"panel 1 \(x\): 'kind' is missing; say one of moa, debate"),
        ('[[panels]]\nkind = "jugde"', "kind = 'jugde': did you mean 'judge'"),
        ('[[panels]]\nkind = ["moa"]', "kind = .*moa"),
        (f"{JUDGE}aggregator = 'c'", "unknown key 'aggregator'"),
        (f"{JUDGE}sample = 2", "unknown key 'sample'; did you mean 'samples'"),
        (f"{JUDGE}form = 'refine'", "form = 'refine'"),
        (f"{JUDGE}first = 'b'", "first = 'b': should be true or false"),
        (f"{JUDGE}read_tokens = 3", "its member 'judge': read_tokens = 3"),
        (f"{JUDGE}read_template = '{{x}}'", "its member 'judge': read_template"),
        (f"{JUDGE}samples = 3", "samples = 3 with temperature = 0 .*say samples = 2, or raise"),
        (f"{JUDGE}first = true", "its member 'judge': reading = .judge. chooses between replies"),
        (
            '[[panels]]\nkind = "judge"\njudge = "x"\nreads = ["a", "b"]',
            r"panel 1 \(judge\): judge: 'x' is no member of the pool",
        ),
        (
            '[[panels]]\nkind = "debate"\nmembers = ["a", "bb"]',
            "members: 'bb' is no member of the pool; did you mean 'b'",
        ),
        ('[[panels]]\nkind = "debate"\nmembers = ["a"]', "members = "),
        ('[[panels]]\nkind = "debate"', "'members' is missing; name those who debate"),
        ('[[panels]]\nkind = "debate"\nmembers = ["a", "a"]', "members: 'a' stands there twice"),
        (f"{JUDGE}".replace('"b"', '"a"'), "reads: 'a' stands there twice; leave one out"),
        ('[[panels]]\nkind = "debate"\nmembers = ["a", "b"]\nturns = 1', "turns = 1"),
        ('[[panels]]\nkind = "moa"\nmembers = ["a", "b"]', "'aggregator' is missing; name the mem"),
        (
            '[[panels]]\nkind = "moa"\nmembers = ["a", "b"]\naggregator = "c"\nlayers = 1',
            "layers = 1",
        ),
        (
            '[[panels]]\nkind = "refine"\ngenerator = "a"\nread_template = "{question}{replies}"',
            r"'read_template': its members do different things .*write them as \[\[members\]\]",
        ),
        (
            JUDGE + JUDGE,
            r"panel 2 \(judge\): it makes a member 'judge', and one of panel 1 \(judge\) is called "
            "so, too; give the panel a name of its own",
        ),
        (f"{JUDGE}name = 'b'", r"panel 1 \(b\): it makes a member 'b', and a member is called so"),
        (f"{JUDGE}name = ' b'", "name = ' b'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_remedy(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "pool.toml"))

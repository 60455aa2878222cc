"""Who is shown what: orders, samples, own first replies, and readers that are refused."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import ConfigError
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.showing import n_showings, showing_of
from rlfocal.pool.settings import PoolSettings, read_pool

NAMES = ("a", "b", "c")
SHOWN = {name: Said(f"{name} says so", None) for name in (*NAMES, "d", "own")}


def reader(
    reading: str = "judge", *, reads: tuple[str, ...] = NAMES, **more: object
) -> MemberSettings:
    values = {"name": "r", "endpoint": "e", "reads": reads, "reading": reading, **more}
    return MemberSettings.of(values, source="a test")


def shown(member: MemberSettings, prompt: str = "8 + 9?", sample: int = 0) -> tuple[str, ...]:
    return showing_of(member, Question(prompt, shown=SHOWN), sample).names


def test_the_order_does_not_depend_on_the_pool_file() -> None:
    for reads in permutations(NAMES):
        assert shown(reader(reads=reads)) == shown(reader())


def test_another_sample_sees_the_other_order() -> None:
    assert shown(reader(), sample=1) == shown(reader())[::-1]
    assert shown(reader(), sample=2) == shown(reader())


def test_no_position_is_favoured_over_many_questions() -> None:
    orders = Counter(shown(reader(), f"question {n}") for n in range(1200))
    assert len(orders) == 6
    assert all(150 <= n <= 250 for n in orders.values()), orders  # 200, five sigmas


def test_two_readers_of_a_question_draw_orders_of_their_own() -> None:
    prompts = [f"question {n}" for n in range(100)]
    alike = [shown(reader(), p) == shown(reader(name="other"), p) for p in prompts]
    assert 5 <= sum(alike) <= 40
    alike = [shown(reader(), p) == shown(reader(seed=1), p) for p in prompts]
    assert 5 <= sum(alike) <= 40


def test_who_refines_sees_the_reply_before_the_remarks() -> None:
    member = reader("refine", reads=("d", "a"))
    assert {shown(member, f"{n}", n) for n in range(9)} == {("d", "a")}


@given(n=st.integers(2, 5), prompt=st.text(max_size=5))
def test_pairs_are_all_shown_in_both_orders(n: int, prompt: str) -> None:
    names = tuple("abcde"[:n])
    member = reader("pairwise", reads=names)
    assert member.samples == n_showings(member) == n * (n - 1)
    question = Question(prompt, shown={name: Said(name, None) for name in names})
    pairs = [showing_of(member, question, sample).names for sample in range(member.samples)]
    assert sorted(pairs) == sorted(permutations(names, 2))


@pytest.mark.parametrize(
    ("form", "reads", "n"),
    [
        ("judge", NAMES, 2), ("aggregate", NAMES, 2), ("debate", ("a",), 1), ("verify", ("a",), 1),
        ("refine", ("a", "b"), 1), ("pairwise", ("a", "b"), 2), ("pairwise", NAMES, 6),
    ],
)  # fmt: skip
def test_without_drawing_a_reader_is_asked_once_for_each_order(
    form: str, reads: tuple[str, ...], n: int
) -> None:
    assert reader(form, reads=reads, samples=n).samples == n
    reader(form, reads=reads, samples=n + 1, temperature=0.5)
    remedy = f"say samples = {n}, or raise" if n > 1 else "again; raise the temperature"
    with pytest.raises(ConfigError, match=f"samples = {n + 1} with temperature = 0 .*{remedy}"):
        reader(form, reads=reads, samples=n + 1)


def test_samples_that_are_told_count_for_pairs_too() -> None:
    assert reader("pairwise", samples=1).samples == 1
    with pytest.raises(ConfigError, match="reads"):
        MemberSettings.of(
            {"name": "r", "endpoint": "e", "reads": "a", "reading": "pairwise"}, source="x"
        )


POOL = """
[endpoints.e]
base_url = "http://127.0.0.1:1/v1"
[endpoints.file]
kind = "llama-cpp"
path = "m.gguf"
n_context = 1000
[[members]]
name = "a"
endpoint = "e"
[[members]]
name = "b"
endpoint = "e"
max_tokens = 60
"""
READER = '[[members]]\nname = "r"\nendpoint = "e"\n'


def read(tmp_path: Path, text: str) -> PoolSettings:
    (tmp_path / "pool.toml").write_text(POOL + text, encoding="utf-8")
    return read_pool(tmp_path / "pool.toml")


def test_its_own_first_reply_is_of_a_member_asked_like_it(tmp_path: Path) -> None:
    text = (
        f'{READER}reads = ["a", "b"]\nfirst = true\nreading = "debate"\nsystem = "Think."\n'
        "temperature = 0.5\nsamples = 4\nread_tokens = 50\n"
    )
    pool = read(tmp_path, text)
    own, member = pool.members[2:]
    assert (own.name, own.reads, own.first, own.reading) == ("r-first", (), False, "aggregate")
    assert (own.system, own.temperature, own.samples) == ("Think.", 0.5, 4)
    assert (member.own, member.inputs) == ("r-first", ("a", "b", "r-first"))
    alone = read(tmp_path, f'{READER}system = "Think."\ntemperature = 0.5').members[2]
    served = pool.endpoint_of(own)
    assert own.identity(served) == alone.identity(served)


@pytest.mark.parametrize("more", ['reading = "judge"\ntemperature = 1\nsamples = 6', "samples = 2"])
def test_an_own_reply_is_asked_for_once_where_samples_are_for_orders(
    more: str, tmp_path: Path
) -> None:
    own = read(tmp_path, f'{READER}reads = ["a", "b"]\nfirst = true\n{more}').members[2]
    assert (own.name, own.samples) == ("r-first", 1)


def test_somebody_elses_reply_is_shown_as_its_own(tmp_path: Path) -> None:
    pool = read(tmp_path, f'{READER}reads = ["a"]\nfirst = "b"')
    assert [m.name for m in pool.members] == ["a", "b", "r"]
    found = showing_of(pool.members[2], Question("?", shown={"b": Said("b", None)}))
    assert (found.names, found.own, found.n_absent) == ((), Said("b", None), 1)


FILE = '[[members]]\nname = "r"\nendpoint = "file"\n'


def test_what_may_not_fit_into_a_files_context_is_refused(tmp_path: Path) -> None:
    message = (
        r"member 'r' may be shown 460 tokens of replies, beside max_tokens = 512 and about 100 of "
        r"what is said about them, and endpoint 'file' takes n_context = 1000; lower read_tokens "
        r"to 194, or raise n_context"
    )
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, f'{FILE}reads = ["a", "b"]')
    read(tmp_path, f'{FILE}reads = ["a", "b"]\nread_tokens = 194')
    read(tmp_path, f'{FILE}reads = ["b"]')  # its replies are shorter
    read(tmp_path, f'{READER}reads = ["a", "b"]\nread_tokens = 100_000')  # nobody knows
    with pytest.raises(ConfigError, match=r"may be shown 1084 tokens .*; lower read_tokens to 129"):
        read(tmp_path, f'{FILE}reads = ["a", "b"]\nread_tokens = 800\nfirst = true')
    with pytest.raises(ConfigError, match="; read fewer members, or raise n_context"):
        read(tmp_path, f'{FILE}reads = ["a", "b"]\nmax_tokens = 880')


def test_of_pairs_two_replies_have_to_fit(tmp_path: Path) -> None:
    third = '[[members]]\nname = "c"\nendpoint = "e"\n'
    text = f'{third}{FILE}reads = ["a", "b", "c"]\nmax_tokens = 32\n'
    read(tmp_path, f'{text}reading = "pairwise"\nread_tokens = 430')
    with pytest.raises(ConfigError, match="may be shown 920 tokens"):
        read(tmp_path, f'{text}reading = "judge"\nread_tokens = 430')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('reads = ["c"]', "member 'r' reads 'c', which is no member"),
        ('reads = ["r"]', "'r' reads 'r': nobody could be asked first"),
        ('reads = ["a", "a"]', "reads: 'a' stands there twice"),
        ('reads = ["a"]\nfirst = "a"', "first = 'a' stands in reads, too"),
        ('reads = ["a", "r-first"]\nfirst = true', "reads 'r-first', which is its own first rep"),
        ('reads = ["a"]\nfirst = "x"', "member 'r' reads 'x', which is no member"),
        ("first = true", "'first' is of a member that reads others"),
        ('read_template = "{question}{replies}"', "'read_template' is of a member that reads"),
        ('reads = ["a"]\nread_template = "{question}"', r"\{replies\} is missing"),
        ('reads = ["a"]\nread_template = "{question}{reply}"', r"unknown placeholder \{reply\}"),
        ('reads = ["a"]\nreading = "judge"', 'reading = "judge" chooses between replies'),
        ('reads = ["a", "b"]\nreading = "verify"', "says whether one reply is right"),
        ('reads = ["a"]\nreading = "refines"', "reading = 'refines'"),
        ('reads = ["a"]\nread_tokens = 15', "read_tokens = 15"),
        (
            'reads = ["a"]\nreading = "verify"\nanswers = "option-scores"',
            'reading = "verify" gives no letter of an option; leave answers = "option-scores" out',
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_remedy(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, READER + text)
    assert str(caught.value).startswith(str(tmp_path / "pool.toml"))


def test_a_longer_circle_is_told_with_its_way(tmp_path: Path) -> None:
    text = f'{READER}reads = ["s"]\n[[members]]\nname = "s"\nendpoint = "e"\nreads = ["a", "r"]'
    with pytest.raises(ConfigError, match="'r' reads 's' reads 'r': nobody could be asked first"):
        read(tmp_path, text)

"""Replies are drawn by seeds of their own: question by question, sample by sample."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.asking.prompting import Question, request_for
from rlfocal.pool.asking.seeds import seed_of
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.types import Message
from rlfocal.records.database import settings_key_of

ASKED = Question("What boils at 100 degrees?", ("iron", "water"))
OPENAI = OpenAISettings(base_url="http://127.0.0.1:1/v1")


def member(**changes: object) -> MemberSettings:
    return MemberSettings.of({"name": "m", "endpoint": "e", "temperature": 1, **changes}, source="")


def test_every_question_and_every_sample_has_a_seed_of_its_own() -> None:
    seeds = [
        request_for(member(), Question(f"{n} + 1 =", options), sample=sample).seed
        for n in range(100)
        for options in ((), ("1", "2"), ("12",))
        for sample in range(3)
    ]
    assert len(set(seeds)) == 900
    # As a server sees it that starts its generator there: all quantiles, none twice as often.
    assert all(0 <= seed < 2**31 for seed in seeds if seed is not None)
    halves = [(seed or 0) >> 30 for seed in seeds]
    assert 380 < sum(halves) < 520


def test_it_depends_on_what_is_asked_of_whom_and_on_nothing_else() -> None:
    def seed(who: MemberSettings = member(), what: Question = ASKED, sample: int = 0) -> int:  # noqa: B008
        return seed_of(who, what, sample)

    assert seed() == seed_of(member(model="another", template="{question}!"), ASKED, 0)
    others = [
        seed(member(seed=1)),
        seed(member(name="n")),
        seed(sample=1),
        seed(what=Question(ASKED.prompt)),
        seed(what=Question(ASKED.prompt, ASKED.choices[::-1])),
        seed(what=Question(ASKED.prompt, ASKED.choices, history=(Message("user", "Hello."),))),
        seed(what=Question(ASKED.prompt, ASKED.choices, history=(Message("assistant", "Hello."),))),
        seed(what=Question(ASKED.prompt, ASKED.choices, system="Be brief.")),
    ]
    assert len({seed(), *others}) == 9


def test_what_is_joined_otherwise_has_another_seed() -> None:
    """No text of a question runs into the next."""
    one, two = Question("a", ("b", "c")), Question("a", ("bc",))
    assert seed_of(member(), one, 0) != seed_of(member(), two, 0)
    assert seed_of(member(seed=1), one, 1) != seed_of(member(seed=11), one, 0)


def test_another_process_draws_alike() -> None:
    """Python's own hashes of texts differ from process to process."""
    program = (
        "from rlfocal.pool.asking.prompting import Question\n"
        "from rlfocal.pool.member import MemberSettings\n"
        "from rlfocal.pool.asking.seeds import seed_of\n"
        "member = MemberSettings(name='m', endpoint='e', temperature=1)\n"
        "asked = Question('What boils at 100 degrees?', ('iron', 'water'))\n"
        "print(seed_of(member, asked, 2))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(said.stdout) == seed_of(member(), ASKED, 2) == 1852547408


@given(st.text(), st.text(max_size=3), st.integers())
def test_any_text_and_any_number_make_a_seed(prompt: str, name: str, seed: int) -> None:
    who = member(seed=seed).model_copy(update={"name": name})
    assert 0 <= seed_of(who, Question(prompt + "\ud800", (prompt,)), 0) < 2**31


# What stored replies are kept under --------------------------------------------------------------


def test_greedy_members_keep_their_keys_and_sampled_ones_say_how_they_draw() -> None:
    greedy = MemberSettings(name="m", endpoint="e", model="gpt", seed=3)
    before = {
        "kind": "openai", "api": "chat", "model": "gpt", "system": "", "template": "{question}",
        "choice_template": greedy.choice_template, "shots": [], "answers": "reply",
        "max_tokens": 512, "temperature": 0.0, "top_p": None, "stop": [], "seed": 3,
    }  # fmt: skip
    found = greedy.identity(OPENAI)
    assert {name: found.get(name) for name in before} == before
    new = {"n_logprobs", "top_k", "min_p", "seeds"}
    assert not new & found.keys()
    sampled = greedy.model_copy(update={"temperature": 0.8}).identity(OPENAI)
    assert sampled == found | {"temperature": 0.8, "seeds": "by question"}
    # Without the seeds it is what replies with one seed for all questions are kept under.
    assert settings_key_of(sampled) != settings_key_of(found | {"temperature": 0.8})


def test_who_may_not_be_told_a_temperature_draws() -> None:
    silent = MemberSettings(name="m", endpoint="e", drop=frozenset({"temperature"}))
    assert silent.identity(OPENAI)["seeds"] == "by question"


def test_llama_cpp_states_the_samplers_that_are_on() -> None:
    served = LlamaCppSettings.of({"kind": "llama-cpp", "path": "model.gguf"}, source="")
    assert not {"seeds", "top_k", "min_p"} & member(temperature=0).identity(served).keys()
    plain, cut = member(), member(top_p=0.9, top_k=40, min_p=0.05)
    drawn = ("seeds", "top_p", "top_k", "min_p")
    assert [plain.identity(served)[name] for name in drawn] == ["by question", 1.0, 0, 0.0]
    assert [cut.identity(served)[name] for name in drawn] == ["by question", 0.9, 40, 0.05]


def test_the_order_of_the_pool_changes_nothing() -> None:
    pool = PoolSettings(endpoints={"e": OPENAI}, members=(member(name="a"), member(name="b")))
    turned = PoolSettings(endpoints={"e": OPENAI}, members=pool.members[::-1])
    for settings in (pool, turned):
        seeds = {who.name: request_for(who, ASKED).seed for who in settings.members}
        assert seeds == {name: seed_of(member(name=name), ASKED, 0) for name in ("a", "b")}

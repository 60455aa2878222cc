"""Money that is never passed, members that are not waited for, words that cannot be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rlfocal.checkpoint import Checkpoint
from rlfocal.errors import NobodyAnswered
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.gateway.backends.ensemble import EnsembleBackend
from rlfocal.live import Answer, Limits, Listener, LiveEnsemble, Question
from rlfocal.online.exploring import Exploration
from rlfocal.pool.stub import Fault, Said
from rlfocal.strategies.verdicts import Candidate
from rlfocal.strategies.voting import Plurality

Live = Callable[..., Any]
SUM = Question("3 + 4 =", task="sums")
CHOICE = Question("Which remainder has 3 + 4 by four?", ("0", "1", "2", "3"), "choices")


def agreeing(body: Mapping[str, Any]) -> Said:
    """Everybody says the same."""
    return Said("7")


def priced(text: str) -> str:
    models = ("plain", "letters", "sampled", "hasty")
    return text + "".join(f"\n[prices.{m}]\nprompt = 1.0\ncompletion = 2.0\n" for m in models)


def asked(answer: Answer) -> list[str]:
    return [said.member for said in answer.trace.calls]


@pytest.mark.parametrize("max_usd", [0.0014, 0.003, 0.0045, 0.01])
def test_no_call_is_made_that_could_pass_the_dollars(
    max_usd: float, learned: Checkpoint, live: Live
) -> None:
    async def act(ensemble: LiveEnsemble) -> tuple[Answer, float]:
        answer = await ensemble.answer(SUM, limits=Limits(max_usd=max_usd))
        most = 0.0
        for name in asked(answer):
            member = ensemble.member(name)
            for sample in range(member.settings.samples):
                most += member.most_usd(member.request(SUM, sample=sample)) or 0.0
        return answer, most

    answer, most = live(learned, act, price=0.0, edit=priced)
    assert most > 0
    # Each was affordable when it was asked, at the most that it could have cost beside what the
    # ones before it did cost.
    assert answer.trace.usd + answer.trace.uncertain_cost_usd <= max_usd
    assert len(answer.trace.rounds[0].asked) < 4 or most <= max_usd


@pytest.mark.parametrize("max_usd", [np.inf, 0.002])
def test_a_request_that_money_has_cut_teaches_nothing(
    learned: Checkpoint, live: Live, max_usd: float
) -> None:
    async def act(ensemble: LiveEnsemble) -> list[tuple[Answer, Any]]:
        done = []
        for number, query in enumerate([SUM, CHOICE] * 4):
            chat: Any = SimpleNamespace(question=query, rules=SimpleNamespace(have_bars=False))
            backend = EnsembleBackend(
                ensemble, ensemble.strategy, chat, synthesiser=None,
                exploration=Exploration(epsilon=0.6, seed=5).of_request(str(number)),
            )  # fmt: skip
            done.append((await backend.run(60, max_usd, None), backend.episode()))
        return done

    kept = 0
    for answer, episode in live(learned, act, price=0.02, edit=priced):
        is_cut = "dollars" in answer.trace.stopped
        kept += episode is not None
        assert not (is_cut and episode is not None)
        for asked, part in zip(
            episode["decisions"] if episode else (), answer.trace.rounds, strict=False
        ):
            names = [learned.description.members[n] for n in asked[0]]
            assert names == [call.member for call in part.asked]
    assert kept == 8 if max_usd == np.inf else kept < 8


def test_where_no_call_is_affordable_nobody_is_asked(learned: Checkpoint, live: Live) -> None:
    async def act(ensemble: LiveEnsemble) -> str:
        begun = ensemble.begin(SUM)
        with pytest.raises(NobodyAnswered):
            await begun.run(5, limits=Limits(max_usd=1e-6))
        assert not begun.trace.rounds
        return begun.trace.stopped

    assert "could pass 1e-06 dollars" in live(learned, act, edit=priced)


def test_a_member_without_a_price_is_not_asked_where_dollars_count(
    learned: Checkpoint, live: Live
) -> None:
    def edit(text: str) -> str:
        return text + "\n[prices.hasty]\nprompt = 1.0\ncompletion = 2.0\n"

    answer = live(
        learned, lambda e: e.answer(SUM, limits=Limits(max_usd=1.0)), price=0.0, edit=edit,
        says=agreeing,
    )  # fmt: skip
    assert asked(answer) == ["hasty"]


def test_who_cannot_change_the_outcome_is_not_waited_for(vote: Checkpoint, live: Live) -> None:
    async def timed(ensemble: LiveEnsemble) -> tuple[Answer, float]:
        clock = asyncio.get_running_loop().time
        started = clock()
        answer = await ensemble.answer(SUM, deadline_s=50, limits=Limits(early=True))
        return answer, clock() - started

    # The last of six calls never comes back.
    answer, took = live(vote, timed, says=agreeing, faults=[*[None] * 5, Fault("hang")])
    assert answer.answer == "7"
    assert took < 40
    (silent,) = [said for said in answer.trace.calls if said.failure]
    assert silent.failure == "cancelled"


def test_a_question_of_no_known_kind_is_answered_in_free_words(
    learned: Checkpoint, live: Live
) -> None:
    hello = Question("3 + 4? Rather say hello.")
    answer = live(learned, lambda e: e.answer(hello), says=lambda _: Said("Hello to you!"))
    assert answer.text == "Hello to you!"
    assert len(asked(answer)) <= 3
    # Of a known task it is no answer.
    with pytest.raises(NobodyAnswered):
        live(learned, lambda e: e.answer(SUM), says=lambda _: Said("Hello to you!"))


def test_told_words_are_final_and_nobody_else_is_asked(learned: Checkpoint, live: Live) -> None:
    told: list[str] = []

    async def act(ensemble: LiveEnsemble) -> list[str]:
        listener = Listener(on_text=told.append, is_final=True)
        begun = ensemble.begin(SUM)
        with pytest.raises(NobodyAnswered):
            await begun.run(60, listener=listener)
        return [said.member for said in begun.trace.calls]

    says: Callable[[Mapping[str, Any]], Said] = lambda _: Said("It is 7, and that is so")  # noqa: E731
    called = live(learned, act, price=0.3, says=says, faults=[Fault("cut")])
    assert "".join(told) == "It is 7,"
    assert len(called) == 1


def test_no_rival_acts_where_a_member_has_failed(learned: Checkpoint, live: Live) -> None:
    price = 0.05

    async def act(ensemble: LiveEnsemble) -> Answer:
        # The plain vote of all acts at every price.
        led = ensemble.strategy
        assert isinstance(led, RlFocal)
        choice = led.fallback_
        vote = Plurality()
        vote.order_ = np.arange(4)
        fallback = choice._replace(
            verdicts=tuple(v._replace(chosen="plurality") for v in choice.verdicts),
            candidates={**choice.candidates, "plurality": Candidate(vote)},
        )
        voting = RlFocal(led.config).assemble(led.fitted_pool_, led.decider_, fallback)
        return await ensemble.led_by(voting.at(price)).answer(SUM)

    whole = live(learned, act, says=agreeing)
    broken = live(learned, act, says=agreeing, faults=[Fault("500")])
    assert broken.answer == whole.answer == "7"
    assert (whole.trace.policy, broken.trace.policy) == ("plurality", "learned")
    assert broken.trace.why == "plurality would act, but a member has failed"

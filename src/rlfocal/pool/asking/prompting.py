"""From a question to what is sent: a member's template, worked examples and options.

Texts of a question are put in as they are: braces in them are no placeholders.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlfocal.pool.asking.letters import LETTERS, letter_scores, letters_given
from rlfocal.pool.asking.passed_back import for_member
from rlfocal.pool.asking.question import Question
from rlfocal.pool.asking.seeds import seed_of
from rlfocal.pool.asking.templates import fill_halves
from rlfocal.pool.asking.turns import as_one_text, system_as_user
from rlfocal.pool.member import OWN_SAMPLERS, MemberSettings, Shot
from rlfocal.pool.reading.settings import ABOUT
from rlfocal.pool.reading.showing import Showing, showing_of
from rlfocal.pool.reading.wording import reading_text
from rlfocal.pool.types import Api, JsonObject, Message, Request

__all__ = ["Question", "asked_logprobs", "letter_scores", "letters_given", "request_for"]

_N_LOGPROBS = 20
"""First tokens looked at for option letters: the most that OpenAI's chat API gives."""


def request_for(
    member: MemberSettings,
    question: Question,
    *,
    api: Api = "chat",
    sample: int = 0,
    logprobs: bool = True,
) -> Request:
    r"""Put a question to a member.

    Args:
        member: how it is asked.
        question: what is asked.
        api: chat turns; or one text for a model without a chat template, in which worked examples
            stand with their replies, a blank line between any two.
        sample: 0, 1, ...: which reply to the same question.
        logprobs: whether somebody reads the log-probabilities of the reply's tokens, which make it
            many times as long; the member's settings have to allow for them, too.

    >>> member = MemberSettings(name="m", endpoint="e", template="Q: {question}\nA:")
    >>> request_for(member, Question("1 + 1?"), api="completions").text
    'Q: 1 + 1?\nA:'
    """
    scored = bool(question.choices) and member.answers == "option-scores"
    shown = showing_of(member, question, sample) if member.reads else None
    turns = (_chat if api == "chat" else _text)(member, question, shown)
    return Request(
        messages=system_as_user(turns) if member.system_as == "user" else turns,
        model=member.model,
        max_tokens=(member.score_tokens or 1)
        if scored
        else min(member.max_tokens, question.most_tokens or sys.maxsize),
        temperature=member.temperature,
        top_p=member.top_p,
        seed=seed_of(member, question, sample),
        # A reply of one token needs no end, and llama.cpp gives no log-probabilities where that
        # token begins a stop text.
        stop=() if scored else member.stop,
        n_logprobs=asked_logprobs(member) if scored else 0,
        n_options=len(question.choices) if scored else 0,
        logprobs=logprobs and member.logprobs,
        extra=_extra(member, question),
        wording=member.wording,
    )


def asked_logprobs(member: MemberSettings) -> int:
    """How many of the likeliest first tokens a member is asked for, where options are scored."""
    return member.n_logprobs or _N_LOGPROBS


def _extra(member: MemberSettings, question: Question) -> Mapping[str, Any]:
    """The member's samplers, over them what is passed on, over that what the pool insists on.

    Whoever runs a server may have forbidden it to keep what it reads, or to think for long.
    """
    own = {}
    for name in OWN_SAMPLERS:
        if (value := getattr(member, name)) is not None and name not in question.extra:
            own[name] = value
    own |= member.extra_body or {}
    return JsonObject.of(question.extra).with_fields(own) if own else question.extra


def _chat(member: MemberSettings, question: Question, shown: Showing | None) -> tuple[Message, ...]:
    system = "\n\n".join(filter(None, (member.system, question.system)))
    turns = [Message("system", system)] if system else []
    history = for_member(question.history, member.name) if question.history else ()
    if question.whole:
        return (*turns, *(history if shown is None else _with_replies(member, history, shown)))
    for shot in _examples(member):
        turns.append(Message("user", _put(member, shot.question, shot.options)))
        turns.append(Message("assistant", shot.reply))
    for turn in history:
        if turn.role == "user":
            text = _put(member, turn.content)
            turn = replace(turn, content=text, parts=_with_text(text, turn.parts))
        turns.append(turn)
    text = _read(member, question.prompt, question.choices, shown)
    parts = _with_text(text, question.images) if question.images else ()
    return (*turns, Message("user", text, parts=parts))


def _with_replies(
    member: MemberSettings, history: Sequence[Message], shown: Showing
) -> tuple[Message, ...]:
    """A whole conversation, the replies to it in its last turn: many models want roles by turns."""
    if not history or history[-1].role != "user":
        return (*history, Message("user", reading_text(member, "", shown)))
    last = history[-1]
    text = reading_text(member, last.content, shown)
    return (*history[:-1], replace(last, content=text, parts=_with_text(text, last.parts)))


def _with_text(text: str, parts: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """A text before whatever parts are none."""
    others = [part for part in parts if part.get("type") != "text"]
    return ({"type": "text", "text": text}, *others) if others else ()


def _text(member: MemberSettings, question: Question, shown: Showing | None) -> tuple[Message, ...]:
    turns = [Message("system", text) for text in (member.system, question.system) if text]
    for shot in _examples(member):
        turns.append(Message("user", _put(member, shot.question, shot.options)))
        turns.append(Message("assistant", shot.reply))
    history, asked = question.history, "" if question.whole else question.prompt
    if shown is not None and question.whole and history and history[-1].role == "user":
        history, asked = history[:-1], history[-1].content
    for turn in history:
        own = _put(member, turn.content) if turn.role == "user" else turn.content
        turns.append(replace(turn, content=own))
    if shown is not None or not question.whole:
        turns.append(Message("user", _read(member, asked, question.choices, shown, cue=True)))
    return (Message("user", as_one_text(turns)),)


def _examples(member: MemberSettings) -> Sequence[Shot]:
    """Its worked examples; they show answers, which nobody wants of a judge or a critic."""
    answers = not member.reads or member.reading not in ABOUT
    return member.shots if answers else ()


def _read(
    member: MemberSettings,
    prompt: str,
    choices: Sequence[str],
    shown: Showing | None,
    *,
    cue: bool = False,
) -> str:
    """A question as it is put to a member, with the replies that it reads.

    What a template says behind the question stays the last: it tells the form of the answer, or is
    where a model goes on.
    """
    if shown is None:
        return _put(member, prompt, choices)
    if member.reading in ABOUT:  # a template would ask for an answer of its own
        asked = "\n\n".join(filter(None, (prompt, _listed(choices))))
        return reading_text(member, asked, shown, cue=cue)
    if not prompt:
        return reading_text(member, "", shown)
    asked, end = _halves(member, prompt, choices)
    return reading_text(member, asked, shown) + end


def _put(member: MemberSettings, prompt: str, choices: Sequence[str] = ()) -> str:
    """A question in the member's template, its options behind their letters."""
    return "".join(_halves(member, prompt, choices))


def _halves(member: MemberSettings, prompt: str, choices: Sequence[str]) -> tuple[str, str]:
    """The same up to its last place, and what the template says behind that."""
    if not choices:
        return fill_halves(member.template, {"question": prompt})
    return fill_halves(member.choice_template, {"question": prompt, "options": _listed(choices)})


def _listed(choices: Sequence[str]) -> str:
    letters = LETTERS[: len(choices)]
    return "\n".join([f"{a}. {text}" for a, text in zip(letters, choices, strict=True)])

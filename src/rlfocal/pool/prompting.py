"""From a question to what is sent: a member's template, worked examples and options.

Texts of a question are put in as they are: braces in them are no placeholders.
"""

from __future__ import annotations

import math
import re
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rlfocal.pool.settings import MemberSettings
from rlfocal.pool.types import Api, Message, Request

__all__ = ["Question", "letter_scores", "request_for"]

_LETTERS = string.ascii_uppercase
_N_LOGPROBS = 20
"""First tokens looked at for option letters: the most that OpenAI's API gives."""
_UNSEEN_NATS = 1.0
"""A letter that is not among the tokens given is this much less likely than the last of them."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as every member gets it."""

    prompt: str
    options: tuple[str, ...] = ()
    """Of a multiple choice question; empty for an open one."""
    history: tuple[Message, ...] = ()
    """Earlier turns of the same conversation."""
    system: str = ""
    """What the asker wants every member to be told first, after its own such text."""
    whole: bool = False
    """The history is all there is to send, the question in it; no template is filled."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that are passed on, as in `Request.extra`."""
    most_tokens: int | None = None
    """Of a reply; None for what the member's settings allow."""


def request_for(
    member: MemberSettings,
    question: Question,
    *,
    api: Api = "chat",
    sample: int = 0,
) -> Request:
    r"""Put a question to a member.

    Args:
        member: how it is asked.
        question: what is asked.
        api: chat turns; or one text for a model without a chat template, in which worked examples
            stand with their replies, a blank line between any two.
        sample: 0, 1, ...: which reply to the same question.

    >>> member = MemberSettings(name="m", endpoint="e", template="Q: {question}\nA:")
    >>> request_for(member, Question("1 + 1?"), api="completions").text
    'Q: 1 + 1?\nA:'
    """
    scored = bool(question.options) and member.answers == "option-scores"
    return Request(
        messages=_chat(member, question) if api == "chat" else _text(member, question),
        model=member.model,
        max_tokens=1 if scored else min(member.max_tokens, question.most_tokens or sys.maxsize),
        temperature=member.temperature,
        top_p=member.top_p,
        seed=member.seed + sample,
        stop=member.stop,
        n_logprobs=_N_LOGPROBS if scored else 0,
        extra=question.extra,
    )


def _chat(member: MemberSettings, question: Question) -> tuple[Message, ...]:
    system = "\n\n".join(filter(None, (member.system, question.system)))
    turns = [Message("system", system)] if system else []
    if question.whole:
        return (*turns, *question.history)
    for shot in member.shots:
        turns.append(Message("user", _put(member, Question(shot.question, shot.options))))
        turns.append(Message("assistant", shot.reply))
    for turn in question.history:
        asked = turn.role == "user"
        turns.append(replace(turn, content=_put(member, Question(turn.content))) if asked else turn)
    return (*turns, Message("user", _put(member, question)))


def _text(member: MemberSettings, question: Question) -> tuple[Message, ...]:
    parts = [text for text in (member.system, question.system) if text]
    for shot in member.shots:
        put = _put(member, Question(shot.question, shot.options))
        parts.append(_joined(put, shot.reply))
    body: str | None = None
    for turn in question.history:
        if turn.role == "user":
            if body is not None:
                parts.append(body)
            body = _put(member, Question(turn.content))
        else:
            parts.append(turn.content if body is None else _joined(body, turn.content))
            body = None
    if body is not None:
        parts.append(body)
    if not question.whole:
        parts.append(_put(member, question))
    return (Message("user", "\n\n".join(parts)),)


def _joined(body: str, reply: str) -> str:
    return f"{body}{'' if body.endswith((' ', chr(10))) else ' '}{reply}"


def _put(member: MemberSettings, question: Question) -> str:
    template = member.choice_template if question.options else member.template
    letters = _LETTERS[: len(question.options)]
    options = "\n".join(f"{a}. {text}" for a, text in zip(letters, question.options, strict=True))
    texts = {"{question}": question.prompt, "{options}": options}
    # In one pass: what a question holds is never looked at again.
    return re.sub(r"\{(?:question|options)\}", lambda found: texts[found.group()], template)


def letter_scores(logprobs: Mapping[str, float], n_options: int) -> tuple[float, ...] | None:
    """Log-probability of each option's letter as the first token.

    Tokens that differ in spaces around the letter (" A", "A") count together. A letter that is not
    among the tokens gets less than the least likely of them.

    Args:
        logprobs: token → log-probability.
        n_options: 1 to 26.

    Returns:
        One number per option; None where not a single letter is among the tokens.

    >>> letter_scores({"A": -1.0, " B": -2.0, "the": -3.0}, 3)
    (-1.0, -2.0, -4.0)
    """
    found: dict[str, float] = {}
    for token, value in logprobs.items():
        letter = token.strip()
        if letter in _LETTERS[:n_options] and len(letter) == 1:
            found[letter] = _log_add(found[letter], value) if letter in found else value
    if not found:
        return None
    unseen = min(logprobs.values()) - _UNSEEN_NATS
    return tuple(found.get(letter, unseen) for letter in _LETTERS[:n_options])


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))

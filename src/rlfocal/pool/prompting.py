"""From a question to what is sent: a member's template, worked examples and options.

Texts of a question are put in as they are: braces in them are no placeholders.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    history: tuple[tuple[str, str], ...] = ()
    """Earlier open questions of the same conversation, each with its reply."""


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
        max_tokens=1 if scored else member.max_tokens,
        temperature=member.temperature,
        top_p=member.top_p,
        seed=member.seed + sample,
        stop=member.stop,
        n_logprobs=_N_LOGPROBS if scored else 0,
    )


def _chat(member: MemberSettings, question: Question) -> tuple[Message, ...]:
    turns = [Message("system", member.system)] if member.system else []
    for earlier, reply in _earlier(member, question):
        turns.append(Message("user", _put(member, earlier)))
        turns.append(Message("assistant", reply))
    return (*turns, Message("user", _put(member, question)))


def _text(member: MemberSettings, question: Question) -> tuple[Message, ...]:
    parts = [member.system] if member.system else []
    for earlier, reply in _earlier(member, question):
        body = _put(member, earlier)
        space = "" if body.endswith((" ", "\n")) else " "
        parts.append(f"{body}{space}{reply}")
    return (Message("user", "\n\n".join([*parts, _put(member, question)])),)


def _earlier(member: MemberSettings, question: Question) -> Iterator[tuple[Question, str]]:
    """What stands before the question: worked examples, then the conversation."""
    for shot in member.shots:
        yield Question(shot.question, shot.options), shot.reply
    for asked, reply in question.history:
        yield Question(asked), reply


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

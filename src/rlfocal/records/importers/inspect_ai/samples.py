"""One sample of an inspect_ai log: what was asked and answered, and what a scorer made of it.

A score's `answer` is what the scorer extracted, or (match, includes, judges) the reply itself; its
`explanation` is never read as an answer. After `multiple_choice(shuffle=...)` the log speaks of
the original order of options, unless no letter was found in the reply: then the reply's letters
are those of the shuffled order, so no letter is looked for in it. Logs before 0.3.123 store no
`completion`: there it is what the tool makes of the first choice's message.

Source: UKGovernmentBEIS/inspect_ai, `EvalSample`, `ModelOutput`, `ChatMessageBase.text`, `Score`,
`value_to_float`, scorer `choice`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import Fields, score_of
from rlfocal.records.importers.logged import Record, option_name
from rlfocal.records.importers.telling import told_by_output
from rlfocal.records.schema import OPTION_LETTERS, clean

__all__ = ["Judgement", "is_scored", "plain", "record_of"]

_VALUES = {
    "c": 1.0, "i": 0.0, "p": 0.5, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0,
}  # fmt: skip
_NONE_FOUND = {"invalid_response_format", "no_response", "refusal"}
_ATTACHED = "attachment://"
_CUT_OFF = {"max_tokens", "model_length"}


@dataclass(frozen=True)
class Judgement:
    """What one scorer said of one sample.

    Attributes:
        score: in [0, 1]; None where the value is none or lies outside.
        answer: what it extracted; None where it gave none, or the reply itself.
        unusable: it looked for an answer and found none.
        value: as logged, for notes.
    """

    score: float | None = None
    answer: str | None = None
    unusable: bool = False
    value: Any = None


def _judged(sample: Fields, scorer: str, part: str | None, reply: str | None) -> Judgement:
    scores = sample.object("scores")
    if scores.values.get(scorer) is None:
        return Judgement()
    entry = scores.object(scorer)
    value = entry.values.get("value")
    if isinstance(value, dict):
        value = value.get(part) if part is not None else None
    answer = entry.optional_text("answer")
    explanation = entry.optional_text("explanation") or ""
    reason = entry.optional_text("reason")
    none_found = (
        value == "N"
        or reason in _NONE_FOUND
        or explanation.startswith("Scoring pattern not matched")
        or (answer is not None and not answer.strip())
    )
    if answer is not None and reply is not None and plain(answer) == plain(reply):
        answer = None
    said = _VALUES.get(value.strip().lower(), value) if isinstance(value, str) else value
    score = score_of(said, written=True)
    return Judgement(score, None if none_found else answer, none_found, value)


def plain(text: str) -> str:
    """A text without the blanks around it, in small letters."""
    return text.strip().casefold()


def record_of(
    sample: Fields, *, member: str, task: str, model: str, scorer: str | None, part: str | None
) -> tuple[Record, Judgement]:
    """Make a record of a sample.

    Args:
        sample: of the log.
        member: the record's.
        task: the record's.
        model: whose usage is the reply's cost; a judge's is not.
        scorer: whose score counts; None: the log has none.
        part: key of the value that counts, where values are objects.

    Returns:
        The record, `by_score` where it cannot be compared on its own account, and the judgement.

    Raises:
        RecordError: a field is missing or of another type.
    """
    output = sample.object("output")
    reply = _reply(output, sample)
    judgement = Judgement() if scorer is None else _judged(sample, scorer, part, reply)
    prompt = _prompt(sample)
    options = tuple(sample.texts("choices")) or None  # agents' samples have an empty list
    targets = _targets(sample)
    chosen = _positions(targets, options) if options else None
    meant = targets if not options or chosen is None else [options[i] for i in chosen]
    # more than one letter means all of them, while a list of texts means any of them
    several = bool(options) and (chosen is None or len(chosen) != 1)
    answer, labels = judgement.answer, tuple(targets)
    if options:
        labels = () if several or chosen is None else (option_name(chosen[0], options),)
        picked = None if answer is None else _positions([answer], options)
        answer = option_name(picked[0], options) if picked and len(picked) == 1 else answer
    record = Record(
        member=member,
        task=task,
        document=document_digest(prompt, sorted(options or ()), sorted(meant)),
        name=sample.name("id"),
        place=sample.place,
        prompt=prompt,
        choices=options,
        labels=labels,
        answer=None if several else answer,
        unusable=judgement.unusable,
        text=reply,
        score=judgement.score,
        by_score=several and bool(targets),
        repeat=sample.whole("epoch"),
        cost_usd=sample.object("model_usage").object(model).number("total_cost", least=0),
        latency_s=sample.number("working_time", least=0),
        truncated=_cut_off(output),
        told=told_by_output(output.values),
    )
    return record, judgement


def _targets(sample: Fields) -> list[str]:
    """Accepted answers that are not blank."""
    value = sample.values.get("target")
    texts = value if isinstance(value, list) else [] if value is None else [value]
    if any(not isinstance(text, str) for text in texts):
        raise sample.wrong("target", "a text or a list of texts")
    return [clean(text) for text in texts if text.strip()]


def _positions(targets: Sequence[str], options: Sequence[str]) -> list[int] | None:
    """Options that targets name, by text or as the scorer `choice` reads them.

    Letters come to 26 options; the 27th is called "1". "A, C" and "AC" name two.
    """
    found: list[int] = []
    for target in targets:
        if target in options and not (len(target) == 1 and target in OPTION_LETTERS):
            found.append(list(options).index(target))
            continue
        tokens = target.replace(",", " ").split()
        for name in [t for token in tokens for t in ([token] if token.isdecimal() else token)]:
            if name.isdecimal():
                place = len(OPTION_LETTERS) - 1 + int(name)
            else:
                place = OPTION_LETTERS.find(name.upper())
            if not 0 <= place < len(options) or (name.isdecimal() and int(name) == 0):
                return None
            found.append(place)
    return sorted(set(found)) or None


def _prompt(sample: Fields) -> str:
    value = sample.values.get("input")
    if isinstance(value, str) and value.strip():
        return _unfolded(clean(value), sample)
    if not isinstance(value, list) or not value:
        raise sample.wrong("input", "a text or a list of messages")
    messages = sample.objects("input")
    texts = [(m.optional_text("role") or "user", _content(m, sample)) for m in messages]
    if len(texts) == 1:
        return texts[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in texts if text)


def _reply(output: Fields, sample: Fields) -> str | None:
    """Text of a reply: stored, or of its first choice the texts without reasoning and images."""
    stored = output.optional_text("completion")
    if stored:
        return _unfolded(stored, sample)
    choices = output.objects("choices")
    if not choices:
        return "" if output.values else None
    message = choices[0].object("message")
    content = message.values.get("content")
    if isinstance(content, str):
        return _unfolded(clean(content), sample)
    parts = message.objects("content")
    texts = [p.optional_text("text") or "" for p in parts if p.values.get("type") in ("text", None)]
    return "\n".join(_unfolded(text, sample) for text in texts)


def _content(message: Fields, sample: Fields) -> str:
    """Text of a message; images and files count as what they are."""
    value = message.values.get("content")
    if isinstance(value, str):
        return _unfolded(clean(value), sample)
    parts = []
    for part in message.objects("content"):
        kind = part.optional_text("type") or "text"
        text = part.optional_text("text")
        if kind != "reasoning":
            parts.append(f"[{kind}]" if text is None else _unfolded(text, sample))
    return "\n".join(parts)


def _unfolded(text: str, sample: Fields) -> str:
    """Long texts may be kept beside the sample."""
    if text.startswith(_ATTACHED):
        return sample.object("attachments").optional_text(text.removeprefix(_ATTACHED)) or text
    return text


def _cut_off(output: Fields) -> bool:
    choices = output.objects("choices")
    return bool(choices) and choices[0].optional_text("stop_reason") in _CUT_OFF


def is_scored(value: Any) -> bool:
    """Whether a scorer gave any value: none and "not a number" mean that it did not."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))

"""One line of every_eval_ever's samples: what was asked and answered, to be graded again.

Lines come from several tools' logs and differ with them. A reference is an option's letter
(inspect_ai), its text (HELM) or its number (lm-eval), told apart in `references`. `is_correct` is
"score above 0", and with several epochs every line of a sample has the mean over all of them as its
score; so answers are compared with references, and such a mean is no line's own score.

Source: evaleval/every_eval_ever 0.3.0, `InstanceLevelEvaluationLog` and the converters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.every_eval_ever.references import (
    Line,
    labels_by_number,
    labels_by_text,
    position,
)
from rlfocal.records.importers.json_files import Fields
from rlfocal.records.importers.logged import Record, Told, option_name
from rlfocal.records.importers.telling import count_of, finish_of

__all__ = ["line_of"]

_NOT_FOUND = (
    "[invalid]",  # lm-eval's filters
    "Scoring pattern not matched in output",  # inspect_ai's explanation in place of an answer
    "Choices were shuffled before generating a response",  # letters of an order that is not logged
)
_SEVERAL = re.compile(r"[A-Z](\s*,\s*[A-Z])+")
"""Several letters are no answer to a question with one right option."""
_CUT_OFF = {"max_tokens", "model_length", "length"}
_OF_LM_EVAL = "lm_eval_metrics"
"""What its converter leaves in a line's metadata."""


def line_of(row: Fields, *, task: str) -> Line:
    """Make a record of a line, its references read both ways.

    Args:
        row: of a samples file.
        task: the record's.

    Returns:
        Its records have the score as logged, if in [0, 1].

    Raises:
        RecordError: a field is missing or of another type.
    """
    asked = row.object("input")
    prompt = asked.text("raw")
    options = tuple(asked.texts("choices"))
    references = [r for r in asked.texts("reference") if r.strip()]
    replies = _replies(row)
    (labels, meant), is_text = labels_by_text(references, options)
    said = _said(row, replies)
    found = said is not None and not said.strip().startswith(_NOT_FOUND) and bool(said.strip())
    answer = said if found and said is not None else None
    if answer is not None and options:
        found = _SEVERAL.fullmatch(answer.strip()) is None
        place = position(answer, options)  # replies are texts first, whatever the references are
        answer = None if place is None else option_name(place, options)
    elif answer is not None and replies and answer.strip() == replies[0].strip():
        answer = None  # the whole reply: the answer is looked for in it
    metadata = row.object("metadata")
    epoch = metadata.name("epoch")  # where the tool says so
    record = Record(
        member=row.text("model_id"),
        task=task,
        document=document_digest(prompt, sorted(options), sorted(meant)),
        name=row.name("sample_id"),
        place=row.place,
        prompt=prompt,
        choices=options or None,
        labels=labels,
        answer=answer if len(replies) < 2 else None,
        unusable=said is not None and not found,
        text=replies[0] if replies else None,
        samples=tuple(replies) if len(replies) > 1 else None,
        score=_score(row),
        by_score=not labels,
        repeat=int(epoch) if epoch.isdecimal() and epoch.isascii() else None,
        latency_s=_seconds(row),
        truncated=metadata.name("stop_reason") in _CUT_OFF,
        told=_told(row, metadata),
    )
    numbered = None
    if (by_number := labels_by_number(references, options)) is not None:
        document = document_digest(prompt, sorted(options), sorted(by_number[1]))
        numbered = replace(record, labels=by_number[0], document=document, by_score=False)
    return Line(
        record=record,
        numbered=numbered,
        is_text=is_text,
        score=row.object("evaluation").values.get("score"),
        from_lm_eval=_OF_LM_EVAL in metadata.values,
    )


def _told(row: Fields, metadata: Fields) -> Told:
    usage = row.values.get("token_usage")
    used = usage if isinstance(usage, dict) else {}
    return Told(
        finish=finish_of(metadata.values.get("stop_reason")),
        n_prompt_tokens=count_of(used.get("input_tokens")),
        n_completion_tokens=count_of(used.get("output_tokens")),
    )


def _replies(row: Fields) -> list[str]:
    """Replies of one turn; of a conversation, the assistant's last message."""
    if row.values.get("output") is not None:
        return row.object("output").texts("raw")
    said = [
        message.optional_text("content")
        for message in row.objects("messages")
        if message.values.get("role") == "assistant"
    ]
    texts = [text for text in said if text]
    return texts[-1:]


def _said(row: Fields, replies: Sequence[str]) -> str | None:
    """What the tool extracted in the end; else the reply."""
    extracted = None
    for item in row.objects("answer_attribution"):
        if item.values.get("is_terminal") is not False:
            extracted = item.optional_text("extracted_value")
    return extracted if extracted is not None else replies[0] if replies else None


def _score(row: Fields) -> float | None:
    judged = row.object("evaluation")
    score = judged.number("score")
    if score is None:
        score = judged.number("is_correct", least=0, most=1)
    return score if score is not None and 0 <= score <= 1 else None


def _seconds(row: Fields) -> float | None:
    """Time of generation; `latency_ms` beside it is, from inspect_ai, the time spent waiting."""
    spent = row.object("performance")
    for key in ("generation_time_ms", "latency_ms"):
        milliseconds = spent.number(key, least=0)
        if milliseconds is not None:
            return milliseconds / 1000
    return None

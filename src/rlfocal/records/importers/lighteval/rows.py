"""One row of lighteval's details: a document, what the model made of it, and its metrics.

`choices` are options where their likelihoods were compared, and reference answers where text was
generated; `gold_index` is one number or several. Several texts are repeats.

Source: huggingface/lighteval 0.13.0, `Doc`, `ModelResponse`, `DetailsLogger.Detail`,
`LoglikelihoodAcc`, `LogProbCharNorm`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import Fields, score_of
from rlfocal.records.importers.logged import Record, Told, option_name
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["COMPARING", "agrees", "metrics_of", "record_of"]

COMPARING = re.compile(
    r"acc|em\b|exact_match|quasi_exact|prefix|extractive_match|pass@k|avg@n|maj@n|gpqa|mc1",
    re.IGNORECASE,
)
"""Metrics that compare an answer with a reference; others grade or judge a text."""
_OF_ALL = re.compile(r"pass@", re.IGNORECASE)
"""Metrics that ask whether any of several replies is right."""


def metrics_of(row: Fields) -> list[str]:
    """Names of the metrics with a number in [0, 1]; what corpus metrics keep is none."""
    metrics = row.object("metric").values
    return [name for name, value in metrics.items() if score_of(value) is not None]


def record_of(
    row: Fields, *, member: str, task: str, metric: str | None, skip_space: bool = False
) -> Record:
    """Make a record of a row.

    Args:
        row: doc, model_response and metric.
        member: the record's.
        task: the record's.
        metric: becomes the score; None: there is none.
        skip_space: an option's first blank is not counted where likelihoods are taken by length.

    Raises:
        RecordError: a field is missing or of another type.
    """
    doc, response = row.object("doc"), row.object("model_response")
    query = doc.text("query")
    choices = doc.texts("choices")
    golds = _golds(doc, len(choices))
    score = None if metric is None else score_of(row.object("metric").values.get(metric))
    likely = _numbers(response, "logprobs")
    base = Record(
        member=member,
        task=task,
        document=document_digest(query, sorted(choices), sorted(choices[g] for g in golds)),
        name=doc.name("id"),
        place=row.place,
        prompt=query,
        score=score,
        by_score=metric is not None and COMPARING.search(metric) is None,
    )
    methods = doc.texts("sampling_methods")
    if "LOGPROBS" in methods if methods else bool(likely) and not response.items("text"):
        scores = _normalised(likely, choices, response, metric or "", skip_space)
        return _ranked(base, choices, golds, scores)
    return _written(base, response, choices, golds, metric or "")


def agrees(record: Record) -> bool:
    """Whether the option ranked first, against the labels, gives the score."""
    if record.choices is None or record.answer is None or record.score not in (0, 1):
        return True
    return (record.answer in record.labels) == (record.score == 1)


def _ranked(
    base: Record, choices: Sequence[str], golds: Sequence[int], scores: Sequence[float]
) -> Record:
    if len(choices) < 2:  # the likelihood of one continuation: right or wrong, no options
        return replace(base, by_score=True)
    options = tuple(choice.strip() for choice in choices)
    usable = all(map(math.isfinite, scores))
    best = max(range(len(scores)), key=scores.__getitem__) if usable else None
    return replace(
        base,
        choices=options,
        labels=tuple(option_name(g, options) for g in golds),
        answer=None if best is None else option_name(best, options),
        unusable=best is None,
        choice_scores=tuple(scores) if usable else None,
    )


def _normalised(
    likely: Sequence[float],
    choices: Sequence[str],
    response: Fields,
    metric: str,
    skip_space: bool,
) -> list[float]:
    """Log-probabilities as the metric compares them, which its name says."""
    name, count = metric.lower(), len(choices)
    given = _numbers(response, "unconditioned_logprobs")
    if len(likely) == 2 * count:  # the second half without the question
        likely, given = likely[:count], list(likely[count:])
    if len(likely) != count:
        raise RecordError(
            f"{response.place}: field 'logprobs' holds {len(likely)} numbers for {count} choices; "
            "one for each is expected"
        )
    if "pmi" in name and len(given) == count:
        return [a - b for a, b in zip(likely, given, strict=True)]
    if "norm" not in name or "pmi" in name:
        return list(likely)
    lengths = [len(c) - (skip_space and c.startswith(" ")) for c in choices]
    if "token" in name:
        tokens = response.items("output_tokens")[:count]
        if len(tokens) != count or any(not isinstance(t, list) for t in tokens):
            raise response.wrong("output_tokens", "one list for each choice")
        lengths = [len(t) for t in tokens]
    return [value / max(length, 1) for value, length in zip(likely, lengths, strict=True)]


def _written(
    base: Record,
    response: Fields,
    choices: Sequence[str],
    golds: Sequence[int],
    metric: str,
) -> Record:
    texts = response.texts("text")
    if not texts:
        raise response.wrong("text", "a list of replies")
    processed = response.texts("text_post_processed")  # thinking is taken off
    replies = processed if len(processed) == len(texts) else texts
    letters = len(choices) > 1 and list(choices) == list(OPTION_LETTERS[: len(choices)])
    several = len(replies) > 1
    return replace(
        base,
        choices=tuple(choices) if letters else None,
        labels=tuple(dict.fromkeys(choices[g] for g in golds if choices[g].strip())),
        text=replies[0],
        told=Told(
            n_prompt_tokens=_length(response.values.get("input_tokens")),
            n_completion_tokens=_length(_first(response.values.get("output_tokens"))),
        ),
        samples=tuple(replies) if several else None,
        score=None if several and _OF_ALL.search(metric) else base.score,
    )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else None


def _length(value: Any) -> int | None:
    """Of a list of tokens; None where there is none, as of servers that give no tokens."""
    return len(value) if isinstance(value, list) and value else None


def _golds(doc: Fields, count: int) -> list[int]:
    value = doc.values.get("gold_index")
    numbers = value if isinstance(value, list) else [] if value is None else [value]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int):
            raise doc.wrong("gold_index", "a whole number or a list of them")
        if not 0 <= number < max(count, 1):
            raise RecordError(
                f"{doc.place}: field 'gold_index' is {number}; there are {count} choices"
            )
    return sorted(set(numbers)) if count else []


def _numbers(row: Fields, key: str) -> list[float]:
    values = row.items(key)
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise row.wrong(key, "a list of numbers")
    try:
        return [float(value) for value in values]
    except OverflowError:
        raise row.wrong(key, "a list of numbers") from None

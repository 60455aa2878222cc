"""One logged sample of lm-evaluation-harness: what was asked, answered, and how it was scored.

Source: EleutherAI/lm-evaluation-harness, `evaluate` (lm_eval/evaluator.py) and
`EvaluationTracker.save_results_samples`: fields doc_id, doc, target, arguments, resps,
filtered_resps, filter, metrics, doc_hash, prompt_hash, and each metric by its name. Older versions
log `arguments` as a list of lists and numbers as numbers, newer ones as {"gen_args_0": {"arg_0":
...}} and as texts; both are read.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rlfocal.errors import RecordError
from rlfocal.records.answers.number import canonical_number
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["ANSWER_METRICS", "Sample", "parse_sample", "pick_metric"]

ANSWER_METRICS = ("exact_match", "acc", "acc_norm")
"""Metrics, the preferred first, that compare one answer with one label. Under any other metric
the samples count as texts judged by a score."""

_QUESTIONS = ("question", "query", "problem", "input", "prompt", "sentence", "text", "ctx")
_OPTIONS = ("choices", "options", "endings")
_NO_MATCH = "[invalid]"
"""What the harness's regex filter returns when it finds nothing."""
MAX_ANSWER_CHARS = 1000


class Sample(NamedTuple):
    """One member's response to one document, in the words of the data format."""

    document: str
    prompt_hash: str
    question: str | None
    context: str
    choices: tuple[str, ...] | None = None
    label: str | None = None
    answer: str | None = None
    score: float | None = None
    choice_scores: tuple[float, ...] | None = None
    samples: tuple[str, ...] | None = None
    text: str | None = None
    agrees: bool = True  # the logged metric is what answer and label give


def pick_metric(row: Mapping[str, Any], wanted: str | None, where: str) -> str | None:
    """Choose the metric that becomes the score.

    Args:
        row: a logged sample.
        wanted: the metric to take; None for the first of `ANSWER_METRICS`, else the first that the
            log lists with a value in [0, 1].
        where: file and line, for messages.

    Raises:
        RecordError: the wanted metric is not in the log.
    """
    listed = row.get("metrics")
    names = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
    if wanted is not None:
        if wanted not in row:
            raise RecordError(
                f"{where}: no metric '{wanted}'; metrics found: {', '.join(names) or '(none)'}"
            )
        return wanted
    return next((n for n in (*ANSWER_METRICS, *names) if _score(row.get(n)) is not None), None)


def parse_sample(row: Mapping[str, Any], metric: str | None, where: str) -> Sample:
    """Read one logged sample.

    Args:
        row: the logged object.
        metric: name of the metric that becomes the score; None for no score.
        where: file and line, for messages.

    Raises:
        RecordError: a field is missing or of an unexpected form.
    """
    arguments = _arguments(row, where)
    responses = _list(row, "filtered_resps", where)
    context = str(arguments[0][0]) if arguments and arguments[0] else ""
    doc = row.get("doc")
    hashed = row.get("prompt_hash") or _digest(context)
    base = Sample(
        document=str(row.get("doc_hash") or "") if doc is None else _digest(doc),
        prompt_hash=str(hashed),
        question=_question(doc),
        context=context,
        score=None if metric is None else _score(row.get(metric)),
    )
    likelihoods = _likelihoods(responses)
    if metric not in ANSWER_METRICS:
        return base._replace(text=None if likelihoods else _first_text(row))
    if likelihoods is None:
        return _generated(base, row, responses)
    if len(likelihoods) < 2 or any(len(a) < 2 for a in arguments):
        return base  # the likelihood of one continuation: right or wrong, no options
    if len(likelihoods) != len(arguments):
        raise RecordError(
            f"{where}: {len(likelihoods)} filtered_resps for {len(arguments)} arguments; "
            "each option needs one log-likelihood"
        )
    return _multiple_choice(base, row, arguments, likelihoods, by_length=metric == "acc_norm")


def _generated(base: Sample, row: Mapping[str, Any], responses: Sequence[Any]) -> Sample:
    first = responses[0] if responses else None
    repeats = first if isinstance(first, list) else [first]
    target = row.get("target")
    label = None if isinstance(target, (list, dict)) else _label(str(target or ""))
    is_number = label is not None and canonical_number(label) == label
    answers = [_answer(r, is_number) for r in repeats]
    answer = answers[0] if answers else None
    if base.score == 1 and label is not None:
        answer = label  # the benchmark's own comparison calls them equal, however it is written
    return base._replace(
        label=label,
        answer=answer,
        samples=tuple(a for a in answers if a is not None) if len(answers) > 1 else None,
        text=_first_text(row),
    )


def _label(target: str) -> str | None:
    """The answer in a target; GSM8K's is a worked solution that ends on "#### answer"."""
    label = target.rpartition("#### ")[2].strip()
    if not label or len(label) > MAX_ANSWER_CHARS or re.match(r"\[.*\]$", label, re.DOTALL):
        return None  # a list of accepted answers is no single label
    return canonical_number(label) or label


def _answer(response: Any, is_number: bool) -> str | None:
    if not isinstance(response, str):
        return None
    answer = response.strip()
    if not answer or answer == _NO_MATCH or len(answer) > MAX_ANSWER_CHARS:
        return None
    return (canonical_number(answer) or answer) if is_number else answer


def _multiple_choice(
    base: Sample,
    row: Mapping[str, Any],
    arguments: Sequence[Sequence[Any]],
    likelihoods: Sequence[float],
    *,
    by_length: bool,
) -> Sample:
    contexts = [str(a[0]) for a in arguments]
    continuations = [str(a[1]) for a in arguments]
    half = len(arguments) // 2
    again = continuations[:half] == continuations[half:] and contexts[0] != contexts[half]
    if again and len(set(continuations)) == half > 1:
        # acc_mutual_info asks every option once more without its question
        contexts, continuations = contexts[:half], continuations[:half]
    scores = list(likelihoods[: len(contexts)])
    if by_length:
        scores = [s / max(len(c.strip()), 1) for s, c in zip(scores, continuations, strict=True)]
    options = _options(contexts, continuations, row.get("doc"))
    letter = None
    if not any(math.isnan(s) for s in scores):
        letter = _letter(scores.index(max(scores)))
    label, agrees = _option_label(row.get("target"), options, continuations, letter, base.score)
    return base._replace(
        choices=options,
        label=label,
        answer=letter,
        choice_scores=tuple(scores) if all(map(math.isfinite, scores)) else None,
        agrees=agrees,
    )


def _options(contexts: Sequence[str], continuations: Sequence[str], doc: Any) -> tuple[str, ...]:
    """Texts of the options; where only letters were asked for, the document may hold the texts."""
    if len(set(continuations)) == 1 and len(set(contexts)) > 1:
        # The options stand inside the question: keep what differs, from the start of its word.
        shared = next(
            (k for k, letters in enumerate(zip(*contexts, strict=False)) if len(set(letters)) > 1),
            min(map(len, contexts)),
        )
        start = contexts[0].rfind(" ", 0, shared) + 1
        return tuple(c[start:].strip() + continuations[0] for c in contexts)
    options = tuple(c.strip() for c in continuations)
    bare = tuple(o.strip("().") for o in options)
    if bare != tuple(OPTION_LETTERS[: len(options)]) or not isinstance(doc, dict):
        return options
    for key in _OPTIONS:
        texts = doc.get(key)
        if isinstance(texts, dict):
            texts = texts.get("text")  # ARC's {"text": [...], "label": [...]}
        if isinstance(texts, list) and len(texts) == len(options):
            return tuple(str(t) for t in texts)
    return options


def _option_label(
    target: Any,
    options: Sequence[str],
    continuations: Sequence[str],
    letter: str | None,
    score: float | None,
) -> tuple[str | None, bool]:
    """The label's letter, and whether the logged score confirms it.

    A target is an index or an option's text, and newer logs write both as text; where "1" could be
    either, the one that explains the score is taken.
    """
    text = str(target).strip()
    readings = [int(text)] if re.fullmatch(r"[0-9]{1,2}", text) else []
    for texts in ([c.strip() for c in continuations], list(options)):
        if text in texts:
            readings.append(texts.index(text))
    letters = [_letter(r) for r in readings if r < len(options)]
    if letter is None or score not in (0, 1):
        return (letters[0] if letters else None), True
    for candidate in letters:
        if (candidate == letter) == (score == 1):
            return candidate, True
    return (letter if score == 1 else None), not letters


def _letter(index: int) -> str:
    return OPTION_LETTERS[index] if index < len(OPTION_LETTERS) else "?"


def _arguments(row: Mapping[str, Any], where: str) -> list[list[Any]]:
    """Requests as lists of their arguments, whichever version logged them."""
    logged = row.get("arguments")
    if isinstance(logged, dict):
        keys = sorted(logged, key=lambda k: (len(k), k))  # gen_args_2 before gen_args_10
        logged = [logged[k] for k in keys]
    if not isinstance(logged, list):
        raise RecordError(f"{where}: field 'arguments' is missing; is this a log of --log_samples?")
    return [
        list(a.values()) if isinstance(a, dict) else a if isinstance(a, list) else [a]
        for a in logged
    ]


def _list(row: Mapping[str, Any], field: str, where: str) -> list[Any]:
    value = row.get(field)
    if not isinstance(value, list):
        raise RecordError(f"{where}: field '{field}' is missing; is this a log of --log_samples?")
    return value


def _likelihoods(responses: Sequence[Any]) -> list[float] | None:
    """Log-likelihoods when every response is a pair (log-likelihood, is_greedy), else None."""
    values = []
    for response in responses:
        if not (isinstance(response, list) and len(response) == 2):
            return None
        if str(response[1]) not in ("True", "False"):
            return None
        try:
            values.append(float(response[0]))
        except (TypeError, ValueError):
            return None
    return values or None


def _score(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (bool, int, float)):
        return None
    return float(value) if 0 <= value <= 1 else None


def _question(doc: Any) -> str | None:
    if isinstance(doc, str):
        return doc or None
    if not isinstance(doc, dict):
        return None
    texts = (doc.get(key) for key in _QUESTIONS)
    return next((t for t in texts if isinstance(t, str) and t.strip()), None)


def _first_text(row: Mapping[str, Any]) -> str | None:
    value = row.get("resps")
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else None


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()

"""One logged sample of lm-evaluation-harness: what was asked, replied, and how it was scored.

What only a whole task shows (which fields name a document, how targets are read, whether scores
compare answers) is left to `tasks`. Nothing here is written from a score.

Source: EleutherAI/lm-evaluation-harness, `evaluate` (lm_eval/evaluator.py) and
`EvaluationTracker.save_results_samples`: fields doc_id, doc, target, arguments, resps,
filtered_resps, filter, metrics, doc_hash, prompt_hash, and each metric by its name. Older versions
log `arguments` as a list of lists and numbers as numbers, newer ones as {"gen_args_0": {"arg_0":
...}} and as texts; both are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.json_files import Fields, score_of
from rlfocal.records.importers.lm_eval.choices import Requests, likelihoods, requests_of
from rlfocal.records.importers.lm_eval.documents import (
    context_text,
    last_turn,
    options_of,
    question_of,
)
from rlfocal.records.importers.lm_eval.rows import COMPARING, Rows
from rlfocal.records.schema import clean

__all__ = ["Sample", "labels_of", "looks_filtered", "parse_sample"]

NO_MATCH = "[invalid]"
"""What the harness's regex filter returns when it finds nothing."""
LONG_TARGET = 100
"""Characters: a longer target is a worked solution rather than an answer."""


@dataclass
class Sample:
    """One member's replies to one document, under one filter and metric.

    Attributes:
        member: who replied.
        task: of the harness.
        place: file and line.
        name: number of the document in its log.
        doc: the document; None where the log does not hold it.
        doc_hash: its hash as logged, "" where there is none.
        target: as logged.
        question: the document's own, if it has a field for it.
        context: all that the model saw.
        last: the last message of a chat, else the context.
        requests: options and their scores; None for a generated reply.
        replies: one per repeat, unfiltered.
        filtered: what the filter made of each reply, or of all together.
        score: the metric's value in [0, 1].
        compares: the metric compares an answer with a label.
        repeat: number of this reply among the document's, where the log says so.
        majority: the filter's answer is a vote over the replies.
    """

    member: str
    task: str
    place: str
    name: str
    doc: Any
    doc_hash: str
    target: Any
    question: str | None
    context: str
    last: str
    requests: Requests | None
    options: tuple[str, ...] | None
    replies: tuple[str | None, ...]
    filtered: tuple[str | None, ...]
    score: float | None
    compares: bool
    repeat: int | None
    majority: bool


def parse_sample(row: Fields, rows: Rows, member: str, task: str) -> Sample:
    """Read one logged sample.

    Raises:
        RecordError: a field is missing or of an unexpected form.
    """
    arguments = requests_of(row.values.get("arguments"))
    if arguments is None:
        raise RecordError(
            f"{row.place}: field 'arguments' is "
            + (
                "null"
                if "arguments" in row.values and row.values["arguments"] is None
                else "missing or no list"
            )
            + "; is this a log of --log_samples?"
        )
    if "filtered_resps" in row.values and row.values["filtered_resps"] is None:
        raise RecordError(f"{row.place}: field 'filtered_resps' is null; a list is expected")
    if not isinstance(row.values.get("filtered_resps"), list):
        raise row.wrong("filtered_resps", "a list")
    responses = row.items("filtered_resps")
    first = arguments[0][0] if arguments and arguments[0] else ""
    doc = row.values.get("doc")
    values = likelihoods(responses)
    metric = rows.metric or ""
    requests = None
    if values is not None and metric in COMPARING and len(values) > 1:
        requests = _requests(arguments, values, doc, metric, row)
    replies = () if values is not None else _texts(_first(row.values.get("resps")))
    target = row.values.get("target")
    repeat = row.values.get("sample_repeat")
    return Sample(
        member=member,
        task=task,
        place=row.place,
        name=row.name("doc_id"),
        doc=doc,
        doc_hash=row.name("doc_hash"),
        target=target,
        question=question_of(doc),
        context=context_text(first),
        last=last_turn(first),
        requests=requests,
        options=_lettered(doc, target) if values is None else None,
        replies=replies,
        filtered=() if values is not None else _texts(_first(responses)),
        score=score_of(row.values.get(metric), written=True) if metric else None,
        compares=metric in COMPARING and (values is None or requests is not None),
        repeat=repeat if isinstance(repeat, int) and not isinstance(repeat, bool) else None,
        majority=rows.majority,
    )


def labels_of(sample: Sample) -> tuple[str, ...]:
    """Accepted answers of a generated reply, as the log's target gives them."""
    target = sample.target
    if isinstance(target, str) and re.fullmatch(r"\[.*\]", target.strip(), re.DOTALL):
        target = _listed(target.strip()) or target
    if isinstance(target, list):
        texts = [t for t in target if isinstance(t, str | int | float)]
        return tuple(dict.fromkeys(_label(str(t), sample.doc) for t in texts if str(t).strip()))
    if target is None or isinstance(target, dict):
        return ()
    label = _label(str(target), sample.doc)
    return (label,) if label else ()


def looks_filtered(samples: Sequence[Sample]) -> bool:
    """Whether a filter took answers out of replies, rather than handing them on.

    True where it changed more than blanks and case in some reply, and most of what it made is
    short.
    """
    pairs = [(s.replies[0], s.filtered[0]) for s in samples if s.replies and s.filtered]
    changed = [f for r, f in pairs if _bare(f) != _bare(r)]
    short = sum(f is None or len(f.strip()) <= LONG_TARGET for f in changed)
    return bool(changed) and 2 * short >= len(changed)


def _bare(text: str | None) -> str:
    return "".join((text or "").casefold().split())


def _requests(
    arguments: Sequence[Sequence[Any]], values: Sequence[float], doc: Any, metric: str, row: Fields
) -> Requests | None:
    if any(len(a) < 2 for a in arguments):
        return None  # the likelihood of a whole text: right or wrong, no options
    if len(values) != len(arguments):
        raise RecordError(
            f"{row.place}: {len(values)} filtered_resps for {len(arguments)} arguments; "
            "each option needs one log-likelihood"
        )
    return Requests(arguments, values, doc, metric)


def _lettered(doc: Any, target: Any) -> tuple[str, ...] | None:
    """Options of a document whose target is one of their letters."""
    if not isinstance(target, str):
        return None
    letter = target.strip().strip("().")
    options = options_of(doc)
    if options is None or len(letter) != 1 or not "A" <= letter <= "Z" or len(options) > 26:
        return None
    return options if ord(letter) - ord("A") < len(options) else None


def _first(value: Any) -> Any:
    """Replies to the first request; a document of generated text has one."""
    return value[0] if isinstance(value, list) and value else None


def _texts(value: Any) -> tuple[str | None, ...]:
    """Repeats of a reply, as texts; None where there is none."""
    values = value if isinstance(value, list) else [value]
    while len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    return tuple(clean(v) if isinstance(v, str) else None for v in values)


def _label(target: str, doc: Any) -> str:
    """The answer in a target, which may be a worked solution; "" where there is none.

    GSM8K's solution ends on "#### answer", that of MATH boxes it; else a short field `answer` of
    the document holds it.
    """
    text = clean(target)
    if "#### " in text:
        return text.rpartition("#### ")[2].strip()
    boxed = _boxed(text)
    if boxed:
        return boxed
    answer = doc.get("answer") if isinstance(doc, dict) else None
    if len(text) > LONG_TARGET and isinstance(answer, str) and 0 < len(answer) <= LONG_TARGET:
        return clean(answer).strip()
    return text.strip()


def _boxed(text: str) -> str:
    """Content of the last box of a text, whose braces balance; "" where there is none."""
    start = max(text.rfind(r"\boxed{"), text.rfind(r"\fbox{"))
    if start < 0:
        return ""
    start = text.index("{", start)
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place].strip()
    return ""


def _listed(text: str) -> list[str] | None:
    """Items of a list that was written as text: ['a', "it's"]; None where it is no such list."""
    item = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
    if not re.fullmatch(rf"\[(?:(?:{item})(?:, ?(?:{item}))*)\]", text):
        return None
    return [found[1:-1].replace("\\'", "'") for found in re.findall(item, text)]

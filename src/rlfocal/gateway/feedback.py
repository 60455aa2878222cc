"""What a judgement of an answer says of the members that were asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.request_row import DIGEST
from rlfocal.gateway.store.rows import FeedbackRow, RequestRow
from rlfocal.gateway.wire.parsing import first_mistake, read_json
from rlfocal.live import FREE_WORDS
from rlfocal.records.answers import Extractor, extractor
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Judgement", "judged", "read_judgement", "right_answer"]

_NOT_EXCLUSIVE = ("tools", FREE_WORDS)
"""Kinds of answers of which several different ones may be right."""


class Judgement(BaseModel):
    """The body of POST /v1/feedback: a score, or the right answer."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)

    id: Annotated[str, Field(max_length=64)]
    """Of the request."""
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """What the answer was worth."""
    answer: Annotated[str, Field(max_length=1000)] | None = None
    """The right one."""


def read_judgement(body: bytes) -> Judgement:
    """Read the body of POST /v1/feedback.

    Raises:
        ApiError: 400, naming the field and the remedy.
    """
    found = read_json(body)
    if not isinstance(found, dict):
        raise ApiError(400, "invalid_type", "the body should be a JSON object")
    try:
        given = Judgement(**found)
    except (ValidationError, TypeError) as exc:
        if not isinstance(exc, ValidationError):
            raise ApiError(400, "invalid_type", "fields should be named by strings") from None
        first = first_mistake(exc)
        param = ".".join(map(str, first["loc"]))[:128]
        message = f"'{param}': {first['msg']}; known: id, score, answer"
        raise ApiError(400, "invalid_value", message, param=param) from None
    if (given.score is None) == (given.answer is None):
        raise ApiError(
            400, "invalid_value", "give a score in [0, 1] or the right answer, one of them"
        )
    return given


def judged(request: RequestRow, judgement: Judgement, *, now: float) -> FeedbackRow:
    """Say what the answer earned, and what each member's was worth.

    A score is that of the answer, so of every member that gave it. Where only one answer can be
    right and it was, the others' were wrong; where it was wrong, nothing is known of the others.

    Args:
        request: that is judged.
        judgement: of its client.
        now: seconds since 1970.

    Raises:
        ApiError: it had no answer, or its answers are no longer there to be compared.
    """
    given = request.given or {}
    if request.status != 200 or not given:
        raise ApiError(409, "nothing_to_judge", "this request ended without an answer", param="id")
    trace = Trace.of_json(request.trace or {})
    kind, candidates = trace.kind or FREE_WORDS, list(request.candidates or ())
    if judgement.answer is not None:
        worth = _compared(candidates, judgement.answer, kind)
    else:
        assert judgement.score is not None
        exclusive = kind not in _NOT_EXCLUSIVE
        others = 0.0 if judgement.score == 1 and exclusive else None
        worth = [judgement.score if k == request.chosen else others for k in range(len(candidates))]
    chosen = request.chosen
    earned = judgement.score if chosen is None else worth[chosen]
    failed = {c.member for part in trace.rounds for c in part.asked if c.failure is not None}
    scores = {
        member: _of_member(number, worth, failed=member in failed)
        for member, number in given.items()
    }
    return FeedbackRow(
        request_id=request.id,
        key_id=request.key_id,
        created_at=now,
        score=judgement.score,
        answer=judgement.answer,
        earned=0.0 if earned is None else earned,
        task=request.task,
        given=given,
        member_scores=scores,
    )


def _compared(candidates: list[str], answer: str, kind: str) -> list[float | None]:
    if kind in _NOT_EXCLUSIVE or any(text.startswith(DIGEST) for text in candidates):
        raise ApiError(
            409, "score_needed",
            "of answers in free words only digests are kept; send a score in place of the answer",
            param="answer",
        )  # fmt: skip
    right = _read(answer, kind)
    if right is None:
        # Taken as it is, it would say that everybody was wrong.
        raise ApiError(
            400,
            "invalid_value",
            f"the right answer should be of the kind '{kind}', as replies are",
            param="answer",
        )
    compare = _extractor(kind)
    return [float(compare.equal(text, right)) for text in candidates]


def _read(answer: str, kind: str) -> str | None:
    """The right answer in the form of its kind; None where it is of another."""
    if kind != "choice":
        return _extractor(kind).extract(answer)
    letter = answer.strip().strip("().[]").upper()
    right = letter if len(letter) == 1 else _extractor(kind).extract(answer)
    return right if right is not None and right in OPTION_LETTERS else None


def right_answer(request: RequestRow, judgement: FeedbackRow) -> str | None:
    """What a judgement says is the right answer; None where it says only what one was worth.

    Args:
        request: that was judged.
        judgement: of it.
    """
    kind = Trace.of_json(request.trace or {}).kind or FREE_WORDS
    if kind in _NOT_EXCLUSIVE:
        return None
    if judgement.answer is not None:
        return _read(judgement.answer, kind)
    if judgement.score != 1 or request.chosen is None:
        return None
    text = (request.candidates or ())[request.chosen]
    return None if text.startswith(DIGEST) else text


def _extractor(kind: str) -> Extractor:
    return extractor(kind, n_options=len(OPTION_LETTERS)) if kind == "choice" else extractor(kind)


def _of_member(number: int | None, worth: list[float | None], *, failed: bool) -> float | None:
    """None: it failed, or nothing is known; a reply without an answer is wrong."""
    if number is None:
        return None if failed else 0.0
    return worth[number]

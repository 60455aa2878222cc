"""What a judgement of an answer says of the members that were asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rlfocal.deliberation.trace import Trace
from rlfocal.errors import ConfigError
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.request_row import DIGEST, kept_answer
from rlfocal.gateway.store.rows import FeedbackRow, RequestRow
from rlfocal.gateway.wire.parsing import first_mistake, read_json
from rlfocal.live import FREE_WORDS
from rlfocal.records.answers import Extractor, extractor
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.toolcalls import ToolCallExtractor

__all__ = ["Judgement", "judged", "read_judgement", "right_answer"]

_NOT_EXCLUSIVE = ("tools", FREE_WORDS)
"""Kinds of answers of which several different ones may be right."""


class Judgement(BaseModel):
    """The body of POST /v1/feedback: a score, the right answer, or what became of calls."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)

    id: Annotated[str, Field(max_length=64)]
    """Of the request."""
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """What the answer was worth."""
    answer: Annotated[str, Field(max_length=1000)] | None = None
    """The right one."""
    outcome: Literal["executed", "failed"] | None = None
    """Of calls of tools: as good as a score of 1, or of 0."""
    tool_calls: list[dict[str, Any]] | None = None
    """The calls that would have been right, in OpenAI's words; none for a reply in words."""
    tools: list[dict[str, Any]] | None = None
    """With these: the functions that the request offered, which are not kept here."""


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
        known = ", ".join(Judgement.model_fields)
        message = f"'{param}': {first['msg']}; known: {known}"
        raise ApiError(400, "invalid_value", message, param=param) from None
    said = (given.score, given.answer, given.outcome, given.tool_calls)
    if sum(one is not None for one in said) != 1:
        raise ApiError(
            400, "invalid_value",
            "give a score in [0, 1], the right answer, an outcome or the right tool_calls, one of "
            "them",
        )  # fmt: skip
    if (given.tool_calls is None) != (given.tools is None):
        raise ApiError(
            400, "missing_parameter",
            "tool_calls and tools belong together: what calls mean depends on what was offered",
            param="tools" if given.tools is None else "tool_calls",
        )  # fmt: skip
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
    score, answer = judgement.score, judgement.answer
    if judgement.outcome is not None:
        if kind != "tools":
            raise _no_calls("outcome")
        score = float(judgement.outcome == "executed")
    if judgement.tool_calls is not None:
        if kind != "tools":
            raise _no_calls("tool_calls")
        answer = kept_answer(_meant(judgement.tool_calls, judgement.tools))
        worth: list[float | None] = [float(text == answer) for text in candidates]
    elif answer is not None:
        worth = _compared(candidates, answer, kind)
    else:
        assert score is not None
        # What was given in a call's place says nothing of those who gave no such thing.
        exclusive = kind not in _NOT_EXCLUSIVE and trace.held_back is None
        others = 0.0 if score == 1 and exclusive else None
        worth = [score if k == request.chosen else others for k in range(len(candidates))]
    chosen = request.chosen
    earned = score if chosen is None else worth[chosen]
    failed = {c.member for part in trace.rounds for c in part.asked if c.failure is not None}
    scores = {
        member: _of_member(number, worth, failed=member in failed)
        for member, number in given.items()
    }
    return FeedbackRow(
        request_id=request.id,
        key_id=request.key_id,
        created_at=now,
        score=score,
        answer=answer,
        earned=0.0 if earned is None else earned,
        task=request.task,
        given=given,
        member_scores=scores,
    )


def _no_calls(param: str) -> ApiError:
    return ApiError(
        409, "score_needed",
        f"this request was not answered among calls of tools; send a score in place of {param}",
        param=param,
    )  # fmt: skip


def _meant(calls: Sequence[object], tools: object) -> str:
    """The right calls as members' are compared."""
    try:
        found = ToolCallExtractor(tools, lenient=True).of_calls(calls)
    except ConfigError as exc:
        raise ApiError(400, "invalid_value", str(exc), param="tools") from None
    if found is None:
        raise ApiError(
            400, "invalid_value",
            "tool_calls should be as in a reply: a list of objects with a function's name and "
            "arguments",
            param="tool_calls",
        )  # fmt: skip
    return found


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

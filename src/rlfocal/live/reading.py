"""Read one member's reply: extract the answer by the kind of question, and compute the cost.

`replies.py` compares the replies of several members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rlfocal.checkpoint import Description
from rlfocal.grading import Grader, seen_reply
from rlfocal.live.calls import called
from rlfocal.live.state import Faulty, Reply
from rlfocal.pool.asking.question import Question
from rlfocal.pool.building import LiveMember
from rlfocal.pool.reading.showing import Showing
from rlfocal.pool.reading.verdicts import verdict_of
from rlfocal.pool.reading.wording import unmarked
from rlfocal.pool.types import Response
from rlfocal.readers import JUDGING
from rlfocal.records.answers.replies.cleaning import without_thinking
from rlfocal.records.calls import TOOL_CALLS
from rlfocal.records.kinds import NOT_OPEN
from rlfocal.records.signals import ReplyStore, SeenReply

__all__ = ["FREE_WORDS", "Reader", "speaks"]

FREE_WORDS = "open"
"""A kind of answer beside those of the records: replies are compared by meaning."""
_NOT_OPEN = ("", "choice", *NOT_OPEN)
"""Kinds of answers of data sets that say nothing of open questions."""


class Reader:
    """Extracts answers from replies.

    Args:
        about: the training data: its tasks, their kinds of answers, the unit of cost.
        answers: kind of answer that open questions have; None for that of the training data, and
            free words where these have no open questions.

    Raises:
        ConfigError: an unknown kind of answer.
    """

    def __init__(self, about: Description, answers: str | None) -> None:
        self.cost_unit = about.cost_unit
        by_task = about.answers if isinstance(about.answers, dict) and answers is None else {}
        self._is_told = answers is not None
        self._kinds: Mapping[str, str] = by_task
        self._kind = answers or _usual_kind(about.answers)
        self._tasks = frozenset(about.tasks)
        self._graders: dict[str, Grader] = {}
        self._grader(self._kind)  # an unknown kind is found now

    def kind_of(self, question: Question) -> str:
        """How answers are compared: "choice", "tools", `FREE_WORDS` or as in records.

        Raises:
            ConfigError: the question names an unknown kind of answer.
        """
        if question.choices:
            return "choice"
        if question.has_tools:
            return "tools"
        kind = question.answers or self._kinds.get(question.task) or self._kind
        self._grader(kind)
        return kind

    def may_be_free_words(self, question: Question) -> bool:
        """Whether the kind of an open question is only assumed: nobody and no task says it."""
        return not (self._is_told or question.answers) and not self.knows_task(question)

    def knows_task(self, question: Question) -> bool:
        """Whether the question is said to be of a task of training."""
        return question.task in self._tasks

    def _grader(self, kind: str) -> Grader:
        if kind not in self._graders:
            self._graders[kind] = Grader("text" if kind == FREE_WORDS else kind)
        return self._graders[kind]

    def graded(
        self,
        member: LiveMember,
        question: Question,
        kind: str,
        replies: Sequence[Response],
        showings: Sequence[Showing] = (),
    ) -> Reply:
        """Read a member's replies, one for each sample.

        Args:
            member: who replied.
            question: what was asked.
            kind: of the question, as `kind_of` finds it.
            replies: at least one.
            showings: what each was shown, of a member that reads others.
        """
        cost = self.cost_of(replies)
        if kind in ("tools", FREE_WORDS) and not speaks(member):
            return _silent(member, kind, replies, showings, cost)
        if kind == "tools":
            if member.settings.reads:
                replies = [replace(reply, text=unmarked(reply.text)) for reply in replies]
            found = [called(question, reply) for reply in replies]
            given = tuple([one.reply for one in found])
            bad = (Faulty(one.faulty, one.fault, k) for k, one in enumerate(found) if one.faulty)
            answers = tuple([one.answer for one in found])
            return Reply(answers, cost, given=given, faulty=next(bad, None))
        if kind == FREE_WORDS:
            reads = member.settings.reads
            texts = [unmarked(reply.text) if reads else reply.text for reply in replies]
            return Reply(tuple(texts), cost)
        choices = list(question.choices) or None
        row = {"query_id": "", "task": question.task, "choices": choices, "label": None}
        grader = self._grader(kind)
        if showings:
            pairs = zip(replies, showings, strict=True)
            grades = [grader.grade(row, member.settings, *pair) for pair in pairs]
        else:
            grades = [grader.grade(row, member.settings, reply) for reply in replies]
        read = Reply(tuple([grade.answer for grade in grades]), cost)
        if member.settings.reads and member.settings.reading in JUDGING:
            read = replace(read, verdicts=tuple([grade.verdict for grade in grades]))
        scores = grades[read.typical].choice_scores
        return read if scores is None else replace(read, scores=scores)

    def seen(
        self,
        member: LiveMember,
        question: Question,
        kind: str,
        replies: Sequence[Response],
        read: Reply,
        showings: Sequence[Showing] = (),
    ) -> ReplyStore:
        """What replies say beyond their answer, for a strategy that reads them.

        Args:
            member: who replied.
            question: what was asked.
            kind: of the question.
            replies: as `graded` has read them.
            read: what it found.
            showings: as of `graded`.
        """
        typical = _Typical(member, question, kind, replies, read, showings)
        return ReplyStore(typical, member.own.names)

    def cost_of(self, replies: Sequence[Response]) -> float:
        """Cost of asking a member, in the strategy's unit."""
        if self.cost_unit == "usd":
            # A cost that the server has not confirmed still counts.
            return sum((reply.cost_usd or 0.0) + reply.unsettled_usd for reply in replies)
        if self.cost_unit == "call":
            return 1.0
        return float(np.mean([reply.latency_s for reply in replies]))


@dataclass(frozen=True, eq=False)
class _Typical:
    """The typical one of a member's replies as recorded ones are read, when it is asked for.

    Its latency is the mean of all, as that of recorded samples is.
    """

    member: LiveMember
    question: Question
    kind: str
    replies: Sequence[Response]
    read: Reply
    showings: Sequence[Showing]

    def __iter__(self) -> Iterator[SeenReply]:
        yield self._seen

    @cached_property
    def _seen(self) -> SeenReply:
        # Kept, since each family of signals goes through the replies, and a user's own functions
        # may be slow.
        question = self.question
        # Of free words nothing was extracted when they were recorded.
        answer = None if self.kind == FREE_WORDS else self.read.answer
        kind = {FREE_WORDS: "", "tools": TOOL_CALLS}.get(self.kind, self.kind)
        reply = self.replies[self.read.typical]
        seen = seen_reply(
            reply,
            question.prompt,
            question.choices,
            answer,
            kind=kind,
            showings=self.showings,
        )
        mean_s = sum([reply.latency_s for reply in self.replies]) / len(self.replies)
        return replace(seen, latency_s=mean_s, given=self.member.own.read(seen))


def speaks(member: LiveMember) -> bool:
    """Whether a member's replies hold answers of its own: not those of judges and critics."""
    settings = member.settings
    return not settings.reads or not (
        settings.reading in JUDGING or settings.reading == "criticise"
    )


def shares_out(member: LiveMember) -> bool:
    """Whether a reply of a member may back several candidates: by scores, or by several samples."""
    return member.settings.samples > 1 or member.settings.answers == "option-scores"


def _silent(
    member: LiveMember,
    kind: str,
    replies: Sequence[Response],
    showings: Sequence[Showing],
    cost: float,
) -> Reply:
    """Of a judge, where whole replies are the answers: those of the replies that it names."""
    form = member.settings.reading
    if form == "criticise" or not showings:
        return Reply((None,) * len(replies), cost)
    answers, verdicts = list[str | None](), list[int | None]()
    for reply, showing in zip(replies, showings, strict=True):
        said = showing.said
        verdict = verdict_of(form, without_thinking(reply.text) or "", len(said))
        named = None if verdict is None or verdict < 0 else said[verdict]
        verdicts.append(verdict)
        answers.append(None if named is None else named.answer if kind == "tools" else named.text)
    return Reply(tuple(answers), cost, verdicts=tuple(verdicts))


def _usual_kind(answers: str | Mapping[str, str]) -> str:
    """Default kind of open answers: the commonest of the training tasks'."""
    if isinstance(answers, str):
        return FREE_WORDS if answers in _NOT_OPEN else answers
    return Counter(answers.values()).most_common(1)[0][0] if answers else FREE_WORDS

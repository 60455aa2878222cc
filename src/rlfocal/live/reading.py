"""Read one member's reply: extract the answer by the kind of question, and compute the cost.

`replies.py` compares the replies of several members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rlfocal.checkpoint import Description
from rlfocal.grading import Grader
from rlfocal.live.query import FREE_WORDS, LiveQuery, as_called
from rlfocal.live.state import Reply
from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Response

__all__ = ["Reader"]

_NOT_OPEN = ("", "choice", "score only")
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
        self._kinds: Mapping[str, str] = by_task
        self._kind = answers or _usual_kind(about.answers)
        self._tasks = frozenset(about.tasks)
        self._graders: dict[str, Grader] = {}
        self._grader(self._kind)  # an unknown kind is found now

    def check(self, query: LiveQuery) -> None:
        """Refuse a query that names an unknown kind of answer.

        Raises:
            ConfigError: it does.
        """
        self._grader(self._open_kind(query))

    def kind_of(self, query: LiveQuery) -> str:
        """How answers to a query are compared: "choice", "tools", `FREE_WORDS` or as in records."""
        if query.has_tools:
            return "tools"
        return "choice" if query.choices else self._open_kind(query)

    def may_be_free_words(self, query: LiveQuery) -> bool:
        """Whether the kind of question is only assumed: neither the query nor its task says it."""
        open_ = not query.choices and not query.has_tools
        return open_ and query.answers is None and query.task not in self._tasks

    def _open_kind(self, query: LiveQuery) -> str:
        return query.answers or self._kinds.get(query.task) or self._kind

    def _grader(self, kind: str) -> Grader:
        if kind not in self._graders:
            self._graders[kind] = Grader("text" if kind == FREE_WORDS else kind)
        return self._graders[kind]

    def graded(self, member: LiveMember, query: LiveQuery, replies: Sequence[Response]) -> Reply:
        """Read a member's replies, one for each sample."""
        cost, kind = self.cost_of(replies), self.kind_of(query)
        if kind == "tools":
            return Reply(tuple(map(as_called, replies)), cost)
        if kind == FREE_WORDS:
            return Reply(tuple([reply.text for reply in replies]), cost)
        grader, choices = self._grader(kind), list(query.choices) or None
        row = {"query_id": "", "task": query.task, "choices": choices, "label": None}
        grades = [grader.grade(row, member.settings, reply) for reply in replies]
        read = Reply(tuple([grade.answer for grade in grades]), cost)
        scores = grades[read.typical].choice_scores
        return read if scores is None else replace(read, scores=scores)

    def cost_of(self, replies: Sequence[Response]) -> float:
        """Cost of asking a member, in the strategy's unit."""
        if self.cost_unit == "usd":
            # A cost that the server has not confirmed still counts.
            return sum((reply.cost_usd or 0.0) + reply.unsettled_usd for reply in replies)
        if self.cost_unit == "call":
            return 1.0
        return float(np.mean([reply.latency_s for reply in replies]))


def _usual_kind(answers: str | Mapping[str, str]) -> str:
    """Default kind of open answers: the commonest of the training tasks'."""
    if isinstance(answers, str):
        return FREE_WORDS if answers in _NOT_OPEN else answers
    return Counter(answers.values()).most_common(1)[0][0] if answers else FREE_WORDS

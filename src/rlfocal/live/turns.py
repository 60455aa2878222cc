"""The turns of a query: whom a strategy's ask leads to, what they may cost, what they are sent.

Where members read one another an ask leads to those it wants and before them, stage by stage, to
those whom they read: the rule is `deliberation.replay.stages`. What a reader is sent is written
when its inputs are in; until then it may be as long as they can be.

Axes: N members.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rlfocal.live.replies import Replies
from rlfocal.live.state import QueryState
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.building import LiveMember
from rlfocal.pool.reading.showing import Showing, showing_of
from rlfocal.pool.types import Request
from rlfocal.readers import Reads
from rlfocal.records import BoolArray

__all__ = ["Turns", "longest_shown"]

_LONGEST = "\N{LINEAR B SYLLABLE B008 A}" * 4
"""A token's worth of characters, each as long as UTF-8 has them."""


def longest_shown(member: LiveMember) -> dict[str, Said]:
    """The longest replies that a member can be shown, of all whom it reads."""
    longest = Said(_LONGEST * member.settings.read_tokens, None)
    return dict.fromkeys(member.settings.inputs, longest)


class Turns:
    """Of one query.

    Args:
        members: the N members.
        ranking: of them, the best first.
        question: what is asked.
        replies: those that have come.
        reads: who reads whom; None where nobody does.
        logprobs: whether somebody reads the log-probabilities of replies.
    """

    def __init__(
        self,
        members: Sequence[LiveMember],
        ranking: Sequence[int],
        question: Question,
        replies: Replies,
        reads: Reads | None,
        *,
        logprobs: bool,
    ) -> None:
        self._members, self._ranking, self._question = members, ranking, question
        self._replies, self._reads, self._logprobs = replies, reads, logprobs
        self._made = dict[int, list[Request]]()
        """What members will be sent, as far as it was written to see what it may cost."""

    # Who is asked when --------------------------------------------------------------------------

    def pass_over_unavailable(self, state: QueryState) -> list[str]:
        """Count members with an open circuit as asked and failed, at no cost, without calling them.

        So are members that take no images, where the question holds images.

        Returns:
            Their names.
        """
        images, skipped = self._question.has_images, []
        for n, member in enumerate(self._members):
            takes_none = images and not member.takes_images
            if takes_none or member.circuit_is_open:
                state.put(n, None)
                self._replies.not_asked(n, takes_no_images=takes_none)
                skipped.append(member.name)
        return skipped

    def split(self, left: BoolArray, asked: BoolArray) -> tuple[BoolArray, BoolArray | None]:
        """bool[N]: those of `left`, bool[N], who need not wait; and the others, None for nobody."""
        if self._reads is None:
            return left, None
        now = left & self._reads.ready(asked[None])[0]
        later = left & ~now
        return now, later if later.any() else None

    def n_stages(self, left: BoolArray | None, asked: BoolArray) -> int:
        """In how many stages these are asked, one after another."""
        number = 0
        while left is not None:
            now, left = self.split(left, asked)
            asked, number = asked | now, number + 1
        return number

    def _expanded(self, wanted: BoolArray, asked: BoolArray) -> BoolArray:
        if self._reads is None:
            return wanted
        return np.asarray(self._reads.expanded(wanted[None], asked[None])[0])

    # Money -------------------------------------------------------------------------------------

    def affordable(self, wanted: BoolArray, state: QueryState, left_usd: float) -> BoolArray | None:
        """bool[N]: those wanted and whom they read, as far as the money reaches for certain.

        Where it reaches for none, and there is no answer yet, the best that it does reach for; None
        where there is nobody.

        Args:
            wanted: bool[N], at least one.
            state: says who was asked.
            left_usd: dollars.
        """
        if left_usd == math.inf:
            return self._expanded(wanted, state.asked)
        found = self._within(np.flatnonzero(wanted).tolist(), state, left_usd)
        if found is None and not state.has_answer:
            for n in [n for n in self._ranking if not state.asked[n]]:
                if (found := self._within([n], state, left_usd)) is not None:
                    break
        return found

    def _within(
        self, chosen: Sequence[int], state: QueryState, left_usd: float
    ) -> BoolArray | None:
        """bool[N]: those of them, in turn, and whom they read, that so many dollars pay for."""
        found = np.zeros(len(self._members), dtype=bool)
        is_empty = True
        for n in chosen:
            group = [n]
            if self._reads is not None:
                alone = np.arange(len(found)) == n
                group = np.flatnonzero(self._expanded(alone, state.asked | found)).tolist()
            usd = sum(self._most_usd(m, state.asked) for m in group)
            if usd <= left_usd:
                left_usd -= usd
                found[group], is_empty = True, False
        return None if is_empty else found

    def _most_usd(self, n: int, asked: BoolArray) -> float:
        """Dollars that asking a member may cost at most."""
        member = self._members[n]
        if member.settings.reads:
            shown = self._said(n) | {
                name: said
                for name, said in longest_shown(member).items()
                if not asked[self._place(name)]
            }
            question = replace(self._question, shown=shown)
            requests = member.requests(question, logprobs=self._logprobs)
        else:
            if n not in self._made:
                self._made[n] = member.requests(self._question, logprobs=self._logprobs)
            requests = self._made[n]
        total = 0.0
        for request in requests:
            usd = member.most_usd(request)
            total += math.inf if usd is None else usd
        return total

    # What is sent ------------------------------------------------------------------------------

    def calls(
        self, chosen: BoolArray, state: QueryState
    ) -> tuple[dict[int, list[Request]], list[str]]:
        """What each is sent, one request for each sample, and who has nothing to read.

        These are sent nothing, and count as asked and failed, at no cost.

        Args:
            chosen: bool[N]; all whom they read have been asked.
            state: is updated.
        """
        calls, unread = {}, []
        for n in np.flatnonzero(chosen).tolist():
            requests = self._made.get(n) or self._requests(n)
            if requests:
                calls[n] = requests
            else:
                state.put(n, None)
                unread.append(self._members[n].name)
        return calls, unread

    def _requests(self, n: int) -> list[Request]:
        member = self._members[n]
        if not member.settings.reads:
            return member.requests(self._question, logprobs=self._logprobs)
        question = replace(self._question, shown=self._said(n))
        made, showings = list[Request](), list[Showing]()
        for sample in range(member.settings.samples):
            showing = showing_of(member.settings, question, sample)
            if not showing.is_empty:
                showings.append(showing)
                made.append(member.request(question, sample=sample, logprobs=self._logprobs))
        self._replies.showings[n] = showings
        return made

    def _said(self, n: int) -> dict[str, Said]:
        """Of those whom it reads, what they have replied."""
        found = {}
        for name in self._members[n].settings.inputs:
            if (said := self._replies.said(self._place(name))) is not None:
                found[name] = said
        return found

    def _place(self, name: str) -> int:
        return self._replies.number[name]

"""A conversation in a terminal: who is there, what was asked, and words that are no question.

All of it goes to standard error, so that standard output holds the answers alone; where questions
are piped in nobody is greeted.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from rlfocal.cli.output.console import remark
from rlfocal.cli.output.trace import show_trace
from rlfocal.cli.starting import Start

if TYPE_CHECKING:
    from rlfocal.deliberation.trace import Trace
    from rlfocal.live import LiveEnsemble

__all__ = ["Talk"]

_HELP = """\
/members   who is there
/explain   whom the last question was put to, what they said, and why it ended
/quit      leave; so do an empty line and Ctrl-D
anything else is a question; members see the conversation so far"""


class Talk:
    """What is said beside questions and answers.

    Args:
        start: what decides, and the pool.
        is_terminal: whether somebody types.
    """

    def __init__(self, start: Start, *, is_terminal: bool) -> None:
        self._start, self.is_terminal = start, is_terminal
        self.last: Trace | None = None
        """Of the last question that was answered."""

    def greet(self, ensemble: LiveEnsemble) -> None:
        """Say who is there, what decides, and how to leave."""
        if not self.is_terminal:
            return
        names = [member.name for member in ensemble.members]
        price = ensemble.strategy.price
        at = "" if price is None else f" (price of a call {price:g})"
        remark(f"{len(names)} members: {', '.join(names)}")
        remark(f"{self._start.says}{at}")
        remark("an empty line, Ctrl-D or /quit ends it; /members, /explain, /help")

    async def questions(self) -> AsyncIterator[str]:
        """Lines that are questions, until there are no more."""
        import asyncio

        while text := (await asyncio.to_thread(self._read_line)).strip():
            if text == "/quit":
                return
            if not self._is_command(text):
                yield text

    def _read_line(self) -> str:
        if self.is_terminal:
            sys.stderr.write("> ")
            sys.stderr.flush()
        return sys.stdin.readline()

    def _is_command(self, text: str) -> bool:
        """Whether it was one, which is done then."""
        if text == "/help":
            remark(_HELP)
        elif text == "/members":
            self._show_members()
        elif text == "/explain":
            if self.last is None:
                remark("nothing was answered yet")
            else:
                with contextlib.redirect_stdout(sys.stderr):  # it is no answer
                    show_trace(self.last)
        elif self.is_terminal and text.startswith("/") and text[1:].isalpha():
            remark(f"{text}: no such command; /help lists them")
        else:
            return False
        return True

    def _show_members(self) -> None:
        from rlfocal.pool.endpoints import LlamaCppSettings

        checkpoint, pool = self._start.checkpoint, self._start.pool
        about, served = checkpoint.description, {member.name: member for member in pool.members}
        for n, name in enumerate(about.members):
            endpoint = pool.endpoint_of(served[name])
            model = served[name].model or served[name].endpoint
            if isinstance(endpoint, LlamaCppSettings):
                model = endpoint.path.name
            known = ""
            if about.n_training_queries:
                known = f", {100 * checkpoint.accuracy[-1, n]:.1f} % right in training"
            remark(f"{name}: {model}{known}")

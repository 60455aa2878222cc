"""Live members, asked as a checkpoint has learned to; from plain code or from asynchronous code.

The two ways are `ask` and `aask`, named as other libraries name such pairs. Knows of event loops
and of opening members; how a query is answered is `rlfocal.live`'s.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self, TypedDict, TypeVar, Unpack

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.errors import ConfigError
from rlfocal.live import Answer, Limits, Listener, LiveEnsemble, Question, members_for
from rlfocal.markup import Displayed, Grid, Sheet
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.pool.types import Message

__all__ = ["Asking", "Ensemble", "Pool"]

_T = TypeVar("_T")


class Pool(Displayed):
    """The members that there are, how each is asked and what it costs: a `pool.toml`.

    Args:
        source: path of the file, or what was read of one.

    Raises:
        ConfigError: the file cannot be read, or something in it is wrong.
    """

    def __init__(self, source: str | Path | PoolSettings) -> None:
        self.settings = source if isinstance(source, PoolSettings) else read_pool(Path(source))

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members."""
        return tuple(member.name for member in self.settings.members)

    def __repr__(self) -> str:
        return f"Pool({', '.join(self.members)})"

    def _sheet(self) -> Sheet:
        members = self.settings.members
        head: tuple[str, ...] = ("member", "endpoint", "model")
        rows: list[tuple[str, ...]] = [(m.name, m.endpoint, m.model or "-") for m in members]
        if any(member.reads for member in members):
            head = (*head, "reads", "what for")
            told = [(", ".join(m.inputs), m.reading if m.reads else "") for m in members]
            rows = [row + more for row, more in zip(rows, told, strict=True)]
        grid = Grid("members", head, rows)
        return Sheet(f"Pool of {len(rows)} members", (grid,))


class Asking(TypedDict, total=False):
    """What can be said beside the question, see `Ensemble.aask`."""

    task: str
    system: str
    history: Sequence[Message]
    deadline_s: float
    limits: Limits
    listener: Listener
    synthesiser: str | None


class Ensemble(Displayed):
    """A trained strategy with the live members that it may ask.

    Outside of a `with` block each question opens the members and closes them again; inside of one
    they stay open:

        with rlfocal.Ensemble("my-ensemble", "pool.toml") as ensemble:
            print(ensemble.ask("Which is a fish?", choices=["a trout", "a wren"]).answer)

        async with rlfocal.Ensemble("my-ensemble", "pool.toml") as ensemble:
            answers = await asyncio.gather(*map(ensemble.aask, prompts))

    Args:
        checkpoint: what was trained, or its folder; None where there are no labels: the shipped
            prior then decides, all members of the pool are equals, and calls cost what its prices
            say.
        pool: the members, or the path of their pool file.
        price: of a call, as a share of what a right answer is worth; None for the checkpoint's own.
        answers: kind of answer that open questions have ("number", "text", ...; "open" for free
            words); None for that of the training data.

    Raises:
        ConfigError: the pool lacks a member of the checkpoint, the strategy knows no such price, or
            the kind of answer is unknown.
        CheckpointError: the checkpoint cannot be read.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | str | Path | None = None,
        pool: Pool | str | Path | None = None,
        *,
        price: float | None = None,
        answers: str | None = None,
    ) -> None:
        if pool is None:
            raise ConfigError('the pool is missing: Ensemble("my-ensemble", "pool.toml"), or '
                              'Ensemble(pool="pool.toml") where there are no labels')  # fmt: skip
        self.pool = pool if isinstance(pool, Pool) else Pool(pool)
        if checkpoint is None:
            checkpoint = start_without_labels(self.pool.settings)
        elif not isinstance(checkpoint, Checkpoint):
            checkpoint = load_checkpoint(Path(checkpoint))
        self.checkpoint = checkpoint
        self._price, self._answers, self._places = price, answers, count()
        self._opened: LiveEnsemble | None = None
        self._home: asyncio.AbstractEventLoop | None = None
        self._stack = AsyncExitStack()
        self._thread: _LoopThread | None = None
        self._with_members()  # whatever does not fit together shows now

    @property
    def members(self) -> tuple[str, ...]:
        """Names of those that may be asked."""
        return tuple(self.checkpoint.description.members)

    def __repr__(self) -> str:
        return f"Ensemble({self.checkpoint.strategy.name!r}: {', '.join(self.members)})"

    def _sheet(self) -> Sheet:
        return self.checkpoint._sheet()

    async def aask(
        self,
        prompt: str,
        choices: Sequence[str] = (),
        *,
        task: str = "",
        system: str = "",
        history: Sequence[Message] = (),
        deadline_s: float = 600.0,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        listener: Listener = Listener(),  # noqa: B008 (frozen)
        synthesiser: str | None = None,
    ) -> Answer:
        """Answer a question.

        Args:
            prompt: the question.
            choices: 2 or more options; empty for an open question.
            task: as the training data call it.
            system: what every member is told first.
            history: earlier turns of the conversation.
            deadline_s: for all rounds together; at its end the best answer so far is given.
            limits: of money and patience.
            listener: is called as rounds end and as the text of the answer comes.
            synthesiser: name of a member that makes one reply out of several to an open question.

        Raises:
            NobodyAnswered: every member failed, or no reply held an answer.
            ConfigError: the question cannot be asked so, or a key is missing.
        """
        query = Question(prompt, tuple(choices), task=task, system=system, history=tuple(history))
        async with self._ready() as live:
            return await live.answer(
                query,
                deadline_s=deadline_s,
                limits=limits,
                listener=listener,
                synthesiser=synthesiser,
            )

    def ask(self, prompt: str, choices: Sequence[str] = (), **more: Unpack[Asking]) -> Answer:
        """As `aask`, for code that is not asynchronous; a running event loop does not matter."""
        if self._thread is not None:
            return self._thread.run(self.aask(prompt, choices, **more))
        if self._opened is not None:
            raise RuntimeError("inside `async with` use: await ensemble.aask(...)")
        thread = _LoopThread()
        try:
            return thread.run(self.aask(prompt, choices, **more))
        finally:
            thread.stop()

    def _with_members(self) -> tuple[LivePool, LiveEnsemble]:
        settings = self.pool.settings
        pool = LivePool(settings, members_for(self.checkpoint, settings), on_demand=True)
        live = LiveEnsemble(
            self.checkpoint, pool.members, price=self._price, answers=self._answers,
            places=self._places,
        )  # fmt: skip
        return pool, live

    @asynccontextmanager
    async def _ready(self) -> AsyncIterator[LiveEnsemble]:
        """Open members: those of the block, or others for one question."""
        if self._opened is None:
            async with self._open() as live:
                yield live
        elif asyncio.get_running_loop() is self._home:
            yield self._opened
        else:
            raise RuntimeError(
                "this ensemble was opened elsewhere: inside `with` use ask, inside `async with` "
                "use aask in the same event loop"
            )

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[LiveEnsemble]:
        pool, live = self._with_members()
        async with pool:
            yield live

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise RuntimeError("this ensemble is open already; make another one")
        self._opened = await self._stack.enter_async_context(self._open())
        self._home = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._opened = None
        await self._stack.aclose()

    def __enter__(self) -> Self:
        thread = _LoopThread()
        try:
            thread.run(self.__aenter__())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        return self

    def __exit__(self, *exc: object) -> None:
        thread, self._thread = self._thread, None
        assert thread is not None
        try:
            thread.run(self.__aexit__())
        finally:
            thread.stop()


class _LoopThread:
    """An event loop in a thread of its own: asking must work where a loop runs, in a notebook."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stay()), daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _stay(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stopped.wait()

    def stop(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for it; an interruption here cancels it there."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

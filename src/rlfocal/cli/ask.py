"""`rlfocal ask` and `rlfocal chat`: live members, asked as a checkpoint has learned to."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rlfocal.cli import common, starting
from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import print_json, remark, terminal
from rlfocal.cli.output.trace import show_trace
from rlfocal.cli.talking import Talk
from rlfocal.errors import ConfigError, NobodyAnswered

if TYPE_CHECKING:
    from rlfocal.live import Answer, LiveEnsemble, Question

__all__ = ["ask", "chat"]

Deadline = Annotated[
    float, option("--deadline", value="SECONDS", min=0.001, help="For all rounds together.")
]
Synthesise = Annotated[
    str | None,
    option("--synthesise", value="MEMBER", help="Let this member make one reply out of several."),
]
Explain = Annotated[
    bool, option("--explain", help="Show who was asked, what each said, and why it stopped.")
]


def ask(
    first: starting.First = None,
    second: Annotated[str | None, argument("POOL.toml", "The pool file.")] = None,
    third: Annotated[
        str | None, argument("QUESTION", 'The question; "-" reads it from input.')
    ] = None,
    choices: Annotated[
        list[str] | None, option("--choice", value="TEXT", help="An option; give it once for each.")
    ] = None,
    task: Annotated[str, option(value="NAME", help="Its task, as the training data call it.")] = "",
    answers: starting.Answers = None,
    price: common.Price = None,
    deadline: Deadline = 600.0,
    max_cost: Annotated[
        float | None,
        option("--max-cost", value="X", help="Ask nobody else once this much is spent (its unit)."),
    ] = None,
    synthesise: Synthesise = None,
    explain: Explain = False,
    route_only: Annotated[
        bool, option("--route-only", help="Say whom the first round would ask; ask nobody.")
    ] = False,
    as_json: common.JsonFlag = False,
) -> None:
    """Ask the ensemble one question.

    The answer goes to standard output; where one member is enough, word by word. A member that
    fails is one that gave no answer; only if nobody answers is that an error. Without a checkpoint
    the shipped prior decides whom to ask.
    """
    from rlfocal.live import Limits, Listener, Question

    folder, pool_file, question = _told_apart(first, second, third)
    text = sys.stdin.read().strip() if question == "-" else question
    query = Question(text, tuple(choices or ()), task)
    if not query.prompt.strip():
        raise ConfigError("the question is empty")
    told = _Words() if not (as_json or choices) else None
    listener = Listener(on_text=told)

    async def act(ensemble: LiveEnsemble) -> Any:
        if route_only:
            return ensemble.route(query)
        return await ensemble.answer(
            query,
            deadline_s=deadline,
            limits=Limits(budget=float("inf") if max_cost is None else max_cost),
            listener=listener,
            synthesiser=synthesise,
        )

    start = starting.start(folder, pool_file)
    if folder is None:
        remark(start.says)
    opened = not route_only
    with starting.telling_of_models(sys.stderr.isatty()):
        found = _with_ensemble(start, act, price=price, answers=answers, opened=opened)
    if route_only:
        _show_route(found, as_json=as_json)
    elif as_json:
        print_json(_as_json(found))
    else:
        _show(found, query, told, explain=explain)
        if found.trace.unlike and not explain:
            remark(
                "unlike the questions it was trained on: confidence lowered to "
                f"{found.confidence:.2f}"
            )


def _told_apart(
    first: Path | None, second: str | None, third: str | None
) -> tuple[Path | None, Path, str]:
    """The checkpoint's folder, or None, the pool file, and the question."""
    verb = "ask QUESTION"
    if second is not None and third is not None:
        folder, pool_file = starting.named(first, Path(second), verb=verb)
        return folder, pool_file, third
    if second is None or (first is not None and first.is_dir()):
        raise ConfigError("the question is missing: rlfocal ask [CHECKPOINT] POOL.toml QUESTION")
    folder, pool_file = starting.named(first, None, verb=verb)
    return folder, pool_file, second


def chat(
    first: starting.First = None,
    second: starting.Second = None,
    price: common.Price = None,
    deadline: Deadline = 600.0,
    synthesise: Synthesise = None,
    explain: Explain = False,
) -> None:
    """Talk to the ensemble; an empty line or Ctrl-D ends it.

    Members see the conversation so far. Replies in free words are compared by what they mean.
    /members says who is there, /explain how the last answer came about.
    """
    from rlfocal.live import FREE_WORDS, Listener, Question
    from rlfocal.pool.types import Message

    start = starting.start(*starting.named(first, second, verb="chat"))
    talk = Talk(start, is_terminal=sys.stdin.isatty())

    async def act(ensemble: LiveEnsemble) -> None:
        history: tuple[Message, ...] = ()
        talk.greet(ensemble)
        async for text in talk.questions():
            told = _Words()
            query = Question(text, history=history)
            try:
                answer = await ensemble.answer(
                    query, deadline_s=deadline, listener=Listener(on_text=told),
                    synthesiser=synthesise,
                )  # fmt: skip
            except NobodyAnswered as exc:
                remark(str(exc))
                continue
            _show(answer, query, told, explain=explain)
            talk.last = answer.trace
            history = (*history, Message("user", text), Message("assistant", answer.text))

    with starting.telling_of_models(talk.is_terminal):
        _with_ensemble(start, act, price=price, answers=FREE_WORDS)


class _Words:
    """Prints a reply piece by piece."""

    def __init__(self) -> None:
        self.any = False

    def __call__(self, text: str) -> None:
        self.any = True
        sys.stdout.write(text)
        sys.stdout.flush()


def _with_ensemble(
    start: starting.Start,
    act: Callable[[LiveEnsemble], Awaitable[Any]],
    *,
    price: float | None,
    answers: str | None,
    opened: bool = True,
) -> Any:
    """What `act` makes of the ensemble; its members are reachable only where `opened`."""
    import asyncio

    from rlfocal.live import LiveEnsemble, members_for
    from rlfocal.pool.building import LivePool

    members = LivePool(start.pool, members_for(start.checkpoint, start.pool), on_demand=True)
    ensemble = LiveEnsemble(start.checkpoint, members.members, price=price, answers=answers)

    async def inside() -> Any:
        if not opened:
            return await act(ensemble)
        async with members:
            return await act(ensemble)

    return asyncio.run(inside())


def _show_route(members: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"first_round": members})
    else:
        for member in members:
            terminal().print(member, markup=False)


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "answer": answer.answer,
        "text": answer.text,
        "confidence": answer.confidence,
        "trace": answer.trace.as_json(),
    }


def _show(answer: Answer, query: Question, told: _Words | None, *, explain: bool) -> None:
    console = terminal()
    if told is not None and told.any:
        sys.stdout.write("\n")
    if not answer.streamed:
        shown = f"{answer.answer}. {answer.text}" if query.choices else answer.text
        console.print(shown, markup=False, highlight=False)
    if explain:
        console.print()
        show_trace(answer.trace)

"""What clients' agents share: the tools that they run, the loops, and what has to come of each."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from steps import Steps, run, same

TOLD: dict[str, Any] = json.loads(Path(os.environ["RLFOCAL_LOOPS"]).read_text("utf-8"))
_RUN: list[Any] = []
"""[name, arguments] of what was run."""


def _ran(name: str, **arguments: Any) -> Any:
    _RUN.append([name, arguments])
    return TOLD["results"].get(name, "?")


def find_note(about: str) -> int:
    """The number of the note about something."""
    return int(_ran("find_note", about=about)[about])


def move_note(number: int, to: Literal["shelf", "bin"]) -> str:
    """Move a note."""
    return str(_ran("move_note", number=number, to=to))


def erase_note(number: int) -> str:
    """Erase a note for ever."""
    return str(_ran("erase_note", number=number))


def send_note(number: int, to: str) -> str:
    """Send a note to somebody."""
    return str(_ran("send_note", number=number, to=to))


def burn_note(number: int) -> str:
    """Burn a note."""
    return str(_ran("burn_note", number=number))


TOOLS: list[Callable[..., Any]] = [find_note, move_note, erase_note, send_note, burn_note]
Loop = Callable[..., Awaitable[tuple[str, Any]]]
"""loop(api, question, history, body, streamed=...) → what was said in the end, and the history.

`history` is None at first; `body` goes beside the usual fields of each request.
"""


def play(client: str, package: str, apis: Mapping[str, Any], loop: Loop) -> None:
    """Play every loop over every API, whole and streamed."""
    step = Steps()
    for api, model in apis.items():
        for streamed in (False, True):
            for name in TOLD["loops"]:

                @step(f"{api}, {name}" + ", streamed" * streamed)
                def _(name: str = name, model: Any = model, streamed: bool = streamed) -> None:
                    run(_one(loop, name, model, streamed))

    step.play(client, package)


async def _one(loop: Loop, name: str, model: Any, streamed: bool) -> None:
    told = TOLD["loops"][name]
    calls = [call for step in told.get("steps", TOLD["steps"]) for call in step]
    _RUN.clear()
    if "refused" in told:
        await _refused(loop(model, f"Loop: {name}.", None, {}, streamed=streamed))
        same(_RUN, [])
        return
    said, history = await loop(model, f"Loop: {name}.", None, {}, streamed=streamed)
    if "asks" in told:
        same(_RUN, [])
        ((tool, arguments),) = calls
        assert "Please confirm" in said, said
        assert f"{tool}({json.dumps(arguments)})" in said, said
        confirmed = {"rlfocal": {"tools": {told["asks"]: {"confirmed": True}}}}
        said, _ = await loop(model, "Yes, please.", history, confirmed, streamed=streamed)
    same(said, TOLD["final"])
    same(sorted(_RUN, key=str), sorted(told.get("runs", calls), key=str))


async def _refused(asked: Awaitable[Any]) -> None:
    """The client raises what the gateway says, and tells its status."""
    error: Exception | None = None
    try:
        await asked
    except Exception as exc:
        error = exc
    assert getattr(error, "status_code", None) == 422, repr(error)
    assert "no call of 'burn_note' is made" in str(error), repr(error)

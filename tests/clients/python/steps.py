"""What a script of a real client shares: where the gateway is, and the steps that it plays.

Each script prints one JSON object: the client, its version, and what became of each step.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any

URL = os.environ["RLFOCAL_URL"]
"""Without /v1."""
BASE_URL = f"{URL}/v1"
KEY = os.environ["RLFOCAL_KEY"]
QUESTION = "What is 3 + 4 =?"
ANSWER = "That is 7."
MODELS = ("rlfocal", "plain")
"""All members together, and one of them by its name."""

_loop = asyncio.new_event_loop()
asyncio.set_event_loop(_loop)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it on the one event loop that a client's connections belong to."""
    return _loop.run_until_complete(work)


class Steps:
    """Named steps of one client."""

    def __init__(self) -> None:
        self._steps: dict[str, Callable[[], None]] = {}

    def __call__(self, name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """Note a step."""

        def note(step: Callable[[], None]) -> Callable[[], None]:
            self._steps[name] = step
            return step

        return note

    def play(self, client: str, package: str) -> None:
        """Play them all, and print what became of each."""
        outcomes = {}
        for name, step in self._steps.items():
            try:
                step()
                outcomes[name] = "ok"
            except Exception as exc:
                traceback.print_exc()
                outcomes[name] = f"{type(exc).__name__}: {exc}"
        json.dump({"client": client, "version": version(package), "steps": outcomes}, sys.stdout)


def same(found: object, wanted: object) -> None:
    """Compare, and say both."""
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")

"""Jobs that end badly in a worker process."""

from __future__ import annotations

import os
import signal
import threading


class Unsendable(Exception):
    """Made again from what it holds, it lacks an argument."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def cannot_be_sent(shared: str, job: int) -> object:
    if shared == "result":
        return lambda: 0
    raise Unsendable("one", "two")


def dies_while_it_writes(shared: object, job: int) -> bytes:
    threading.Timer(0.2, os._exit, args=(9,)).start()
    os.kill(os.getppid(), signal.SIGUSR1)  # it reads nothing until this process is dead
    return bytes(50_000_000)

"""Messages of rooms that serve the command line too, with options named as arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rlfocal.errors import RlfocalError

__all__ = ["in_python", "python_words"]

_COLUMN = re.compile(r"--column ([\w-]+)=([\w-]+)")
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)( (?=\d))?")


def in_python(message: str) -> str:
    """A message with options named as arguments.

    >>> in_python("--score-scale 100 reads percentages")
    'score_scale=100 reads percentages'
    >>> in_python("taken for models (--members changes)")
    'taken for models (members= changes)'
    >>> in_python("name it: --column prompt=COLUMN")
    'name it: column={"prompt": "COLUMN"}'
    """
    message = _COLUMN.sub(r'column={"\1": "\2"}', message)
    return _OPTION.sub(lambda found: f"{found[1].replace('-', '_')}=", message)


@contextmanager
def python_words(called: tuple[str, str] = ("", "")) -> Iterator[None]:
    """Say errors in the words of Python.

    Args:
        called: a text in messages, and what stands in its place.
    """
    try:
        yield
    except RlfocalError as exc:
        raise type(exc)(in_python(str(exc).replace(*called) if called[0] else str(exc))) from exc

"""Content keys: what makes two queries, settings or calls the same, wherever they are stored.

Pure functions. Every key is a sha256 in 64 hexadecimal digits over JSON in one canonical form, so
two collectors on two machines name the same call alike. They must never change: a changed key would
make every stored answer look unasked, and pay for it again. Where what goes into them has to change
all the same, a step in `migrations` gives what is stored its new keys.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "digest_of",
    "key_of",
    "plain_settings",
    "query_key_of",
    "settings_key_of",
    "shown_key_of",
]


def query_key_of(
    prompt: str, choices: Sequence[str] | None = None, tools: str | None = None
) -> str:
    """Key of what a member is shown: two queries that read alike are asked once.

    An open question has no choices, and most offer no functions to be called.

    >>> query_key_of("1 + 1 =")[:12]
    '69f4de960b3a'
    >>> query_key_of("1 + 1 =", ["2", "3"]) == query_key_of("1 + 1 =")
    False
    """
    offered = [] if tools is None else [tools]
    return _sha("query", prompt, None if choices is None else list(choices), *offered)


def digest_of(
    query_id: str,
    prompt: str,
    choices: Sequence[str] | None = None,
    label: str | None = None,
    task: str | None = None,
    tools: str | None = None,
) -> str:
    """Key of a query with all that is known of it; its split does not count, and no task is "all".

    >>> digest_of("q1", "1 + 1 =", label="2")[:12]
    '04effe5d47ba'
    """
    listed = None if choices is None else list(choices)
    offered = [] if tools is None else [tools]
    task = "all" if task is None else task
    return _sha("digest", query_id, prompt, listed, label, task, *offered)


def settings_key_of(settings: Mapping[str, Any]) -> str:
    """Key of how a member was asked: model, template, temperature, and whatever else matters.

    Neither the order of the names nor 0 or 0.0 makes a difference.

    Args:
        settings: names → JSON values. Leave out what does not change a reply, and every secret.

    Raises:
        ValueError: a value is not JSON.

    >>> settings_key_of({"model": "m", "temperature": 0.0})[:12]
    'f3c5e189d527'
    >>> a, b = {"temperature": 0, "model": "m"}, {"model": "m", "temperature": 0.0}
    >>> settings_key_of(a) == settings_key_of(b)
    True
    """
    return _sha("settings", plain_settings(settings))


def key_of(
    query_key: str, member: str, settings_key: str, sample: int = 0, shown_key: str | None = None
) -> str:
    """Key of one call, which is paid for once; `sample` counts repeated ones from 0.

    Args:
        query_key: of the query.
        member: who is asked.
        settings_key: how.
        sample: which reply to the same question.
        shown_key: of what a reader is shown; None for a member that reads nobody.

    >>> key_of(query_key_of("1 + 1 ="), "small", settings_key_of({}))[:12]
    '93c3b8d49122'
    """
    shown = [] if shown_key is None else [shown_key]
    return _sha("response", query_key, member, settings_key, int(sample), *shown)


def shown_key_of(contents: Sequence[Any]) -> str:
    """Key of the replies that a reader is shown, from JSON values that say all of it."""
    return _sha("shown", *contents)


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON keeps them: whole numbers as integers, tuples as lists.

    Raises:
        ValueError: a value is not JSON, or a name is not a text.

    >>> plain_settings({"temperature": 0.0, "stop": ("Q:",)})
    {'temperature': 0, 'stop': ['Q:']}
    """
    return {_name(k): _plain(v, str(k)) for k, v in settings.items()}


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {_name(k): _plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, where) for v in value]
    raise ValueError(f"settings: {where}: {value!r} is not a JSON value")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"settings: the name {name!r} is not a text")
    return name


def _sha(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()

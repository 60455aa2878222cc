"""Calls as OpenAI's API tells them, so that a client can make them and tell them apart."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from rlfocal.toolcalls.parsing import Call

__all__ = ["as_told"]


def as_told(
    calls: Sequence[Call], told: Sequence[Mapping[str, Any]], taken: Collection[str], *, of: str
) -> list[Mapping[str, Any]]:
    """Calls in the API's words; what a client can make stays as it came.

    Members count their calls each for itself, and one may write the same text in another turn:
    clients tell calls by their ids, and refuse or skip one whose id was there.

    Args:
        calls: as they are meant.
        told: as they came, where they came as calls; empty for those written in a text.
        taken: ids that the conversation has.
        of: the text of their reply, from which new ids are made.

    >>> (call,) = as_told([Call("f", {"a": 1})], [], {"c1"}, of="[f(a=1)]")
    >>> call["function"], len(call["id"])
    ({'name': 'f', 'arguments': '{"a": 1}'}, 29)
    """
    given = list[Mapping[str, Any]]()
    ids = set(taken)
    whole = sha256(of.encode("utf-8", "replace")).hexdigest()  # once, however many calls it holds
    for k, call in enumerate(calls):
        own = dict(told[k]) if len(told) == len(calls) else {}
        if not _runs(own, call.name):
            arguments = json.dumps(call.arguments, ensure_ascii=False)
            function = {"name": call.name, "arguments": arguments}
            own |= {"type": "function", "function": function}
        if not own.get("id") or own["id"] in ids:
            own["id"] = _new_id(f"{k}{own['function']}{whole}", ids)
        ids.add(own["id"])
        given.append(own)
    return given


def _new_id(text: str, taken: Collection[str]) -> str:
    """An id of a call, the same one for the same text in the same conversation."""
    digests = (sha256(f"{n}{text}".encode("utf-8", "replace")).hexdigest() for n in count())
    return next(one for digest in digests if (one := f"call_{digest[:24]}") not in taken)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _runs(told: Mapping[str, Any], name: str) -> bool:
    """Whether a client can make a call as it stands."""
    function = told.get("function", {})
    if function.get("name") != name:
        return False
    try:
        arguments = json.loads(function.get("arguments"), parse_constant=_refuse)
        return isinstance(arguments, dict)
    except (ValueError, TypeError, RecursionError):
        return False

"""What a client got: an answer, an error as OpenAI's API has them, or neither."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Outcome:
    """Of one request."""

    kind: Literal["answer", "typed error", "neither"]
    id: str = ""
    text: str = ""
    detail: str = ""
    """The error's status and code, or what was wrong with the reply."""
    n_tokens: int = 0
    usd: float | None = None
    """As the reply says; None where it says nothing."""
    paid: frozenset[str] = frozenset()
    """Members whose reply was paid for, as it says."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Member → why it gave no reply, as it says; who was left alone is "circuit-open"."""


def outcome_of(status: int, reply: str, failure: str) -> Outcome:
    """Judge a reply.

    Args:
        status: HTTP; 0 where no whole reply came.
        reply: the body, of a stream too.
        failure: what the client met instead of a whole reply.
    """
    if status == 0:
        return Outcome("neither", detail=f"the connection: {failure}")
    if reply.lstrip().startswith("data:") or "\ndata:" in reply:
        return _of_stream(reply)
    try:
        found = json.loads(reply)
    except ValueError:
        return Outcome("neither", detail=f"{status}, no JSON: {reply[:200]!r}")
    if status != 200:
        return _of_error(found, str(status))
    try:
        text = found["choices"][0]["message"]["content"]
        usage = found["usage"]
        return Outcome(
            "answer", found["id"], str(text), n_tokens=int(usage["total_tokens"]), **_own(found)
        )
    except (KeyError, IndexError, TypeError) as exc:
        return Outcome("neither", detail=f"200, but {exc!r} in {reply[:200]!r}")


def _of_stream(reply: str) -> Outcome:
    """Of server-sent events: all chunks and [DONE], or an error at the end."""
    datas = [line[5:].strip() for line in reply.splitlines() if line.startswith("data:")]
    text, named, n_tokens, own = "", "", 0, _own({})
    for data in datas:
        if data == "[DONE]":
            continue
        try:
            chunk = json.loads(data)
        except ValueError:
            return Outcome("neither", detail=f"no JSON in a stream: {data[:200]!r}")
        if "error" in chunk:
            return _of_error(chunk, "stream")
        named = chunk.get("id", named)
        for choice in chunk.get("choices", ()):
            text += choice.get("delta", {}).get("content") or ""
        if chunk.get("usage"):
            n_tokens = int(chunk["usage"]["total_tokens"])
        own = _own(chunk) if "rlfocal" in chunk else own
    if datas[-1] != "[DONE]":
        return Outcome("neither", detail=f"a stream without an end: {reply[-200:]!r}")
    return Outcome("answer", named, text, n_tokens=n_tokens, **own)


def _of_error(found: Any, where: str) -> Outcome:
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict) or not all(isinstance(error.get(k), str) for k in _ERROR):
        return Outcome("neither", detail=f"{where}, no typed error: {str(found)[:200]}")
    causes = error.get("members") or {}
    return Outcome(
        "typed error",
        detail=f"{where} {error.get('code') or error['type']}",
        failures={str(member): str(cause) for member, cause in causes.items()},
    )


_ERROR = ("message", "type")


def _own(found: Mapping[str, Any]) -> dict[str, Any]:
    """What our extension of a reply says of money and members."""
    own = found.get("rlfocal") or {}
    members = own.get("members", ())
    failures = {each["member"]: each["failure"] for each in members if each.get("failure")}
    failures |= dict.fromkeys(own.get("circuit_open", ()), "circuit-open")
    return {
        "usd": own.get("cost_usd"),
        "paid": frozenset(each["member"] for each in members if not each.get("failure")),
        "failures": failures,
    }


def answer_in(text: str, choices: Sequence[str]) -> str:
    """The letter of the option that a reply names, by its text or its letter."""
    said = text.strip()
    if said in choices:
        return LETTERS[list(choices).index(said)]
    letter = said.removeprefix("Answer:").strip()[:1]
    return letter if letter in LETTERS[: len(choices)] else ""

"""What one model of a server refused, and in which words a request goes to it since then.

What it refuses for good is left out of all requests; a value, of those that have it; what it only
refuses beside other fields, of those with the same fields. So nobody's request takes a
field from those of others. Knows nothing of servers' words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rlfocal.pool.types import Request, SystemAs

__all__ = [
    "NOTHING",
    "Learned",
    "fields_of",
    "remarks",
    "shown",
    "signature",
    "value_of",
    "written",
]

_MOST = 256
"""Values, and requests, that are remembered of a model: clients can bring ever new ones."""
_LONGEST = 64
"""Characters of a value that are remembered as they are."""
_WORD = 20
"""Characters."""
_OF_CLIENTS = frozenset({
    "user", "metadata", "safety_identifier", "prompt_cache_key", "session_id", "seed",
})  # fmt: skip
"""Fields that differ by who asks, or from one request to the next."""
_OWN = ("temperature", "top_p", "seed")
_ASKED_AGAIN = " (a new key: replies stored before are asked again)"
_UNKEYED = ("stream", "stream_options")
"""What changes no reply; see `Words.changes`."""


def value_of(request: Request, name: str) -> Any:
    """What a request has for a field of its body; None for nothing."""
    if name in _OWN:
        return getattr(request, name)
    if name == "stop":
        return list(request.stop) or None
    if name in _UNKEYED:
        return None if request.on_text is None else True
    return request.extra.get(name)


def written(value: Any) -> str:
    """A value, as it is remembered: equal ones are written equally."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 53 else value
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONGEST else hashlib.sha256(text.encode()).hexdigest()


def shown(name: str) -> str:
    r"""The name of a field, as a message may show it: clients may have called it anything.

    >>> shown("top_x\n2026-11-30 ERROR")
    'top_x 2026-11-30 ERROR'
    """
    return "".join(char if char.isprintable() else " " for char in name[:_LONGEST])


def fields_of(request: Request) -> dict[str, Any]:
    """What a refusal may depend on: all fields but turns, the seed, and who asks."""
    has = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": request.stop or None,
        "logprobs": request.logprobs or None,
        "top_logprobs": request.n_logprobs or None,
        "stream": None if request.on_text is None else True,
        **request.extra,
    }
    return {k: v for k, v in has.items() if v is not None and k not in _OF_CLIENTS}


def signature(request: Request, valued: Collection[str] = ()) -> str:
    """Which fields a request has, and the values of some.

    Not all values: clients that ask in their own ways would each have to be refused once.

    Args:
        request: what is asked.
        valued: names of fields whose values count.
    """
    its = {name: _sign(v, whole=name in valued) for name, v in fields_of(request).items()}
    # Nothing is drawn there, which servers refuse things for without naming the field.
    own = [request.temperature == 0, its]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _sign(value: Any, *, whole: bool) -> Any:
    """What of a value counts: of an object, what it says in a word, such as its type."""
    if isinstance(value, bool):
        return value
    if not whole:
        return ""
    if isinstance(value, Mapping):
        short = (bool, str)
        return {k: v for k, v in value.items() if isinstance(v, short) and len(str(v)) <= _WORD}
    return written(value) if isinstance(value, str | int | float) else ""


@dataclass(frozen=True, slots=True)
class Learned:
    """Of one model."""

    drop: frozenset[str] = frozenset()
    """Fields that it does not take."""
    not_at: tuple[tuple[str, str], ...] = ()
    """Fields and values, as `written`, that it does not take; the oldest first."""
    not_beside: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    """Fields that it does not take in a request of that `signature`, after the fields whose values
    count there; the oldest first."""
    not_now: frozenset[str] = frozenset()
    """Fields that it does not take in the request at hand; never remembered."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Name of a limit → the one that is taken."""
    system_as: tuple[tuple[SystemAs, SystemAs], ...] = ()
    most_logprobs: int | None = None
    no_logprobs: bool = False
    """It tells none of the tokens of a reply, which are not needed."""
    one_alternative: bool = False

    def put(self, request: Request) -> Request:
        """A request in words that the model takes."""
        words = request.wording
        limit, system = words.max_tokens_field, words.system_as
        for old, new in self.renamed:
            limit = new if limit == old else limit
        for was, then in self.system_as:
            system = then if system == was else system
        refused = self._refused(request)
        n_logprobs = min(request.n_logprobs, self.most_logprobs or request.n_logprobs)
        words = replace(
            words,
            drop=words.drop | (refused - words.kept - {"logprobs"}),
            max_tokens_field=limit,
            system_as=system,
            one_alternative=words.one_alternative or self.one_alternative,
        )
        logprobs = request.logprobs and not (self.no_logprobs or "logprobs" in refused)
        if (words, n_logprobs, logprobs) == (
            request.wording, request.n_logprobs, request.logprobs
        ):  # fmt: skip
            return request
        return replace(request, wording=words, n_logprobs=n_logprobs, logprobs=logprobs)

    def _refused(self, request: Request) -> frozenset[str]:
        """Fields that it does not take in this request."""
        found = self.drop | self.not_now
        if self.not_at:
            names = {name for name, _ in self.not_at}
            has = {name: written(value_of(request, name)) for name in names}
            found |= {name for name, value in self.not_at if has[name] == value}
        if self.not_beside:
            kinds = {valued for _, valued, _ in self.not_beside}
            its = {valued: signature(request, valued) for valued in kinds}
            found |= {name for name, valued, other in self.not_beside if other == its[valued]}
        return found

    def with_all_of(self, other: Learned) -> Learned:
        """Both together."""
        return Learned(
            self.drop | other.drop,
            tuple(dict.fromkeys(self.not_at + other.not_at))[-_MOST:],
            tuple(dict.fromkeys(self.not_beside + other.not_beside))[-_MOST:],
            self.not_now | other.not_now,
            tuple(dict.fromkeys(self.renamed + other.renamed)),
            tuple(dict.fromkeys(self.system_as + other.system_as)),
            other.most_logprobs or self.most_logprobs,
            self.no_logprobs or other.no_logprobs,
            self.one_alternative or other.one_alternative,
        )


NOTHING = Learned()


def remarks(before: Learned, now: Learned) -> list[str]:
    """What is said of what is new, with the setting that makes it last; no values, they are asked.

    Args:
        before: what was known.
        now: all that is known.
    """
    found = [*_of_fields(before, now)]
    for old, new in now.renamed[len(before.renamed) :]:
        found.append(
            f"does not take '{old}', which is sent as '{new}' from now on; to have it so at once: "
            f'max_tokens_field = "{new}" in the pool file'
        )
    for was, then in now.system_as[len(before.system_as) :]:
        found.append(
            f"does not take turns of the role '{was}', which are sent as those of '{then}' from "
            f'now on; to have it so at once: system_as = "{then}" in the pool file{_ASKED_AGAIN}'
        )
    if now.no_logprobs > before.no_logprobs:
        found.append(
            "tells no log-probabilities of its tokens, which are not asked for from now on; to "
            "have it so at once: logprobs = false in the pool file"
        )
    if now.most_logprobs != before.most_logprobs:
        found.append(
            f"tells {now.most_logprobs} log-probabilities at most, and is asked for as many from "
            f"now on; to have it so at once: n_logprobs = {now.most_logprobs} in the pool file"
        )
    return found


def _of_fields(before: Learned, now: Learned) -> list[str]:
    """Of fields that are left out: each is told once, whatever its values."""
    at, beside = ({pair[0] for pair in pairs} for pairs in (now.not_at, now.not_beside))
    told = {pair[0] for pair in (*before.not_at, *before.not_beside)}
    told |= before.not_now | before.drop
    found = []
    for name in sorted((now.drop - before.drop) | ((at | beside | now.not_now) - told)):
        if name in now.drop:
            how = ", which is left out from now on"
        elif name in at:
            how = " at a value that was asked for, which is left out from now on"
        else:
            how = " beside other fields that were asked for; there it is left out"
        held = " (replies are cut at stop here)" if name == "stop" else ""
        again = "" if name in (*_UNKEYED, "logprobs") else _ASKED_AGAIN
        setting = "logprobs = false" if name == "logprobs" else f'drop = ["{shown(name)}"]'
        end = "have it so at once" if name in now.drop else "leave it out of all requests"
        found.append(
            f"does not take '{shown(name)}'{how}{held}; to {end}: {setting} in the pool file{again}"
        )
    return found

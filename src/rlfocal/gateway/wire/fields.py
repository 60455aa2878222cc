"""Fields by their names: which go to a member, which have no effect, which are refused.

Whatever names a server, a host, a key, or who else should be asked is refused wherever it is read,
by a list and by the words that a name is made of; so a name that nobody has thought of is caught,
too. What else we do not know is left to the member's server. Values are not looked at here, but for
nested names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from rlfocal.gateway.errors import ApiError

__all__ = ["Told", "is_shallow", "names_a_server", "refuse_names", "sort_out", "unknown_field"]

_MOST_TOLD, _LONGEST = 64, 64
_MOST_UNKNOWN = 64
"""Fields beside the known ones that an object may have."""
_MOST_DEPTH = 64
_NEARLY = 0.85
"""Likeness from which on an unknown name is taken for a slip of the pen."""


class Told:
    """Names of what had no effect, each once.

    >>> told = Told()
    >>> for name in ("messages[].name", "top_k", "messages[].name"):
    ...     told.add(name)
    >>> told.names
    ('messages[].name', 'top_k')
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Note one; of very many, and of very long ones, only the beginning."""
        if len(self._names) < _MOST_TOLD:
            self._names.setdefault(name[: 2 * _LONGEST])

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they were met."""
        return tuple(self._names)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = _set(
    "url urls uri uris host hosts hostname server servers endpoint endpoints proxy proxies header "
    "headers authorization authentication credential credentials password passwd secret secrets "
    "webhook webhooks callback callbacks cookie cookies organization organisation socket dns cert "
    "certificate ssl tls key keys litellm vertex aws azure bedrock sagemaker watsonx "
    "upstream upstreams gateway project domain"
)
_NAMES = _set(
    "apibase apitype apiversion auth bearer token org project engine deployment deploymentid "
    "region regionname address domain ip port client httpclient transport baseurl extrabody "
    "extraquery extraheaders provider providers customllmprovider modellist models "
    "fallback fallbacks fallbackmodels contextwindowfallbacks contentpolicyfallbacks route router "
    "plugins transforms guardrails cache caching kwargs userconfig mockresponse timeout "
    "requesttimeout numretries maxretries loggerfn base ipaddress"
)
_PARTS = (
    "apikey", "apibase", "baseurl", "endpoint", "authoriz", "credential", "password", "webhook",
    "hostname", "httpproxy", "httpsproxy", "secretkey", "accesskey",
)  # fmt: skip
_TOKENS = _set("access auth api bearer session refresh security ad hf github oauth")
_INNOCENT = frozenset({"prompt_cache_key"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@lru_cache(maxsize=4096)
def names_a_server(name: str) -> bool:
    """Whether a field of this name could say where a request goes, or with which key.

    >>> [names_a_server(name) for name in ("api_base", "openaiKey", "X-Auth-Token", "top_k")]
    [True, True, True, False]
    >>> [names_a_server(name) for name in ("stop_token_ids", "prompt_cache_key", "min_tokens")]
    [False, False, False]
    """
    if name in _INNOCENT:
        return False
    words = {word.lower() for word in _WORD.findall(name[:256])}
    joined = re.sub(r"[^a-z0-9]", "", name[:256].lower())
    if words & _WORDS or joined in _NAMES:
        return True
    if words & {"token", "tokens"} and words & _TOKENS:
        return True
    return any(part in joined for part in _PARTS)


_COUNTS = _set(
    "bestof numchoices nchoices numreturnsequences candidatecount numcompletions numbeams "
    "beamwidth usebeamsearch numgenerations"
)
"""Other servers' names for how many replies are made, each of which is paid."""
_LENGTHS = _set(
    "maxnewtokens maxoutputtokens maxgenlen maxlength numpredict npredict maxtokenstosample "
    "maxgeneratedtokens maxseqlen generationconfig options"
)
"""Other servers' names for `max_tokens`, by which a reply could pass what it may cost."""
_INNARDS = _set(
    "customlogitprocessor logitsprocessor logitsprocessors kvtransferparams lorapath lorarequest "
    "bootstraproom returnhiddenstates sessionparams"
)
"""By which some servers let whoever asks them run code, load files or see what others sent."""
_REMEDIES: Mapping[str, str] = {
    "system": "put it into messages, with the role 'system'",
    "instructions": "put them into messages, with the role 'system'",
    "prompt": "put it into messages, with the role 'user'",
    "input": "put it into messages, with the role 'user'",
    "functions": "send them as tools: [{'type': 'function', 'function': {...}}]",
    "function_call": "use tool_choice",
}
"""What would change the question itself, and which place is read instead."""


def _joined(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name[:256].lower())


def refuse_names(found: Collection[str], known: Collection[str], path: str = "") -> None:
    """Refuse fields that name a server or a key, and too many that nobody knows.

    Args:
        found: an object's fields.
        known: those that are read.
        path: of the object, with a point at its end.

    Raises:
        ApiError: 400, naming the field.
    """
    unknown = [name for name in found if name not in known]
    if len(unknown) > _MOST_UNKNOWN:
        raise ApiError(
            400, "too_many_fields",
            f"'{path.rstrip('.') or 'the body'}' has {len(unknown)} unknown fields; at most "
            f"{_MOST_UNKNOWN} are taken",
            param=path.rstrip(".") or None,
        )  # fmt: skip
    for name in unknown:
        if names_a_server(name):
            raise unknown_field(
                f"{path}{name}", "nothing in a request names a server, a key or another model: "
                "these are the pool file's; leave it out",
            )  # fmt: skip


def unknown_field(path: str, remedy: str) -> ApiError:
    """A field that may not be there."""
    shown = path[:128]
    return ApiError(400, "unknown_parameter", f"unknown field '{shown}'; {remedy}", param=shown)


def sort_out(
    unknown: Mapping[str, Any], known: Collection[str], told: Told, *, by_name: bool
) -> dict[str, Any]:
    """Fields that nobody here knows: what of them goes to a member that is asked by its name.

    Args:
        unknown: fields of the body, without nulls.
        known: names of those that are read.
        told: is told of what has no effect.
        by_name: whether one member is asked, by its name.

    Raises:
        ApiError: 400, naming one that cannot be passed over.
    """
    passed = {}
    for name, value in unknown.items():
        joined = _joined(name)
        if joined in _COUNTS and (value is True or value not in (1, False)):
            raise unknown_field(name, "how many replies are made is said by n")
        if name in _REMEDIES:
            raise unknown_field(name, _REMEDIES[name])
        for inner in _names_in(value):
            if names_a_server(inner):
                raise unknown_field(
                    f"{name}...{inner}", "nothing in a request names a server or a key"
                )
        ours = joined in _COUNTS | _LENGTHS | _INNARDS or _is_nearly(name, known)
        if by_name and not ours and is_shallow(value):
            passed[name] = value
        else:
            told.add(name)
    return passed


def _is_nearly(name: str, known: Collection[str]) -> bool:
    return bool(difflib.get_close_matches(name[:_LONGEST], known, n=1, cutoff=_NEARLY))


def _names_in(value: Any) -> Iterator[str]:
    for level in _levels(value):
        for inner in level:
            if isinstance(inner, dict):
                yield from inner


def is_shallow(value: Any) -> bool:
    """Whether something that is passed on can be written again as deep as it is nested."""
    return sum(1 for _ in _levels(value)) <= _MOST_DEPTH


def _levels(value: Any) -> Iterator[list[Any]]:
    level = [value]
    for _ in range(_MOST_DEPTH + 1):
        if not level:
            return
        yield level
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]

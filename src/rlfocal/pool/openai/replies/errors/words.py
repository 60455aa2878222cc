"""A server's own words about what went wrong, out of whatever shape it puts them into.

Knows JSON, pages and plain text; what of the words may be shown is for others to say.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

__all__ = ["objects_in", "pattern", "said_in", "words_of"]

pattern = partial(re.compile, flags=re.IGNORECASE)
"""What people write, in capitals or small letters."""
_MOST = 2_400
"""Characters; more than will be shown, for secrets are taken out of them before they are cut."""
_DEPTH = 6
_ITEMS = 4
_WORDS = (
    "message", "faultstring", "detail", "errordescription", "msg", "error", "errors", "errormsg",
    "errmsg",
    "errormessage", "statusmsg", "statusmessage", "issues", "reason", "description",
    "fault", "text", "title", "data", "baseresp", "details", "cause", "code", "errorcode", "type",
    "errortype", "status",
)  # fmt: skip
"""Keys in which servers put words, in small letters and without underscores: the most telling
first."""
_NO_FIELDS = frozenset({"input", "ctx", "body", "url", "loc", "id", "requestid", "metadata"})
"""Not fields that words are about; what was sent may be repeated there."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def objects_in(
    found: Any, *, depth: int = _DEPTH, apart: Collection[str] = ()
) -> Iterator[Mapping[str, Any]]:
    """The objects within parsed JSON, a bounded number of them, outer ones first.

    Args:
        found: what was parsed.
        depth: levels that are looked at.
        apart: names of fields that are not.
    """
    level = [found]
    for _ in range(depth):
        below: list[Any] = []
        for node in level[:64]:
            if isinstance(node, Mapping):
                yield node
                below += [value for name, value in node.items() if name not in apart]
            elif isinstance(node, list):
                below += node[:16]
        level = below


def words_of(found: Any, depth: int = _DEPTH) -> str:
    """Words within parsed JSON; empty where there are none.

    >>> words_of({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]})
    'body.seed: Extra inputs are not permitted'
    >>> words_of([{"error": {"code": 429, "message": "exhausted"}}])
    'exhausted'
    """
    if isinstance(found, str):
        return _plain(found[: 4 * _MOST])
    if isinstance(found, bool) or depth == 0:
        return ""
    if isinstance(found, int | float):
        return str(found)[:_MOST]
    if isinstance(found, list):
        told = [words for item in found[:_ITEMS] if (words := words_of(item, depth - 1))]
        return "; ".join(told)[:_MOST]
    return _of_object(found, depth) if isinstance(found, Mapping) else ""


def _of_object(found: Mapping[str, Any], depth: int) -> str:
    named = {_bare(name): value for name, value in reversed([*found.items()])}
    told = next((w for name in _WORDS if (w := words_of(named.get(name), depth - 1))), "")
    told = told or _of_fields(found, depth)
    if told and isinstance(place := found.get("loc"), list):
        told = f"{'.'.join(map(str, place[:8]))}: {told}"
    metadata = found.get("metadata")
    # A router's own message says no more than that the server behind it failed.
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    if told and (more := words_of(raw, depth - 1)) and more not in told:
        told = f"{told}: {more}"
    return told[:_MOST]


def _bare(name: object) -> str:
    return str(name)[:40].lower().replace("_", "")


def _of_fields(found: Mapping[str, Any], depth: int) -> str:
    """Of an object that says of each field what is wrong with it."""
    told = []
    for name, value in list(found.items())[:_ITEMS]:
        is_list = isinstance(value, list) and value and all(isinstance(v, str) for v in value[:8])
        if depth < _DEPTH and (is_list or isinstance(value, str)) and _bare(name) not in _NO_FIELDS:
            told.append(f"{str(name)[:40]}: {words_of(value, depth - 1)}")
    return "; ".join(told)


def said_in(text: str) -> str:
    """Words of a body that is no JSON: a page's title, or the text itself.

    >>> said_in("<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
    '502 Bad Gateway'
    """
    text = text[: 2 * _MOST]  # what looks for tags takes the square of it at worst
    title = _TITLE.search(text)
    if title and title[1].strip():
        text = title[1]
    elif "<" in text:
        text = _TAG.sub(" ", _HIDDEN.sub(" ", text))
    return _plain(html.unescape(text))


def _plain(text: str) -> str:
    """On one line, without what would do something to a terminal; nothing of what is no text."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return "" if 10 * text.count("\ufffd") > len(text) else " ".join(text.split())[:_MOST]

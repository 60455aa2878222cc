"""A body of another dialect becomes that of a chat completion; mistakes name the field as sent.

What a translation does not name is handed on as it is, so that unknown fields have one treatment
in all dialects: that of `request_of`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.request import ChatRequest, Context, origin_of, request_of

__all__ = [
    "Called",
    "Translation",
    "kind_of",
    "listed",
    "mapped",
    "mistake",
    "text_in",
    "unsupported",
]

_MOST_PARAM = 128
_MOST_IGNORED = 64
_KNOWN_KINDS = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Called:
    """What the client calls a tool that members are told of as a function."""

    name: str
    namespace: str | None = None
    is_custom: bool = False
    """Whether it takes a text, and no arguments by their names."""


@dataclass
class Translation:
    """A chat completion's body in the making.

    Args:
        body: its fields so far.
        origins: paths in it → what the client called them.
        ignored: the client's fields that have no effect.
        called: function → tool, where they are not the same.
    """

    body: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    called: dict[str, Called] = field(default_factory=dict)

    def put(self, name: str, value: Any, origin: str) -> None:
        """Set a field; null is as good as absent."""
        if value is not None:
            self.body[name] = value
            self.origins[name] = origin

    def turn(self, message: dict[str, Any], origin: str) -> None:
        """Add a message."""
        turns = self.body.setdefault("messages", [])
        self.origins[f"messages.{len(turns)}"] = origin
        turns.append(message)

    @property
    def last(self) -> dict[str, Any] | None:
        """The message that was added last."""
        turns = self.body.get("messages")
        return turns[-1] if turns else None

    def ignore(self, name: str) -> None:
        """Tell the client that a field has no effect; once, and of very many the first."""
        if len(self.ignored) < _MOST_IGNORED and name not in self.ignored:
            self.ignored.append(name)

    def read(self, context: Context, *, may_be_several: bool = False) -> ChatRequest:
        """Read the translated body.

        Args:
            context: who can be asked, and limits.
            may_be_several: whether a reply has room for more than one.

        Raises:
            ApiError: naming the field as the client called it.
        """
        if not may_be_several and self.body.get("n") not in (None, 1):
            raise unsupported("n", "replies of this endpoint hold one; use /v1/chat/completions")
        try:
            chat = request_of(self.body, context)
        except ApiError as exc:
            raise self._renamed(exc) from None
        ignored = [origin_of(name, self.origins) for name in chat.ignored]
        told = tuple(dict.fromkeys([*ignored, *self.ignored]))
        return replace(chat, ignored=told, origins=self.origins)

    def _renamed(self, error: ApiError) -> ApiError:
        if error.param is None:
            return error
        param = origin_of(error.param, self.origins)[:_MOST_PARAM]
        # The field is named in quotes or, where the sentence is about it, without.
        name = re.compile(rf"(?<![\w.]){re.escape(error.param)}(?![\w.])")
        return ApiError(
            error.status,
            error.code,
            name.sub(lambda _: param, str(error)),
            param=param,
            retry_after_s=error.retry_after_s,
            extra=error.extra,
        )


def mistake(path: str, told: str, *, code: str = "invalid_value") -> ApiError:
    """A field does not fit."""
    path = path[:_MOST_PARAM]
    return ApiError(400, code, f"'{path}': {told}", param=path)


def unsupported(path: str, told: str) -> ApiError:
    """A field asks for what there is not."""
    return mistake(path, told, code="unsupported_parameter")


def listed(value: Any, path: str) -> list[Any]:
    """A list.

    Raises:
        ApiError: it is none.
    """
    if not isinstance(value, list):
        raise mistake(path, "should be a list")
    return value


def mapped(value: Any, path: str) -> dict[str, Any]:
    """An object.

    Raises:
        ApiError: it is none.
    """
    if not isinstance(value, dict):
        raise mistake(path, "should be an object")
    return value


def text_in(value: Mapping[str, Any], name: str, path: str) -> str:
    """A field that holds a text.

    Raises:
        ApiError: it does not.
    """
    found = value.get(name)
    if found is None:
        raise ApiError(
            400, "missing_parameter", f"'{path}.{name}' is missing", param=f"{path}.{name}"
        )
    if not isinstance(found, str):
        raise mistake(f"{path}.{name}", "should be a string")
    return found


def kind_of(value: Mapping[str, Any]) -> str:
    """Its type, fit to be shown: it is a name of the API, or nothing."""
    found = value.get("type")
    return found if isinstance(found, str) and _KNOWN_KINDS.fullmatch(found) else "?"

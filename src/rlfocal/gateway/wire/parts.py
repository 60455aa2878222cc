"""What of a message's content reaches a member: its texts and images; the rest is noted.

Histories hold parts in the shapes of several APIs: calls of tools and their results among them,
which become what chat completions have for them. What a user says must not get lost, so a part of
his that cannot be read is an error; what an assistant once said beside its words is dropped.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.fields import IgnoredFields, is_shallow, refuse_many
from rlfocal.gateway.wire.turns import IMAGES, TEXTS, THOUGHTS, Object, Part, Turn
from rlfocal.pool.types import JsonObject

__all__ = ["Content", "check_depth", "note_dropped", "read_content"]

_CALLS = ("tool_use", "tool_call", "tool-call", "function_call")
_RESULTS = ("tool_result", "tool-result", "function_call_output")
_HELD = ("content", "output", "result", "json", "value", "data", "text")
"""Where a tool's result, or JSON, stands in a part."""
_OTHERS = frozenset({
    "file", "input_file", "input_audio", "audio", "audio_url", "video", "video_url", "document",
    "image",
})  # fmt: skip


@dataclass
class Content:
    """What a message holds."""

    texts: list[str] = field(default_factory=list)
    parts: list[Object] = field(default_factory=list)
    """Of a content in parts: all of them in order, texts included."""
    calls: list[Object] = field(default_factory=list)
    """Calls of tools that stand among the parts: id, name, arguments."""
    results: list[tuple[str, str]] = field(default_factory=list)
    """Results of calls of tools: id and text."""

    @property
    def text(self) -> str:
        """All texts."""
        return "".join(self.texts)

    @property
    def sent(self) -> tuple[Object, ...]:
        """The parts, where one of them is an image."""
        return tuple(self.parts) if len(self.parts) > len(self.texts) else ()

    def say(self, text: str) -> None:
        """Add a text."""
        self.texts.append(text)
        self.parts.append({"type": "text", "text": text})


def read_content(turn: Turn, ignored: IgnoredFields, path: str) -> Content:
    """Read the content of a turn.

    Args:
        turn: whose.
        ignored: gets what has no effect.
        path: of the turn.

    Raises:
        ApiError: 400, naming what cannot be taken.
    """
    content = Content()
    if isinstance(turn.content, str):
        content.texts.append(turn.content)
        return content
    reader = _Reader(turn.role, content, ignored)
    for k, piece in enumerate(turn.content or ()):
        if isinstance(piece, str):
            content.say(piece)
        else:
            reader.read(piece, f"{path}.content.{k}")
    return content


class _Reader:
    """Reads the parts of one message."""

    def __init__(self, role: str, content: Content, ignored: IgnoredFields) -> None:
        self._role, self._content, self._ignored = role, content, ignored

    def read(self, part: Part, path: str) -> None:
        kind, more = part.type or "", part.model_extra or {}
        if kind in THOUGHTS or re.search("thinking|thought|reasoning", kind):
            self._drop(kind)
        elif kind in _CALLS and self._role == "assistant":
            self._call(more, path)
        elif kind in _RESULTS and self._role in ("user", "tool", "function"):
            self._result(part, more, path)
        elif kind in (*IMAGES, "image") or (not kind and part.image_url is not None):
            self._image(part, more, path)
        elif kind == "json" or (kind and kind not in TEXTS and self._role in ("tool", "function")):
            self._content.say(_as_text({**more, "text": part.text}, path))
        else:
            self._text(part, more, path)

    def _text(self, part: Part, more: Object, path: str) -> None:
        kind = part.type or ""
        said = part.refusal if kind == "refusal" and part.refusal is not None else part.text
        if said is None and kind == "document":
            said = _document_in(more)
        if said is None and kind not in (*TEXTS, "") and self._role == "assistant":
            self._drop(kind)
            return
        if said is None and kind not in (*TEXTS, ""):
            shown = f"parts of type '{kind}'" if kind in _OTHERS else "parts of this type"
            raise ApiError(
                400, "unsupported_parameter",
                f"'{path}': {shown} are not taken: text and images only, as parts of type 'text' "
                "and 'image_url'",
                param=f"{path}.type",
            )  # fmt: skip
        if said is None and "text" not in part.model_fields_set:
            raise ApiError(
                400, "missing_parameter", f"'{path}.text' is missing", param=f"{path}.text"
            )
        note_dropped(more, self._ignored, "messages[].content[]", path, known=("source",))
        if said is not None:
            self._content.say(said)

    def _image(self, part: Part, more: Object, path: str) -> None:
        if self._role not in ("user", "tool", "function"):
            self._drop(part.type or "image_url")
            return
        given = part.image_url
        url = given.get("url") if isinstance(given, dict) else given
        if given is None:
            url = _address_in(more)
        detail = (given.get("detail") if isinstance(given, dict) else None) or more.get("detail")
        note_dropped(
            more, self._ignored, "messages[].content[]", path, known=("detail", *_OF_IMAGES)
        )
        match = _ADDRESS.match(url) if isinstance(url, str) else None
        if match is None or not isinstance(url, str):
            raise ApiError(
                400, "invalid_value",
                f"'{path}.image_url': give the image as data (data:image/png;base64,...) or by an "
                "https address",
                param=f"{path}.image_url",
            )  # fmt: skip
        if match["settings"]:  # of a text's alphabet, which an image has not
            url = url[: match.start("settings")] + url[match.end("settings") :]
        if isinstance(given, dict):
            note_dropped(
                given,
                self._ignored,
                "messages[].content[].image_url",
                path,
                known=("url", "detail"),
            )
        known = {"detail": detail} if detail in ("low", "high", "auto") else {}
        image = JsonObject(type="image_url", image_url={"url": url, **known})
        self._content.parts.append(image)

    def _call(self, more: Object, path: str) -> None:
        name = more.get("name", more.get("toolName"))
        if not isinstance(name, str) or not name:
            raise ApiError(
                400, "missing_parameter", f"'{path}.name' is missing", param=f"{path}.name"
            )
        given: Any = next((more[n] for n in ("input", "args", "arguments") if more.get(n)), {})
        check_depth(given, path)
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        self._content.calls.append({"id": _id_in(more), "name": name, "arguments": text})

    def _result(self, part: Part, more: Object, path: str) -> None:
        text = _as_text({**more, "text": part.text}, path)
        if self._role == "user":
            self._content.results.append((_id_in(more), text))
        else:
            self._content.say(text)

    def _drop(self, kind: str) -> None:
        self._ignored.add(f"messages[].content[].{kind}")


_OF_IMAGES = (
    "source", "image", "url", "data", "base64", "mimeType", "mime_type", "mediaType", "media_type",
    "source_type",
)  # fmt: skip
_ADDRESS = re.compile(
    r"data:image/[\w.+-]+(?P<settings>(?:;[\w.+-]{1,64}=[^;,\s]{0,64}){0,8});base64,"
    r"[A-Za-z0-9+/=_\s-]+\Z|https://\S{1,8192}\Z",
    re.I,
)


def _address_in(more: Object) -> str | None:
    """An image's address in the shapes that other APIs have: a source, data and their type."""
    source = more.get("source")
    found = source if isinstance(source, dict) else more
    url = found.get("url", found.get("image"))
    if isinstance(url, str) and url[:5].lower() in ("data:", "https"):
        return url
    data = next((found[n] for n in ("data", "base64", "image") if found.get(n)), None)
    names = ("media_type", "mime_type", "mimeType", "mediaType")
    kind = next((found[n] for n in names if found.get(n)), "image/png")
    if isinstance(data, str) and isinstance(kind, str):
        return data if data.startswith("data:") else f"data:{kind};base64,{data}"
    return None


def _document_in(more: Object) -> str | None:
    source = more.get("source")
    if isinstance(source, dict) and source.get("type") == "text":
        return source["data"] if isinstance(source.get("data"), str) else None
    return None


def _id_in(more: Object) -> str:
    names = ("tool_use_id", "tool_call_id", "toolCallId", "call_id", "id")
    return next((more[n] for n in names if isinstance(more.get(n), str)), "")


def _as_text(found: Object, path: str) -> str:
    """What a tool gave, in words: a text, texts in parts, or JSON."""
    given = next((found[n] for n in _HELD if found.get(n) is not None), "")
    if isinstance(given, list) and all(
        isinstance(one, dict) and isinstance(one.get("text"), str) for one in given
    ):
        return "".join(one["text"] for one in given)
    if isinstance(given, dict) and "value" in given and given.keys() <= {"type", "value"}:
        given = given["value"]
    check_depth(given, path)
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def note_dropped(
    found: Object, ignored: IgnoredFields, name: str, path: str, *, known: tuple[str, ...] = ()
) -> None:
    """Note fields that are dropped, whatever they are called.

    Args:
        found: fields.
        ignored: gets their names.
        name: of their object, as clients read it.
        path: of it.
        known: those that are read.

    Raises:
        ApiError: 400, they are too many.
    """
    if not found:
        return
    refuse_many(found, known, f"{path}.")
    ignored.add_unknown(found, known, name)


def check_depth(value: Any, path: str) -> None:
    """Refuse what could not be written again.

    Raises:
        ApiError: 400, naming where it stands.
    """
    if not is_shallow(value):
        raise ApiError(400, "invalid_value", f"'{path}' is nested too deeply", param=path)

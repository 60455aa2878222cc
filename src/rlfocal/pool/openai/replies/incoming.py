"""The body of a reply as it comes: in one piece or in many, told apart by what it looks like.

Content types are not believed: servers send events as JSON, JSON as text, and events unasked for.
Says when nothing more has to be waited for, though the connection stays open. Knows nothing of
connections itself.
"""

from __future__ import annotations

import json
import re
import zlib
from functools import cached_property
from typing import Any

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.openai.replies.bounds import Bounds
from rlfocal.pool.openai.replies.calls import offered_in
from rlfocal.pool.openai.replies.errors.reading import Complaint, Upstream, error_for
from rlfocal.pool.openai.replies.errors.words import said_in
from rlfocal.pool.openai.replies.events import EventReader, loads
from rlfocal.pool.openai.replies.logprobs import logprobs_in
from rlfocal.pool.openai.replies.stream import Pieces
from rlfocal.pool.openai.replies.texts import Halves, whole_characters
from rlfocal.pool.openai.replies.tokens import n_alternatives
from rlfocal.pool.openai.replies.whole import choice_of, is_failed, read_object
from rlfocal.pool.types import Api, Request, Response

__all__ = ["Incoming"]

_AFTER_THE_END_S = 0.25
"""For the connection to end as well, so that it can be used again."""
_AFTER_USAGE_S = 1.0
_AFTER_FINISH_S = 5.0
"""For a count that may still come, or the next piece of who gives a reason with each."""
_AFTER_A_THOUGHT_S = 30.0
"""Where a reason for an end came, and no more of a reply than thoughts."""
_AFTER_JSON_S = 2.0
_SOLID = re.compile(rb"\S")
_BLANKS = re.compile(r"\s*")
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n\v\f\0"
_EVENT_LINE = re.compile(rb"^[ \t\0]*(data[ \t]*:[ \t]*[\[{]|event[ \t]*:)", re.MULTILINE)
_MOST_LEADING = 4 << 10
"""Bytes before the first event of a stream that are none."""
_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BEGUN = frozenset(word[:k] for word in (_MARK, *_EVENTS) for k in range(1, len(word) + 1))


class Incoming:
    """One reply of a good status.

    Args:
        request: what was asked.
        api: which shape it should have.
    """

    def __init__(self, request: Request, api: Api) -> None:
        self._request, self._api = request, api
        self.bounds = Bounds.of(request)
        self._told = False
        self._body = bytearray()
        self._is_body = self._is_events = False
        self._is_first_line_known = False
        self._n_bytes = self._searched = self._blank_to = 0
        self._n_tried = -1
        self._inflater: zlib._Decompress | None = None
        self._whole: Any = None
        self.is_overlong = False
        """More has come than can be meant: nothing more is to be read."""
        self.n_alternatives = 0
        """Likely tokens that the server told beside each one of a reply that was read."""

    @cached_property
    def _pieces(self) -> Pieces:
        """Of a reply that comes in several; only asked for where it does."""
        tell = None if self._request.on_text is None else self._tell
        think = self._request.on_thought
        thinks = None if think is None else Halves(think)
        return Pieces(self._api, self.bounds, tell, offered_in(self._request.extra), thinks)

    @cached_property
    def _events(self) -> EventReader:
        return EventReader(self._pieces, self.bounds.line)

    def _tell(self, text: str) -> None:
        self._told = True
        if self._request.on_text is not None:
            self._request.on_text(whole_characters(text))

    @property
    def has_begun(self) -> bool:
        """Whether pieces of a reply have come."""
        return self._is_events and self._pieces.n_read > 0

    @property
    def refusal(self) -> bytes:
        """What was said in place of a reply, as JSON where it was that."""
        complaint = self._pieces.complaint if self._is_events else None
        return bytes(self._body) if complaint is None else json.dumps(complaint.body).encode()

    def feed(self, part: bytes) -> None:
        """Take what has come."""
        self._n_bytes += len(part)
        if self._is_events:
            self._events.feed(self._inflated(part))
        else:
            self._body += part if self._inflater is None else self._inflated(part)
            self._is_body = self._is_body or self._body.startswith(b"{")
            if not self._is_body:
                self._look()
            if self._is_body and not self._is_first_line_known:
                self._look_at_first_line()
        bounds = self.bounds
        self.is_overlong = len(self._body) > bounds.line or self._n_bytes > bounds.whole
        if self._is_events:
            self.is_overlong |= self._events.is_overlong or self._pieces.is_overlong

    def _look(self) -> None:
        """What it begins with tells what it is; blanks before it keep the connection alive."""
        self._body = self._body.lstrip(_BLANK).removeprefix(_MARK).lstrip(_BLANK)
        if self._inflater is None and self._body.startswith(_GZIP):
            body, self._inflater = bytes(self._body), zlib.decompressobj(wbits=31)
            self._body = bytearray(self._inflated(body))
        start = bytes(self._body[:8])
        if not start or (start != b":" and start in _BEGUN):
            return  # perhaps a part of it
        if start.startswith(_EVENTS):
            self._to_events()
        else:
            self._is_body = True

    def _inflated(self, part: bytes) -> bytes:
        """Compression that no header tells of by a name that is known."""
        if self._inflater is None:
            return part
        room = self.bounds.line - len(self._body) + 1
        try:
            return self._inflater.decompress(part, max(1, room))
        except zlib.error:
            return b""

    def _to_events(self) -> None:
        self._is_events = True
        body, self._body = bytes(self._body), bytearray()
        self._events.feed(body)

    def _look_at_first_line(self) -> None:
        """Several objects, one a line, are pieces; after other lines, events are events."""
        if not self._body.startswith((b"{", b"[")):
            self._is_first_line_known = len(self._body) > _MOST_LEADING
            if _EVENT_LINE.search(self._body[: 2 * _MOST_LEADING]):
                self._is_body = False
                self._to_events()
            return
        end = self._body.find(b"\n", self._searched)
        more = None if end < 0 else _SOLID.search(self._body, max(end, self._blank_to))
        if more is None:
            self._searched, self._blank_to = len(self._body) if end < 0 else end, len(self._body)
            return
        self._is_first_line_known = True
        try:
            is_object = isinstance(loads(self._body[:end]), dict)
        except ValueError:
            return
        if is_object and more[0] in (b"{", b"d", b":", b"e"):
            self._is_body = False
            self._to_events()

    @property
    def is_complete(self) -> bool:
        """What has come is a reply, whatever becomes of the connection and of the time."""
        if self._is_events:
            return self._events.is_done or self._pieces.is_likely_over
        return self._whole is not None

    @property
    def patience_s(self) -> float | None:
        """Seconds of silence after which nothing more is waited for; None for any number."""
        if not self._is_events:
            is_closed = bytes(self._body[-64:].rstrip()[-1:]) in (b"}", b"]")
            return _AFTER_JSON_S if is_closed and len(self._body) != self._n_tried else None
        if self._events.is_done:
            return _AFTER_THE_END_S
        pieces = self._pieces
        if pieces.finish is None or pieces.goes_on_after_finish:
            return None  # who goes on after a reason may think for long
        if not pieces.is_likely_over:
            return _AFTER_A_THOUGHT_S
        return _AFTER_USAGE_S if pieces.is_over and pieces.has_usage else _AFTER_FINISH_S

    def is_whole_after_silence(self) -> bool:
        """Asked when nothing has come for that long: is it all there?"""
        if self._is_events:
            return self.is_complete or self._pieces.finish is not None
        self._n_tried = len(self._body)
        return self._parse()

    def _parse(self) -> bool:
        try:
            self._whole = loads(self._body)
        except ValueError:
            return False
        return self._whole is not None

    def read(
        self, upstream: Upstream, *, broken: MemberError | None = None, latency_s: float = 0.0
    ) -> Response:
        """The response, when nothing more comes.

        Args:
            upstream: who answered.
            broken: how the connection broke; None where it ended as it should.
            latency_s: seconds that it took to come.

        Raises:
            MemberError: there is none.
        """
        if self.is_overlong:
            raise self.bounds.error(upstream.where)
        if self._is_events:
            self._events.end()
        elif not self._parse() and not self._read_series():
            raise self._unreadable(upstream, broken)
        if self._is_events:
            if self._events.is_overlong or self._pieces.is_overlong:
                raise self.bounds.error(upstream.where)
            found = self._whole_of_pieces(upstream, broken)
        elif isinstance(self._whole, list) and _are_pieces(self._whole):
            self._is_events = True
            self._pieces.take(self._whole)
            found = self._whole_of_pieces(upstream, broken)
        else:
            found = self._whole
        reply = read_object(found, self._request, upstream, api=self._api, latency_s=latency_s)
        if reply.tokens is not None:
            self.n_alternatives = n_alternatives(logprobs_in(choice_of(found) or {}))
        think = self._request.on_thought
        if think is not None and reply.reasoning and not self._is_events:
            think(reply.reasoning)  # before the text, which is told as a whole, too
        if self._request.on_text is not None and reply.text and not self._told:
            self._request.on_text(reply.text)
        return reply

    def _read_series(self) -> bool:
        """Objects that follow each other without anything between them, or with something after."""
        text = self._body.decode("utf-8-sig", "replace")
        decoder, at, found = json.JSONDecoder(strict=False), 0, list[Any]()
        while at < len(text):
            try:
                item, at = decoder.raw_decode(text, _BLANKS.match(text, at).end())  # type: ignore[union-attr]
            except (ValueError, RecursionError):
                break
            found.append(item)
            if len(found) > self.bounds.n_tokens + 16:
                break
        if not found or not isinstance(found[0], dict):
            return False
        if len(found) == 1:
            self._whole = found[0]
            return True
        self._is_events = True
        for item in found:
            self._pieces.take(item)
        return True

    def _whole_of_pieces(self, upstream: Upstream, broken: MemberError | None) -> Any:
        pieces, stray = self._pieces, self._events.stray
        pieces.end()
        is_ended = pieces.finish is not None and not is_failed(pieces.finish)
        if pieces.complaint is not None and (pieces.is_spoiled or not is_ended):
            raise error_for(pieces.complaint, None, upstream)
        if pieces.is_garbled:
            raise upstream.error(
                "an event that is no JSON, so a piece of the reply is lost; see the server's log",
                Failure.MALFORMED,
            )
        is_wrong = pieces.is_spoiled or (pieces.is_noisy and not is_ended)
        # An end that is not certain is one where nothing is known to have broken off.
        is_likely = pieces.has_final_usage or pieces.finish is not None
        is_whole = self.is_complete or (is_likely and broken is None)
        if is_wrong or (stray and not (is_whole or self.has_begun)):
            raise error_for(Complaint(said_in(stray)), None, upstream)
        if is_whole:
            return pieces.whole()
        if broken is not None:
            raise broken
        raise upstream.error("the reply broke off; ask again", Failure.UNREACHABLE)

    def _unreadable(self, upstream: Upstream, broken: MemberError | None) -> MemberError:
        if broken is not None:
            return broken
        text = self._body.decode("utf-8-sig", "replace").strip()
        kind = upstream.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if text[:1] in ("{", "[") and _is_cut(text):
            return upstream.error(
                "the reply broke off in the middle of its JSON; ask again", Failure.UNREACHABLE
            )
        words = said_in(text)
        if words and kind == "text/event-stream":  # the words of something that failed
            return error_for(Complaint(words), None, upstream)
        told = f" ({upstream.show(words)})" if words and text[:1] not in ("{", "[") else ""
        if not text:
            what = "empty"
        elif kind == "" or kind.endswith("json"):
            what = "not the JSON object it should be"
        else:
            what = f"{upstream.show(kind)}, not JSON"
        return upstream.error(
            f"the reply is {what}{told}; check base_url, and see the server's log",
            Failure.MALFORMED,
        )


def _are_pieces(found: list[Any]) -> bool:
    """Whether a list is all that a stream would have sent."""
    return len(found) > 1 and all(isinstance(f, dict) for f in found)


def _is_cut(text: str) -> bool:
    """Whether JSON ends too early, and is not wrong before."""
    try:
        json.loads(text, strict=False)
    except json.JSONDecodeError as exc:
        rest = text[exc.pos :]
        begun = any(word.startswith(rest) for word in _WORDS)
        return begun or exc.msg.startswith(("Unterminated string", "Invalid \\uXXXX"))
    except (ValueError, RecursionError):
        return False
    return False

"""Text among events: what keeps a connection alive, errors in plain words, lost pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from habits import DONE, event, piece
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request
from rlfocal.pool.openai.replies.errors.reading import Upstream
from rlfocal.pool.openai.replies.incoming import Incoming
from rlfocal.pool.openai.replies.strays import is_alive, tells_of_an_error
from rlfocal.pool.types import Response

ASKED = Request((Message("user", "?"),), max_tokens=64)
BEGIN = event(piece({"role": "assistant", "content": ""}))
FIRST, SECOND = event(piece({"content": "It is "})), event(piece({"content": "17."}))
STOP = event(piece({}, "stop"))


def outcome(*parts: bytes, n: int = 0) -> Response | MemberError:
    """What comes of a body, whole or cut into parts of n bytes."""
    body = b"".join(parts)
    incoming = Incoming(ASKED, "chat")
    for i in range(0, len(body), n or len(body)):
        incoming.feed(body[i : i + (n or len(body))])
    try:
        return incoming.read(Upstream("host:1"))
    except MemberError as exc:
        return exc


def said(found: Response | MemberError) -> str:
    assert isinstance(found, Response), found
    return found.text


def failed(found: Response | MemberError) -> MemberError:
    assert isinstance(found, MemberError), found
    return found


def text(words: str) -> bytes:
    return f"data: {words}\n\n".encode()


ALIVE = [
    text("[PING]"),
    text("[HEARTBEAT]"),
    text("[START]"),
    text("(keep-alive)"),
    text("<ping>"),
    text("{}"),
    text("[]"),
    text("..."),
    text("OK"),
    text("Connected"),
    text("[CONNECTED]"),
    text("processing your request"),
    text("Still thinking..."),
    text("queued, position 3"),
    text("Loading model"),
    text("*keepalive*"),
    text("ping 17"),
    text("\u200b"),
    text("~"),
    b"\x00\n\n",
    b"ping\n\n",
    b"event: keepalive\n\n",
    b"event: ping\ndata: hello\n\n",
    b"  \n",
    text('{"type": "status", "message": "Loading model"}'),
    text('{"message": "keep-alive"}'),
    text('{"status": "queued"}'),
    text('"ping"'),
    text("true"),
    text("0"),
]


@pytest.mark.parametrize("alive", ALIVE)
def test_what_keeps_a_connection_alive_costs_no_reply(alive: bytes) -> None:
    for end in ([STOP, DONE], [STOP], [DONE]):
        assert said(outcome(alive, alive, BEGIN, FIRST, SECOND, *end)) == "It is 17."
        assert said(outcome(BEGIN, alive, FIRST, alive, SECOND, *end)) == "It is 17."
        assert said(outcome(BEGIN, alive, FIRST, alive, SECOND, *end, n=3)) == "It is 17."


@pytest.mark.parametrize(
    "first",
    [b"ok\n", b"ok\nstreaming\n\n", b"\x00\n\n", b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n", b"\x00"],
)
@pytest.mark.parametrize("n", [0, 1, 7])
def test_lines_before_the_first_event_do_not_make_it_another_body(first: bytes, n: int) -> None:
    assert said(outcome(first, BEGIN, FIRST, SECOND, STOP, DONE, n=n)) == "It is 17."


PRETTY = b'{\n "error": {\n  "message": "worker died"\n }\n}\n\n'
ERRORS = [
    text("ERROR: worker died"),
    text("upstream connect error"),
    text("[ERROR]"),
    text("[ERROR] 502"),
    text("Traceback (most recent call last):"),
    text("Service Unavailable"),
    text("CUDA out of memory"),
    text("request timed out"),
    text('"Internal error"'),
    text("<html><title>502 Bad Gateway</title>"),
    b"event: error\ndata: so long\n\n",
    b"event: exception\ndata: gone\n\n",
    b"Internal Server Error\n",
    b"event: error\ndata: [PING]\n\n",
    b"event: error\n\n",
    b"event: error\ndata: \n\n",
    b"event: error\ndata: {}\n\n",
    b'{\n "error": {\n  "message": "worker died"\n }\n}\n\n',
    text('{"error": "worker died"}'),
    b'event: error\ndata: {"message": "gone"}\n\n',
    text('{"error_msg": "upstream died", "error_code": 500}'),
    text('{"id": "x", "status_code": 500, "message": "upstream died"}'),
    text('{"id": "x", "object": "chat.completion.chunk", "err": "upstream died"}'),
    text('{"message": "the worker has crashed"}'),
    text('{"type": "error", "id": "7", "text": "gone"}'),
]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_the_middle_is_no_good_end(error: bytes) -> None:
    for end in ([DONE], [STOP, DONE], [STOP], [SECOND, STOP, DONE], []):
        found = failed(outcome(BEGIN, FIRST, error, *end))
        assert found.failure is not Failure.MALFORMED
        assert "It is" not in str(found)


def test_its_words_are_told() -> None:
    assert "worker died" in str(failed(outcome(FIRST, text("ERROR: worker died"), DONE)))
    assert "so long" in str(failed(outcome(FIRST, b"event: error\ndata: so long\n\n", DONE)))
    assert "(worker died)" in str(failed(outcome(FIRST, PRETTY, DONE)))
    assert "502 Bad Gateway" in str(
        failed(outcome(FIRST, text("<html><title>502 Bad Gateway</title>"), STOP))
    )


@pytest.mark.parametrize("error", ERRORS)
def test_what_comes_after_the_end_takes_nothing_away(error: bytes) -> None:
    assert said(outcome(BEGIN, FIRST, SECOND, STOP, error, DONE)) == "It is 17."
    assert said(outcome(BEGIN, FIRST, SECOND, STOP, DONE, error)) == "It is 17."


def test_an_event_that_is_named_an_end_is_one() -> None:
    for end in (b"event: done\ndata:\n\n", b"event: done\n\n", b"event: [DONE]\ndata: \n\n"):
        assert said(outcome(BEGIN, FIRST, SECOND, end)) == "It is 17."


def test_other_text_counts_where_nobody_said_that_it_ended() -> None:
    assert said(outcome(BEGIN, FIRST, text("lorem ipsum"), SECOND, STOP, DONE)) == "It is 17."
    failed(outcome(BEGIN, FIRST, text("lorem ipsum"), SECOND, DONE))
    assert said(outcome(text("lorem ipsum"), BEGIN, FIRST, SECOND, DONE)) == "It is 17."


@pytest.mark.parametrize(
    "lost",
    [
        b'data: {"choices": oops}\n\n',
        b'data: [{"choices": oops}]\n\n',
        b'data: x"choices": [{"delta": {"content": "not "}}]}\n\n',
        b'{"choices": [{"delta": {"content": "not }\n',
        b'data: {"id": "c1", "cho\n\n',
    ],
)
def test_a_lost_piece_is_never_passed_over(lost: bytes) -> None:
    for end in ([STOP, DONE], [DONE], [STOP]):
        assert failed(outcome(FIRST, lost, SECOND, *end)).failure is Failure.MALFORMED
    assert said(outcome(FIRST, SECOND, STOP, lost, DONE)) == "It is 17."


@pytest.mark.parametrize(
    "start", [b"data: data: ", b"data:data:", b"data: data: data: ", b" data: "]
)
def test_a_field_told_twice_is_one(start: bytes) -> None:
    again = start + SECOND.removeprefix(b"data: ")
    assert said(outcome(FIRST, again, STOP, start + b"[DONE]\n\n")) == "It is 17."
    assert said(outcome(FIRST, again, start + b"[DONE]\n\n")) == "It is 17."


def test_pieces_in_a_list_are_pieces() -> None:
    objects = [json.loads(part.removeprefix(b"data: ")) for part in (BEGIN, FIRST, SECOND, STOP)]
    assert said(outcome(json.dumps(objects).encode())) == "It is 17."


def test_events_within_strings_are_read() -> None:
    parts = [event(part.removeprefix(b"data: ").decode().strip()) for part in (FIRST, SECOND, STOP)]
    assert said(outcome(*parts, DONE)) == "It is 17."


@given(st.text(max_size=70))
def test_a_text_is_at_most_one_of_them(words: str) -> None:
    assert not (is_alive(words) and tells_of_an_error(words))


@pytest.mark.parametrize(
    "words", ["The answer is 17.", "17", "no", "because", "error", "a ping-pong ball"]
)
def test_words_of_an_answer_keep_nothing_alive(words: str) -> None:
    assert not is_alive(words)


def other(index: Any, content: Any, finish: Any = None) -> bytes:
    return event({"choices": [{"index": index, "delta": content, "finish_reason": finish}]})


def test_the_only_choice_counts_whatever_its_number() -> None:
    parts = [other(1, {"content": "It is "}), other(1, {"content": "17."}), other(1, {}, "stop")]
    assert said(outcome(*parts, DONE)) == "It is 17."
    assert said(outcome(*parts)) == "It is 17."
    beside = [parts[0], FIRST, other(2, {"content": "No"}), SECOND, other(1, {}, "length"), STOP]
    assert said(outcome(*beside, DONE)) == "It is 17."
    whole = {"choices": [{"index": 3, "message": {"content": "17."}, "finish_reason": "stop"}]}
    assert said(outcome(json.dumps(whole).encode())) == "17."


def whole(finish: Any, error: Any = None, own: Any = None, **message: Any) -> bytes:
    told = {"role": "assistant", "content": "It is 17.", **message}
    choice = {"index": 0, "message": told, "finish_reason": finish, "error": own}
    body: str = json.dumps({"id": "r", "choices": [choice], "error": error})
    return body.encode()


DIED = {"message": "Upstream died", "code": 502}


@pytest.mark.parametrize("error", [DIED, "Upstream died", {"message": "Upstream died"}])
def test_an_error_beside_half_a_text_is_an_error(error: Any) -> None:
    for body in (
        whole(None, error),
        whole("", error),
        whole("error", error),
        whole("stop", None, error),
        whole("stop", error, error),
        whole("length", None, error),
        whole("stop", error=None, own=None).replace(
            b'"content"', b'"error": {"code": 502}, "content"'
        ),
    ):
        failed(outcome(body))
    assert "Upstream died" in str(failed(outcome(whole(None, error))))
    for none in (None, {}, "", {"code": 0, "message": ""}):
        assert said(outcome(whole(None, none, none))) == "It is 17."
    assert said(outcome(whole("stop", error))) == "It is 17."
    assert said(outcome(whole("stop", {"message": "a remark"}))) == "It is 17."


def test_an_error_beside_a_piece_is_an_error() -> None:
    for found in (
        {**piece({"content": "17"}), "error": DIED},
        {**piece({"content": ""}, "stop"), "error": DIED},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "error": DIED}]},
    ):
        assert "Upstream died" in str(failed(outcome(FIRST, event(found), DONE)))
        assert "Upstream died" in str(failed(outcome(FIRST, event(found), STOP, DONE)))

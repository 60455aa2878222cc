"""What real servers do beyond the book, over sockets, makes the reply that was meant."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from asking import ASKED, WITH_TOOLS, ask, fails
from habits import DONE, END, RESET, Script, chunked, event, json_reply, piece, reply

from rlfocal.errors import Failure
from rlfocal.pool.openai.replies.incoming import Incoming

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
SAID = [
    event(piece({"role": "assistant", "content": ""})),
    event(piece({"content": "It is "})),
    event(piece({"content": "17."})),
]
STREAM = [*SAID, event(piece({}, "stop")), event({"choices": [], "usage": USAGE}), DONE]


JSON = json.dumps(reply()).encode()
DEFLATE = zlib.compressobj(wbits=-15)
WHOLE: dict[str, Script] = {
    "an early hint first": [
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
        *json_reply(reply()),
    ],
    "no reason after the status": [
        b"HTTP/1.1 200\r\ncontent-length: %d\r\n\r\n" % len(JSON) + JSON
    ],
    "the length left out, in HTTP/1.0": [b"HTTP/1.0 200 OK\r\n\r\n" + JSON, END],
    "a length that is never reached": [*json_reply(JSON, Content_Length="9999"), END],
    "a length that is never reached, and silence": [*json_reply(JSON, Content_Length="9999"), 20.0],
    "a length that is never reached, and a reset": [
        *json_reply(JSON, Content_Length="9999"),
        0.2,
        RESET,
    ],
    "no last chunk": chunked([JSON, END], kind="application/json"),
    "no last chunk, and silence": chunked([JSON, 20.0, END], kind="application/json"),
    "blanks that keep it alive": chunked([b" \n" * 400, 0.1, b"\n", JSON], kind="application/json"),
    "a byte order mark": json_reply(b"\xef\xbb\xbf" + JSON),
    "a mark after blanks": json_reply(b"\r\n \xef\xbb\xbf" + JSON),
    "indented": json_reply(json.dumps(reply(), indent=2).encode()),
    "a line break after it": json_reply(JSON + b"\n"),
    "an end of a stream after it": json_reply(JSON + b"\n\ndata: [DONE]\n\n"),
    "raw deflate": json_reply(DEFLATE.compress(JSON) + DEFLATE.flush(), Content_Encoding="deflate"),
    "an encoding in capitals": json_reply(gzip.compress(JSON), Content_Encoding="GZip"),
    "an encoding by its old name": json_reply(gzip.compress(JSON), Content_Encoding="x-gzip"),
    "a charset as encoding": json_reply(JSON, Content_Encoding="UTF-8"),
    "an encoding without a name": json_reply(JSON, Content_Encoding=""),
    "no encoding": json_reply(JSON, Content_Encoding="identity"),
    "a charset nobody knows": json_reply(JSON, kind="application/json; charset=utf8mb4"),
    "a page's type": json_reply(JSON, kind="text/html"),
    "no type": json_reply(JSON, kind=None),
    "a long header": json_reply(JSON, Content_Security_Policy="x" * 20_000),
    "many headers": json_reply(reply(), **{f"X_{k}": "y" for k in range(400)}),
    "status 201": json_reply(JSON, "201 Created"),
    "within a list": json_reply([reply()]),
    "within a box": json_reply({"success": True, "errors": [], "result": reply()}),
    "an error that is none": json_reply({"error": None, **reply()}),
    "an empty error": json_reply({"error": {"code": 0, "message": ""}, **reply()}),
    "a line break within a string": json_reply(JSON.replace(b"It is", b"It\nis")),
    "Infinity somewhere": json_reply(JSON.replace(b'"r-1"', b'"r", "score": -Infinity')),
    "a stream unasked for": chunked(STREAM),
    "a stream as JSON": chunked(STREAM, kind="application/json"),
}


@pytest.mark.parametrize("habit", WHOLE)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_whole_reply_is_read_however_it_comes(habit: str, streamed: bool) -> None:
    found = ask(WHOLE[habit], streamed=streamed)
    assert found.text.split() == ["It", "is", "17."]
    assert (found.finish, found.n_prompt_tokens, found.n_completion_tokens) == ("stop", 7, 3)


def lines(*found: bytes, end: bytes = b"\n\n") -> bytes:
    return b"".join(item.rstrip(b"\n") + end for item in found)


PRETTY = b"".join(
    b"data: " + line + b"\n"
    for line in json.dumps(piece({"content": "17."}), indent=1).encode().splitlines()
)
STREAMS: dict[str, Script] = {
    "as it should be": chunked(STREAM),
    "one byte at a time": chunked([bytes([b]) for b in b"".join(STREAM)]),
    "carriage returns": chunked([lines(*STREAM, end=b"\r\r")]),
    "carriage returns, cut": chunked([bytes([b]) for b in lines(*STREAM, end=b"\r\n\r\n")]),
    "no blank lines": chunked([lines(*STREAM, end=b"\n")]),
    "comments, pings and blanks": chunked(
        [
            b": ping\n\n",
            b"\n\n",
            b"event: ping\ndata: {}\n\n",
            b"data:\n\n",
            b"data: null\n\n",
            b'event: ping\ndata: {"type": "ping"}\n\n',
            b":\n",
            b"data: keep-alive\n\n",
            b"data: [PING]\n\n",
            b'data: {"type": "status", "message": "Loading model"}\n\n',
            *STREAM,
        ]
    ),
    "a line before the first event": chunked([b"ok\n", *STREAM]),
    "events within events": chunked([b"data: " + e for e in STREAM]),
    "fields nobody asked for": chunked([b"id: 1\nretry: 10\nevent: delta\n" + e for e in STREAM]),
    "an event over several lines": chunked([*SAID[:2], PRETTY + b"\n", *STREAM[3:]]),
    "one object a line": chunked(
        [lines(*(e.removeprefix(b"data: ") for e in STREAM[:-1]), end=b"\n")],
        kind="application/x-ndjson",
    ),
    "objects without a line between them": chunked(
        [b"".join(e.removeprefix(b"data: ").strip() for e in STREAM[:-1])], kind="application/json"
    ),
    "a list of pieces": chunked(
        [event([json.loads(e.removeprefix(b"data: ")) for e in STREAM[:-1]]), DONE]
    ),
    "silence after the end": chunked([*STREAM, 20.0, END]),
    "silence after the count": chunked([*STREAM[:-1], 20.0, END]),
    "a reset after the end": chunked([*STREAM, 0.1, RESET]),
    "broken off after the count": chunked([*STREAM[:-1], END]),
    "no end, no reason, but a count": chunked([*SAID, event({"choices": [], "usage": USAGE})]),
    "an error after the end": chunked([*STREAM, event({"error": {"message": "too late"}})]),
    "a word at the end": chunked([*STREAM[:-1], event(b"DONE")]),
    "a count in each piece": chunked(
        [
            event(
                piece(
                    {"content": "It is "},
                    usage={**USAGE, "completion_tokens": 1, "total_tokens": 8},
                )
            ),
            event(piece({"content": "17."}, "stop", usage=USAGE)),
            DONE,
        ]
    ),
    "a count within the choice": chunked(
        [
            *SAID,
            event(
                {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}
            ),
            DONE,
        ]
    ),
    "a last count of zeros": chunked(
        [*STREAM[:-1], event({"choices": [], "usage": dict.fromkeys(USAGE, 0)}), DONE]
    ),
    "a reason with each piece": chunked(
        [
            event(piece({"content": "It is "}, "stop")),
            0.5,
            event(piece({"content": "17."}, "stop")),
            event({"choices": [], "usage": USAGE}),
            DONE,
        ]
    ),
    "another choice beside it": chunked(
        [
            event(
                {
                    "choices": [
                        {"index": 1, "delta": {"content": "No."}},
                        {"index": 0, "delta": {"content": "It is "}},
                    ]
                }
            ),
            *STREAM[2:],
        ]
    ),
    "a message in place of a delta": chunked(
        [
            event(
                {
                    "choices": [
                        {"index": 0, "message": {"content": "It is 17."}, "finish_reason": "stop"}
                    ],
                    "usage": USAGE,
                }
            ),
            DONE,
        ]
    ),
    "a message that says it all again": chunked(
        [
            *SAID,
            event(
                {
                    "choices": [
                        {
                            "index": 0,
                            "delta": {},
                            "message": {"content": "It is 17."},
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": USAGE,
                }
            ),
            DONE,
        ]
    ),
    "messages that grow": chunked(
        [
            event({"choices": [{"message": {"content": text}}]})
            for text in ("It", "It is ", "It is 17.")
        ]
        + STREAM[3:]
    ),
    "texts as completions have them": chunked(
        [event({"choices": [{"index": 0, "text": text}]}) for text in ("It is ", "17.")]
        + STREAM[3:]
    ),
    "content in parts": chunked(
        [event(piece({"content": [{"type": "text", "text": text}]})) for text in ("It is ", "17.")]
        + STREAM[3:]
    ),
    "a usage of another box": chunked(
        [*SAID, event({**piece({}, "stop"), "x_groq": {"id": "q", "usage": USAGE}}), DONE]
    ),
}


@pytest.mark.parametrize("habit", STREAMS)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_streamed_reply_is_read_however_it_comes(habit: str, streamed: bool) -> None:
    found = ask(STREAMS[habit], streamed=streamed)
    assert found.text == "It is 17."
    assert (found.finish, found.n_prompt_tokens, found.n_completion_tokens) == ("stop", 7, 3)


EVERY = [
    event(piece({"content": "It is "}, "stop", usage=USAGE)),
    event(piece({"content": "17."}, "stop", usage=USAGE)),
]
"""Some servers, and what stands before them, give a reason and a count with each piece."""
THOUGHT = event(piece({"reasoning_content": "hm"}, "stop", usage=USAGE))
CALLS = [
    event(piece({"tool_calls": [{"index": k, "id": name, "function": {
        "name": name, "arguments": "{}"}}]}, "tool_calls", usage=USAGE))
    for k, name in enumerate(("look", "add"))
]  # fmt: skip
BARE = event(piece({"role": "assistant", "content": ""}, "stop", usage=USAGE))
SINGLE = event(piece({"content": "It is 17."}, "stop", usage=USAGE))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "parts",
    [
        [EVERY[0], 1.5, EVERY[1], DONE],
        [EVERY[0], 1.5, EVERY[1]],
        [THOUGHT, 1.5, *EVERY, DONE],
        [THOUGHT, THOUGHT, 1.5, *EVERY, DONE],
        [BARE, 1.5, *EVERY, DONE],
    ],
)
def test_a_reason_with_each_piece_is_no_end(parts: Script, streamed: bool) -> None:
    found = ask(chunked(parts), streamed=streamed)
    assert (found.text, found.finish) == ("It is 17.", "stop")


def test_a_reason_with_each_call_is_no_end() -> None:
    found = ask(chunked([CALLS[0], 1.5, CALLS[1], DONE]), WITH_TOOLS)
    assert [call["id"] for call in found.tool_calls] == ["look", "add"]


@pytest.mark.parametrize("parts", [[THOUGHT], [BARE], EVERY])
def test_what_breaks_after_a_reason_that_is_no_end_is_no_reply(parts: Script) -> None:
    assert fails(chunked([*parts, 0.1, RESET])).failure is Failure.UNREACHABLE


@pytest.mark.parametrize("parts", [[EVERY[0]], [THOUGHT], [BARE], EVERY])
def test_what_fails_after_a_reason_with_a_piece_is_no_reply(parts: Script) -> None:
    error = event({"error": {"message": "worker died", "code": 500}})
    assert "worker died" in str(fails(chunked([*parts, error, DONE])))


FEW: dict[str, Script] = {
    "one": [event(piece({"content": "It is 17."}, "stop"))],
    "one with a count": [SINGLE],
    "a role, then one": [event(piece({"role": "assistant", "content": ""})), SINGLE],
    "thoughts, then one": [event(piece({"reasoning": "hm"})), SINGLE],
    "one that was cut": [event(piece({"content": "It is 17."}, "length", usage=USAGE))],
}


@pytest.mark.parametrize("habit", FEW)
def test_a_reply_of_one_piece_needs_no_end(monkeypatch: pytest.MonkeyPatch, habit: str) -> None:
    parts = FEW[habit]
    assert ask(chunked([*parts, 0.1, RESET])).text == "It is 17."
    assert ask(chunked([*parts, 20.0, END]), timeout_s=0.5).text == "It is 17."
    monkeypatch.setattr("rlfocal.pool.openai.replies.incoming._AFTER_FINISH_S", 0.5)
    assert ask(chunked([*parts, 20.0, END]), timeout_s=5).text == "It is 17."


def test_a_call_in_one_piece_needs_no_end() -> None:
    for parts, timeout_s in (([CALLS[0], 0.1, RESET], 5.0), ([CALLS[0], 20.0, END], 0.5)):
        found = ask(chunked(parts), WITH_TOOLS, timeout_s=timeout_s)
        assert [call["id"] for call in found.tool_calls] == ["look"]


@pytest.mark.parametrize(
    ("parts", "patience_s"),
    [([SINGLE], 5), ([THOUGHT], 30), ([BARE], 30), (EVERY, None), ([THOUGHT, SINGLE], None),
     ([SAID[1], event(piece({"content": "17."}, "stop", usage=USAGE))], 1),
     ([event(piece({"content": "It"}, "length", usage=USAGE))], 1)],
)  # fmt: skip
def test_how_long_silence_is_borne_after_a_reason(
    parts: list[bytes], patience_s: float | None
) -> None:
    incoming = Incoming(ASKED, "chat")
    for part in parts:
        incoming.feed(part)
    assert incoming.patience_s == patience_s


@pytest.mark.parametrize(
    "parts",
    [
        [SAID[1], event(piece({"content": "17."}, "stop", usage=USAGE))],
        [SINGLE, event({"choices": [], "usage": USAGE})],
        [SINGLE, event(piece({}, "stop"))],
    ],
)
def test_a_reason_that_comes_at_the_end_only_is_believed(parts: Script) -> None:
    assert ask(chunked([*parts, 20.0, END])).text == "It is 17."
    assert ask(chunked([*parts, 0.1, RESET])).text == "It is 17."


def test_halves_of_a_character_meet_again() -> None:
    halves = [
        event(b'{"choices":[{"delta":{"content":"\\ud83c"}}]}'),
        event(b'{"choices":[{"delta":{"content":"\\udf0d 17"}}]}'),
    ]
    assert ask(chunked([*halves, *STREAM[3:]]), streamed=True).text == "\U0001f30d 17"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "utf-8-sig"])
def test_letters_survive_in_any_encoding(encoding: str) -> None:
    body = json.dumps(reply("Zürich 17"), ensure_ascii=False).encode(encoding)
    assert ask(json_reply(body, kind="application/json; charset=who-knows")).text == "Zürich 17"
    broken = json.dumps(reply("Zürich #17"), ensure_ascii=False).encode().replace(b"#", b"\xe2\x82")
    assert ask(json_reply(broken)).text == "Zürich \ufffd17"


def test_thinking_is_told_apart() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm, 42?"}]},
        {"type": "text", "text": "17"},
    ]
    for message in (
        {"content": parts},
        {"content": "17", "reasoning_content": "hm, 42?"},
        {"content": "17", "reasoning_details": [{"type": "reasoning.text", "text": "hm, 42?"}]},
    ):
        found = ask(json_reply({"choices": [{"message": message}]}))
        assert (found.text, found.reasoning) == ("17", "hm, 42?")
    pieces = [
        event(piece({"thinking": "hm, "})),
        event(piece({"thinking": "42?"})),
        event(piece({"content": "17"}, "stop")),
        DONE,
    ]
    found = ask(chunked(pieces), streamed=True)
    assert (found.text, found.reasoning) == ("17", "hm, 42?")


BROKEN: dict[str, Script] = {
    "half of the JSON": json_reply(JSON[:50]),
    "half of the JSON, and the end": [b"HTTP/1.0 200 OK\r\n\r\n" + JSON[:50], END],
    "half of the JSON, and a reset": [*json_reply(JSON[:50], Content_Length="900"), 0.1, RESET],
    "some pieces": chunked(SAID),
    "some pieces, and a reset": chunked([*SAID, 0.1, RESET]),
    "half of a piece": chunked([*SAID, STREAM[3][:40], END]),
    "the connection closed at once": [END],
}


@pytest.mark.parametrize("habit", BROKEN)
@pytest.mark.parametrize("streamed", [False, True])
def test_half_of_a_reply_is_none(habit: str, streamed: bool) -> None:
    error = fails(BROKEN[habit], streamed=streamed)
    assert error.failure is Failure.UNREACHABLE
    assert "It is" not in str(error)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "error",
    [b"data: ERROR: worker died\n\n", b"event: error\ndata: worker died\n\n",
     event({"error_msg": "worker died", "error_code": 500})],
)  # fmt: skip
def test_an_error_in_the_middle_is_told(error: bytes, streamed: bool) -> None:
    for end in ([DONE], STREAM[3:]):
        found = fails(chunked([*SAID[:2], error, *end]), streamed=streamed)
        assert found.failure is Failure.SERVER_ERROR
        assert "worker died" in str(found)
        assert found.has_begun


def test_a_piece_that_cannot_be_read_spoils_the_reply() -> None:
    error = fails(chunked([*SAID[:2], event(b'{"choices": oops}'), *STREAM[2:]]), streamed=True)
    assert error.failure is Failure.MALFORMED

"""Streams: what comes when, comments that keep a connection open, and clients that hang up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from raw_http import connect, head, until
from serving import Served
from spy_upstream import Reply, SpyUpstream, aimed_at

from rlfocal.gateway.store.rows import RequestRow

Ask = Callable[..., Any]
Serve = Callable[..., Any]
WORDS = [f"word{k}" for k in range(8)]
MODELS = ("plain", "rlfocal:0", "rlfocal:99")
QUESTION = [{"role": "user", "content": "Tell me of 3 + 4 ="}]


def aimed(spy: SpyUpstream) -> Callable[[str], str]:
    """At a spy, with no member that is asked several times: of such a one nothing is streamed."""
    return lambda text: aimed_at(spy.base_url)(text.replace("samples = 3", "samples = 1"))


def events(served: Served, **body: Any) -> Iterator[Any]:
    """Each event's data; a comment is its text."""
    with httpx2.stream(
        "POST", f"{served.url}/v1/chat/completions", headers=served.headers, timeout=120,
        json={"model": "plain", "messages": QUESTION, "stream": True, **body},
    ) as reply:  # fmt: skip
        assert reply.status_code == 200, reply.read()
        assert reply.headers["content-type"].startswith("text/event-stream")
        for line in filter(None, reply.iter_lines()):
            data = line.removeprefix("data: ")
            known = line.startswith("data: {")
            yield json.loads(data) if known else data


def n_comments(found: list[Any]) -> int:
    return sum(isinstance(data, str) and data.startswith(":") for data in found)


def text_of(found: list[Any]) -> str:
    chunks = [data for data in list(found) if isinstance(data, dict)]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


@pytest.mark.parametrize("model", ["plain", "rlfocal:99"])
def test_words_pass_through_as_they_come_once_the_choice_is_settled(
    serve: Serve, model: str
) -> None:
    found: list[Any] = []
    # No word is said before the one before it was heard: held back, they would never come.
    reply = Reply(" ".join(WORDS), may_say=lambda k: text_of(found).count("word") >= k)
    with SpyUpstream(lambda _: reply) as spy, serve(edit=aimed(spy)) as (served, _):
        for event in events(served, model=model, stream_options={"include_usage": True}):
            found.append(event)
        assert text_of(found) == reply.text
        assert sum("word" in text_of([data]) for data in found) == len(WORDS)
        assert spy.received[0].body["stream"] is True
        *chunks, end = found
        assert end == "[DONE]"
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
        assert len({c["id"] for c in chunks}) == 1
        assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]][-1] == "stop"
        assert chunks[-2]["rlfocal"]["n_calls"] == 1
        assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], len(WORDS))


def test_comments_keep_a_stream_open_that_has_nothing_to_say_yet(serve: Serve) -> None:
    found: list[Any] = []
    # Nothing is said before everybody was asked and three of them were heard.
    late = Reply("That is 7.", may_say=lambda _: len(spy.received) == 4 and n_comments(found) >= 3)
    with (
        SpyUpstream(lambda _: late) as spy,
        serve(edit=aimed(spy), keep_alive_s=0.2) as (served, _),
    ):
        for event in events(served, model="rlfocal:0"):
            found.append(event)
        assert text_of(found) == late.text
        assert len(spy.received) == 4


def test_an_error_before_any_word_has_a_status_of_its_own(serve: Serve, ask: Ask) -> None:
    broken = Reply(status=500, json={"error": {"message": "broken"}})
    with SpyUpstream(lambda _: broken) as spy, serve(edit=aimed(spy)) as (served, _):
        for model in ("plain", "rlfocal:0"):
            reply = ask(served, model=model, stream=True)
            assert reply.status_code == 502
            assert reply.headers["content-type"] == "application/json"


def test_a_stream_that_breaks_after_words_ends_with_an_error_and_nobody_else_is_asked(
    serve: Serve,
) -> None:
    cut = Reply(" ".join(WORDS), cut_after=3)
    with SpyUpstream(lambda _: cut) as spy, serve(edit=aimed(spy)) as (served, _):
        for model in ("plain", "rlfocal:99"):
            found = list(events(served, model=model))
            assert text_of(found[:-2]) == " ".join(WORDS[:3])
            assert found[-2]["error"]["code"] in ("member_unreachable", "no_member_answered")
            assert found[-1] == "[DONE]"
        assert len(spy.received) == 2


def test_what_a_stream_brings_is_what_the_whole_reply_is(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        for model in ("plain", "rlfocal", "rlfocal:0", "rlfocal:99"):
            whole = ask(served, "3 + 4 =", model=model).json()["choices"][0]
            found = list(
                events(served, model=model, messages=[{"role": "user", "content": "3 + 4 ="}])
            )
            assert text_of(found) == whole["message"]["content"]


# Clients that hang up ----------------------------------------------------------------------------


def rows(served: Served) -> list[RequestRow]:
    with served.store.connections.read() as connection:
        return list(served.store.log.requests(connection, 10))


BEFORE = [("before", stream, model) for stream in (False, True) for model in MODELS]


@pytest.mark.parametrize(
    ("when", "stream", "model"),
    [*BEFORE, ("amid", True, "plain"), ("amid", True, "rlfocal:99")],
)
def test_who_hangs_up_has_his_calls_cancelled_and_counted(
    serve: Serve, when: str, stream: bool, model: str
) -> None:
    slow = Reply(" ".join(WORDS), wait_s=60 if when == "before" else 0, pause_s=60)
    with (
        SpyUpstream(lambda _: slow) as spy,
        # Far off: who hangs up is noticed at once and not only at the next comment.
        serve(edit=aimed(spy), keep_alive_s=30.0) as (served, _),
    ):
        key = served.add_key("caller", usd=5.0, concurrency=1)
        body = json.dumps({"model": model, "messages": QUESTION, "stream": stream}).encode()
        headers = {
            "Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body)),
            "Authorization": f"Bearer {key}",
        }  # fmt: skip
        with connect(served.url) as sock:
            sock.sendall(head("/v1/chat/completions", headers) + body)
            n_calls = 4 if model == "rlfocal:0" else 1
            assert until(lambda: spy.n_under_way == n_calls)
            if when == "amid":
                data = b""
                while WORDS[0].encode() not in data:
                    data += sock.recv(65536)
            assert served.gateway.places.n == 1
        assert until(lambda: spy.n_under_way == 0)
        assert until(lambda: served.gateway.places.n == 0)
        assert until(lambda: rows(served))
        (row,) = rows(served)
        assert (row.status, row.error) == (499, "client_gone")
        assert row.usd == 0
        assert row.unsettled_usd > 0
        with served.store.connections.read() as connection:
            uses = served.store.keys.uses(connection, time.time())
        (use,) = [use for use in uses if use.key.name == "caller"]
        # What the calls may cost stays on the bill, and nothing is held any more.
        assert use.spent_usd == pytest.approx(row.unsettled_usd)
        assert use.held_usd == 0
        assert len(spy.received) == n_calls  # nobody else was asked afterwards


def test_a_stream_that_nobody_reads_waits_and_holds_no_heap_of_words(serve: Serve) -> None:
    endless = Reply("word " * 20_000)
    with SpyUpstream(lambda _: endless) as spy, serve(edit=aimed(spy)) as (served, _):
        body = json.dumps({"model": "plain", "messages": QUESTION, "stream": True}).encode()
        headers = {"Host": "x", "Content-Type": "application/json"} | served.headers
        headers["Content-Length"] = str(len(body))
        with connect(served.url) as sock:
            sock.sendall(head("/v1/chat/completions", headers) + body)
            assert until(lambda: spy.n_under_way == 1)
            time.sleep(0.5)
        assert until(lambda: served.gateway.places.n == 0)

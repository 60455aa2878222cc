"""Chat completions end to end, over real sockets: what a client gets, and what is written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlfocal.pool.stub import Said

Ask = Callable[..., Any]
Serve = Callable[..., Any]
CHOICE = "Which remainder has 3 + 4 by four?"
OPTIONS = ["0", "1", "2", "3"]
PLAIN = '[[members]]\nname = "plain"\n'
EDITOR = '[[members]]\nname = "editor"\nendpoint = "stub"\nmodel = "editor"\n\n'


def test_an_ensemble_answers(serve: Serve, ask: Ask) -> None:
    with serve() as (served, stub):
        reply = ask(served, CHOICE, extension={"choices": OPTIONS, "task": "choices"})
        assert reply.status_code == 200, reply.text
        body = reply.json()
        own = body["rlfocal"]
        assert body["object"] == "chat.completion"
        assert body["choices"][0]["message"]["content"] in OPTIONS
        assert body["choices"][0]["message"]["content"] == OPTIONS["ABCD".index(own["answer"])]
        n_calls = len(stub.bodies)
        assert own["n_calls"] == len(own["members"]) <= n_calls
        tokens = sum(m["prompt_tokens"] + m["completion_tokens"] for m in own["members"])
        assert body["usage"]["total_tokens"] == tokens
        assert reply.headers["x-rlfocal-id"] == body["id"]


def test_a_synthesiser_may_be_a_member_that_the_checkpoint_does_not_know(
    serve: Serve, ask: Ask
) -> None:
    replies = iter(["A sum of seven.", "Surely eight.", "None of them.", "Nine."])
    says = lambda body: Said("Seven." if body["model"] == "editor" else next(replies, "Ten."))  # noqa: E731
    edit = lambda text: text.replace(PLAIN, EDITOR + PLAIN)  # noqa: E731
    with serve(says=says, edit=edit, synthesiser="editor") as (served, _):
        own = {"answers": "open", "explain": True}
        reply = ask(served, "What is a sum?", model="rlfocal:0", extension=own)
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"][0]["message"]["content"] == "Seven."
        assert reply.json()["rlfocal"]["trace"]["synthesis"]["member"] == "editor"


def test_a_price_says_how_many_are_asked(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        own = {"choices": OPTIONS, "task": "choices"}
        counts = [
            ask(served, CHOICE, model=model, extension=own).json()["rlfocal"]["n_calls"]
            for model in ("rlfocal:0", "rlfocal:0.3", "rlfocal:99")
        ]
        assert counts == [4, 1, 1]

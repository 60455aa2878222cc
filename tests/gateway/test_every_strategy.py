"""Whatever leads an ensemble is served alike: replies, prices, feedback and the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from every_strategy import every_strategy, installed, quick_spec
from once import once
from serving import Served, until
from stub_pool import recorded

from rlfocal.checkpoint.training import train
from rlfocal.features import HashingEncoder
from rlfocal.records import build_table

__all__ = ["installed"]

Ask = Callable[..., Any]
Serve = Callable[..., Any]
OPTIONS = ["0", "1", "2", "3"]
PAGES = ("/dashboard/figures?window=1h", "/dashboard/frontier")


def folder_of(name: str, factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        encode = HashingEncoder(32)
        table = build_table(recorded(factory), encode=encode)
        rows = table.take(table.split == "train")
        train(folder, quick_spec(name), rows, seed=0, encoder_spec=encode.spec)

    return once(factory, f"served-{name}", make)


def n_answered(served: Served) -> int:
    """Requests that were answered, as far as they are written down."""
    with served.store.connections.read() as connection:
        return sum(row.status == 200 for row in served.store.log.requests(connection, 100))


@pytest.mark.usefixtures("installed")
@every_strategy
def test_every_strategy_is_served(
    name: str, serve: Serve, ask: Ask, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = folder_of(name, tmp_path_factory)
    own = {"choices": OPTIONS, "task": "choices", "explain": True}
    limits = {"keep_decisions": True, "least_remembered": 1, "poll_s": 0.05}
    with serve(folder=folder, **limits) as (served, _):
        strategy = served.gateway.checkpoint.strategy
        assert strategy.name == name
        question = "Which remainder has 3 + 4 by four?"
        reply = ask(served, question, extension=own)
        assert reply.status_code == 200, reply.text
        told = reply.json()
        assert told["choices"][0]["message"]["content"] in OPTIONS
        assert told["rlfocal"]["trace"]["strategy"] == name
        assert told["rlfocal"]["price"] == strategy.price

        priced = ask(served, question, model="rlfocal:0.05", extension=own)
        if strategy.dial:
            assert priced.status_code == 200, priced.text
            found, at = priced.json()["rlfocal"], strategy.at(0.05)
            assert found["price"] == found["trace"]["price"] == at.price == 0.05
        else:
            error = priced.json()["error"]
            assert (priced.status_code, error["param"]) == (400, "model")
            assert "has no price" in error["message"]

        # A judgement is remembered, and what follows it answers as before.
        with httpx2.Client(base_url=served.url, headers=served.headers, timeout=60) as client:
            judged = client.post("/v1/feedback", json={"id": told["id"], "score": 1.0})
            assert judged.status_code == 200, judged.text
            until(lambda: served.gateway.recent.memory is not None)
            assert ask(served, question, extension=own).status_code == 200
            # Looked at once: the dashboard shows for some seconds what it has found.
            until(lambda: n_answered(served) == 2 + bool(strategy.dial))
            figures, frontier = (client.get(page) for page in PAGES)
        assert figures.status_code == frontier.status_code == 200, frontier.text
        assert figures.json()["policy"]["strategy"] == name
        assert all(member["drift"] is not None for member in figures.json()["members"])
        found = frontier.json()
        assert found["dial"] == strategy.dial
        assert set(strategy.dials) <= set(found["dials"])
        if strategy.dial:
            at = dict(zip(found["dials"], found["served"], strict=True))
            assert at[strategy.setting]["n"] >= 2
            chosen = strategy.at(0.05).setting
            assert chosen not in at or at[chosen]["n"] >= 1
        assert len(found["training"]) == len(found["served"]) == len(found["dials"])

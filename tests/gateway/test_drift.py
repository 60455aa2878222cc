"""A member gets worse in mid-stream: judged answers, and nothing else, bring the accuracy back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from drifting import N_TRAINING, question, says, train, truth, write_pool
from serving import Served, serving

from rlfocal.pool.stub import Said, StubServer, StubThread

N_BEFORE, N_AFTER = 150, 300
N_LATE = 150
"""At the end of the stream: what is reached within 300 judged answers."""


@pytest.fixture(scope="module")
def drifting_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("drifting"))


class Stream:
    """Asks one question after another and judges each answer."""

    def __init__(self, served: Served) -> None:
        self._client = httpx2.Client(base_url=served.url, headers=served.headers, timeout=30)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def ask(self, k: int) -> bool:
        asked = question(k)
        body = {
            "model": "rlfocal:0.2",
            "messages": [{"role": "user", "content": asked}],
            "rlfocal": {"task": "sums"},
        }
        reply = self._client.post("/v1/chat/completions", json=body)
        assert reply.status_code == 200, reply.text
        found = reply.json()
        label = {"id": found["id"], "answer": str(truth(asked))}
        judged = self._client.post("/v1/feedback", json=label)
        assert judged.status_code == 200, judged.text
        return judged.json()["earned"] == 1

    def accuracy(self, first: int, n: int) -> float:
        return sum(self.ask(k) for k in range(first, first + n)) / n


def play(checkpoint: Path, folder: Path, **settings: int) -> Iterator[float]:
    """Accuracy before the member asked most gets worse, after it, and in the last part of that."""
    worse: list[str] = []
    asked: Counter[str] = Counter()
    reply = says(lambda: worse[0] if worse else None)

    def counted(body: Mapping[str, Any]) -> Said:
        asked[str(body["model"])] += 1
        return reply(body)

    stub = StubServer(counted)
    with StubThread(stub) as upstream:
        pool = write_pool(folder / "pool.toml", upstream.base_url)
        db = str(folder / "gateway.db")
        with (
            serving(checkpoint, pool, db, poll_s=0.2, **settings) as served,
            Stream(served) as stream,
        ):
            yield stream.accuracy(N_TRAINING, N_BEFORE)
            worse.append(asked.most_common(1)[0][0])
            at = N_TRAINING + N_BEFORE
            yield stream.accuracy(at, N_AFTER - N_LATE)
            yield stream.accuracy(at + N_AFTER - N_LATE, N_LATE)


@pytest.mark.slow
def test_windowed_statistics_bring_back_what_a_frozen_policy_loses(
    drifting_checkpoint: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("memory", "frozen")]
    for folder in folders:
        folder.mkdir()
    before, _, late = play(drifting_checkpoint, folders[0], remember=100)
    # The same questions without a memory...
    frozen_before, _, frozen = play(
        drifting_checkpoint, folders[1], remember=100, least_remembered=10**6
    )
    lost = frozen_before - frozen
    back = (late - frozen) / lost
    assert abs(before - frozen_before) < 0.05
    assert lost > 0.5, "the stream should hurt a policy that relies on that member"
    assert back >= 0.8, f"{frozen_before:.3f} before, {frozen:.3f} frozen, {late:.3f} with memory"

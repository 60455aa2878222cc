"""A stream of questions with faults laid down beforehand, and what accuracy is possible in each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc

from load.ensemble import EVERYBODY, names
from load.faulty import LASTING, PASSING, Key, Told
from rlfocal.records.dataset import Dataset

Way = Literal["all at once", "in rounds", "streamed"]
"""How a question is asked: of everybody, of the policy at its own price, of one member as a
stream."""
_WAYS: tuple[tuple[Way, float], ...] = (("all at once", 0.7), ("in rounds", 0.2), ("streamed", 0.1))
_PASSING_SHARE = 0.05
"""Of the calls of members that do not fail for good, so many fail the first time."""
N_OPTIONS = 4


@dataclass(frozen=True)
class Trial:
    """One request."""

    number: int
    """Of the question."""
    way: Way
    n_failing: int
    """Members that fail for good."""
    label: str
    choices: tuple[str, ...]
    prompt: str
    member: str
    """Who is asked where it is a stream."""

    def body(self, deadline_ms: int) -> dict[str, Any]:
        """What is sent."""
        own: dict[str, Any] = {"deadline_ms": deadline_ms}
        if self.way == "streamed":
            text = f"{self.prompt} Answer with a letter, {self.member}."
            asked = [{"role": "user", "content": text}]
            usage = {"include_usage": True}
            return {
                "model": self.member, "messages": asked, "stream": True, "stream_options": usage,
                "rlfocal": own,
            }  # fmt: skip
        model = EVERYBODY if self.way == "all at once" else "rlfocal"
        own["choices"] = list(self.choices)
        return {
            "model": model,
            "messages": [{"role": "user", "content": self.prompt}],
            "rlfocal": own,
        }


@dataclass(frozen=True)
class Stream:
    """All requests, and what the upstream's members do."""

    trials: tuple[Trial, ...]
    answers: dict[Key, str]
    told: dict[Key, Told]


def lay_down(data: Dataset, first: int, accuracy: Sequence[float], *, seed: int) -> Stream:
    """Draw the faults.

    For every question as many members fail for good as is drawn: nobody, one, two or all, each with
    the same chance. Of the others a few fail once.

    Args:
        data: simulated; its questions from `first` on are asked.
        first: those before are for training.
        accuracy: of its members.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed + 1)
    members = names(len(accuracy))
    rows = data.queries.slice(first).to_pylist()
    number = {row["query_id"]: _number(row["prompt"]) for row in data.queries.to_pylist()}
    answers = {
        (row["member"], number[row["query_id"]]): row["answer"]
        for row in data.responses.to_pylist()
    }
    trials, told = [], {}
    ways, shares = zip(*_WAYS, strict=True)
    for row in rows:
        n_failing = int(rng.choice([0, 1, 2, len(members)]))
        failing = set(rng.choice(members, size=n_failing, replace=False).tolist())
        for member in members:
            key = member, number[row["query_id"]]
            if member in failing:
                told[key] = Told(str(rng.choice(LASTING)), lasts=True)
            elif rng.random() < _PASSING_SHARE:
                told[key] = Told(str(rng.choice(PASSING)), lasts=False)
        trials.append(
            Trial(
                number=number[row["query_id"]],
                way=ways[int(rng.choice(len(ways), p=shares))],
                n_failing=n_failing,
                label=row["label"],
                choices=tuple(row["choices"]),
                prompt=row["prompt"],
                member=str(rng.choice(members)),
            )
        )
    return Stream(tuple(trials), answers, told)


def for_training(data: Dataset, n: int) -> Dataset:
    """Its first questions."""
    queries = data.queries.slice(0, n)
    kept = pc.is_in(data.responses["query_id"], value_set=queries["query_id"].combine_chunks())
    return replace(data, queries=queries, responses=data.responses.filter(kept))


def _number(prompt: str) -> int:
    return int(prompt.split()[2])


def possible(accuracy: Sequence[float], members: Iterable[str]) -> float:
    """The best expected accuracy when these members answer, whose accuracies are known.

    They err independently, and a wrong answer is any of the others alike: the likeliest option is
    the best answer.
    """
    every = names(len(accuracy))
    return _possible(tuple(sorted(accuracy[every.index(member)] for member in members)))


@cache
def _possible(accuracy: tuple[float, ...]) -> float:
    options = range(N_OPTIONS)
    total = 0.0
    for said in itertools.product(options, repeat=len(accuracy)):
        likelihood = [1.0 / N_OPTIONS] * N_OPTIONS
        for right, answer in zip(accuracy, said, strict=True):
            for option in options:
                likelihood[option] *= right if option == answer else (1 - right) / (N_OPTIONS - 1)
        total += max(likelihood)
    return total

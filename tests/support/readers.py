"""Small data sets whose members read one another, with readers of set skills. Deterministic.

Four members answer alone: a, b, c (thrice) and d. "judge" names one of a, b and c, in both orders;
"second" is the next turn of a debate, with a's reply shown as its own; "top" reads the judge and d.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, DatasetInfo, ResponseTable, build_table

ALONE: Mapping[str, float] = {"a": 0.72, "b": 0.66, "c": 0.6, "d": 0.55}
"""Chance of being right."""
READERS: Mapping[str, ReaderInfo] = {
    "judge": ReaderInfo(reads=["a", "b", "c"], reading="judge"),
    "second": ReaderInfo(reads=["b", "c"], first="a", reading="debate"),
    "top": ReaderInfo(reads=["judge", "d"], reading="aggregate"),
}
MEMBERS = (*ALONE, *READERS)
_PRICE = {"a": 1.0, "b": 0.8, "c": 0.5, "d": 0.25, "judge": 2.0, "second": 1.5, "top": 0.75}
_LETTERS = "ABCD"


class Skill(NamedTuple):
    """What a reader does with the answers that it reads."""

    follows_right: float = 0.8
    """How often it takes the right one where one of them is right."""
    own: float = 0.2
    """How often it is right where none is."""
    takes_first: float = 0.0
    """How often it takes the first one shown, whatever it says."""


def dataset_with_readers(
    n_queries: int = 120,
    *,
    seed: int = 0,
    skill: Skill | None = None,
    options: bool = True,
    gone: float = 0.0,
) -> Dataset:
    """Queries of two tasks with four options, or numbers as open answers.

    Args:
        n_queries: how many.
        seed: of all that is drawn.
        skill: of all readers.
        options: False for open answers.
        gone: share of responses that are left out, of whomever; nobody reads these.
    """
    rng = np.random.default_rng([seed, 17])
    rows, queries = list[dict[str, Any]](), list[dict[str, Any]]()
    for q in range(n_queries):
        right, query_id = _LETTERS[int(rng.integers(4))], f"q{q:04d}"
        queries.append(
            {
                "query_id": query_id, "task": ("even", "odd")[q % 2],
                "prompt": f"Question {q} of topic {q % 7}?",
                "choices": [f"option {letter}" for letter in _LETTERS] if options else None,
                "label": _said(right, options=options),
            }
        )  # fmt: skip
        said: dict[str, str | None] = {}
        for member in MEMBERS:
            if rng.random() < gone:
                continue
            found = _row(member, said, right, skill or Skill(), rng)
            if found is None:
                continue
            samples = found.pop("samples")
            said[member] = samples[0]
            word = "Surely" if samples[0] == right and rng.random() < 0.7 else "Perhaps"
            rows.append(
                {
                    "query_id": query_id, "member": member,
                    "answer": _said(samples[0], options=options),
                    "samples": [_said(one, options=options) for one in samples],
                    "cost_usd": 1e-3 * _PRICE[member] * float(rng.uniform(0.5, 1.5)),
                    "latency_s": float(rng.uniform(0.5, 3.0)), **found,
                    "text": f"{word} it is {_said(samples[0], options=options)}.",
                }
            )  # fmt: skip
    info = DatasetInfo(
        name="readers", answers="choice" if options else "number", synthetic=True,
        pools={"all": [*MEMBERS]}, readers=dict(READERS),
    )  # fmt: skip
    return Dataset("readers", queries, rows, info)


def table_with_readers(n_queries: int = 120, *, width: int = 4, **kwargs: Any) -> ResponseTable:
    """The table of `dataset_with_readers`, with features that say little."""

    def encode(texts: list[str]) -> Any:
        rng = np.random.default_rng(5)
        return rng.normal(size=(len(texts), width)).astype(np.float32)

    return build_table(dataset_with_readers(n_queries, **kwargs), encode=encode)


def _row(
    member: str,
    said: Mapping[str, str | None],
    right: str,
    skill: Skill,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    if member in ALONE:
        drawn = [
            right if rng.random() < ALONE[member] else _LETTERS[int(rng.integers(4))]
            for _ in range(3 if member == "c" else 1)
        ]
        return {"samples": drawn, "shown": None, "verdicts": None}
    about = READERS[member]
    names = [name for name in about.inputs if said.get(name) is not None]
    if not names:
        return None
    shown_first = [name for name in about.reads if name in names]
    order = [str(name) for name in rng.permutation(shown_first)]
    if about.reading == "judge":
        orders = [order, order[::-1]]
        places = [one.index(_followed(one, said, right, skill, rng)) for one in orders]
        answers = [said[one[place]] for one, place in zip(orders, places, strict=True)]
        return {"samples": answers, "shown": orders, "verdicts": places}
    may_follow = rng.random() >= skill.own or right in [said[name] for name in names]
    answer = said[_followed(order or names, said, right, skill, rng)] if may_follow else right
    return {"samples": [answer], "shown": [order], "verdicts": None}


def _followed(
    order: list[str],
    said: Mapping[str, str | None],
    right: str,
    skill: Skill,
    rng: np.random.Generator,
) -> str:
    if rng.random() < skill.takes_first:
        return order[0]
    good = [name for name in order if said[name] == right]
    bad = [name for name in order if said[name] != right]
    taken = good if good and (rng.random() < skill.follows_right or not bad) else bad
    return taken[int(rng.integers(len(taken)))]


def _said(letter: str | None, *, options: bool) -> str | None:
    if letter is None or options:
        return letter
    return str(10 * (1 + _LETTERS.index(letter)))

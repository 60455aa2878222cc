"""From a member's reply to its answer and its score.

Stands between the pool, which knows replies, and the records, which know answers: the same grading
serves collecting and answering live.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.prompting import letter_scores
from rlfocal.pool.settings import MemberSettings
from rlfocal.pool.types import Response
from rlfocal.records.answers import KINDS, Extractor, extractor
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Grade", "Grader", "Scorer", "load_scorer", "open_kind"]

Scorer = Callable[[Mapping[str, Any], str], float]
"""A query (query_id, task, prompt, choices, label) and a full reply → worth in [0, 1]."""


class Grade(NamedTuple):
    """What a reply comes to."""

    answer: str | None
    """Canonical; None where the reply holds no usable one."""
    score: float | None
    """In [0, 1]; None where there is neither a label nor a scorer."""
    choice_scores: tuple[float, ...] | None
    """Log-probability of each option, where the member is asked for it."""


def open_kind(labels: Sequence[str | None]) -> str:
    """The kind of answer that open questions with these labels have: numbers, or texts.

    >>> open_kind(["12", "1,200", None])
    'number'
    """
    given = [label for label in labels if label is not None]
    numbers = extractor("number")
    plain = all(numbers.extract(x) is not None and len(x) <= 24 and " " not in x for x in given)
    return "number" if given and plain else "text"


@dataclass(frozen=True)
class Grader:
    """Finds and judges answers.

    Args:
        kind: what open questions are answered with: "number", "math", "date" or "text".
        scorer: judges a reply instead of the label.
    """

    kind: str = "text"
    scorer: Scorer | None = None
    _choice: dict[int, Extractor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.kind == "choice":
            known = [kind for kind in KINDS if kind != "choice"]
            raise ConfigError(
                f"answers to open questions: {self.kind!r}: {nearest(self.kind, known)}"
            )

    def grade(self, query: Mapping[str, Any], member: MemberSettings, reply: Response) -> Grade:
        """Judge one reply.

        Args:
            query: query_id, task, prompt, choices (a list or None), label (or None).
            member: says where the answer is found.
            reply: what came back.

        Raises:
            ConfigError: the scorer raised, or returned something else than a number in [0, 1].
        """
        choices, label = query["choices"], query["label"]
        scores = None
        if choices and member.answers == "option-scores":
            scores = letter_scores(reply.first_logprobs or {}, len(choices))
            best = None if scores is None else max(range(len(scores)), key=scores.__getitem__)
            answer = None if best is None else OPTION_LETTERS[best]
        else:
            answer = self._extractor(choices).extract(reply.text)
        score = None
        if self.scorer is not None:
            score = self._scored(query, reply.text)
        elif label is not None:
            right = answer is not None and self._extractor(choices).equal(answer, label)
            score = float(right)
        return Grade(answer, score, scores)

    def canonical(self, queries: pa.Table) -> pa.Table:
        """Queries with the labels of open questions in the form that answers have.

        A label that holds no answer of the kind stays as it is: nobody will be right.
        """
        rows = queries.select(["choices", "label"]).to_pylist()
        labels = [
            row["label"] if row["label"] is None or row["choices"]
            else self._open.extract(row["label"]) or row["label"]
            for row in rows
        ]  # fmt: skip
        place = queries.column_names.index("label")
        return queries.set_column(place, "label", pa.array(labels, pa.string()))

    def _extractor(self, choices: Sequence[str] | None) -> Extractor:
        if not choices:
            return self._open
        if len(choices) not in self._choice:
            self._choice[len(choices)] = extractor("choice", n_options=len(choices))
        return self._choice[len(choices)]

    @cached_property
    def _open(self) -> Extractor:
        return extractor(self.kind)

    def _scored(self, query: Mapping[str, Any], text: str) -> float:
        assert self.scorer is not None
        try:
            value = float(self.scorer(query, text))
        except Exception as exc:  # whatever a user's own code may raise
            raise ConfigError(
                f"the scorer failed on query '{query['query_id']}': {type(exc).__name__}: {exc}"
            ) from exc
        if not 0 <= value <= 1:
            raise ConfigError(
                f"the scorer gave {value} for query '{query['query_id']}'; it should lie in [0, 1]"
            )
        return value


def load_scorer(spec: str) -> Scorer:
    """Load a user's scorer.

    Args:
        spec: "FILE.py:FUNCTION".

    Raises:
        ConfigError: the file or the function is not there, or the file cannot be run.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not name or path.suffix != ".py":
        raise ConfigError(f"--scorer {spec}: should be FILE.py:FUNCTION")
    if not path.is_file():
        raise ConfigError(f"--scorer {spec}: {path} is no file")
    module_spec = importlib.util.spec_from_file_location(f"rlfocal_scorer_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as exc:  # whatever a user's own code may raise
        raise ConfigError(f"--scorer {spec}: {type(exc).__name__}: {exc}") from exc
    found = getattr(module, name, None)
    if not callable(found):
        known = [n for n, value in vars(module).items() if callable(value) and n[0] != "_"]
        raise ConfigError(f"--scorer {spec}: no function '{name}'; {nearest(name, known)}")
    scorer: Scorer = found
    return scorer

"""Whom judges named, where answers cannot be compared: the candidate is then the reply they named.

Where answers can be, a judge's answer is that of the reply, and nothing has to be done.
Axes: Q queries, N members, S samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.readers import ReaderInfo
from rlfocal.records.samples import agreed
from rlfocal.records.schema import CRITICISING, JUDGING
from rlfocal.records.tables.candidates import Responses
from rlfocal.records.tables.table import CandidateKind

__all__ = ["named_replies"]

_Int16 = NDArray[np.int16]


class Named(NamedTuple):
    """Candidates of the responses, changed where a judge has named one."""

    answer: _Int16
    """int16[Q, N]."""
    samples: _Int16 | None
    """int16[Q, N, S]."""


def named_replies(
    responses: Responses,
    kind: NDArray[np.int8],
    members: tuple[str, ...],
    readers: Mapping[str, ReaderInfo],
    answer: _Int16,
    samples: _Int16 | None,
) -> Named:
    """Give judges the candidates that they named, where every response is a candidate of its own.

    A judge that named nobody clearly, or nobody at all, has no answer; nor has who only criticises.

    Args:
        responses: of the N members.
        kind: int8[Q].
        members: their names.
        readers: those of them that read others.
        answer: int16[Q, N], candidates so far.
        samples: int16[Q, N, S], of samples; None where nobody was sampled twice.
    """
    if not readers:
        return Named(answer, samples)
    silent = np.array([_form(readers, name) in JUDGING | {CRITICISING} for name in members])
    own = (kind[responses.query] == CandidateKind.RESPONSES) & silent[responses.member]
    if not own.any():
        return Named(answer, samples)
    answer = answer.copy()
    rows = np.flatnonzero(own)
    answer[responses.query[rows], responses.member[rows]] = -1
    if not {"shown", "verdicts"} <= set(responses.rows.column_names):
        return Named(answer, samples)
    place = {name: n for n, name in enumerate(members)}
    there = np.zeros(answer.shape, dtype=bool)
    there[responses.query, responses.member] = True
    named: dict[tuple[int, int], list[int]] = {}
    found = responses.rows.select(["shown", "verdicts"]).take(rows)
    found = found.append_column("row", [rows]).filter(pc.field("verdicts").is_valid())
    for row in found.to_pylist():
        q, n = int(responses.query[row["row"]]), int(responses.member[row["row"]])
        named[q, n] = [
            _candidate(shown, verdict, place, there[q])
            for shown, verdict in zip(row["shown"], row["verdicts"], strict=True)
        ]
    for (q, n), each in named.items():
        answer[q, n] = each[agreed([None if c < 0 else str(c) for c in each])]
    most = max(map(len, named.values()), default=0)
    if most > 1:
        samples = _wide(samples, answer.shape, most)
        for (q, n), each in named.items():
            samples[q, n, : len(each)] = each
    return Named(answer, samples)


def _form(readers: Mapping[str, ReaderInfo], name: str) -> str:
    return readers[name].reading if name in readers else ""


def _candidate(
    shown: list[str], verdict: int | None, place: Mapping[str, int], there: NDArray[np.bool_]
) -> int:
    """The member that was named, as a candidate; -1 for none, and for one without a response."""
    if verdict is None or verdict < 0:
        return -1
    named = place.get(shown[verdict], -1)
    return named if named >= 0 and there[named] else -1


def _wide(samples: _Int16 | None, shape: tuple[int, ...], n_samples: int) -> _Int16:
    """A copy with at least so many samples."""
    n_there = 0 if samples is None else samples.shape[2]
    out = np.full((*shape, max(n_samples, n_there)), -2, dtype=np.int16)
    if samples is not None:
        out[:, :, :n_there] = samples
    return out

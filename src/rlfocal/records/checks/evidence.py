"""The contradictions in what is known of replies beyond answers: signals, counts, tokens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.errors import RecordError
from rlfocal.records.checks.offenders import Mask, check_not_negative, floats, mask, offenders
from rlfocal.records.schema import SIGNAL, is_signal
from rlfocal.records.signals.registry import signal_names

__all__ = ["LOGPROB_SLACK", "check_evidence"]

LOGPROB_SLACK = 1e-3
"""Up to which a log-probability may lie above 0: servers round."""


def check_evidence(responses: pa.Table) -> None:
    """Check what is known of replies beyond their answers.

    Raises:
        RecordError: the first contradiction found.
    """
    for name in responses.column_names:
        if is_signal(name):
            _check_signal(responses, name)
    for name in ("response_chars", "n_prompt_tokens", "n_completion_tokens"):
        if name in responses.column_names:
            check_not_negative(responses, name)
    _check_tokens(responses)


def _check_signal(responses: pa.Table, name: str) -> None:
    own = name.removeprefix(SIGNAL)
    if own in signal_names():
        raise RecordError(
            f"responses: column '{name}': '{own}' is a signal that rlfocal reads itself; give "
            "yours another name"
        )
    if not own.isprintable():
        # Checkpoints list names line by line.
        raise RecordError(
            f"responses: column {name!r}: the name of a signal should be on one line, of "
            "characters that can be printed; rename it"
        )
    wrong = mask(responses[name].is_valid()) & ~np.isfinite(floats(responses[name]))
    if wrong.any():
        raise RecordError(
            f"responses: {name} is not finite: {offenders(responses, wrong, name)}; leave it null "
            "where it is not known"
        )


def _check_tokens(responses: pa.Table) -> None:
    both = [name for name in ("token_chars", "token_logprobs") if name in responses.column_names]
    if not both:
        return
    if len(both) < 2:
        other = {"token_chars": "token_logprobs", "token_logprobs": "token_chars"}[both[0]]
        raise RecordError(f"responses: '{both[0]}' is there without '{other}'; give both or none")
    lengths = [floats(pc.list_value_length(responses[name])) for name in both]
    wrong = _differ(*lengths)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RecordError(
            "responses: token_chars and token_logprobs need one number a token each: "
            f"{offenders(responses, wrong)} (the first has {lengths[0][row]:g} and "
            f"{lengths[1][row]:g}); correct them or leave both null"
        )
    for name, is_wrong, remedy in (
        ("token_chars", _is_no_length, "lengths in characters are 0 or more"),
        (
            "token_logprobs",
            _is_no_logprob,
            "log-probabilities are 0 or less; null stands for one that is not known",
        ),
    ):
        lists = responses[name].combine_chunks()
        bad = is_wrong(pc.list_flatten(lists))
        if bad.any():
            parents = np.asarray(pc.list_parent_indices(lists))
            rows = np.bincount(parents[bad], minlength=len(lists)) > 0
            raise RecordError(f"responses: {name}: {offenders(responses, rows)}: {remedy}")


def _differ(one: NDArray[np.float64], other: NDArray[np.float64]) -> Mask:
    """bool[R]: where lengths differ; a list that is null has none."""
    return np.asarray((one != other) & ~(np.isnan(one) & np.isnan(other)))


def _is_no_length(values: pa.Array) -> Mask:
    return ~(floats(values) >= 0)


def _is_no_logprob(values: pa.Array) -> Mask:
    known = np.asarray(values.is_valid(), dtype=bool)
    return np.asarray(known & ~(floats(values) <= LOGPROB_SLACK))

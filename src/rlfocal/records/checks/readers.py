"""The contradictions in what is known of members that read others: who they are, what they saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.errors import RecordError, nearest
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records.checks.offenders import Mask, floats, offenders

__all__ = ["check_readers", "check_readings", "missing_inputs"]

_FIELD = "dataset.json: readers"


def check_readers(
    readers: Mapping[str, ReaderInfo],
    members: Sequence[str],
    pools: Mapping[str, Sequence[str]],
) -> None:
    """Check who reads whom.

    Args:
        readers: as `dataset.json` has them.
        members: those with a response.
        pools: named lists of members.

    Raises:
        RecordError: the first contradiction found.
    """
    for name, info in readers.items():
        _check_reader(name, info, members)
    try:
        Reads.of(members, readers)
    except RecordError as exc:
        raise RecordError(f"{_FIELD}: {exc}") from exc
    for pool, chosen in pools.items():
        if missing := missing_inputs(readers, chosen):
            name, read = missing
            raise RecordError(
                f"dataset.json: pools.{pool}: '{name}' reads '{read}', which is not in it; add "
                f"'{read}', or leave '{name}' out"
            )


def _check_reader(name: str, info: ReaderInfo, members: Sequence[str]) -> None:
    if name not in members:
        raise RecordError(
            f"{_FIELD}: no response of member '{name}'; {nearest(name, members)}; correct the "
            "name, or leave it out"
        )
    if not info.inputs:
        raise RecordError(
            f"{_FIELD}.{name}: reads nobody; name whom it was shown in 'reads' or 'first', or "
            "leave it out"
        )
    for read in info.inputs:
        if info.inputs.count(read) > 1:
            raise RecordError(f"{_FIELD}.{name}: '{read}' stands there twice; leave one out")
        if read not in members:
            place = "first" if read == info.first else "reads"
            raise RecordError(
                f"{_FIELD}.{name}.{place}: no response of member '{read}'; "
                f"{nearest(read, members)}; correct the name, or leave it out"
            )


def missing_inputs(
    readers: Mapping[str, ReaderInfo], members: Sequence[str]
) -> tuple[str, str] | None:
    """The first of these members that reads one which is not among them, and that one."""
    for name in members:
        for read in readers[name].inputs if name in readers else ():
            if read not in members:
                return name, read
    return None


def check_readings(responses: pa.Table, readers: Mapping[str, ReaderInfo]) -> None:
    """Check what readers were shown, and whom judges named.

    Raises:
        RecordError: the first contradiction found.
    """
    columns = [name for name in ("shown", "verdicts") if name in responses.column_names]
    for name in columns:
        known = pc.is_in(responses["member"], value_set=pa.array(list(readers), pa.string()))
        wrong = _bools(pc.and_(responses[name].is_valid(), pc.invert(known)))
        if wrong.any():
            raise RecordError(
                f"responses: '{name}' is of members that read others, and dataset.json says "
                f"nothing of these: {offenders(responses, wrong)}; name them under 'readers' there"
            )
        _check_length(responses, name)
    if "shown" in columns:
        _check_names(responses, readers)
    if "verdicts" in columns:
        _check_verdicts(responses)


def _check_length(responses: pa.Table, name: str) -> None:
    n_samples = np.ones(responses.num_rows)
    if "samples" in responses.column_names:
        listed = floats(pc.list_value_length(responses["samples"]))
        n_samples = np.where(np.isnan(listed), n_samples, listed)
    n_given = floats(pc.list_value_length(responses[name]))
    wrong = ~np.isnan(n_given) & (n_given != n_samples)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RecordError(
            f"responses: {name} needs one item a sample: {offenders(responses, wrong)} (the first "
            f"has {n_given[row]:g} for {n_samples[row]:g}); correct them or leave the list null"
        )


def _check_names(responses: pa.Table, readers: Mapping[str, ReaderInfo]) -> None:
    lists = responses["shown"].combine_chunks()
    inner = pc.list_flatten(lists)
    row_of_item = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
    empty = np.asarray(inner.is_null())
    if empty.any():
        wrong = _rows(row_of_item[empty], len(lists))
        raise RecordError(
            f"responses: shown holds a null: {offenders(responses, wrong)}; a sample that was "
            "shown nothing has an empty list"
        )
    row = row_of_item[np.asarray(pc.list_parent_indices(inner), dtype=np.int64)]
    member = responses["member"].combine_chunks().take(pa.array(row))
    names = pc.list_flatten(inner)
    wrong_name = np.ones(len(names), dtype=bool)
    for reader, info in readers.items():
        read = pc.is_in(names, value_set=pa.array(info.reads, pa.string()))
        wrong_name &= ~_bools(pc.and_(pc.equal(member, reader), read))
    if wrong_name.any():
        first = int(np.flatnonzero(wrong_name)[0])
        wrong = _rows(row[wrong_name], len(lists))
        raise RecordError(
            f"responses: shown: '{names[first]}' is not among those whom '{member[first]}' reads "
            f"by dataset.json: {offenders(responses, wrong)}; correct the name, or add it to "
            f"readers.{member[first]}.reads"
        )


def _check_verdicts(responses: pa.Table) -> None:
    lists = responses["verdicts"].combine_chunks()
    shown = responses["shown"] if "shown" in responses.column_names else None
    without = _bools(lists.is_valid())
    if shown is not None:
        without &= ~_bools(shown.is_valid())
    if without.any():
        raise RecordError(
            f"responses: verdicts without 'shown': {offenders(responses, without)}; a verdict is "
            "the place of a name in 'shown', 0 for the first"
        )
    if shown is None:
        return
    # Lists of one length stand beside each other, so their items do, too.
    both = pa.array(_bools(lists.is_valid()))
    rows = np.flatnonzero(both.to_numpy(zero_copy_only=False))
    judged = lists.filter(both)
    verdicts = floats(pc.list_flatten(judged))
    n_shown = floats(pc.list_value_length(pc.list_flatten(shown.combine_chunks().filter(both))))
    known = ~np.isnan(verdicts)
    outside = known & ((verdicts < -1) | (verdicts >= n_shown))
    if outside.any():
        parents = np.asarray(pc.list_parent_indices(judged), dtype=np.int64)
        wrong = _rows(rows[parents[outside]], len(lists))
        raise RecordError(
            f"responses: verdicts outside what was shown: {offenders(responses, wrong, 'verdicts')}"
            "; 0 is the first of 'shown', -1 none of them, null no clear word"
        )


def _bools(values: pa.Array | pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)


def _rows(rows: NDArray[np.int64], n_rows: int) -> Mask:
    """bool[R]: these rows."""
    return np.asarray(np.bincount(rows, minlength=n_rows) > 0)

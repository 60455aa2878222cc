"""Whether the arrays of a checkpoint fit together, before anything is made of them.

Right by its sha256, a file may still hold what no training writes: a number that is none, a shape
of another pool, another kind of number. Each array has a row in a table here, with its kind of
numbers, its axes and its range; the weights of nets have theirs in the nets themselves, which are
held to the same kind of numbers and must all be finite.

Axes: N members, T tasks and one for the unknown, S the same as the strategy sees them, C
candidates, F features, H and G the widths of nets, Q training queries, other letters whatever they
are, but the same throughout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from rlfocal.errors import CheckpointError

__all__ = ["check_tensors"]

_KINDS: Mapping[str, tuple[torch.dtype, ...]] = {
    "float32": (torch.float32,),
    "float64": (torch.float64,),
    "float": (torch.float32, torch.float64),
    "int64": (torch.int64,),
    "int16": (torch.int16,),
    "uint8": (torch.uint8,),
    "bool": (torch.bool,),
}


class _Row(NamedTuple):
    """What an array must be."""

    kind: str
    axes: str
    """A letter an axis; a digit is its length."""
    low: float = -torch.inf
    high: str | float = torch.inf
    """Inclusive; a letter stands for an axis's last index, "=" and a letter for its length."""
    finite: bool = True
    """Whether every number must be one: what was never measured is none, or below all."""


_OF_ALL = {
    "calibration.beta": _Row("float32", "TN", low=0),
    "calibration.bias": _Row("float32", "TNC"),
    "calibration.log_scale": _Row("bool", "N"),
    "training_queries": _Row("int64", "Q"),
}
_OF_PRIOR = {
    "card": _Row("uint8", "b"),
    "relative_cost": _Row("float32", "N", low=0),
    "adds_up": _Row("bool", "S"),
    **{f"counts.{name}": _Row("float64", "SN", low=0) for name in ("known", "right")},
    "counts.answered": _Row("float64", "N", low=0),
    **{
        f"counts.{name}": _Row("float64", "NN", low=0)
        for name in ("both", "agree", "agree_right", "both_wrong", "both_right")
    },
}
_OF_FOCAL = {
    "statistics.accuracy": _Row("float32", "N"),
    "statistics.task_accuracy": _Row("float32", "SN"),
    "statistics.relative_cost": _Row("float32", "N", low=0),
    "statistics.unit_cost": _Row("float64", "1", low=0),
    "statistics.joint_failure": _Row("float32", "NN"),
    "competence.weight": _Row("float32", "FN"),
    "competence.intercept": _Row("float32", "N"),
    "fusion.weight": _Row("float32", "ESK"),
    "fusion.none_bias": _Row("float32", "ES"),
    "fusion.company": _Row("float32", "ESKN"),
    "fusion.position": _Row("float32", "ESC"),
    "decider.body.shared_in.bias": _Row("float32", "H"),
    "fallback.acting": _Row("int64", "P3", low=0, high=6),
    "fallback.evidence": _Row("float64", "P3", finite=False),
}
_OF_PAPER = {
    "decider.net.0.bias": _Row("float32", "H"),
    "fusion.net.0.bias": _Row("float32", "G"),
    "memory.task": _Row("int64", "W", low=0, high="T"),
    "memory.answer": _Row("int16", "WN", low=-1),
    "memory.member_score": _Row("float32", "WN", finite=False),
    "order": _Row("int64", "N", low=0, high="N"),
}
_OF_RIVALS = {
    "rival.posterior-threshold.score": _Row("float32", "Pt"),
    "rival.posterior-threshold.cost": _Row("float32", "Pt"),
    "rival.best-single.member": _Row("int64", "", low=0, high="N"),
    "rival.best-single-per-task.member_of_task": _Row("int64", "S", low=0, high="N"),
    "rival.agreement-capped.order": _Row("int64", "N", low=0, high="N"),
    "rival.agreement-capped.weight": _Row("float", "SN"),
    "rival.agreement-capped.adds_up": _Row("bool", "S"),
    "rival.agreement-capped.thresholds": _Row("float64", "h"),
    "rival.agreement-capped.caps": _Row("int64", "k", low=1, high="=N"),
    "rival.agreement-capped.score": _Row("float64", "hk"),
    "rival.agreement-capped.cost": _Row("float64", "hk"),
    "rival.stacking.weight": _Row("float", "Sg"),
    "rival.stacking.none_bias": _Row("float", "S"),
    "rival.stacking.graded": _Row("bool", ""),
}
"""Whoever did not apply was not fitted, and is not there."""
_ROWS: Mapping[str, Mapping[str, _Row]] = {
    "rl-focal": _OF_FOCAL,
    "rl-focal-prior": _OF_PRIOR,
    "rl-focal-paper": _OF_PAPER,
}
_NETS = re.compile(r"(?:prior\.)?(?:decider|fusion)\.")
_PERMUTATIONS = ("order", "rival.agreement-capped.order")


def check_tensors(preset: str, tensors: Mapping[str, Tensor], axes: Mapping[str, int]) -> None:
    """Refuse arrays that do not fit together.

    Args:
        preset: what was trained.
        tensors: by name.
        axes: lengths that are known beforehand, by letter: N, T, C and perhaps S, F, H and G.

    Raises:
        CheckpointError: naming the array, what is wrong with it and what it should be.
    """
    rows = _rows_of(preset, tensors)
    for name in rows.keys() - tensors.keys():
        raise CheckpointError(f"the array '{name}' is missing")
    known = dict(axes)
    for name, tensor in tensors.items():
        row = rows.get(name)
        if row is not None:
            _check_shape(name, tensor, row, known)
        elif _NETS.match(name):
            row = _Row("float32", "")
        else:
            continue  # of no use to this version
        _check_numbers(name, tensor, row, known)
    for name in _PERMUTATIONS:
        if name in tensors and name in rows and len(set(tensors[name].tolist())) != known["N"]:
            raise CheckpointError(f"the array '{name}' should name each member once")


def _rows_of(preset: str, tensors: Mapping[str, Tensor]) -> dict[str, _Row]:
    rows = dict(_OF_ALL) | dict(_ROWS.get(preset, {}))
    if preset == "rl-focal":
        rows |= {name: row for name, row in _OF_RIVALS.items() if _is_there(name, tensors)}
        if any(name.startswith("prior.") for name in tensors):
            rows |= {f"prior.{name}": row for name, row in _OF_PRIOR.items()}
    return rows


def _is_there(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether anything of this rival is: then all of it must be."""
    rival = name.rpartition(".")[0] + "."
    return any(other.startswith(rival) for other in tensors)


def _check_shape(name: str, tensor: Tensor, row: _Row, known: dict[str, int]) -> None:
    shape = tuple(tensor.shape)
    fits = len(shape) == len(row.axes)
    for letter, length in zip(row.axes, shape, strict=False):
        wanted = int(letter) if letter.isdigit() else known.setdefault(letter, length)
        fits = fits and wanted == length
    if not fits:
        wanted_shape = ", ".join(
            letter if letter.isdigit() else str(known.get(letter, letter)) for letter in row.axes
        )
        raise CheckpointError(
            f"the array '{name}' has the shape {list(shape)}; it should be [{wanted_shape}]"
        )


def _check_numbers(name: str, tensor: Tensor, row: _Row, known: Mapping[str, int]) -> None:
    if tensor.dtype not in _KINDS[row.kind]:
        found = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(f"the array '{name}' holds {found} numbers; it should be {row.kind}")
    if not tensor.numel() or tensor.dtype == torch.bool:
        return
    if row.finite and not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(f"the array '{name}' holds a number that is not finite")
    high = row.high
    if isinstance(high, str):
        high = known[high[1:]] if high[0] == "=" else known[high] - 1
    outside = (tensor < row.low) | (tensor > high)
    if bool(outside.any()):
        value = tensor[outside].flatten()[0].item()
        raise CheckpointError(
            f"the array '{name}' holds {value:.6g}; it should lie in [{row.low:g}, {high:g}]"
        )

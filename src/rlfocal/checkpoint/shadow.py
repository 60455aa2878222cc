"""A shadow on disk: the live policy's checkpoint with what was learned since in its place.

Calibration, ranking, accuracy and the list of training queries are taken over: the shadow was not
fitted on new queries but on what the live policy did, so that its checkpoint says where it comes
from.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import rlfocal
from rlfocal.checkpoint.arrays import STRATEGY, to_bytes
from rlfocal.checkpoint.description import read_description
from rlfocal.checkpoint.files import read_arrays, write_files
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.state import prefixed
from rlfocal.errors import CheckpointError, NotApplicable
from rlfocal.files import check_writable

__all__ = ["save_shadow"]


def save_shadow(live: Path, shadow: Base, folder: Path | None = None) -> tuple[Path, str]:
    """Write a checkpoint that `load_checkpoint` reads.

    Args:
        live: folder of the checkpoint that it has learned from.
        shadow: of the same strategy, members and tasks.
        folder: where to; None for one beside the live one, named after its weights.

    Returns:
        The folder, and the sha256 of the weights in hexadecimal.

    Raises:
        CheckpointError: the live checkpoint cannot be read, or is that folder.
        NotApplicable: it is the live policy.
        ConfigError: the folder cannot be written.
    """
    about = read_description(live)
    arrays, learned = read_arrays(live, about), prefixed(STRATEGY, shadow.state())
    strange = learned.keys() - arrays.keys()
    if strange:
        raise CheckpointError(f"{live}: not of the same kind as the shadow: {sorted(strange)[0]}")
    weights = to_bytes(arrays | learned)
    sha256 = hashlib.sha256(weights).hexdigest()
    if sha256 == about.weights_sha256:
        raise NotApplicable("nothing was learned that the live policy does not do already")
    folder = folder or live.resolve().parent / f"{live.resolve().name}-{sha256[:8]}"
    if folder.resolve() == live.resolve():
        raise CheckpointError(f"{folder}: holds the live policy; name another folder")
    check_writable(folder)
    fresh = {"rlfocal_version": rlfocal.__version__, "verdicts": shadow.verdicts()}
    write_files(folder, about.model_copy(update=fresh), weights)
    return folder, sha256

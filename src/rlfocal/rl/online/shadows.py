"""A shadow on disk: the live policy's checkpoint with another Decider and other verdicts.

Calibration, statistics and the list of training queries are taken over: the shadow was not fitted
on new queries but on what the live policy did, so that its checkpoint says where it comes from.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from safetensors.torch import load, save

import rlfocal
from rlfocal.errors import CheckpointError, NotApplicable
from rlfocal.files import check_writable, replace_file
from rlfocal.rl.checkpoint import Description, read_description
from rlfocal.rl.parts import disassemble
from rlfocal.rl.strategy import RlFocal

__all__ = ["save_shadow"]

_JSON = "checkpoint.json"


def save_shadow(live: Path, shadow: RlFocal, folder: Path | None = None) -> tuple[Path, str]:
    """Write a checkpoint that `load_checkpoint` reads.

    Args:
        live: folder of the checkpoint that it has learned from.
        shadow: with the same members, tasks and foundation.
        folder: where to; None for one beside the live one, named after its weights.

    Returns:
        The folder, and the sha256 of the weights in hexadecimal.

    Raises:
        CheckpointError: the live checkpoint cannot be read, or is that folder.
        NotApplicable: it is the live policy.
        ConfigError: the folder cannot be written.
    """
    about = read_description(live)
    try:
        tensors = load((live / about.weights_file).read_bytes())
    except OSError as exc:
        raise CheckpointError(f"{live / about.weights_file}: cannot be read: {exc}") from exc
    known = disassemble(shadow)
    strange = known.keys() - tensors.keys()
    if strange:
        raise CheckpointError(f"{live}: not of the same kind as the shadow: {sorted(strange)[0]}")
    weights = save({name: t.contiguous() for name, t in (tensors | known).items()})
    sha256 = hashlib.sha256(weights).hexdigest()
    if sha256 == about.weights_sha256:
        raise NotApplicable("nothing was learned that the live policy does not do already")
    folder = folder or live.resolve().parent / f"{live.resolve().name}-{sha256[:8]}"
    if folder.resolve() == live.resolve():
        raise CheckpointError(f"{folder}: holds the live policy; name another folder")
    check_writable(folder)
    weights_file = f"weights-{sha256[:12]}.safetensors"
    fresh = {
        "rlfocal_version": rlfocal.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "fallback": [verdict._asdict() for verdict in shadow.fallback_.verdicts],
        "weights_file": weights_file,
        "weights_sha256": sha256,
    }
    text = Description(**(about.model_dump() | fresh)).model_dump_json(indent=1)
    replace_file(folder / weights_file, lambda path: path.write_bytes(weights))
    replace_file(folder / _JSON, lambda path: path.write_text(text, encoding="utf-8"))
    return folder, sha256

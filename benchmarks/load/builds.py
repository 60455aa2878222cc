"""Builds of rlfocal that are measured beside each other, each from its folder of sources.

Byte code is kept where the sources are not touched, and what is measured is a second start, as of a
package that is installed. All builds run on the dependencies of this interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NOW", "Build"]


@dataclass(frozen=True)
class Build:
    """One of them."""

    name: str
    """In tables."""
    source: Path | None = None
    """Its folder `src`; None for what this interpreter imports."""

    @property
    def command(self) -> tuple[str, ...]:
        """How `rlfocal` is called."""
        return (sys.executable, "-c", "from rlfocal.cli.main import main; main()")

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables of its processes, beside those of this one.

        Args:
            folder: for byte code.
        """
        found = {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
        if self.source is not None:
            found["PYTHONPATH"] = str(self.source)
        return found

    def train(
        self, data: Path, checkpoint: Path, *, strategy: str, seed: int, env: Mapping[str, str]
    ) -> None:
        """Train a checkpoint with all data; an earlier build, which knows agents alone, its own.

        Raises:
            SystemExit: it fails.
        """
        words = ["train", str(data), "-o", str(checkpoint), "--seed", str(seed)]
        told = self._run([*words, "--strategy", strategy, "--holdout", "0"], env)
        if told is not None and "No such option" in told:
            told = self._run(words, env)
        if told is not None:
            raise SystemExit(f"rlfocal train ({self.name}) failed:\n{told[-2000:]}")

    def _run(self, words: Sequence[str], env: Mapping[str, str]) -> str | None:
        """What went wrong; None for nothing."""
        done = subprocess.run(
            [*self.command, *words], env={**os.environ, **env}, capture_output=True, text=True
        )
        return done.stderr if done.returncode else None


NOW = Build("rlfocal")
"""That of this interpreter."""

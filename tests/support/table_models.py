"""Tables in place of GGUF files: whatever is opened as a local model answers by a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rlfocal.pool.blends.voices import END
from rlfocal.simulator.voices import Table, TableVoice

__all__ = ["BYTES", "TableModel", "pool_with_blend", "says"]

BYTES = tuple(bytes([byte]) for byte in range(256))
"""A vocabulary that can spell everything."""


def says(text: str, *, sure: float = 0.9, other: str = "x") -> Table:
    """A model that writes a text, letter by letter, and ends; else it writes another letter."""
    word = text.encode()

    def table(written: bytes) -> dict[bytes, float]:
        if len(written) >= len(word):
            return {END: 1.0}
        return {word[len(written) : len(written) + 1]: sure, other.encode(): 1 - sure}

    return table


class TableModel(TableVoice):
    """Stands in for `LlamaVoice`: a table by the name of its endpoint or member."""

    tables: Mapping[str, Table] = {}

    def __init__(self, name: str, settings: Any) -> None:
        super().__init__(BYTES, self.tables[name], name=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


def pool_with_blend(folder: Path, more: str = "") -> Path:
    """A pool of two local models, alone and together, whose files need not be there."""
    path = folder / "pool.toml"
    parts = "".join(
        f'[endpoints.{name}]\nkind = "llama-cpp"\npath = "{name}.gguf"\n'
        f'[[members]]\nname = "{name}-alone"\nendpoint = "{name}"\n'
        for name in ("one", "two")
    )
    both = f'[endpoints.both]\nkind = "blend"\nparts = ["one", "two"]\n{more}\n'
    member = '[[members]]\nname = "blend"\nendpoint = "both"\nmax_tokens = 4\n'
    path.write_text(parts + both + member, encoding="utf-8")
    return path

"""`checkpoint.json`: what a trained strategy was made from, read and checked before its weights.

Every name in it is one that this version knows, or the file is refused in one sentence.
"""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.registry import kind_of
from rlfocal.errors import CheckpointError, ConfigError, RecordError, nearest
from rlfocal.features.registry import check_spec
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records.answers import KINDS
from rlfocal.records.kinds import NOT_OPEN
from rlfocal.records.tables.table import CostUnit

__all__ = [
    "DESCRIPTION_FILE",
    "REACH_AXIS",
    "SCHEMA_VERSION",
    "Description",
    "check_form",
    "form_of",
    "in_one_line",
    "read_description",
]

SCHEMA_VERSION = 5
"""Raised whenever the files change their meaning; other versions are refused."""
DESCRIPTION_FILE = "checkpoint.json"

REACH_AXIS = "δ"
"""Letter of the features of `reach`, which no strategy uses."""

_MOST_SHOWN, _LONGEST = 60, 300
NumberOrNull = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""NaN, for which JSON has no word, is written as null."""


class Description(BaseModel):
    """What checkpoint.json holds."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int
    rlfocal_version: str
    created: str
    """UTC, ISO 8601."""
    strategy: str
    """Its name in the registry."""
    form: int = Field(default=1, ge=1)
    """Of what it keeps: one more than `Base.former` named when it was written."""
    settings: dict[str, Any]
    """What it is made with: with the name they rebuild it unfitted."""
    members: list[str] = Field(min_length=1)
    readers: dict[str, ReaderInfo] = {}
    """Of the members, those that read others; none in checkpoints of earlier versions."""
    tasks: list[str] = Field(min_length=1)
    encoder: dict[str, str | int] | None
    reach: dict[str, str | int] | None = None
    """Encoder of the training queries that others are held against, see `features.Reach`; None
    where they are not known, as in checkpoints of earlier versions."""
    cost_unit: str
    answers: dict[str, str]
    """Task → kind of its open answers."""
    n_candidates: int = Field(ge=1)
    data_name: str
    data_digest: str
    synthetic: bool
    n_training_queries: int = Field(ge=0)
    seed: int
    finished: bool
    """False where training was interrupted: usable, and resumable."""
    history: list[dict[str, NumberOrNull]]
    """What training logged, step by step."""
    verdicts: list[dict[str, str | NumberOrNull]]
    """Who acts at each price, and on what evidence; empty where nobody stands in."""
    weights_file: str
    weights_sha256: str

    @property
    def axes(self) -> dict[str, int]:
        """Lengths of arrays that follow from the rest, by letter, see `deliberation.state`."""
        axes = {"N": len(self.members), "T": len(self.tasks) + 1, "C": self.n_candidates}
        for letter, encoder in (("D", self.encoder or {"n_features": 0}), (REACH_AXIS, self.reach)):
            n_features = (encoder or {}).get("n_features")
            if isinstance(n_features, int):
                axes[letter] = n_features
        return axes

    @property
    def reads(self) -> Reads | None:
        """Who of the members reads whom; None where nobody does."""
        return Reads.of(self.members, self.readers) if self.readers else None

    @property
    def written(self) -> str:
        """As JSON; where nobody reads, as earlier versions wrote it and read it."""
        return self.model_dump_json(indent=1, exclude=None if self.readers else {"readers"})

    @model_validator(mode="after")
    def _readers_fit(self) -> Description:
        for name in self.readers:
            if name not in self.members:
                raise ValueError(f"readers: '{_cut(name)}' is no member")
        try:
            _ = self.reads
        except RecordError as exc:
            raise ValueError(f"readers: {exc}") from None
        return self

    @field_validator("members", "tasks")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        for name, n in Counter(value).items():
            if n > 1:
                raise ValueError(f"'{_cut(name)}' is listed {n} times")
        return value

    @field_validator("encoder", "reach")
    @classmethod
    def _known_encoder(cls, value: dict[str, str | int] | None) -> dict[str, str | int] | None:
        if value is not None:
            try:
                check_spec(value)
            except ConfigError as exc:
                raise ValueError(str(exc)) from None
        return value

    @field_validator("cost_unit")
    @classmethod
    def _known_unit(cls, value: str) -> str:
        if value not in get_args(CostUnit):
            raise ValueError(f"unknown unit '{_cut(value)}'; {nearest(value, get_args(CostUnit))}")
        return value

    @field_validator("answers")
    @classmethod
    def _known_kinds(cls, value: dict[str, str]) -> dict[str, str]:
        known = ["", *KINDS, *NOT_OPEN]
        for kind in value.values():
            if kind not in known:
                raise ValueError(f"unknown kind of answer '{_cut(kind)}'; {nearest(kind, KINDS)}")
        return value

    @field_validator("weights_file")
    @classmethod
    def _beside(cls, value: str) -> str:
        if not value.isprintable() or value in ("", ".", ".."):
            raise ValueError("not the name of a file")
        if "/" in value or "\\" in value:
            raise ValueError("the weights must lie in the same folder")
        return value


def read_description(folder: Path) -> Description:
    """Read and check what describes a checkpoint, without its weights.

    Raises:
        CheckpointError: it is missing, unreadable, of another schema version, or holds what this
            version does not know.
    """
    path = folder / DESCRIPTION_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError as exc:
        raise CheckpointError(
            f"{folder}: no checkpoint there ({DESCRIPTION_FILE} is missing); make one with "
            "`rlfocal train`"
        ) from exc
    except RecursionError:
        raise CheckpointError(
            f"{path}: cannot be read: nested too deeply; copy the checkpoint again, or train again"
        ) from None
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{path}: cannot be read: {in_one_line(exc)}; train again") from exc
    version = values.get("schema_version") if isinstance(values, dict) else None
    if type(version) is not int or version != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path}: schema version {_shown(version)}, but this rlfocal reads version "
            f"{SCHEMA_VERSION}; train again, or use the rlfocal version that wrote it"
        )
    try:
        return Description(**values)
    except ValidationError as exc:
        raise CheckpointError(f"{path}: {in_one_line(_first(exc))}; train again") from exc
    except UnicodeError:
        raise CheckpointError(
            f"{path}: a name in it holds half of a character (a lone surrogate); train again"
        ) from None


def form_of(kind: Base | type[Base]) -> int:
    """Number of the form in which this build keeps a strategy."""
    return len(getattr(kind, "former", ())) + 1  # a point of comparison is kept in none


def check_form(folder: Path, about: Description) -> None:
    """Refuse a checkpoint of a form that this build does not read.

    Raises:
        CheckpointError: an earlier build wrote it, or a later one; with what to do.
        ConfigError: the strategy is unknown, or what it needs is not installed.
    """
    kind = kind_of(about.strategy)
    today = form_of(kind)
    if about.form == today:
        return
    whose = f"{folder / DESCRIPTION_FILE}: a checkpoint of {about.strategy} that "
    again = (
        f"train it again: rlfocal train DATA --strategy {about.strategy} "
        f"-o {shlex.quote(str(folder))}"
    )
    if about.form > today:
        raise CheckpointError(
            f"{whose}a later build wrote, in form {about.form}; this one reads form {today}: use "
            f"the later one, or {again}"
        )
    raise CheckpointError(
        f"{whose}an earlier build wrote ({about.created}): {kind.former[about.form - 1]}, which "
        f"this one does not have; {again}"
    )


def in_one_line(text: object) -> str:
    """What somebody else's error says, fit to stand in ours: in one line, not long, printable."""
    line = " ".join(str(text).split()).encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _first(exc: ValidationError) -> str:
    """The first mistake: the field, what is wrong, and what was found."""
    first = exc.errors()[0]
    where = ".".join(_shown(part).strip("'") for part in first["loc"])
    found = (
        "" if first["type"] in ("missing", "value_error") else f", found {_shown(first['input'])}"
    )
    return f"{where}: {first['msg'].removeprefix('Value error, ')}{found}"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _shown(value: object) -> str:
    """A value in a few characters."""
    return _cut(ascii(value))

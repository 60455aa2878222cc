"""Which importers there are: one function a tool, found by name, a package's own ones included.

An importer is a function that reads files into `Logged`; its keyword arguments are its options, on
the command line too. What is the same for every tool (joining members' responses, options in
another order, extraction, notes) is done once, in `assembling`.

    @importer("mytool", "Result files (*.json), or folders of them.")
    def read_mytool(
        paths: Sequence[Path],
        *,
        metric: Annotated[str | None, "Metric that becomes the score; else the first."] = None,
    ) -> Logged:
        \"\"\"Read results of mytool.\"\"\"

Another package adds one by an entry point of the group `rlfocal.importers` whose name is the
importer's and whose object is the decorated function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from rlfocal.errors import ConfigError, nearest
from rlfocal.plugins import Registry
from rlfocal.records.importers.logged import Logged

__all__ = ["Importer", "ImporterOption", "find_importer", "importer", "importer_names"]

GROUP = "rlfocal.importers"

BUILT_IN: Mapping[str, str] = {
    name: f"rlfocal.records.importers.{place}"
    for name, place in (
        ("lm-eval", "lm_eval:read_lm_eval"),
        ("inspect", "inspect_ai:read_inspect"),
        ("lighteval", "lighteval:read_lighteval"),
        ("helm", "harnesses.helm:read_helm"),
        ("opencompass", "harnesses.opencompass:read_opencompass"),
        ("evalscope", "harnesses.evalscope:read_evalscope"),
        ("bfcl", "harnesses.bfcl:read_bfcl"),
        ("routerbench", "routers.routerbench:read_routerbench"),
        ("llmrouterbench", "routers.llmrouterbench:read_llmrouterbench"),
        ("every-eval-ever", "every_eval_ever:read_every_eval_ever"),
        ("table", "table:read_tables"),
    )
}
"""Importer → its function, loaded when it is asked for: help and other importers stay fast."""
_IMPORTERS = Registry(GROUP, "importer", BUILT_IN)

Reader = Callable[..., Logged]


@dataclass(frozen=True)
class ImporterOption:
    """One option of an importer, as its function declares it."""

    name: str
    type: Any
    """`str | None`, `bool`, `int`, `float` or `list[str]`."""
    default: Any
    help: str


@dataclass(frozen=True)
class Importer:
    """One tool's reader.

    Attributes:
        name: on the command line.
        paths: what PATH... may be, for help.
        read: paths, and the options by keyword → what was logged.
    """

    name: str
    paths: str
    read: Reader

    @property
    def summary(self) -> str:
        """First paragraph of the reader's docstring."""
        return (inspect.getdoc(self.read) or self.name).partition("\n\n")[0].replace("\n", " ")

    @property
    def options(self) -> tuple[ImporterOption, ...]:
        """The reader's keyword arguments, in order."""
        hints = get_type_hints(self.read, include_extras=True)
        found = []
        for parameter in inspect.signature(self.read).parameters.values():
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                continue
            hint, text = hints[parameter.name], ""
            if get_origin(hint) is Annotated:
                hint, text = get_args(hint)[:2]
            found.append(ImporterOption(parameter.name, hint, parameter.default, text))
        return tuple(found)

    def __call__(self, paths: Sequence[Path], **options: Any) -> Logged:
        """Read files.

        Raises:
            ConfigError: a path does not exist, or an option is unknown.
            RecordError: nothing in them can be read; a file, line or field is named.
        """
        known = {option.name for option in self.options}
        for name in options:
            if name not in known:
                raise ConfigError(
                    f"importer '{self.name}' has no option '{name}'; {nearest(name, known)}"
                )
        for path in paths:
            if not path.exists():
                raise ConfigError(f"{path}: does not exist; what can be read: {self.paths}")
        if not paths:
            raise ConfigError(
                f"importer '{self.name}': no path is named; what it reads: {self.paths}"
            )
        return self.read(list(paths), **options)


def importer(name: str, paths: str) -> Callable[[Reader], Importer]:
    """Make a reader an importer, by its name and by what PATH... may be, for help."""

    def made(read: Reader) -> Importer:
        return Importer(name, paths, read)

    return made


def importer_names() -> list[str]:
    """Names of all importers: the built-in ones, then those of other packages."""
    return list(_IMPORTERS.names())


def find_importer(name: str) -> Importer:
    """Load an importer by name.

    Raises:
        ConfigError: there is none, or an entry point leads to something else.
    """
    found = _IMPORTERS.load(name)
    if not isinstance(found, Importer):
        raise ConfigError(
            f"entry point '{name}' of {GROUP} is no importer; decorate the function with "
            "rlfocal.records.importers.importer"
        )
    return found

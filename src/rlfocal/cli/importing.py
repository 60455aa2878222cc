"""`rlfocal import`: other programs' logs become a data folder; a data folder a database.

The verbs and their options come from the registry of importers, so a new importer, another
package's too, is a new verb.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.core import TyperGroup

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import remark, waiting
from rlfocal.cli.output.tables import joined

if TYPE_CHECKING:
    from rlfocal.records import Dataset
    from rlfocal.records.importers import Importer, ImporterOption

__all__ = ["ImportGroup", "bring_in", "recorded"]

_WIDE = 55
"""Characters for which `rlfocal import --help` has room beside a name."""


class ImportGroup(TyperGroup):
    """One verb per importer, made when it is asked for: other commands load none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Importers in their order, then the verbs that are no importers."""
        from rlfocal.records.importers import importer_names

        return [*importer_names(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A verb by name; None where there is none."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        from rlfocal.records.importers import find_importer, importer_names

        if cmd_name not in importer_names():
            return None
        verb = typer.Typer(
            add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )
        found = find_importer(cmd_name)
        short = _in_short(found.summary)
        verb.command(cmd_name, help=found.summary, short_help=short)(_verb(found))
        return typer.main.get_command(verb)


def _in_short(summary: str) -> str:
    """A summary for a line of `rlfocal import --help`: the part before its comma if it is long.

    >>> _in_short("Read samples of a tool, graded again from whatever is there of its replies.")
    'Read samples of a tool.'
    """
    return summary if len(summary) <= _WIDE else f"{summary.partition(',')[0].rstrip('.')}."


def _verb(importer: Importer) -> Callable[..., None]:
    """A function whose signature is what the importer takes, for typer to read."""

    def run(paths: list[Path], **options: Any) -> None:
        _import(importer, paths, **options)

    parameters = [
        _parameter("paths", list[Path], argument("PATH...", importer.paths)),
        *map(_option, importer.options),
        *_COMMON,
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parameter(
    name: str, hint: Any, info: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, info]
    )


def _option(found: ImporterOption) -> inspect.Parameter:
    flag, default = f"--{found.name.replace('_', '-')}", found.default
    if default == () or isinstance(default, list):
        several = option(flag, value="TEXT", help=f"{found.help} May be repeated.")
        return _parameter(found.name, list[str], several, [])
    value = "NAME" if default is None and found.type is not bool else None
    return _parameter(found.name, found.type, option(flag, value=value, help=found.help), default)


_KINDS = "What open questions are answered with: number, math, date, text."
_COMMON = [
    _parameter("out", Path, option("--output", "-o", value="DIR", help="Folder to write.")),
    *(
        _parameter(name, str | None, option(value=value, help=said, **more), None)
        for name, value, said, more in (
            ("name", "NAME", "Name of the data set; else DIR's.", {}),
            ("answers", "KIND", _KINDS, {"show_default": "the labels tell, task by task"}),
            ("task", "A,B,...", "Read these tasks only.", {}),
            ("skip", "A,B,...", "Leave these tasks out.", {}),
        )
    ),
    _parameter("overwrite", bool, get_args(common.Overwrite)[1], False),
]


def _import(
    importer: Importer,
    paths: list[Path],
    *,
    out: Path,
    name: str | None,
    answers: str | None,
    task: str | None,
    skip: str | None,
    overwrite: bool,
    **options: Any,
) -> None:
    dataset = bring_in(
        importer.name, paths, out, overwrite=overwrite, name=name or out.resolve().name,
        answers=answers, tasks=common.split_names(task, "--task"),
        skip=common.split_names(skip, "--skip") or (), **options,
    )  # fmt: skip
    found = f"{out}: {dataset.queries.num_rows:,} queries"
    if len(dataset.members) == 1:
        remark(f"{found}, 1 member ({dataset.members[0]})")
        remark("note: one member alone is no pool: other verbs need the replies of at least 2")
        return
    remark(
        f"{found}, {len(dataset.members)} members ({joined(dataset.members)}); "
        f"next: rlfocal inspect {out}"
    )


def bring_in(
    importer: str, paths: Sequence[Path], out: Path, *, overwrite: bool, **options: Any
) -> Dataset:
    """Read logs, write them as a data folder, and say what has to be known of them.

    Args:
        importer: its name.
        paths: files or folders.
        out: folder to write; checked before anything is read.
        overwrite: whether it may replace a data set.
        options: as of `import_logs`.
    """
    from rlfocal.records.folders import check_target, write_dataset
    from rlfocal.records.importers import import_logs

    check_target(out, overwrite=overwrite)
    with waiting(f"reading {importer}"):
        dataset = import_logs(importer, paths, **options)
    write_dataset(dataset, out, overwrite=overwrite)
    for note in dict.fromkeys([*dataset.info.noted, *dataset.notes]):
        remark(f"note: {note}")
    return dataset


def recorded(
    data: common.Data,
    db: common.AnswersDb,
) -> None:
    """Put recorded answers into a database, beside what is collected there.

    What is there stays, so the same command may be run again.
    """
    from rlfocal.records.database import import_dataset, open_database

    with waiting(f"reading {data}"):
        dataset = common.load_dataset(data)
    with open_database(db) as database, waiting("writing"):
        n_new = import_dataset(database, dataset)
    remark(f"{n_new:,} of {dataset.responses.num_rows:,} responses are new")

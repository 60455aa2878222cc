"""`rlfocal quickstart`: from a table of answers, or a pool and questions, to a piece of advice.

It does nothing that other verbs do not do: it imports or collects, inspects, compares, and says
how to go on. What it makes stays in one folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rlfocal.cli import common
from rlfocal.cli.bench import bench
from rlfocal.cli.collect import INCOMPLETE, collect
from rlfocal.cli.common import option
from rlfocal.cli.importing import bring_in
from rlfocal.cli.inspect import inspect
from rlfocal.cli.output.console import remark
from rlfocal.errors import ConfigError

__all__ = ["quickstart"]

_POOL = ".toml"


def quickstart(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="ANSWERS... | POOL.toml QUERIES",
            help="Tables of answers (CSV, JSON lines, Parquet; a row a question with a column a "
            "model, or a row an answer) or a data folder; or the LLMs and the questions to ask.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, option("--output", "-o", value="DIR", help="Folder for all that is made.")
    ] = Path("quickstart"),
    column: Annotated[
        list[str] | None,
        option(
            value="NAME=COLUMN",
            help="Which column is the prompt, label, member, answer, ...; once for each.",
            show_default="found by their names",
        ),
    ] = None,
    answers: Annotated[
        str | None,
        option(
            value="KIND",
            help="What open questions are answered with: number, math, date or text.",
            show_default="the labels tell",
        ),
    ] = None,
    strategies: Annotated[
        str,
        option(
            value="A,B,...",
            help="Strategies to compare; quick are those that fit in seconds, "
            '"all" has the learned ones.',
        ),
    ] = "quick",
    folds: Annotated[int, option(value="K", min=2, help="Folds; every query is tested once.")] = 5,
    max_usd: Annotated[
        float | None, option(min=0, help="With a pool: spend at most so many dollars.")
    ] = None,
    complete: common.Complete = False,
    no_questions: Annotated[
        bool, option("--no-questions", help="Leave prompts and replies out of the report.")
    ] = False,
    overwrite: Annotated[
        bool, option("--overwrite", help="Replace what an earlier run has made.")
    ] = False,
) -> None:
    """From recorded answers, or live LLMs and questions, to advice: what to use, and its gain.

    Shows members and strategies, says which to use, and the commands that serve it.
    """
    from rlfocal.deliberation.registry import resolve
    from rlfocal.report.place import check_folder

    resolve(common.split_names(strategies, "--strategies") or ())  # told before any work
    _check_paths(paths)
    data, report = output / "data", output / "report"
    if report.exists():
        check_folder(report, overwrite=overwrite)
    if paths[0].suffix == _POOL:
        _collected(paths, data, answers=answers, max_usd=max_usd, overwrite=overwrite)
    else:
        data = _imported(paths, data, column or (), answers=answers, overwrite=overwrite)
    inspect(str(data))
    bench(
        str(data), strategies=strategies, folds=folds, complete=complete, report=report,
        no_questions=no_questions, overwrite=overwrite,
    )  # fmt: skip
    if paths[0].suffix != _POOL:
        _tell_of_pool(data)


def _check_paths(paths: Sequence[Path]) -> None:
    from rlfocal.records.built_in import BUILT_IN

    if paths[0].suffix == _POOL and len(paths) != 2:
        raise ConfigError(
            "with a pool name the pool file and one file of questions: rlfocal quickstart "
            "POOL.toml QUERIES"
        )
    if missing := [p for p in map(str, paths) if p not in BUILT_IN and not Path(p).exists()]:
        raise ConfigError(f"{', '.join(missing)}: no such file or folder")


def _collected(
    paths: Sequence[Path],
    data: Path,
    *,
    answers: str | None,
    max_usd: float | None,
    overwrite: bool,
) -> None:
    """Ask the pool, and write what it said as a data folder; run again, it goes on."""
    from rlfocal.cli.export import export
    from rlfocal.files import check_writable
    from rlfocal.records.folders import check_target

    check_target(data, overwrite=overwrite)
    check_writable(data.parent)
    db = str(data.parent / "answers.db")
    try:
        collect(db, paths[0], paths[1], answers=answers, max_usd=max_usd)
    except typer.Exit as end:
        if end.exit_code != INCOMPLETE:
            raise
        remark("some calls failed or are left: what follows is of those that came")
    export(db, data, overwrite=overwrite)


def _imported(
    paths: Sequence[Path],
    data: Path,
    column: Sequence[str],
    *,
    answers: str | None,
    overwrite: bool,
) -> Path:
    """Write tables as a data folder; a data folder stays where it is."""
    from rlfocal.records.built_in import BUILT_IN

    if len(paths) == 1 and (str(paths[0]) in BUILT_IN or _is_data_folder(paths[0])):
        return paths[0]
    bring_in(
        "table", paths, data, overwrite=overwrite, name=paths[0].stem or "answers",
        answers=answers, column=tuple(column),
    )  # fmt: skip
    return data


def _is_data_folder(path: Path) -> bool:
    return any(path.glob("queries.*")) and any(path.glob("responses.*"))


def _tell_of_pool(data: Path) -> None:
    """Say what ties these answers to live models: the names."""
    dataset = common.load_dataset(str(data), with_text=False)
    names = ", ".join(f'"{name}"' for name in dataset.members[:4])
    more = ", ..." if len(dataset.members) > 4 else ""
    remark(f"POOL.toml names the live models as these data do ({names}{more}): docs/live-pool.md")

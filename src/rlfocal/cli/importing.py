"""`rlfocal import`: other programs' logs become a data folder; a data folder a database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlfocal.cli import common

__all__ = ["lm_eval", "recorded"]


def lm_eval(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Sample logs (samples_*.jsonl), or folders of them, one per model.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Data folder to write."),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the data set; else DIR's.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Metric that becomes the score; else the usual one."),
    ] = None,
    filter_name: Annotated[
        str | None,
        typer.Option("--filter", metavar="NAME", help="Filter whose answers are taken."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a data set that is already there.")
    ] = False,
) -> None:
    """Read sample logs of lm-evaluation-harness."""
    from rlfocal.records.folders import check_target, write_dataset
    from rlfocal.records.importers import import_lm_eval

    check_target(out, overwrite=overwrite)
    with common.waiting("reading sample logs"):
        dataset = import_lm_eval(
            paths, name=name or out.resolve().name, metric=metric, filter_name=filter_name
        )
    write_dataset(dataset, out, overwrite=overwrite)
    common.remark(
        f"{out}: {dataset.queries.num_rows:,} queries, {len(dataset.members)} members "
        f"({common.joined(dataset.members)})"
    )


def recorded(
    data: common.Data,
    db: Annotated[
        str,
        typer.Option("--db", metavar="URL", help="SQLite file, or postgresql://... ."),
    ],
) -> None:
    """Put recorded answers into a database, beside what is collected there.

    What is there stays, so the same command may be run again.
    """
    from rlfocal.records.database import import_dataset, open_database

    with common.waiting(f"reading {data}"):
        dataset = common.load_dataset(data)
    with open_database(db) as database, common.waiting("writing"):
        n_new = import_dataset(database, dataset)
    common.remark(f"{n_new:,} of {dataset.responses.num_rows:,} responses are new")

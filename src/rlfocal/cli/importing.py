"""`rlfocal import`: other programs' logs become a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlfocal.cli import common

__all__ = ["lm_eval"]


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

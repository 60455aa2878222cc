"""`rlfocal import`: other programs' logs become a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlfocal.cli import common

__all__ = ["import_lm_eval"]


def import_lm_eval(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...", help="Sample logs (samples_*.jsonl), or folders that hold them."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The data folder to write.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the data set; else the folder's.")
    ] = None,
) -> None:
    """Turn sample logs of lm-evaluation-harness, of several models, into one data folder."""
    from rlfocal.records.folders import check_target, write_dataset
    from rlfocal.records.importers.lm_eval import import_samples

    check_target(out)
    with common.waiting("reading sample logs"):
        dataset = import_samples(paths, name=name or out.resolve().name)
    write_dataset(dataset, out)
    common.remark(
        f"{out}: {dataset.queries.num_rows} queries, {len(dataset.members)} members "
        f"({common.joined(dataset.members)})"
    )

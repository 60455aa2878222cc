"""`rlfocal export`: from a database of answers to a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import remark

__all__ = ["export"]


def export(
    database_url: Annotated[
        str,
        argument("URL", "SQLite file, or postgresql://... ."),
    ],
    output: Annotated[Path, option("--output", "-o", value="FOLDER", help="Folder to write.")],
    members: common.Members = None,
    name: Annotated[
        str | None, option(value="NAME", help="Of the data set.", show_default="the folder's")
    ] = None,
    format: Annotated[str, option(value="F", help="parquet, csv or jsonl.")] = "parquet",
    overwrite: common.Overwrite = False,
) -> None:
    """Write collected answers as a data folder, for every other verb."""
    from rlfocal.records.database import export_dataset
    from rlfocal.records.folders import check_target, write_dataset

    with common.answers_in(database_url) as database:
        check_target(output, overwrite=overwrite, format=format)
        chosen = common.split_names(members, "--members")
        dataset = export_dataset(database, members=chosen, name=name or output.resolve().name)
    write_dataset(dataset, output, format=format, overwrite=overwrite)
    remark(
        f"{output}: {dataset.queries.num_rows} queries, {len(dataset.members)} members, "
        f"{dataset.responses.num_rows} responses"
    )

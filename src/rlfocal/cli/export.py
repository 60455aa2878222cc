"""`rlfocal export`: from a database of answers, or of a gateway, to a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.gateway.database import gateway_in
from rlfocal.cli.output.console import remark
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.records import Dataset

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
    gateway: Annotated[
        bool, option("--gateway", help="URL is a gateway's: its judged requests, as far as kept.")
    ] = False,
) -> None:
    """Write collected answers as a data folder, for every other verb.

    With --gateway: requests to the ensemble that were judged while prompts were kept. A member that
    was not asked has no response to a query, and counts as neither right nor wrong.
    """
    from rlfocal.records.folders import check_target, write_dataset

    check_target(output, overwrite=overwrite, format=format)
    chosen = common.split_names(members, "--members")
    read = _judged if gateway else _collected
    dataset = read(database_url, chosen, name or output.resolve().name)
    for note in dataset.info.noted:
        remark(f"note: {note}")
    write_dataset(dataset, output, format=format, overwrite=overwrite)
    remark(
        f"{output}: {dataset.queries.num_rows} queries, {len(dataset.members)} members, "
        f"{dataset.responses.num_rows} responses"
    )


def _collected(url: str, members: tuple[str, ...] | None, name: str) -> Dataset:
    from rlfocal.records.database import export_dataset

    with common.answers_in(url) as database:
        return export_dataset(database, members=members, name=name)


def _judged(url: str, members: tuple[str, ...] | None, name: str) -> Dataset:
    from rlfocal.gateway.judged.judged_data import judged_dataset

    if members is not None:
        raise ConfigError("--members: choose members of a gateway's data when you use them")
    with gateway_in(url) as store:
        return judged_dataset(store, name=name)

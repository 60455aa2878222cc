"""`rlfocal export`: from a database of answers, or of a gateway, to a data folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.gateway.database import gateway_in
from rlfocal.cli.output.console import remark
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.records import Dataset
    from rlfocal.records.database import FailureCounts

__all__ = ["export"]

_AT_ONCE = 250_000
"""Responses up to which a data set is checked as a whole before it is written, as one file each."""


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
    name = name or output.resolve().name
    if gateway:
        dataset = _judged(database_url, chosen, name)
    else:
        found = _collected(database_url, chosen, name, output, format, overwrite=overwrite)
        if found is None:
            return
        dataset = found
    for note in dataset.info.noted:
        remark(f"note: {note}")
    write_dataset(dataset, output, format=format, overwrite=overwrite)
    remark(
        f"{output}: {dataset.queries.num_rows} queries, {len(dataset.members)} members, "
        f"{dataset.responses.num_rows} responses"
    )


def _collected(
    url: str,
    members: tuple[str, ...] | None,
    name: str,
    output: Path,
    format: str,
    *,
    overwrite: bool,
) -> Dataset | None:
    """The data set; None where it is large, and written already."""
    from rlfocal.records.database.export import Exported
    from rlfocal.records.database.streaming import export_parts, n_replies

    with common.answers_in(url) as database:
        exported = Exported.of(database, members)
        if not n_replies(exported):
            raise ConfigError(_nobody_answered(database.failures(members=members), url))
        if format != "parquet" or n_replies(exported) <= _AT_ONCE:
            return exported.dataset(name)
        written = export_parts(exported, output, name=name, overwrite=overwrite)
    remark(
        f"{output}: {written.n_queries} queries, {len(written.members)} members, "
        f"{written.n_responses} responses, in parts"
    )
    return None


def _nobody_answered(failures: Sequence[FailureCounts], url: str) -> str:
    shown = "URL" if "://" in url else url  # a server's URL holds a password
    n = sum(each.n_left for each in failures)
    failed = f"{n:,} call{'s' * (n != 1)} failed: rlfocal collect --failures --db {shown}"
    asked = "rlfocal collect POOL.toml QUERIES asks them"
    return f"nobody has answered any query ({failed if n else asked})"


def _judged(url: str, members: tuple[str, ...] | None, name: str) -> Dataset:
    from rlfocal.gateway.judged.judged_data import judged_dataset

    if members is not None:
        raise ConfigError("--members: choose members of a gateway's data when you use them")
    with gateway_in(url) as store:
        return judged_dataset(store, name=name)

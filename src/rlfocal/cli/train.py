"""`rlfocal train`: learn from recorded answers into a checkpoint; interrupted, it goes on later."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output.console import progress, remark
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.deliberation.progress import Progress
    from rlfocal.deliberation.protocol import Spec
    from rlfocal.records import ResponseTable

__all__ = ["train"]


def train(
    data: common.Data,
    output: Annotated[Path, option("--output", "-o", value="CHECKPOINT", help="Folder to write.")],
    pool: common.Pool = None,
    members: common.Members = None,
    strategy: Annotated[
        str, option(value="NAME", help="Any strategy that `rlfocal bench` compares.")
    ] = "rl-focal",
    settings: Annotated[
        list[str] | None,
        option("--set", value="KEY=VALUE", help="A setting of the strategy; once for each."),
    ] = None,
    config: Annotated[
        Path | None, option(value="FILE.toml", help="Its settings that differ from the defaults.")
    ] = None,
    cost: common.Cost = None,
    complete: common.Complete = False,
    zero_shot: Annotated[
        bool, option("--zero-shot", help="rl-focal-prior without labels: zero_shot=true.")
    ] = False,
    split: Annotated[
        bool, option("--split", help="Train on the data set's own training split only.")
    ] = False,
    seed: Annotated[int, option(min=0, help="One seed reproduces the run.")] = 0,
    overwrite: Annotated[
        bool, option("--overwrite", help="Replace a finished checkpoint.")
    ] = False,
) -> None:
    """Train a strategy on recorded answers.

    Ctrl-C keeps what rl-focal has learned; the same command goes on from there.
    """
    given: dict[str, Any] = {}
    if config is not None:
        from rlfocal.settings import read_toml

        given = read_toml(config)
    for text in [*(settings or ()), *(["zero_shot=true"] if zero_shot else ())]:
        _set(given, text)
    from rlfocal.deliberation.registry import create_strategy, resolve

    resolve([strategy])  # a wrong name is told before anything heavy is imported
    from rlfocal.deliberation.protocol import Spec
    from rlfocal.files import check_writable

    spec = Spec(strategy, given)
    create_strategy(spec)  # a mistake in it is found before any work
    check_writable(output)
    _refuse_finished(output, overwrite=overwrite)
    _, table = common.load_table(
        data, pool, members, with_features=True, cost=cost, complete=complete
    )
    table = _training_queries(table, split=split)
    for note in table.notes:
        remark(f"note: {note}")
    _train(output, table, spec, seed=seed)


def _set(settings: dict[str, Any], text: str) -> None:
    """Write one setting, given as "key=value" or "group.key=value", among others."""
    key, equals, value = (part.strip() for part in text.partition("="))
    *groups, last = key.split(".")
    if not equals or not all([*groups, last]):
        raise ConfigError(f"--set {text}: write KEY=VALUE, as in --set pseudo_counts=20")
    for group in groups:
        settings = settings.setdefault(group, {})
        if not isinstance(settings, dict):
            raise ConfigError(f"--set {text}: '{group}' is a setting, no group of them")
    try:
        settings[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:  # a word need not stand in quotes
        settings[last] = value


def _train(output: Path, table: ResponseTable, spec: Spec, *, seed: int) -> None:
    from rlfocal.checkpoint.training import train as train_to_disk
    from rlfocal.features import HashingEncoder

    try:
        with progress("train") as move:

            def show(message: Progress) -> None:
                shown = {k: message.figures[k] for k in _SHOWN if k in message.figures}
                now = ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
                move(message.step, message.total, f"{message.phase}: {now}")

            path = train_to_disk(
                output, spec, table,
                seed=seed, encoder_spec=HashingEncoder().spec, on_progress=show,
            )  # fmt: skip
    except KeyboardInterrupt:
        if (output / "checkpoint.json").exists():
            remark(f"kept in {output}: usable as it is; the same command goes on from there")
        raise
    remark(f"checkpoint: {path.parent}")


_SHOWN = ("out_of_fold_nll", "reward", "accuracy", "mean_calls")


def _refuse_finished(folder: Path, *, overwrite: bool) -> None:
    from rlfocal.checkpoint import read_description
    from rlfocal.errors import CheckpointError

    if overwrite or not (folder / "checkpoint.json").exists():
        return
    try:
        finished = read_description(folder).finished
    except CheckpointError:
        finished = True
    if finished:
        raise ConfigError(
            f"{folder}: holds a finished checkpoint; name another folder with -o, or replace it "
            "with --overwrite"
        )


def _training_queries(table: ResponseTable, *, split: bool) -> ResponseTable:
    if not split:
        return table
    rows = table.split == "train"
    if not rows.any():
        raise ConfigError(
            f"{table.name}: --split, but no query belongs to a split named 'train'; fill the "
            "column `split` of the queries, or leave --split out"
        )
    return table.take(rows)

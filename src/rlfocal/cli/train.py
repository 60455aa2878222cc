"""`rlfocal train`: learn from recorded answers into a checkpoint; interrupted, it goes on later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlfocal.cli import common
from rlfocal.errors import ConfigError, NotApplicable, nearest

if TYPE_CHECKING:
    from rlfocal.deliberation.progress import Progress
    from rlfocal.records import ResponseTable

__all__ = ["train"]

_PRESETS = ("rl-focal", "rl-focal-paper", "rl-focal-prior")


def train(
    data: common.Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="CHECKPOINT", help="Folder to write.")
    ],
    pool: common.Pool = None,
    members: common.Members = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="rl-focal; rl-focal-paper: as published; rl-focal-prior: labels are only counted.",
        ),
    ] = "rl-focal",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Settings that differ from the preset.")
    ] = None,
    cost: common.Cost = None,
    complete: common.Complete = False,
    zero_shot: Annotated[
        bool,
        typer.Option("--zero-shot", help="rl-focal-prior without labels: know the names only."),
    ] = False,
    split: Annotated[
        bool, typer.Option("--split", help="Train on the data set's own training split only.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="One seed reproduces the run.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a finished checkpoint.")
    ] = False,
) -> None:
    """Train an ensemble on recorded answers.

    Ctrl-C keeps what was learned; the same command goes on from there.
    """
    if preset not in _PRESETS:
        raise ConfigError(f"--preset: unknown preset '{preset}'; {nearest(preset, _PRESETS)}")
    _require_torch()
    from rlfocal.bench import create
    from rlfocal.deliberation.protocol import unmet
    from rlfocal.files import check_writable
    from rlfocal.rl.config import PaperConfig, PriorConfig, RlFocalConfig, read_config

    kinds: dict[str, type[RlFocalConfig] | type[PaperConfig] | type[PriorConfig]] = {
        "rl-focal": RlFocalConfig, "rl-focal-paper": PaperConfig, "rl-focal-prior": PriorConfig,
    }  # fmt: skip
    kind = kinds[preset]
    settings: RlFocalConfig | PaperConfig | PriorConfig
    settings = kind() if config is None else read_config(config, kind)
    if zero_shot:
        if not isinstance(settings, PriorConfig):
            raise ConfigError(
                f"--zero-shot: {preset} learns from labels; choose --preset rl-focal-prior with it"
            )
        settings = settings.model_copy(update={"zero_shot": True})
    check_writable(output)
    _refuse_finished(output, overwrite=overwrite)
    _, table = common.load_table(
        data, pool, members, with_features=True, cost=cost, complete=complete
    )
    table = _training_queries(table, split=split)
    for note in table.notes:
        common.remark(f"note: {note}")
    reason = unmet(create(preset), table)
    if reason is not None:
        raise NotApplicable(f"{table.name}: {preset} cannot be trained: {reason}")
    _train(output, table, settings, seed=seed)


def _train(output: Path, table: ResponseTable, settings: object, *, seed: int) -> None:
    from rlfocal.features import HashingEncoder
    from rlfocal.rl.config import PaperConfig, PriorConfig, RlFocalConfig
    from rlfocal.rl.session import count_prior, train_paper, train_rl_focal

    spec = HashingEncoder().spec
    try:
        with common.progress("train") as move:

            def tell(message: Progress) -> None:
                shown = {k: message.figures[k] for k in _SHOWN if k in message.figures}
                now = ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
                move(message.step, message.total, f"{message.phase}: {now}")

            if isinstance(settings, PriorConfig):
                path = count_prior(output, table, settings, seed=seed, encoder_spec=spec)
            elif isinstance(settings, RlFocalConfig):
                path = train_rl_focal(
                    output, table, settings, seed=seed, encoder_spec=spec, on_progress=tell
                )
            else:
                assert isinstance(settings, PaperConfig)
                path = train_paper(
                    output, table, settings, seed=seed, encoder_spec=spec, on_progress=tell
                )
    except KeyboardInterrupt:
        if (output / "checkpoint.json").exists():
            common.remark(f"kept in {output}: usable as it is; the same command goes on from there")
        raise
    common.remark(f"checkpoint: {path.parent}")


_SHOWN = ("out_of_fold_nll", "reward", "accuracy", "mean_calls")


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise ConfigError("training needs torch: pip install 'rlfocal[train]'")


def _refuse_finished(folder: Path, *, overwrite: bool) -> None:
    from rlfocal.errors import CheckpointError
    from rlfocal.rl.checkpoint import read_description

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

"""`rlfocal train`: learn from recorded answers into a checkpoint; interrupted, it goes on later.

Some queries are held out, and it says what was learned is worth on them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output.console import Phases, phases, remark
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.bench.held_out import Parts
    from rlfocal.deliberation.progress import Progress
    from rlfocal.deliberation.protocol import Spec
    from rlfocal.executor import Executor

__all__ = ["train"]


def train(
    data: common.Data,
    output: Annotated[Path, option("--output", "-o", value="CHECKPOINT", help="Folder to write.")],
    pool: common.Pool = None,
    members: common.Members = None,
    strategy: Annotated[
        str,
        option(
            value="NAME",
            help="Any strategy that `rlfocal bench` compares, points of comparison aside.",
        ),
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
    holdout: Annotated[
        float | None,
        option(
            value="SHARE",
            help="Queries kept out of training, to measure on; 0 trains on all.",
            show_default="the data's own test split, else 0.2",
        ),
    ] = None,
    split: Annotated[
        bool, option("--split", help="Train on the data set's own training split only.")
    ] = False,
    seed: Annotated[int, option(min=0, help="One seed reproduces the run.")] = 0,
    on: common.On = None,
    jobs: common.Jobs = None,
    overwrite: Annotated[
        bool, option("--overwrite", help="Replace a finished checkpoint.")
    ] = False,
) -> None:
    """Train a strategy on recorded answers.

    Measures it on queries held out of training. Ctrl-C keeps what rl-focal has learned; the same
    command goes on from there.
    """
    given: dict[str, Any] = {}
    if config is not None:
        from rlfocal.settings import read_toml

        given = read_toml(config)
    for text in [*(settings or ()), *(["zero_shot=true"] if zero_shot else ())]:
        _set(given, text)
    from rlfocal.deliberation.registry import create_strategy, resolve

    resolve([strategy])  # a wrong name is told before anything heavy is imported
    from rlfocal.bench.held_out import check_holdout, hold_out
    from rlfocal.deliberation.protocol import Spec
    from rlfocal.files import check_writable

    check_holdout(holdout, split=split)
    spec = Spec(strategy, given)
    made = create_strategy(spec)  # a mistake in it is found before any work
    check_writable(output)
    _refuse_finished(output, overwrite=overwrite)
    executor = common.executor_of(on, jobs)
    _, table = common.load_table(
        data, pool, members, with_features=True, cost=cost, complete=complete
    )
    for note in table.notes:
        remark(f"note: {note}")
    parts = hold_out(table, made, holdout, split=split)
    for note in parts.notes:
        remark(f"note: {note}")
    _train(output, parts, spec, executor, seed=seed, data=data)


def _written_ns(folder: Path) -> int | None:
    """When a checkpoint was written there; None where there is none."""
    path = folder / "checkpoint.json"
    return path.stat().st_mtime_ns if path.exists() else None


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


def _train(
    output: Path, parts: Parts, spec: Spec, executor: Executor, *, seed: int, data: str
) -> None:
    """Train, measure on what was held out, and say what came of it."""
    from rlfocal.bench.summaries.training import summarise_training
    from rlfocal.checkpoint import load_checkpoint
    from rlfocal.checkpoint.training import train as train_to_disk
    from rlfocal.cli.output.trained import show_trained
    from rlfocal.deliberation.registry import create_strategy
    from rlfocal.features import HashingEncoder

    train, held_out, _ = parts
    before = _written_ns(output)
    remark(
        f"{train.name}: {train.n_queries:,} queries to train on, {held_out.n_queries:,} held out "
        "to measure on"
    )
    with phases() as shown:
        slow = create_strategy(spec).slow_to_fit
        shown.begin("measuring the members" if slow else f"training {spec.name}")
        try:
            path = train_to_disk(
                output, spec, train,
                seed=seed, encoder_spec=HashingEncoder().spec, executor=executor,
                on_progress=_Steps(shown),
            )  # fmt: skip
        except KeyboardInterrupt:
            if _written_ns(output) != before:
                remark(f"kept in {output}: usable as it is; the same command goes on from there")
            elif output.exists() and any(output.iterdir()):
                remark(f"kept in {output}: the same command goes on from there")
            raise
        loaded = load_checkpoint(output)
        shown.begin("measuring it, and simple strategies beside it")
        found = summarise_training(
            loaded, train, held_out, executor=executor,
            on_progress=lambda done, total, _: shown.move(done, total),
        )  # fmt: skip
    remark(f"checkpoint: {path.parent}")
    show_trained(loaded, found, n_held_out=held_out.n_queries, folder=output, data=data)


class _Steps:
    """Shows messages of a training as phases.

    Args:
        shown: the phase under way is the first.
    """

    def __init__(self, shown: Phases) -> None:
        self._shown, self._phase = shown, ""

    def __call__(self, message: Progress) -> None:
        """Show one."""
        if message.phase != self._phase:
            self._phase = message.phase
            self._shown.begin(_PHASES.get(message.phase, message.phase))
        figures = [
            f"{called} {message.figures[name]:.3f}"
            for name, called in _FIGURES.items()
            if name in message.figures
        ]
        steps = [f"{message.step} steps"] if figures else []
        self._shown.move(message.step, message.total, ", ".join([*steps, *figures]))


_PHASES = {
    "fusion": "training Fusion, which weighs what was answered",
    "decider": "training the Decider, which picks whom to ask",
    "rivals": "trying simple strategies in its place",
}
_FIGURES = {
    "out_of_fold_nll": "loss on queries left out", "accuracy": "accuracy", "mean_calls": "calls",
}  # fmt: skip


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

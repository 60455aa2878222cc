"""Recorded answers in, a comparison or a trained strategy out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rlfocal.api.frames import from_dataframe
from rlfocal.api.words import python_words
from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.held_out import check_holdout, hold_out
from rlfocal.bench.protocol import TasksShown
from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.checkpoint.training import train as train_to_disk
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.errors import ConfigError
from rlfocal.executor import Executor
from rlfocal.features import Encoder, HashingEncoder
from rlfocal.records import Dataset, ResponseTable, build_table
from rlfocal.records.built_in import read_data
from rlfocal.records.frames import Frame
from rlfocal.records.tables.missing import complete_part

__all__ = ["Data", "as_dataset", "benchmark", "check_seed", "load", "read_table", "train"]

Rows = Frame | Mapping[str, Any] | Sequence[Mapping[str, Any]]
Data = str | Path | Dataset | ResponseTable | Rows
"""A folder of recorded answers, a file with one table of them (CSV, JSON, Parquet), the name of a
built-in data set ("localpool" or "demo"), what was made of these, or a frame of pandas or polars, a
list of dicts, a dict of columns (`from_dataframe` has options)."""


def read_table(
    data: Data,
    *,
    pool: str | None = None,
    members: Sequence[str] | None = None,
    cost: str | None = None,
    complete: bool = False,
    encoder: Encoder | None = None,
) -> ResponseTable:
    """Make a table of recorded answers, with encoded query texts.

    Args:
        data: recorded answers; of a table only `cost` and `complete` can be chosen any more.
        pool: use the members of this named pool; None for all.
        members: use these members; None for all.
        cost: what asking costs: "usd", "call" or "second"; None for dollars where they are known,
            else calls.
        complete: use only queries that every chosen member answered.
        encoder: of query texts; None for hashed words.

    Raises:
        ConfigError: an unknown pool or member; or members are chosen of a table.
        RecordError: the data cannot be read or used.

    >>> read_table("demo").n_members
    8
    """
    if isinstance(data, ResponseTable):
        if pool is not None or members is not None or encoder is not None:
            raise ConfigError(
                "the members and the encoder of a ResponseTable are chosen when it is built; give "
                "the folder or the Dataset with pool=, members= or encoder="
            )
        table = data
    else:
        dataset = as_dataset(data)
        table = build_table(
            dataset,
            members=dataset.select_members(pool, members),
            encode=HashingEncoder() if encoder is None else encoder,
        )
        if pool is not None:
            table = replace(table, name=f"{table.name}, {pool}")
    if cost is not None:
        table = table.priced_in(cost)
    return complete_part(table) if complete else table


def as_dataset(data: Data) -> Dataset:
    """Read recorded answers, but no `ResponseTable`, which is made for one purpose.

    Raises:
        ConfigError: it is a table.
        RecordError: the data cannot be read.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, ResponseTable):
        raise ConfigError(
            "a ResponseTable does not do here; give the folder, the Dataset or the frame that it "
            "was made of"
        )
    if not isinstance(data, str | Path):
        return from_dataframe(data)
    if Path(data).is_file():
        from rlfocal.records.importers import import_logs

        with python_words():
            return import_logs("table", Path(data), name=Path(data).stem)
    return read_data(data)


def check_seed(seed: int) -> None:
    """Refuse what no random numbers can start from.

    Raises:
        ConfigError: it is no whole number, or a negative one.
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed must be a whole number, 0 or above, got {seed!r}")


def benchmark(
    data: Data,
    strategies: str | Base | Iterable[str | Base] = "baselines",
    *,
    folds: int = 5,
    seeds: int = 1,
    tasks: TasksShown = "given",
    protocol: EvalProtocol | None = None,
    executor: Executor | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
    keep: str | Path | None = None,
) -> BenchResult:
    """Fit strategies on training queries and measure them on queries that nothing was fitted on.

    It is called so and not `bench` because that is the package `rlfocal.bench`, whose `run_bench`
    has the rest of the settings.

    Args:
        data: recorded answers; see `read_table` to choose among members.
        strategies: names, groups of names ("quick", "baselines", "all") and unfitted strategies of
            your own.
        folds: every query is tested once, by what was fitted on the other folds.
        seeds: times that strategies with randomness are run.
        tasks: whether strategies are shown the tasks of tested queries: "given"; "hidden", as where
            a gateway's client names none; or "both", see `BenchResult.hidden`.
        protocol: all such settings at once; in place of `folds`, `seeds` and `tasks`.
        executor: where the fits run, as `rlfocal.executor.executor_at` finds it; None for here, one
            after another.
        on_progress: called with jobs done, jobs in all, and what was done last.
        keep: a folder for the results of fits as they come; a run that was broken off goes on from
            there.

    Raises:
        ConfigError: a name is unknown, or the data are too few; before anything is fitted.
        RecordError: the data cannot be read or used.
    """
    if protocol is None:
        protocol = EvalProtocol(n_folds=folds, n_seeds=seeds, tasks=tasks)
    return run_bench(
        read_table(data),
        strategies,
        protocol,
        data=str(data) if isinstance(data, str | Path) else None,
        executor=executor,
        on_progress=on_progress,
        keep=keep,
    )


def train(
    data: Data,
    strategy: str | Base = "rl-focal",
    *,
    output: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    encoder: Encoder | None = None,
    holdout: float | None = None,
    seed: int = 0,
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Checkpoint:
    """Train a strategy on recorded answers.

    Args:
        data: recorded answers; see `read_table` to choose among members.
        strategy: its name, or an unfitted one that a registry knows.
        output: folder of the checkpoint, for the verbs and for `load`; None to keep it in memory.
        settings: those that differ from the defaults.
        encoder: of query texts; None for hashed words. A table's features must have come from it.
        holdout: share of the queries, in [0, 0.9], that is kept out of training to measure on, see
            `Checkpoint.was_trained_on`; None for the test queries of the data's own split, or a
            fifth where there is none; 0 trains on all of them.
        seed: one seed reproduces the run.
        executor: where independent parts of the fit run, as of `benchmark`; None for here.
        on_progress: called while training goes on.

    Raises:
        ConfigError: the strategy or a setting is unknown, a setting, the share held out or the seed
            cannot be so, or the folder cannot be written.
        NotApplicable: the strategy cannot be trained on these data.
        RecordError: the data cannot be read or used.

    >>> checkpoint = train("demo", "agreement")
    >>> checkpoint.strategy.name, checkpoint.description.n_training_queries
    ('agreement', 1920)
    """
    if isinstance(strategy, Base):
        spec = strategy.spec
        spec = spec._replace(settings={**spec.settings, **(settings or {})})
    elif not isinstance(strategy, str):
        raise ConfigError(
            f"strategy: {type(strategy).__name__} is neither a name nor an unfitted strategy"
        )
    else:
        spec = Spec(strategy, dict(settings or {}))
    made = create_strategy(spec)  # a mistake in it is found before any work
    check_holdout(holdout)
    check_seed(seed)
    encode = HashingEncoder() if encoder is None else encoder
    table = data if isinstance(data, ResponseTable) else read_table(data, encoder=encode)
    table = hold_out(table, made, holdout).train
    n_features = table.features.shape[1]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) if output is None else Path(output)
        train_to_disk(
            folder,
            spec,
            table,
            seed=seed,
            encoder_spec=encode.spec if n_features else None,
            executor=executor,
            on_progress=on_progress,
        )
        return load(folder)


def load(folder: str | Path) -> Checkpoint:
    """Read what `train` or `rlfocal train` has written. No code of the folder runs.

    Raises:
        CheckpointError: it is missing, damaged, or of a strategy that is not installed here.
    """
    return load_checkpoint(Path(folder))

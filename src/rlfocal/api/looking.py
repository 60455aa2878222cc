"""What recorded answers say of their members, and what a checkpoint makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlfocal.api.verbs import Data, as_dataset, check_seed, load, read_table
from rlfocal.api.words import python_words
from rlfocal.bench.protocol import WAYS, Tasks, check_tasks
from rlfocal.bench.summaries.data import Summary, summarise
from rlfocal.bench.summaries.evaluation import Evaluation, evaluate_checkpoint
from rlfocal.bench.summaries.independence import Independence, measure_independence
from rlfocal.checkpoint import Checkpoint
from rlfocal.checkpoint.explaining import Explanation, explain_query
from rlfocal.errors import ConfigError
from rlfocal.records import build_table
from rlfocal.records.tables.missing import complete_part

__all__ = ["evaluate", "explain", "independence", "inspect"]


def inspect(
    data: Data, *, pool: str | None = None, members: Sequence[str] | None = None
) -> Summary:
    """Tell how good each member is, and what choosing among them could gain.

    Args:
        data: recorded answers, but no `ResponseTable`, which has lost a part of what is told.
        pool: use the members of this named pool; None for all.
        members: use these members; None for all.

    Raises:
        ConfigError: an unknown pool or member.
        RecordError: the data cannot be read or used.

    >>> found = inspect("localpool")
    >>> found.best_single, round(found.best_single_accuracy, 3), round(found.oracle_accuracy, 3)
    ('qwen-1.5b-steps', 0.419, 0.689)
    """
    dataset = as_dataset(data)
    return summarise(
        dataset, build_table(dataset, members=dataset.select_members(pool, members), encode=None)
    )


def independence(
    data: Data,
    *,
    pool: str | None = None,
    members: Sequence[str] | None = None,
    top: int = 5,
    size: int | None = None,
    seed: int = 0,
) -> Independence:
    """Measure how independently the members fail, as `rlfocal diversity` does.

    It is called so because `rlfocal.diversity` is the package of the measures.

    Args:
        data: recorded answers.
        pool: use the members of this named pool; None for all.
        members: use these members; None for all.
        top: subsets to list for each criterion.
        size: members in a listed subset; None for any number.
        seed: of the search among many subsets.

    Raises:
        ConfigError: an unknown pool or member, or a size that the pool does not have, or no seed.
        RecordError: the data cannot be read or used.

    >>> round(independence("demo", top=1).pool["disagreement"], 3)
    0.374
    """
    check_seed(seed)
    table = read_table(data, pool=pool, members=members)
    if size is not None and not 2 <= size <= table.n_members:
        raise ConfigError(f"size must lie in 2..{table.n_members}, got {size}")
    return measure_independence(table, top=top, size=size, rng=np.random.default_rng(seed))


def evaluate(
    checkpoint: Checkpoint | str | Path,
    data: Data,
    *,
    price: float | None = None,
    complete: bool = False,
    include_trained: bool = False,
    tasks: Tasks = "given",
) -> Evaluation:
    """Measure a checkpoint on recorded answers, beside its best single member.

    Args:
        checkpoint: what was trained, or its folder.
        data: recorded answers of its members; queries that it was trained on are left out.
        price: of a call, as a share of what a right answer is worth; None for the checkpoint's own.
        complete: use only queries that every member answered.
        include_trained: keep the queries it was trained on, which flatter it.
        tasks: whether it is shown the queries' tasks: "given", or "hidden" as where a gateway's
            client names none.

    Raises:
        CheckpointError: the checkpoint cannot be read, or the data are of other members.
        ConfigError: all queries were used in training, the strategy knows no such price, or tasks
            cannot be shown so.
        RecordError: the data cannot be read or used.
    """
    check_tasks(tasks, WAYS)
    loaded = _loaded(checkpoint)
    table = loaded.table(as_dataset(data))
    table = complete_part(table) if complete else table
    with python_words():
        return evaluate_checkpoint(
            loaded, table, price=price, include_trained=include_trained, tasks=tasks
        )


def explain(
    checkpoint: Checkpoint | str | Path, data: Data, query: str, *, price: float | None = None
) -> Explanation:
    """Show how a checkpoint answers one recorded query: whom it asks, and why it stops.

    Args:
        checkpoint: what was trained, or its folder.
        data: recorded answers of its members.
        query: the query's id.
        price: of a call; None for the checkpoint's own.

    Raises:
        CheckpointError: the checkpoint cannot be read, or the data are of other members.
        ConfigError: there is no such query, or the strategy knows no such price.
        RecordError: the data cannot be read or used.
    """
    loaded = _loaded(checkpoint)
    dataset = as_dataset(data)
    table = loaded.table(dataset, unlabelled="keep")
    return explain_query(loaded, table, query, price=price, dataset=dataset)


def _loaded(checkpoint: Checkpoint | str | Path) -> Checkpoint:
    return checkpoint if isinstance(checkpoint, Checkpoint) else load(checkpoint)

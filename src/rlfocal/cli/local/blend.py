"""`rlfocal blend`: train the policy that weighs the models of a blend, span by span."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, Self

from rlfocal.cli import common
from rlfocal.cli.common import argument, option
from rlfocal.cli.output.console import print_json, progress, remark
from rlfocal.cli.output.tables import Column, print_table
from rlfocal.errors import ConfigError, nearest

if TYPE_CHECKING:
    from rlfocal.pool.building import LiveMember
    from rlfocal.pool.endpoints import BlendSettings
    from rlfocal.pool.settings import PoolSettings
    from rlfocal.training.spans.on_queries import Measured

__all__ = ["train_blend"]


def train_blend(
    pool_file: Annotated[Path, argument("POOL.toml", "The LLMs; one on a blend.")],
    queries_file: Annotated[Path, argument("QUERIES", "Labelled queries, or a data folder.")],
    output: Annotated[
        Path, option("--output", "-o", value="FILE.safetensors", help="Where the policy goes.")
    ],
    member: Annotated[
        str | None,
        option(value="NAME", help="The blend's member.", show_default="the only one on a blend"),
    ] = None,
    agents: Annotated[
        str, option(value="one|each", help="One agent draws all weights, or one for each model.")
    ] = "one",
    span: Annotated[int, option(min=1, help="Tokens for which weights hold.")] = 4,
    iterations: Annotated[int, option(min=1, help="Rollouts, each followed by an update.")] = 20,
    episodes: Annotated[int, option(min=1, help="Replies of a rollout.")] = 32,
    holdout: Annotated[
        float, option(min=0, max=0.9, value="SHARE", help="Queries kept out, to measure on.")
    ] = 0.2,
    answers: common.AnswerKind = None,
    seed: Annotated[int, option(min=0, help="One seed reproduces the run.")] = 0,
    overwrite: Annotated[bool, option("--overwrite", help="Replace a policy.")] = False,
    as_json: common.JsonFlag = False,
) -> None:
    """Train a policy that weighs the models of a blend anew after every few tokens.

    Replies are written with weights that are drawn, and judged by the labels. Put the file into
    pool.toml: weights = "policy", policy = "FILE.safetensors".
    """
    import asyncio

    from rlfocal.extras import need
    from rlfocal.files import check_writable
    from rlfocal.grading import Grader
    from rlfocal.pool.settings import read_pool
    from rlfocal.records.folders import read_queries

    if agents not in ("one", "each"):
        raise ConfigError(f"--agents {agents}: {nearest(agents, ('one', 'each'))}")
    pool = read_pool(pool_file)
    live, blend = _chosen(pool, member, pool_file)
    if output.is_dir():
        raise ConfigError(
            f"{output}: is a folder; name a file in it, as {output}/policy.safetensors"
        )
    if output.exists() and not overwrite:
        raise ConfigError(f"{output}: is there already; name another file, or add --overwrite")
    check_writable(output.parent)
    questions = read_queries(queries_file, answers=answers)
    for note in questions.notes:
        remark(f"note: {note}")
    need("torch", "training a policy")
    from rlfocal.training.spans.on_queries import divided, train_on_queries
    from rlfocal.training.spans.training import Iteration, SpanConfig

    parts = divided(questions.queries.to_pylist(), holdout, seed=seed)
    config = SpanConfig.of(
        {"agents": agents, "span": span, "n_iterations": iterations, "n_episodes": episodes},
        source="options",
    )
    remark(
        f"{live.name}: {' and '.join(blend.parts)}; {len(parts.train)} queries to train on, "
        f"{len(parts.held_out)} held out"
    )
    measured: list[Measured] = []
    n_failed = 0
    with progress("train") as move:

        def tell(iteration: Iteration) -> None:
            nonlocal n_failed
            n_failed += iteration.n_failed
            move(iteration.number + 1, iterations, f"reward {iteration.reward:.3f}")

        asyncio.run(
            train_on_queries(
                live, blend, parts, Grader(tasks=questions.kinds), config, output,
                seed=seed, on_iteration=tell, on_measured=measured.append,
            )
        )  # fmt: skip
    if n_failed:
        remark(
            f"note: {n_failed} of {iterations * episodes} replies could not be written in "
            "training: longer than a model takes, as a rule; see n_context"
        )
    for one in measured:
        if one.n_failed:
            remark(f"note: {one.name}: {one.n_failed} of {len(one.right)} replies failed so")
    _show(measured, output, as_json=as_json)


def _chosen(pool: PoolSettings, name: str | None, file: Path) -> tuple[LiveMember, BlendSettings]:
    """The member whose blend is trained, and that blend."""
    from rlfocal.pool.building import LivePool
    from rlfocal.pool.endpoints import BlendSettings

    by_name = {one.name: pool.endpoint_of(one) for one in pool.members}
    blends = {n: served for n, served in by_name.items() if isinstance(served, BlendSettings)}
    if name is None:
        if len(blends) != 1:
            what = f"several members on blends ({', '.join(blends)})" if blends else "no blend"
            raise ConfigError(f"{file}: {what}; name one with --member")
        name = next(iter(blends))
    if name not in blends:
        known = nearest(name, blends) if blends else "the file has no blend"
        raise ConfigError(f"{file}: '{name}' is no member on a blend; {known}")
    # Its policy may not be there yet: only its words are needed.
    member = next(one for one in LivePool(pool, pool.select([name])).members)
    return member, blends[name]


class _HeldOut(NamedTuple):
    """How one way of writing did on the queries that were held out."""

    written_by: str
    accuracy: float
    low: float
    high: float
    read_per_token: float
    """Tokens that models read for one that was written."""
    tokens_per_s: float

    @classmethod
    def of(cls, one: Measured) -> Self:
        """With the 95 % interval of its accuracy."""
        import numpy as np

        from rlfocal.bench.statistics import bootstrap_means

        right = np.array(one.right)[:, None]
        mean = bootstrap_means(right, np.arange(len(right))).mean(0)
        read = one.n_evaluated / max(1, one.n_written)
        return cls(one.name, *mean, read, one.n_written / max(1e-9, one.seconds))


def _show(measured: list[Measured], output: Path, *, as_json: bool) -> None:
    rows = [_HeldOut.of(one) for one in measured]
    if as_json:
        print_json({"policy": str(output), "held_out": [row._asdict() for row in rows]})
        return
    if rows:
        print_table(
            rows,
            Column("written by", lambda row: row.written_by),
            Column("accuracy %", lambda row: f"{100 * row.accuracy:.1f}"),
            Column("95 %", lambda row: f"{100 * row.low:.1f} to {100 * row.high:.1f}"),
            Column("read per token", lambda row: f"{row.read_per_token:.1f}"),
            Column("tokens/s", lambda row: f"{row.tokens_per_s:.1f}"),
            title="Queries held out",
        )
    remark(f'{output}: put it into the pool file: weights = "policy", policy = "{output.name}"')

"""From the database of replies to the data sets inside the package, and their cards.

    python examples/localpool/build.py answers.db src/rlfocal/records/localpool
    python examples/localpool/build.py answers.db src/rlfocal/records/localpool_readers --readers

The card's figures are computed from the data, so that they cannot disagree.
"""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rlfocal import build_table, write_dataset
from rlfocal.bench.statistics import bootstrap_means
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.records import Dataset, ResponseTable
from rlfocal.records.database import export_dataset, open_database

HERE = Path(__file__).parent
MODELS = {
    "gemma-3-270m": "Gemma 3 270M (base), Q4_K_M",
    "qwen2.5-coder-0.5b": "Qwen2.5-Coder 0.5B Instruct",
    "qwen2.5-coder-1.5b": "Qwen2.5-Coder 1.5B Instruct",
    "smollm2-135m": "SmolLM2 135M Instruct, Q4_1",
}
STYLES = {
    "gemma-270m": "goes on after worked examples without steps",
    "qwen-0.5b": "the question alone; choices by the letters' log-probabilities",
    "qwen-0.5b-steps": "worked examples in short steps, of other kinds",
    "qwen-1.5b-other": "worked examples in short steps, of other kinds; drawn at temperature 0.7",
    "qwen-1.5b-sampled": "worked examples without steps; three samples at temperature 0.7",
    "qwen-1.5b-steps": "worked examples in short steps",
    "smollm2-135m": "worked examples in short steps",
    "judge": "names the best of the replies; in both orders",
    "mixture": "writes a reply out of those it reads",
    "qwen-1.5b-steps-2": "second turn: answers again, its own first reply beside those it reads",
    "qwen-0.5b-steps-2": "second turn: answers again, its own first reply beside those it reads",
    "critic": "names mistakes of the reply; gives no answer",
    "qwen-0.5b-refined": "repairs the reply by what the critic says",
}
DESCRIPTION = {
    False: "short reasoning questions, answered by four small models asked in different ways; "
    "texts and log-probabilities of the replies",
    True: "the questions and members of localpool, and six members that read them: a judge, a "
    "mixture, second turns of a debate, a critic and who refines by what it says",
}


def describe(dataset: Dataset, pool: PoolSettings, *, readers: bool) -> Dataset:
    """The data set with its description; what holds for nobody else is left out."""
    info = dataset.info.model_copy(
        update={
            "answers": "number",
            "source": "recorded by rlfocal collect; see CARD.md",
            "licence": "Apache-2.0",
            "description": DESCRIPTION[readers],
            "choice_scores_scale": "log-probability",
            "pools": {"all": [m.name for m in pool.members if m.name in dataset.members]},
        }
    )
    left_out = ("cost_usd",) if readers else ("cost_usd", "latency_s")
    kept = [n for n in dataset.responses.column_names if n not in left_out]
    return Dataset(
        "localpool-readers" if readers else "localpool",
        dataset.queries,
        dataset.responses.select(kept),
        info,
    )


def whole(dataset: Dataset) -> Dataset:
    """Only the questions that every member has answered: a recording may have been broken off."""
    n_replies = Counter(dataset.responses["query_id"].to_pylist())
    kept = [name for name, n in n_replies.items() if n == len(dataset.members)]
    queries, responses = (
        part.filter(pc.is_in(part["query_id"], pa.array(kept, pa.string())))
        for part in (dataset.queries, dataset.responses)
    )
    return Dataset(dataset.name, queries, responses, dataset.info)


def model_of(pool: PoolSettings, endpoint: str) -> str:
    """The name of the file that an endpoint serves."""
    settings = pool.endpoints[endpoint]
    assert isinstance(settings, LlamaCppSettings)
    return settings.path.stem


def line(name: str, score: npt.NDArray[np.float64]) -> str:
    """A row of the card: each member, somebody, and how far that is above the best member."""
    cells = [*score.mean(axis=0), score.max(axis=1).mean()]
    gap = cells[-1] - max(cells[:-1])
    return f"| {name} | {' | '.join(f'{value:.0f}' for value in cells)} | +{gap:.0f} |"


def card(table: ResponseTable, pool: PoolSettings) -> str:
    """The card as Markdown."""
    score = 100 * table.member_score
    rows, model = [], {m.name: model_of(pool, m.endpoint) for m in pool.members}
    for n, name in enumerate(table.members):
        missing = 100 * (1 - table.answered[:, n].mean())
        rows.append(
            f"| {name} | {MODELS[model[name]]} | {STYLES[name]} "
            f"| {score[:, n].mean():.1f} | {missing:.1f} |"
        )
    tasks = [line(task, score[table.task == t]) for t, task in enumerate(table.tasks)]
    family = np.array([query_id.rsplit("-", 2)[0] for query_id in table.query_ids.tolist()])
    named = {table.tasks[t]: sorted(set(family[table.task == t])) for t in range(len(tasks))}
    families = [
        line(f"{task}: {name}", score[family == name]) for task in named for name in named[task]
    ]
    best, oracle = score.mean(axis=0).max(), score.max(axis=1).mean()
    template = (HERE / "card.md").read_text(encoding="utf-8")
    return template.format(
        n_queries=f"{table.n_queries:,}", n_tasks=len(table.tasks), n_members=table.n_members,
        seed=20261129, date=datetime.now(UTC).date(), members="\n".join(rows),
        best=best, oracle=oracle, gap=oracle - best, names=" | ".join(table.members),
        bars="--:|" * (table.n_members + 2), tasks="\n".join(tasks), families="\n".join(families),
        n_families=len(families), n_models=len({model[name] for name in table.members}),
    )  # fmt: skip


def card_of_readers(table: ResponseTable, pool: PoolSettings) -> str:
    """The card of the data set with readers, as Markdown."""
    reads = table.reads
    assert reads is not None
    score = 100 * table.member_score
    by_name = {member.name: member for member in pool.members}
    resampled = bootstrap_means(score.astype(np.float64), table.group)
    rows = []
    for n, name in enumerate(table.members):
        member, accuracy = by_name[name], resampled.mean(n)
        answers = table.answered[:, n].any()
        cells = [
            name, MODELS[model_of(pool, member.endpoint)], STYLES[name],
            ", ".join(member.inputs) or "nobody",
            f"{accuracy.value:.1f} [{accuracy.low:.1f}, {accuracy.high:.1f}]" if answers else "",
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    template = (HERE / "card_readers.md").read_text(encoding="utf-8")
    return template.format(
        n_queries=f"{table.n_queries:,}", n_alone=int((~reads.is_reader).sum()),
        n_readers=int(reads.is_reader.sum()), date=datetime.now(UTC).date(),
        members="\n".join(rows),
    )  # fmt: skip


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--members", help="some of the pool's, separated by commas")
    parser.add_argument("--readers", action="store_true", help="with those that read others")
    options = parser.parse_args()
    pool = read_pool(HERE / "pool.toml")
    names = [m.name for m in pool.members if options.readers or not m.reads]
    names = options.members.split(",") if options.members else names
    with open_database(options.database) as database:
        exported = export_dataset(database, members=names)
    dataset = whole(describe(exported, pool, readers=options.readers))
    table = build_table(dataset, members=names)
    print("\n".join(table.notes))
    page = options.folder / "CARD.md"
    page.unlink(missing_ok=True)  # a data set is not written over a folder that holds more
    write_dataset(dataset, options.folder, overwrite=True)
    text = card_of_readers(table, pool) if options.readers else card(table, pool)
    page.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

"""From the database of replies to the data set inside the package, and its card.

    python examples/localpool/build.py answers.db src/rlfocal/records/localpool

The card's figures are computed from the data, so that they cannot disagree.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from rlfocal import build_table, write_dataset
from rlfocal.pool.settings import LlamaCppSettings, PoolSettings, read_pool
from rlfocal.records import Dataset, ResponseTable
from rlfocal.records.database import export_dataset, open_database

HERE = Path(__file__).parent
MODELS = {
    "gemma": "Gemma 3 270M (base), Q4_K_M",
    "half": "Qwen2.5-Coder 0.5B Instruct",
    "large": "Qwen2.5-Coder 1.5B Instruct",
}
STYLES = {
    "gemma-270m": "goes on after eleven worked examples",
    "qwen-0.5b": "the question alone; choices by the letters' log-probabilities",
    "qwen-0.5b-sampled": "eleven worked examples, three samples at temperature 0.7",
    "qwen-0.5b-steps": "eleven worked examples in short steps",
    "qwen-1.5b-examples": "eleven worked examples; choices by the letters' log-probabilities",
    "qwen-1.5b-steps": "eleven worked examples in short steps",
}


def describe(dataset: Dataset, pool: PoolSettings) -> Dataset:
    """The data set with its description; what holds for nobody else is left out."""
    info = dataset.info.model_copy(
        update={
            "answers": "number",
            "source": "recorded by rlfocal collect; see CARD.md",
            "licence": "Apache-2.0",
            "description": "short reasoning questions, answered by three small models asked in "
            "different ways",
            "choice_scores_scale": "log-probability",
            "pools": {"all": [m.name for m in pool.members if m.name in dataset.members]},
        }
    )
    kept = [n for n in dataset.responses.column_names if n not in ("cost_usd", "latency_s")]
    return Dataset("localpool", dataset.queries, dataset.responses.select(kept), info)


def card(table: ResponseTable, pool: PoolSettings) -> str:
    """The card as Markdown."""
    score = 100 * table.member_score
    rows, endpoint = [], {m.name: m.endpoint for m in pool.members}
    for n, name in enumerate(table.members):
        missing = 100 * (1 - table.answered[:, n].mean())
        rows.append(
            f"| {name} | {MODELS[endpoint[name]]} | {STYLES[name]} "
            f"| {score[:, n].mean():.1f} | {missing:.1f} |"
        )
    families = []
    for t, task in enumerate(table.tasks):
        part = score[table.task == t]
        cells = " | ".join(f"{value:.0f}" for value in part.mean(axis=0))
        families.append(f"| {task} | {cells} | {part.max(axis=1).mean():.0f} |")
    best, oracle = score.mean(axis=0).max(), score.max(axis=1).mean()
    template = (HERE / "card.md").read_text(encoding="utf-8")
    return template.format(
        n_queries=f"{table.n_queries:,}", n_tasks=len(table.tasks), n_members=table.n_members,
        seed=20261125, date=datetime.now(UTC).date(), members="\n".join(rows),
        best=best, oracle=oracle, gap=oracle - best, names=" | ".join(table.members),
        bars="--:|" * table.n_members, families="\n".join(families),
    )  # fmt: skip


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--members", help="some of the pool's, separated by commas")
    options = parser.parse_args()
    pool = read_pool(HERE / "pool.toml")
    assert all(isinstance(e, LlamaCppSettings) for e in pool.endpoints.values())
    names = options.members.split(",") if options.members else [m.name for m in pool.members]
    with open_database(options.database) as database:
        dataset = describe(export_dataset(database, members=names), pool)
    table = build_table(dataset, members=names)
    print("\n".join(table.notes))
    page = options.folder / "CARD.md"
    page.unlink(missing_ok=True)  # a data set is not written over a folder that holds more
    write_dataset(dataset, options.folder, overwrite=True)
    page.write_text(card(table, pool), encoding="utf-8")
    print(card(table, pool))


if __name__ == "__main__":
    main()

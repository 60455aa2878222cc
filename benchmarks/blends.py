"""Blends of real local models beside each model alone and beside votes at equal tokens.

    .venv/bin/python benchmarks/blends.py QUERIES --models DIR --out replies.jsonl [--train 200]
    .venv/bin/python benchmarks/blends.py QUERIES --pool POOL.toml --out replies.jsonl

POOL.toml has a member on a blend; its words are what the models are asked, alone and together.
With --models the blend is one of gemma-3-270m and qwen2.5-coder-0.5b, as examples/local_models
fetches them.
QUERIES are labelled, and one `--out` belongs to one pool and one file of them; the first `--train`
train the policies (RLAE, one agent, each seed), all ways are judged on the rest. Ways: each model
alone; equal weights; by confidence; `policy` with each seed; `spans`; `values` with the last part
as the judge of what is right, unless `--ways` says otherwise. Every reply is appended to the file
when it is there: run again, it goes on.

The table tells accuracy with a 95 % interval, by the groups of `--groups` too (tasks of the
queries), tokens that all models read for one that was written, and written tokens a second. A vote
of the models' own replies takes the tokens of all of them; where no two agree, the model counts
that was right most often on the first `--train` queries. Which way is better than the vote, pair
by pair, stands in the last column.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import asyncio
import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlfocal.bench.statistics import bootstrap_means
from rlfocal.errors import MemberError
from rlfocal.grading import Grader
from rlfocal.pool.asking.question import Question
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.endpoint import verifier
from rlfocal.pool.blends.llama_voice import LlamaVoice
from rlfocal.pool.blends.policy import read_policy, write_policy
from rlfocal.pool.blends.spans import Spans
from rlfocal.pool.blends.switching import Switching
from rlfocal.pool.blends.voices import Voice
from rlfocal.pool.blends.weighing import ByConfidence, Fixed, Weighed
from rlfocal.pool.blends.writing import Method
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.endpoints import BlendSettings
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.records.built_in import localpool
from rlfocal.records.database import settings_key_of
from rlfocal.records.folders import read_queries
from rlfocal.records.kinds import Kind
from rlfocal.training.spans.on_queries import judged_by
from rlfocal.training.spans.training import SpanConfig, train_spans

VOTE = "a vote of them"
Rows = dict[tuple[str, str], dict[str, Any]]
"""(way, query) → what was stored."""
SHAPE = 2
"""Of a stored row, and of how blends write: raised where either changes, all is written anew."""
SPAN, HORIZON = 8, 24
"""Tokens that are written at once where spans are judged, and that rollouts go on for."""


class Way(NamedTuple):
    """One way of writing."""

    voices: Sequence[Voice]
    method: Method
    mark: str
    """Of all that a reply depends on."""


class Trial(NamedTuple):
    """What is tried, and on what."""

    member: LiveMember
    voices: Sequence[LlamaVoice]
    models: list[str]
    """Names of their files."""
    train: list[dict[str, Any]]
    test: list[dict[str, Any]]
    grader: Grader


def stored(path: Path, ways: Mapping[str, Way]) -> Rows:
    """Replies of earlier runs, written in just these ways."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    marks = {name: way.mark for name, way in ways.items()}
    return {
        (row["way"], row["query"]): row
        for row in rows
        if row.get("mark", "") == marks.get(row["way"])
    }


def mark_of(*about: object) -> str:
    """A short digest."""
    return hashlib.sha256(json.dumps([SHAPE, *about]).encode()).hexdigest()[:8]


def built_in_pool(models: Path, folder: Path) -> Path:
    """A pool file of gemma-270m and qwen-0.5b, together."""
    path = folder / "blend.toml"
    files = {"gemma": "gemma-3-270m.gguf", "qwen": "qwen2.5-coder-0.5b.gguf"}
    parts = "".join(
        f'[endpoints.{name}]\nkind = "llama-cpp"\npath = "{models.resolve() / file}"\n'
        f"n_context = 1024\ntimeout_s = 600\n"
        for name, file in files.items()
    )
    path.write_text(
        f'{parts}[endpoints.both]\nkind = "blend"\nparts = ["gemma", "qwen"]\n'
        'timeout_s = 3600\n[[members]]\nname = "blend"\nendpoint = "both"\nmax_tokens = 48\n'
        'template = "{question}\\nThink in one short line, then write Answer: and the answer."\n',
        "utf-8",
    )
    return path


def questions_of(data: str) -> tuple[list[dict[str, Any]], Mapping[str, Kind]]:
    """Queries, and the kinds of their answers by task."""
    if data == "localpool":
        return localpool().queries.to_pylist(), {}
    found = read_queries(data, answers="number")
    return found.queries.to_pylist(), found.kinds


async def policy_way(trial: Trial, seed: int, folder: Path, config: SpanConfig) -> Way:
    """A trained policy; trained where its file is not there."""
    about = [config.model_dump(mode="json"), [q["query_id"] for q in trial.train], trial.models]
    mark = mark_of(settings_key_of(trial.member.identity), *about)
    path = folder / f"policy-{mark}-{seed}.safetensors"
    if not path.exists():
        judged = judged_by(trial.member, trial.train, trial.grader)
        policy = await train_spans(
            trial.voices, judged, config, seed=seed,
            on_iteration=lambda i: print(f"  {path.name}: {i.number} {i.reward:.3f}", flush=True),
        )  # fmt: skip
        write_policy(policy, path, models=trial.models)
    policy = read_policy(path, models=trial.models)
    return Way(trial.voices, Weighed(policy, span=policy.span), f"{mark}-{seed}")


async def ways(trial: Trial, names: Sequence[str], options: argparse.Namespace) -> dict[str, Way]:
    """Each by its name."""
    n, together = len(trial.voices), trial.voices
    common = settings_key_of(trial.member.identity), trial.models
    mark = mark_of(*common)
    found = {
        f"{voice.name} alone": Way([voice], Weighed(Fixed((1.0,))), mark) for voice in trial.voices
    }
    config = SpanConfig(n_iterations=options.iterations, n_episodes=options.episodes)
    for name in names:
        if name == "equal":
            found[name] = Way(together, Weighed(Fixed((1.0,) * n)), mark)
        elif name == "confidence":
            found[name] = Way(together, Weighed(ByConfidence()), mark)
        elif name == "spans":
            found[name] = Way(together, Spans(span=SPAN), mark_of(*common, SPAN))
        elif name == "values":
            reward = verifier(together[-1])
            own = mark_of(*common, SPAN, HORIZON, together[-1].name)
            method = Switching(reward, span=SPAN, horizon=HORIZON)
            found[name] = Way(together, method, own)
        elif name == "policy":
            for seed in range(options.seeds):
                way = await policy_way(trial, seed, options.out.parent, config)
                found[f"policy, seed {seed}"] = way
        else:
            raise SystemExit(f"unknown way '{name}'")
    return found


async def write_all(
    trial: Trial, queries: Sequence[Any], name: str, way: Way, rows: Rows, path: Path
) -> None:
    """Write what is not stored yet."""
    settings = trial.member.settings
    with path.open("a", encoding="utf-8") as file:
        for query in queries:
            key = name, query["query_id"]
            if key in rows:
                continue
            question = Question(query["prompt"], tuple(query["choices"] or ()))
            try:
                reply = await write(
                    trial.member.request(question, logprobs=False), way.voices, way.method
                )
            except MemberError as exc:
                print(f"  {name}, {query['query_id']}: {exc}", flush=True)
                continue
            grade = trial.grader.grade(query, settings, reply.response)
            rows[key] = {
                "way": name, "mark": way.mark, "query": query["query_id"], "answer": grade.answer,
                "right": grade.score or 0.0, "written": reply.response.n_completion_tokens,
                "read": reply.counts.n_evaluated, "uncertain": reply.counts.n_uncertain,
                "seconds": reply.response.latency_s, "text": reply.response.text,
            }  # fmt: skip
            file.write(json.dumps(rows[key]) + "\n")
            file.flush()


def voted(trial: Trial, rows: Rows, alone: Sequence[str]) -> None:
    """Add the vote of the models' own replies; ties go to who was right most often before."""
    before = {
        name: sum(rows[key]["right"] for q in trial.train if (key := (name, q["query_id"])) in rows)
        for name in alone
    }
    alone = sorted(alone, key=lambda name: -before[name])
    for query in trial.test:
        own = [rows.get((name, query["query_id"])) for name in alone]
        if any(row is None for row in own):
            continue
        there = [row for row in own if row is not None]
        answers = [row["answer"] for row in there if row["answer"] is not None]
        best = Counter(answers).most_common(1)[0][0] if answers else None
        chosen = next((row for row in there if row["answer"] == best), there[0])
        rows[VOTE, query["query_id"]] = chosen | {
            "way": VOTE,
            **{key: sum(row[key] for row in there) for key in ("read", "seconds")},
        }


def show(trial: Trial, rows: Rows, names: Sequence[str], groups: Mapping[str, set[str]]) -> None:
    """Print the table of each group of queries."""
    for title, tasks in groups.items():
        ids = [q["query_id"] for q in trial.test if not tasks or q["task"] in tasks]
        whole = [q for q in ids if all((name, q) in rows for name in (*names, VOTE))]
        print(f"\n{title}: {len(whole)} queries\n")
        print("| written by | right % [95 %] | read a token | tokens/s | beside the vote |")
        print("|---|--:|--:|--:|--:|")
        if not whole:
            continue
        score = np.array([[rows[name, q]["right"] for name in (*names, VOTE)] for q in whole])
        found = bootstrap_means(100 * score, np.arange(len(whole)))
        for n, name in enumerate((*names, VOTE)):
            own, beside = found.mean(n), found.difference(n, len(names))
            part = [rows[name, q] for q in whole]
            written = max(1, sum(row["written"] for row in part))
            speed = statistics.median(row["written"] / max(1e-9, row["seconds"]) for row in part)
            gain = (
                ""
                if name == VOTE
                else f"{beside.value:+.1f} [{beside.low:+.1f}, {beside.high:+.1f}]"
            )
            print(
                f"| {name} | {own.value:.1f} [{own.low:.1f}, {own.high:.1f}] "
                f"| {sum(row['read'] for row in part) / written:.1f} | {speed:.1f} | {gain} |"
            )


async def run(options: argparse.Namespace) -> None:
    """Write everything, and print the tables."""
    pool = read_pool(options.pool or built_in_pool(options.models, options.out.parent))
    member = next(m for m in LivePool(pool).members if _blend(pool, m) is not None)
    blend = _blend(pool, member)
    assert blend is not None
    queries, kinds = questions_of(options.queries)
    labelled = [query for query in queries if query["label"] is not None]
    train, test = labelled[: options.train], labelled[options.train :][: options.most]
    async with AsyncExitStack() as opened:
        voices = [
            await opened.enter_async_context(LlamaVoice(name, blend.files[name]))
            for name in blend.parts
        ]
        models = [blend.files[name].path.name for name in blend.parts]
        trial = Trial(member, voices, models, train, test, Grader("number", tasks=kinds))
        tried = await ways(trial, options.ways.split(","), options)
        rows = stored(options.out, tried)
        alone = [f"{voice.name} alone" for voice in voices]
        for name, way in tried.items():
            queries = [*train, *test] if name in alone else test
            await write_all(trial, queries, name, way, rows, options.out)
    voted(trial, rows, alone)
    groups: dict[str, set[str]] = {"all": set()}
    for text in options.groups or ():
        title, _, tasks = text.partition("=")
        groups[title] = set(tasks.split(","))
    show(trial, rows, list(tried), groups)


def _blend(pool: PoolSettings, member: LiveMember) -> BlendSettings | None:
    served = pool.endpoint_of(member.settings)
    return served if isinstance(served, BlendSettings) else None


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queries", help='a file of queries, a data folder, or "localpool"')
    parser.add_argument("--pool", type=Path, help="a pool file with a blend; else two small models")
    parser.add_argument("--models", type=Path, help="where fetch.py has put these")
    parser.add_argument("--out", type=Path, required=True, help="replies, as JSON lines")
    parser.add_argument("--ways", default="equal,confidence,spans,values,policy")
    parser.add_argument("--train", type=int, default=200)
    parser.add_argument("--most", type=int, default=10_000, help="queries judged at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=32)
    parser.add_argument("--groups", nargs="*", metavar="TITLE=TASK,...")
    parser.add_argument("--quick", action="store_true", help="a few questions: does it run?")
    options = parser.parse_args()
    if (options.pool is None) == (options.models is None):
        parser.error("say --pool, or --models")
    if options.quick:
        options.train, options.most, options.seeds = 2, 3, 1
        options.iterations, options.episodes = 1, 2
    asyncio.run(run(options))


if __name__ == "__main__":
    main()

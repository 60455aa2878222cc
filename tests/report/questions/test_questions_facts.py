"""What the viewer is given, against the tables that it was made from."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unpacking import joined, opened

from rlfocal.bench import BenchResult, EvalProtocol, LeaderboardRow
from rlfocal.bench.folds import Fold
from rlfocal.bench.jobs import Job, JobResult, Point
from rlfocal.bench.rows import RowLayout
from rlfocal.deliberation.protocol import Outcome
from rlfocal.records import Dataset, ResponseTable, build_table
from rlfocal.report.questions import packing
from rlfocal.report.questions.facts import NO_ANSWER, NOT_RECORDED, facts_of
from rlfocal.report.questions.packing import LADDER, Limits, pack, shortened

MEMBERS = ("ann", "bob", "cyd")
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40)


def row(strategy: str) -> LeaderboardRow:
    return LeaderboardRow(
        strategy=strategy, accuracy=0.5, accuracy_ci=(0.4, 0.6), mean_calls=1.0, mean_cost_usd=None,
        mean_rounds=1.0, gain_over_best_single=None, gain_ci=None, oracle_gap_closed=None,
        fit_s=0.0, replay_s=0.0,
    )  # fmt: skip


def played(table: ResponseTable, rng: np.random.Generator, *, n_seeds: int = 2) -> BenchResult:
    """A result of two made-up strategies that do as chance has it; half of it tested at a dial."""
    order = rng.permutation(table.n_queries)
    folds = (Fold(order[:0], np.sort(order[::2])), Fold(order[:0], np.sort(order[1::2])))
    layout, results = RowLayout(table, folds), []
    for strategy in ("one", "two"):
        for seed in range(n_seeds):
            for f, fold in enumerate(folds):
                part = table.take(fold.test)
                points = tuple(Point(dial, _chance(part, rng)) for dial in (None, 0.5))
                result = JobResult(Job(strategy, f, seed), points, 0.0, 0.0, ())
                results.append(layout.of(result))
    n = {"n_queries": table.n_queries, "n_groups": table.n_queries}
    return BenchResult(
        data="chance", members=table.members, protocol=EvalProtocol(), tested=n,
        rows=(row("two"), row("one")), frontiers={}, not_applicable={}, synthetic=True, notes=(),
        environment={}, per_query=layout.joined(results),
    )  # fmt: skip


def _chance(table: ResponseTable, rng: np.random.Generator) -> Outcome:
    shape = table.recorded.shape
    asked_in = np.where(table.recorded, rng.integers(0, 4, shape), 0).astype(np.int16)
    for turns in asked_in:  # rounds are numbered without gaps
        for number, old in enumerate(sorted(set(turns[turns > 0].tolist())), start=1):
            turns[turns == old] = number
    asked = asked_in > 0
    n_candidates = table.exists.sum(axis=1)
    chosen = np.array([rng.integers(-1, n) if n else -1 for n in n_candidates], np.int16)
    return Outcome(
        chosen=chosen, score=table.measured_score(chosen, asked),
        confidence=rng.random(len(chosen), np.float32), asked=asked, n_calls=asked.sum(axis=1),
        n_rounds=asked_in.max(axis=1).astype(np.int64),
        cost=(table.cost * asked).sum(axis=1, dtype=np.float32),
        latency_s=np.full(len(chosen), np.nan, np.float32), asked_in=asked_in,
    )  # fmt: skip


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Questions of two tasks, some with options, some without a label, and patchy responses."""
    n = draw(st.integers(3, 8))
    queries, responses = [], []
    for q in range(n):
        has_options = draw(st.booleans())
        options = draw(st.lists(WORDS, min_size=2, max_size=4)) if has_options else None
        answers = st.sampled_from("ABCD"[: len(options)]) if options else TEXT
        queries.append(
            {
                "query_id": f"q{q}</script>",
                "task": draw(st.sampled_from(["t", "u"])),
                "prompt": draw(WORDS),
                "choices": options,
                "label": draw(answers) if q == 0 or draw(st.booleans()) else None,
            }
        )
        for m, member in enumerate(MEMBERS):
            if q > 0 and draw(st.integers(0, 4)) == 0:
                continue
            responses.append(
                {
                    "query_id": f"q{q}</script>",
                    "member": member,
                    "answer": draw(st.none() | answers),
                    "score": draw(st.none() | st.sampled_from([0.0, 0.25, 1.0])) if m else 1.0,
                    "text": draw(st.none() | WORDS),
                }
            )
    schema = {"query_id": pa.string(), "task": pa.string(), "prompt": pa.string(),
              "choices": pa.list_(pa.string()), "label": pa.string()}  # fmt: skip
    kinds = {"query_id": pa.string(), "member": pa.string(), "answer": pa.string(),
             "score": pa.float64(), "text": pa.string()}  # fmt: skip
    return Dataset(
        "made up",
        pa.Table.from_pylist(queries, pa.schema(schema)),
        pa.Table.from_pylist(responses, pa.schema(kinds)),
    )


@settings(max_examples=15)
@given(dataset=datasets(), seed=st.integers(0, 9))
def test_what_is_unpacked_is_what_the_tables_hold(dataset: Dataset, seed: int) -> None:
    table = build_table(dataset)
    result = played(table, np.random.default_rng(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "BLOCK", 3)
        packed = pack(facts_of(result, table, dataset), {"members": table.members})
    blocks = {name: opened(text) for name, text in packed.blocks.items()}
    head, asked, said = blocks["index"], joined(blocks, "asked"), joined(blocks, "said")
    assert head["index"]["id"] == table.query_ids.tolist()
    assert head["runs"] == [{"strategy": s, "seed": n} for s in ("two", "one") for n in (0, 1)]
    queries = {row["query_id"]: row for row in dataset.queries.to_pylist()}
    texts = {(r["query_id"], r["member"]): r["text"] for r in dataset.responses.to_pylist()}
    played_rows = {
        (r["strategy"], r["seed"], r["query_id"]): r
        for r in result.per_query.to_pylist()
        if r["dial"] is None
    }
    assert len(played_rows) == 4 * table.n_queries
    for i, name in enumerate(table.query_ids.tolist()):
        assert asked["prompt"][i] == queries[name]["prompt"]
        assert asked["choices"][i] == queries[name]["choices"]
        assert said["label"][i] == queries[name]["label"]
        assert head["index"]["labelled"][i] == (queries[name]["label"] is not None)
        assert said["candidates"][i] == list(table.candidates[i])
        right = 0
        for n, member in enumerate(MEMBERS):
            slot = said["answer"][i][n]
            if not table.recorded[i, n]:
                assert slot == NOT_RECORDED
            else:
                assert slot == table.answer[i, n]
                worth = 0 if slot == NO_ANSWER else said["worth"][i][slot]
                assert worth == pytest.approx(table.member_score[i, n], abs=1e-4)
                right += worth >= 0.5
            if "reply" in said:
                assert said["reply"][i][n] == texts.get((name, member))
        assert head["index"]["right"][i] == right
        assert head["index"]["recorded"][i] == table.recorded[i].sum()
        for r, run in enumerate(head["runs"]):
            row = played_rows[run["strategy"], run["seed"], name]
            of = {column: values[i] for column, values in said["runs"][r].items()}
            answer = None if of["answer"] == NO_ANSWER else said["candidates"][i][of["answer"]]
            assert answer == row["answer"]
            assert of["score"] == (None if row["score"] is None else pytest.approx(row["score"]))
            assert of["confidence"] == pytest.approx(row["confidence"], abs=6e-4)
            assert (of["calls"], len(of["asked"])) == (row["n_calls"], row["n_rounds"])
            assert of["cost"] == pytest.approx(row["cost"], rel=1e-3)
            assert [m for turn in of["asked"] for m in turn] == row["asked"]
            rounds = [t + 1 for t, turn in enumerate(of["asked"]) for _ in turn]
            assert rounds == row["asked_in"]
        for strategy, means in head["score"].items():
            known = [
                found
                for n in (0, 1)
                if (found := played_rows[strategy, n, name]["score"]) is not None
            ]
            expected = pytest.approx(sum(known) / len(known), abs=1e-4) if known else None
            assert means[i] == expected


def tiny() -> Dataset:
    """Four queries; disagreement and counts by hand."""
    said = {"q0": "AAA", "q1": "AAB", "q2": "ABC", "q3": "BB-"}
    return Dataset(
        "tiny",
        pa.table({
            "query_id": [*said], "prompt": ["p0", "p1", "p2", "p3"], "label": ["A"] * 4,
            "choices": [["w", "x", "y", "z"]] * 4,
        }),
        pa.table({
            "query_id": [q for q in said for _ in MEMBERS],
            "member": [*MEMBERS] * 4,
            "answer": [None if a == "-" else a for answers in said.values() for a in answers],
        }),
    )  # fmt: skip


def test_disagreement_is_the_share_of_pairs_that_differ() -> None:
    dataset = tiny()
    table = build_table(dataset)
    index = facts_of(played(table, np.random.default_rng(0)), table, dataset).index
    # 0, 2 and 3 of 3 pairs; no usable answer is an answer of its own.
    assert index["disagreement"] == [0, 667, 1000, 667]
    assert index["right"] == [3, 2, 1, 0]
    assert index["recorded"] == [3, 3, 3, 3]


def test_where_answers_cannot_be_compared_members_differ_by_right_and_wrong() -> None:
    queries = pa.table({"query_id": ["a", "b"], "prompt": ["p", "q"]})
    responses = pa.table(
        {"query_id": ["a"] * 3 + ["b"] * 3, "member": [*MEMBERS] * 2,
         "score": [1.0, 1.0, 0.0, 1.0, 0.9, 0.5]}
    )  # fmt: skip
    dataset = Dataset("scores", queries, responses)
    table = build_table(dataset)
    facts = facts_of(played(table, np.random.default_rng(0)), table, dataset)
    assert facts.index["disagreement"] == [667, 0]
    assert facts.index["labelled"] == [0, 0]


def test_a_data_set_of_other_queries_is_refused() -> None:
    dataset = tiny()
    table = build_table(dataset)
    result = played(table, np.random.default_rng(0))
    other = Dataset("other", dataset.queries.slice(1), dataset.responses.slice(3))
    with pytest.raises(ValueError, match=r"no query 'q0'.*pass the data set that the table was"):
        facts_of(result, table, other)


def test_results_of_older_versions_show_who_was_asked_in_one_round() -> None:
    dataset = tiny()
    table = build_table(dataset)
    result = played(table, np.random.default_rng(0))
    old = replace(result, per_query=result.per_query.drop_columns("asked_in"))
    asked = [turns for run in facts_of(old, table, dataset).runs for turns in run.columns["asked"]]
    assert {len(turns) for turns in asked} <= {0, 1}
    assert any(turns for turns in asked)


# Shortening ------------------------------------------------------------------------------------


@given(text=st.text(max_size=300), limit=st.integers(2, 200))
def test_a_shortened_text_keeps_both_ends_and_tells_what_is_gone(text: str, limit: int) -> None:
    found = shortened(text, limit)
    if len(text) <= limit:
        assert found == text
    else:
        head, gone, tail = found[: -(-limit // 2)], found, found[len(found) - limit // 2 :]
        assert text.startswith(head)
        assert text.endswith(tail)
        assert f"[... {len(text) - limit:,} characters left out ...]" in gone
        assert len(found) <= limit + 50


def test_texts_are_shortened_until_the_page_is_small_enough() -> None:
    rng = np.random.default_rng(0)
    letters = np.array([*"abcdefghijklmnopqrstuvwxyz ."])
    base = tiny()
    reply = ["".join(rng.choice(letters, 6000)) for _ in range(base.responses.num_rows)]
    dataset = Dataset("long", base.queries, base.responses.append_column("text", [reply]))
    table = build_table(dataset)
    facts = facts_of(played(table, rng), table, dataset)
    most = 10**9
    for limits in LADDER:
        packed = pack(facts, {}, max_bytes=most - 1)
        assert packed.limits == limits, "every step is taken, in its turn"
        most = sum(len(text) for name, text in packed.blocks.items() if name != "index")
        said = joined({n: opened(t) for n, t in packed.blocks.items()}, "said")
        assert said["reply"][0][0] == shortened(reply[0], limits.reply)
    assert pack(facts, {}, max_bytes=0).limits == LADDER[-1]


def test_the_ladder_only_goes_down() -> None:
    for more, less in itertools.pairwise(LADDER):
        assert more != less
        assert less.prompt <= more.prompt
        assert less.reply < more.reply


def test_the_same_questions_are_packed_to_the_same_bytes(tmp_path: Path) -> None:
    dataset = tiny()
    table = build_table(dataset)
    facts = facts_of(played(table, np.random.default_rng(0)), table, dataset)
    assert pack(facts, {}).blocks == pack(facts, {}).blocks
    assert pack(facts, {}).limits == Limits(8000, 4000)

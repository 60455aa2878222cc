"""What objects show of themselves: a line, a text, a notebook's HTML; and columns for frames."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import rlfocal
from rlfocal.bench.summaries.data import summarise
from rlfocal.bench.summaries.evaluation import evaluate_checkpoint
from rlfocal.bench.summaries.independence import measure_independence
from rlfocal.checkpoint.explaining import explain_query
from rlfocal.live import Answer
from rlfocal.markup import Code, Grid, Sheet, one_line

HOSTILE = "<script>alert(1)</script>"
N = 40
TAGS = {
    "details",
    "summary",
    "ul",
    "li",
    "div",
    "p",
    "b",
    "pre",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


@pytest.fixture(scope="module")
def shown() -> Mapping[str, Any]:
    """Everything that a notebook may show, of data whose every text is hostile."""
    right = [f"{i % 3}{HOSTILE}" for i in range(N)]
    data = rlfocal.from_dataframe(
        pa.table(
            {
                "prompt": [f"{HOSTILE} {i}?" for i in range(N)],
                "label": right,
                HOSTILE: right,
                "b & c": [text if i % 2 else "other" for i, text in enumerate(right)],
            }
        ),
        name=HOSTILE,
        answers="text",
    )
    table = rlfocal.read_table(data)
    checkpoint = rlfocal.train(data, "agreement")
    result = rlfocal.benchmark(data, ["agreement"], folds=2)
    seen = checkpoint.table(data)
    explained = explain_query(checkpoint, seen, str(table.query_ids[0]))
    return {
        "Dataset": data,
        "ResponseTable": table,
        "Checkpoint": checkpoint,
        "BenchResult": result,
        "LeaderboardRow": result.rows[0],
        "Advice": rlfocal.advise(result),
        "Outcome": rlfocal.replay(checkpoint.strategy, table),
        "Evaluation": evaluate_checkpoint(checkpoint, seen, include_trained=True),
        "Explanation": explained,
        "Summary": summarise(data, table),
        "Independence": measure_independence(table, top=3, size=None, rng=np.random.default_rng(0)),
        "Trace": explained.trace,
        "Answer": Answer(HOSTILE, HOSTILE, 0.5, explained.trace),
    }


class Reader(HTMLParser):
    """Counts tags, and holds that each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_notebook_gets_sound_html_without_the_texts_own(shown: Mapping[str, Any]) -> None:
    for name, thing in shown.items():
        reader = Reader()
        reader.feed(thing._repr_html_())
        assert not reader.open, name
        assert reader.seen <= TAGS, name


def test_a_line_is_a_line_and_print_shows_more(shown: Mapping[str, Any]) -> None:
    for name, thing in shown.items():
        line = repr(thing)
        assert line.startswith(f"{name}("), name
        assert "\n" not in line, name
        if name not in ("LeaderboardRow", "Trace"):  # plain records
            assert len(line) < 300, name
        assert len(str(thing).splitlines()) > 1, name


def test_print_aligns_numbers_to_the_right_and_words_to_the_left() -> None:
    rows = [("a", "9.5", "better"), ("long-name", "10.25 [9, 11]", "-")]
    sheet = Sheet("T", ("", Grid("g", ("name", "acc %", "verdict"), rows), Code("rlfocal serve x")))
    assert sheet.text().splitlines() == [
        "T",
        "",
        "name               acc %  verdict",
        "a                    9.5  better",
        "long-name  10.25 [9, 11]  -",
        "",
        "    rlfocal serve x",
    ]


def test_a_long_table_says_how_much_is_left_out() -> None:
    sheet = Sheet("T", (Grid("g", ("n",), [(str(n),) for n in range(1042)]),))
    assert sheet.text().endswith("39\n... and 1,002 more")
    assert sheet.html().count("<tr") == 41
    assert "<p>... and 1,002 more</p>" in sheet.html()


def test_a_cell_is_one_line() -> None:
    assert one_line(" a\n b\t c ") == "a b c"
    assert len(one_line("word " * 99)) <= 60


def test_the_leaderboard_has_every_figure_of_every_row(shown: Mapping[str, Any]) -> None:
    rows, table = shown["BenchResult"].rows, shown["BenchResult"].leaderboard()
    assert table["strategy"].to_pylist() == [row.strategy for row in rows]
    for row, found in zip(rows, table.to_pylist(), strict=True):
        assert (found["accuracy_low"], found["accuracy_high"]) == row.accuracy_ci
        assert (found["gain_low"], found["gain_high"]) == row.gain_ci
        assert found["verdict"] == row.verdict
        fields = {*vars(row)} - {"accuracy_ci", "gain_ci", "withheld", "hidden"}
        assert {name: found[name] for name in fields} == {n: getattr(row, n) for n in fields}
        assert row.hidden is None
        assert found["hidden_accuracy"] is None


def test_frames_are_made_of_what_comes_out(shown: Mapping[str, Any]) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    board = shown["BenchResult"].leaderboard()
    assert polars.DataFrame(board).height == board.num_rows
    assert len(pandas.DataFrame.from_arrow(board)) == board.num_rows
    frame = shown["ResponseTable"].to_arrow().to_pandas()
    means = frame.groupby("member")["score"].mean()
    assert means[HOSTILE] == 1.0
    assert means["b & c"] == 0.5


def test_rows_of_a_table_say_what_is_not_known() -> None:
    queries = pa.table({"query_id": ["q", "r", "s"], "prompt": ["1", "2", "3"],
                        "label": ["7", "8", None]})  # fmt: skip
    responses = pa.table({
        "query_id": ["q", "q", "r", "s", "s"], "member": ["a", "b", "a", "a", "b"],
        "answer": ["7", None, "9", "1", "2"],
    })  # fmt: skip
    table = rlfocal.build_table(rlfocal.Dataset("d", queries, responses), unlabelled="keep")
    rows = table.to_arrow().to_pylist()
    said = {(row["query_id"], row["member"]): row for row in rows}
    assert [said[key]["answer"] for key in (("q", "a"), ("q", "b"), ("r", "a"))] == ["7", None, "9"]
    assert [said["q", m]["score"] for m in "ab"] == [1.0, 0.0]
    assert (said["r", "b"]["recorded"], said["r", "b"]["cost"]) == (False, None)
    assert {said["s", m]["score"] for m in "ab"} == {None}

"""Every table of every verb, on terminals of four widths, with members whose names are long."""

from __future__ import annotations

import ast
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from readers import dataset_with_readers
from rich.cells import cell_len
from rich.console import Console

import rlfocal
from rlfocal.bench import EvalProtocol, LeaderboardRow, run_bench
from rlfocal.bench.figures.live import LiveFigures
from rlfocal.bench.scenarios import run_scenarios
from rlfocal.cli.local import blend
from rlfocal.cli.output import tables
from rlfocal.cli.output.leaderboard import show_leaderboard
from rlfocal.cli.output.live import show_estimate
from rlfocal.cli.output.scenarios import show_scenarios
from rlfocal.gateway.store import PolicyRow, open_store
from rlfocal.records import Dataset, PoolModel, build_table, simulate
from rlfocal.records.folders import write_dataset
from rlfocal.training.spans.on_queries import Measured

if TYPE_CHECKING:
    from conftest import Run

CLI = Path(rlfocal.__file__).parent / "cli"
NAMES = (
    "a-member-with-a-name-of-forty-characters",
    "Größe mit Umlauten und mehreren Wörtern 9",
    "llama-3.1-8b-instruct-q4_k_m-few-shot-01",
)
READ = ("qwen2.5-0.5b-few-shot-no-1", "ein Mitglied, größer als 9", "third-one-with-26-letters!")
TASKS = ("arithmetic with carrying", "letter-counting")
ESTIMATES = {
    "difference": {"dr": {"value": 0.031, "low": 0.011, "high": 0.051}},
    "n_episodes": 4000, "may_promote": True,
}  # fmt: skip
WIDTHS = (80, *(pytest.param(wide, marks=pytest.mark.slow) for wide in (60, 100, 120)))


class Asking(rlfocal.Agreement):
    """As if it had been learned, so that it is compared at equal cost."""

    name = "learned-by-reinforcement"
    learned: ClassVar[bool] = True


class Made:
    """What the tables are drawn of."""

    def __init__(self, folder: Path) -> None:
        self.data, self.checkpoint = folder / "data", folder / "checkpoint"
        self.keys, self.policies = folder / "keys.db", folder / "policies.db"
        self.folder, dataset = folder, renamed()
        write_dataset(dataset, self.data)
        self.readers = folder / "readers"
        write_dataset(with_long_names(dataset_with_readers()), self.readers)
        table = build_table(dataset)
        protocol = EvalProtocol(n_folds=2, n_resamples=100)
        names: list[str | rlfocal.Base] = ["weighted-vote-per-task", "plurality", Asking()]
        self.result = run_bench(table, names, protocol, budgets=(2.0,), data=str(self.data))
        both = replace(protocol, tasks="both")
        self.both = run_bench(table, names, both, budgets=(2.0,), data=str(self.data))
        self.scenarios = run_scenarios(
            table, ["degrading"], protocol, strategies=["weighted-vote-per-task"]
        )
        self._pool(folder)

    def _pool(self, folder: Path) -> None:
        members = "".join(f'[[members]]\nname = "{name}"\nendpoint = "x"\n' for name in NAMES)
        text = f'[endpoints.x]\nbase_url = "http://127.0.0.1:1/v1"\n{members}'
        (folder / "pool.toml").write_text(text, encoding="utf-8")
        (folder / "queries.jsonl").write_text('{"query_id": "q", "prompt": "1+1", "label": "2"}\n')


def renamed() -> Dataset:
    model = PoolModel(accuracy=[[0.9, 0.4, 0.5], [0.4, 0.9, 0.5]])
    made = simulate(model, 120, rng=np.random.default_rng(0), name="long")
    responses = called(made.responses, "member", dict(zip(made.members, NAMES, strict=True)))
    queries = called(made.queries, "task", dict(zip(("task0", "task1"), TASKS, strict=True)))
    return Dataset("long", queries, responses, made.info.model_copy(update={"pools": {}}))


def with_long_names(made: Dataset) -> Dataset:
    """Two names stand in a row of these tables, so they are shorter; readers read as before."""
    names = dict(zip(made.members, (*READ, *made.members), strict=False))
    readers = {
        names[reader]: about.model_copy(
            update={
                "reads": [names[name] for name in about.reads],
                "first": None if about.first is None else names[about.first],
            }
        )
        for reader, about in made.info.readers.items()
    }
    responses = called(made.responses, "member", names)
    shown = [
        None if row is None else [[names[name] for name in one] for one in row]
        for row in responses["shown"].to_pylist()
    ]
    place = responses.schema.get_field_index("shown")
    responses = responses.set_column(place, "shown", pa.array(shown, responses["shown"].type))
    info = made.info.model_copy(update={"pools": {}, "readers": readers})
    return Dataset("readers", made.queries, responses, info)


def called(table: pa.Table, column: str, names: dict[str, str]) -> pa.Table:
    values = pa.array([names[name] for name in table[column].to_pylist()])
    return table.set_column(table.schema.get_field_index(column), column, values)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture
def drawn_by(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Modules and functions that have drawn a table."""
    found, draw = set[tuple[str, str]](), tables._fitting

    def noted(*args: Any) -> Any:
        frame = sys._getframe(2)
        found.add((frame.f_globals["__name__"].rpartition(".")[2], frame.f_code.co_name))
        return draw(*args)

    monkeypatch.setattr(tables, "_fitting", noted)
    return found


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def of(width: int) -> None:
        monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
        for name, value in (("COLUMNS", str(width)), ("LINES", "40"), ("TERM", "dumb")):
            monkeypatch.setenv(name, value)

    return of


def shown(made: Made, run: Run, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[str, str]]:
    """What each verb prints that draws a table, by the verb."""

    def printed(show: Callable[[], None]) -> str:
        capsys.readouterr()
        show()
        return capsys.readouterr().out

    def of(*words: object) -> tuple[str, str]:
        ran = run(*words)
        assert ran.code == 0, ran.err
        return str(words[0]), ran.out

    yield of("inspect", made.data)
    yield of("diversity", made.data)
    yield "diversity --readers", of("diversity", made.readers, "--readers")[1]
    yield "bench", printed(lambda: show_leaderboard(made.result))
    yield "bench --tasks both", printed(lambda: show_leaderboard(made.both))
    live = replace(made.result, live=tuple(map(beside_calls, made.result.rows)))
    yield "bench --live", printed(lambda: show_leaderboard(live))
    counts = dict.fromkeys(("n_calls", "n_stored", "n_tokens"), 123456)
    dollars = {"cost_usd": 123.4, "most_usd": 1234.5}
    yield "bench --dry-run", printed(lambda: show_estimate({**counts, **dollars}))
    yield "bench --scenario", printed(lambda: show_scenarios(made.scenarios))
    measured = [Measured(f"{name} alone", (0.0, 1.0) * 50, 1234, 2345, 67.8, 3) for name in NAMES]
    yield "blend", printed(lambda: blend._show(measured, made.folder / "p", as_json=False))
    out = made.checkpoint
    yield of("train", made.data, "--strategy", "agreement", "-o", out, "--overwrite")
    yield of("evaluate", out, made.data)
    yield of("explain", out, made.data, "--query", "long-00007")
    files = (made.folder / "pool.toml", made.folder / "queries.jsonl")
    yield of("collect", *files, "--db", made.folder / "answers.db", "--dry-run")
    if not made.keys.exists():
        for name in NAMES:
            limits = ("--usd", "5", "--concurrency", "4", "--requests-per-minute", "90")
            run("keys", "add", name, *limits, "--expires", "2099-01-31", "--db", made.keys)
        abandon(made.keys, NAMES[0])
    yield of("keys", "list", "--db", made.keys)
    yield of("keys", "settle", NAMES[0], "--db", made.keys)
    if not made.policies.exists():
        policies(made.policies, out)
    yield of("shadow", "list", out, "--db", made.policies)


def beside_calls(row: LeaderboardRow) -> LiveFigures:
    return LiveFigures(
        strategy=row.strategy, live=True, mean_tokens=12345.6, tokens_ci=(12000.0, 13000.0),
        mean_s=123.4, s_ci=(100.0, 150.0), mean_usd=None, usd_ci=None,
    )  # fmt: skip


def abandon(db: Path, name: str) -> None:
    then = time.time() - 120
    with open_store(db) as store, store.connections.write() as connection:
        key = store.keys.named(connection, name)
        store.processes.beat(connection, "killed", then)
        store.ledger.admit(connection, key, "r0", 0.25, 600.0, then, "killed")


def policies(db: Path, checkpoint: Path) -> None:
    live = rlfocal.load(checkpoint).description.weights_sha256[:16]
    rows = (
        PolicyRow(id=live, created_at=1.0, state="live", path=str(checkpoint)),
        PolicyRow(
            id="0123456789abcdef", parent=live, created_at=2.0, state="shadow", path="x",
            estimates=ESTIMATES,
        ),
    )  # fmt: skip
    with open_store(db) as store, store.connections.write() as connection:
        for row in rows:
            store.log.add_policy(connection, row)


MOST_IMPORTANT = {
    "inspect": ["accuracy"], "diversity": ["focal", "value"],
    "diversity --readers": ["reads", "reader", "verdicts", "importance", "role"],
    "bench": ["accuracy", "budget"],
    "bench --tasks both": ["task", "given", "hidden"],
    "bench --live": ["accuracy", "tokens", "seconds"], "bench --dry-run": ["calls", "dollars"],
    "bench --scenario": ["frozen"], "train": ["accuracy"], "evaluate": ["accuracy"],
    "explain": ["answer:"], "collect": ["calls"],
    "blend": ["accuracy", "tokens/s"], "keys": ["state", "spent"], "shadow": ["state"],
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_fit_and_names_stay_whole(
    width: int,
    made: Made,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    on_terminal: Callable[[int], None],
    drawn_by: set[tuple[str, str]],
) -> None:
    on_terminal(width)
    seen = set()
    for verb, text in shown(made, run, capsys):
        seen.add(verb)
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()
        commands = [line for line in lines if "rlfocal" in line]  # to be copied: never wrapped
        long = [line for line in lines if cell_len(line) > width and line not in commands]
        assert long == [], verb
        assert [w for w in MOST_IMPORTANT[verb] if w not in text] == [] or verb == "keys", verb
        assert "…" not in text, verb  # names of forty letters have room on all of these
        tables_drawn = [t for t in re.split(r"\n\s*\n", "\n".join(lines)) if "───" in t]
        body = [line for t in tables_drawn for line in t[t.index("───") :].splitlines()]
        for name in (*NAMES, *READ):
            for part in (name[:9], name[-9:]):
                assert [line for line in body if part in line and name not in line] == [], verb
    assert seen == MOST_IMPORTANT.keys()
    assert drawn_by == tables_of_verbs()


def tables_of_verbs() -> set[tuple[str, str]]:
    """Modules and functions of the command line that draw a table."""
    found = set()
    for path in CLI.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and any(
                isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print_table"
                for node in ast.walk(function)
            ):
                found.add((path.stem, function.name))
    return found


@pytest.mark.slow
def test_what_is_left_out_is_named_and_a_pipe_has_all(
    made: Made, run: Run, capsys: pytest.CaptureFixture[str], on_terminal: Callable[[int], None]
) -> None:
    piped = dict(shown(made, run, capsys))
    assert not [verb for verb, text in piped.items() if "Left out" in text]
    heads = {
        "inspect": ["missing", "unusable", *TASKS],
        "diversity": ["mean of members %"],
        "bench": ["gap closed %", "rounds", "fit s", "its accuracy %"],
        "bench --scenario": ["before", "attained %", "won back %", "gain of refit", "calls"],
    }
    for verb, titles in heads.items():
        assert [title for title in titles if title not in piped[verb]] == []
    on_terminal(60)
    narrow = dict(shown(made, run, capsys))
    for verb, titles in heads.items():
        told = " ".join(re.findall(r"Left out for want of room: ([^.]*)", narrow[verb]))
        assert told, verb
        told = " ".join(told.split())
        table = narrow[verb].split("Left out")[0]
        gone = [title for title in titles if title.split()[0] not in " ".join(table.split())]
        assert [title for title in gone if title not in told] == [], verb

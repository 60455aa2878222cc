"""`rlfocal blend train` and `rlfocal examine`, with tables in place of models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from tests.support.table_models import TableModel, pool_with_blend, says

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.pool.blends import llama_voice
from rlfocal.pool.blends.policy import read_policy
from rlfocal.pool.types import Request
from rlfocal.records.database import StoredResponse, open_database, query_key_of, settings_key_of
from rlfocal.records.folders import read_dataset
from rlfocal.training.spans import on_queries

if TYPE_CHECKING:
    from conftest import Run

MODELS = ["one.gguf", "two.gguf"]
TRAIN = ("--iterations", 2, "--episodes", 4, "--answers", "number")


@pytest.fixture(autouse=True)
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first model says 7, the second 8, and is less sure; both know how to end."""
    written = {"one": says("7"), "two": says("8", sure=0.6)}
    named = written | {f"{name}-alone": table for name, table in written.items()}
    monkeypatch.setattr(TableModel, "tables", named)
    monkeypatch.setattr(llama_voice, "LlamaVoice", TableModel)
    monkeypatch.setattr(on_queries, "LlamaVoice", TableModel)


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "queries.jsonl"
    rows = [{"query_id": f"q{n}", "prompt": f"{n} + {7 - n} =", "label": "7"} for n in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_policy_is_trained_written_and_measured(run: Run, tmp_path: Path, queries: Path) -> None:
    out = tmp_path / "policy.safetensors"
    shown = run("blend", "train", pool_with_blend(tmp_path), queries, "-o", out, *TRAIN)
    assert "6 queries to train on, 2 held out" in shown.err
    assert "one alone" in shown.out
    assert read_policy(out, models=MODELS).span == 4
    again = run("blend", "train", pool_with_blend(tmp_path), queries, "-o", out, *TRAIN)
    assert again.code == 2
    assert "is there already" in again.err
    found = json.loads(
        run(
            "blend", "train", pool_with_blend(tmp_path), queries, "-o", out, *TRAIN,
            "--overwrite", "--json", "--agents", "each", "--span", 2,
        ).out
    )  # fmt: skip
    by_name = {row["written_by"]: row for row in found["held_out"]}
    assert by_name["one alone"]["accuracy"] == 1
    assert by_name["two alone"]["accuracy"] == 0
    assert read_policy(out, models=MODELS).agents == "each"


def test_one_seed_is_one_policy(run: Run, tmp_path: Path, queries: Path) -> None:
    files = [tmp_path / f"{n}.safetensors" for n in range(2)]
    for file in files:
        run("blend", "train", pool_with_blend(tmp_path), queries, "-o", file, *TRAIN, "--seed", 3)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--agents", "both"), "--agents both: known: one, each"),
        (("--member", "one-alone"), "'one-alone' is no member on a blend"),
        (("--member", "blnd"), "'blnd' is no member on a blend; did you mean 'blend'"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(
    options: tuple[str, ...], message: str, run: Run, tmp_path: Path, queries: Path
) -> None:
    out = tmp_path / "policy.safetensors"
    shown = run("blend", "train", pool_with_blend(tmp_path), queries, "-o", out, *options)
    assert message in shown.err
    assert not out.exists()


def test_what_cannot_be_asked_is_counted_and_the_rest_is_measured(
    run: Run, tmp_path: Path, queries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky(TableModel):
        """Refuses some questions, in training and after it."""

        async def begin(self, request: Request) -> list[int]:
            if request.text[0] in "0123":
                raise MemberError("too long", failure=Failure.BAD_REQUEST)
            return await super().begin(request)

    monkeypatch.setattr(on_queries, "LlamaVoice", Picky)
    out = tmp_path / "policy.safetensors"
    words = ("-o", out, *TRAIN, "--holdout", 0.5)
    shown = run("blend", "train", pool_with_blend(tmp_path), queries, *words)
    assert shown.code == 0, shown.err
    assert re.search(r"note: \d of 8 replies could not be written in training", shown.err)
    assert re.search(r"note: two alone: \d of 4 replies failed so", shown.err)
    assert "one alone" in shown.out
    refused = run("blend", "train", pool_with_blend(tmp_path), queries, "-o", tmp_path)
    assert refused.code == 2
    assert "is a folder; name a file in it" in refused.err


def test_a_pool_without_a_blend_is_refused(run: Run, tmp_path: Path, queries: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(
        '[endpoints.one]\nkind = "llama-cpp"\npath = "one.gguf"\n'
        '[[members]]\nname = "m"\nendpoint = "one"\n'
    )
    shown = run("blend", "train", path, queries, "-o", tmp_path / "p")
    assert "no blend; name one with --member" in shown.err


def stored(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/answers.db"
    key = settings_key_of({"kind": "stub"})
    with open_database(url) as database:
        database.add_member("far", {"kind": "stub"})
        database.add_queries(
            [{"query_id": f"q{n}", "prompt": f"{n} + {7 - n} =", "choices": None, "label": "7"}
             for n in range(3)]
        )  # fmt: skip
        database.add_responses([
            StoredResponse(
                query_key=query_key_of(f"{n} + {7 - n} =", None), query_id=f"q{n}", member="far",
                settings_key=key, sample=0, text=text, answer=text, finish="stop",
            )
            for n, text in enumerate(("7", "8", "7"))
        ])  # fmt: skip
    return url


def test_stored_replies_are_examined_and_exported(run: Run, tmp_path: Path) -> None:
    url, pool = stored(tmp_path), pool_with_blend(tmp_path)
    found = json.loads(run("examine", pool, "--db", url, "--json").out)
    assert found["replies"] == 6  # by two models
    again = json.loads(run("examine", pool, "--db", url, "--json").out)
    assert again["replies"] == 0
    run("export", url, "-o", tmp_path / "out")
    rows = read_dataset(tmp_path / "out").responses.to_pylist()
    by_query = {row["query_id"]: row for row in rows}
    assert by_query["q0"]["signal_likely_one_alone"] > by_query["q1"]["signal_likely_one_alone"]
    assert by_query["q1"]["signal_likely_two_alone"] > by_query["q0"]["signal_likely_two_alone"]
    assert {name for name in rows[0] if name.startswith("signal_")} == {
        f"signal_{kind}_{name}_alone" for kind in ("likely", "cross") for name in ("one", "two")
    }


def test_who_examines_and_who_is_examined_can_be_named(run: Run, tmp_path: Path) -> None:
    url, pool = stored(tmp_path), pool_with_blend(tmp_path)
    shown = run("examine", pool, "--db", url, "--by", "one-alone", "--members", "far")
    assert "signal_likely_one_alone, signal_cross_one_alone" in shown.err
    assert "3 replies" in shown.err
    refused = run("examine", pool, "--db", url, "--by", "blend")
    assert "'blend' cannot examine" in refused.err
    unknown = run("examine", pool, "--db", url, "--members", "near")
    assert "nothing of 'near' is stored" in unknown.err


@pytest.fixture
def examined(run: Run, tmp_path: Path) -> tuple[Path, tuple[str, ...]]:
    """A pool file one of whose models has read stored replies, and the options of that."""
    pool, by = pool_with_blend(tmp_path), ("--db", stored(tmp_path), "--by", "one-alone")
    assert run("examine", pool, *by).code == 0
    return pool, by


def test_numbers_of_two_models_of_one_name_are_not_mixed(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    examined: tuple[Path, tuple[str, ...]],
) -> None:
    pool, by = examined
    pool.write_text(pool.read_text("utf-8").replace("one.gguf", "three.gguf"), "utf-8")
    refused = run("examine", pool, *by)
    assert refused.code == 2
    assert "'one-alone' has examined replies as another model" in refused.err
    assert "likely_one_alone and cross_one_alone would mix both; say --again" in refused.err
    tables = {**TableModel.tables, "one": says("8")}
    monkeypatch.setattr(TableModel, "tables", tables)
    assert json.loads(run("examine", pool, *by, "--again", "--json").out)["replies"] == 3
    run("export", by[1], "-o", tmp_path / "out")
    rows = {row["query_id"]: row for row in read_dataset(tmp_path / "out").responses.to_pylist()}
    assert rows["q1"]["signal_likely_one_alone"] > rows["q0"]["signal_likely_one_alone"]
    assert run("examine", pool, *by).code == 0  # it is the same model now


def test_nothing_is_taken_away_before_all_models_are_there(
    run: Run, monkeypatch: pytest.MonkeyPatch, examined: tuple[Path, tuple[str, ...]]
) -> None:
    pool, by = examined
    right = pool.read_text("utf-8")
    pool.write_text(right.replace("one.gguf", "three.gguf"), "utf-8")
    monkeypatch.setattr(llama_voice, "LlamaVoice", NoModel)
    assert run("examine", pool, *by, "--again").code == 2
    monkeypatch.setattr(llama_voice, "LlamaVoice", TableModel)
    pool.write_text(right, "utf-8")
    found = json.loads(run("examine", pool, *by, "--json").out)
    assert found["replies"] == 0  # all that was found is there


def test_settings_that_change_no_number_are_no_other_model(
    run: Run, examined: tuple[Path, tuple[str, ...]]
) -> None:
    pool, by = examined
    text = pool.read_text("utf-8")
    name = 'name = "one-alone"\n'
    pool.write_text(text.replace(name, f"{name}max_tokens = 600\ntemperature = 1.0\n"), "utf-8")
    assert run("examine", pool, *by).code == 0
    pool.write_text(text.replace(name, f'{name}template = "Say: {{question}}"\n'), "utf-8")
    assert "asked in other words" in run("examine", pool, *by).err


class NoModel(TableModel):
    """A file that cannot be loaded."""

    async def __aenter__(self) -> Self:
        raise ConfigError("one.gguf: cannot be read")

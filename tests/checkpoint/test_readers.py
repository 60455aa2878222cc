"""A checkpoint knows who reads whom, and refuses pools and data where that is otherwise."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reading_pool import pool_file, recorded, trained
from stub_pool import trained as trained_alone

from rlfocal.checkpoint import load_checkpoint, read_description
from rlfocal.checkpoint.explaining import explain_query
from rlfocal.checkpoint.readers import difference
from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.deliberation.replay import replay
from rlfocal.errors import CheckpointError, ConfigError
from rlfocal.live import LiveEnsemble, members_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.readers import ReaderInfo, Reads

Factory = pytest.TempPathFactory
URL = "http://127.0.0.1:9/v1"


def test_it_says_who_reads_whom(tmp_path_factory: Factory) -> None:
    about = read_description(trained(tmp_path_factory, "plurality"))
    assert about.readers["check"] == ReaderInfo(reads=["second"], reading="verify")
    assert about.readers["second"].first == "second-first"
    assert about.reads is not None
    assert about.reads.stage.max() == 2


def test_without_readers_nothing_is_written_and_nothing_is_read(tmp_path_factory: Factory) -> None:
    folder = trained_alone(tmp_path_factory, "plurality")
    assert "readers" not in json.loads((folder / "checkpoint.json").read_text())
    assert read_description(folder).reads is None


@pytest.mark.parametrize(
    ("readers", "told"),
    [
        ({"nobody": {"reads": ["plain"]}}, "readers: 'nobody' is no member"),
        ({"plain": {"reads": ["absent"]}}, "which is not among the members"),
        ({"plain": {"reads": ["plain"]}}, "'plain' reads 'plain'"),
        ({"plain": {"reads": "letters"}}, "valid list"),
    ],
)
def test_readers_that_cannot_be_are_refused(
    readers: object, told: str, tmp_path: Path, tmp_path_factory: Factory
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained(tmp_path_factory, "plurality"), folder)
    about = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(about | {"readers": readers}))
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('reads = ["second"]', 'reads = ["plain"]', "reads plain .as verify. here"),
        ('reads = ["plain", "critic"]\nreading = "refine"', "", "and reads nobody here"),
        ('reading = "judge"', 'reading = "debate"', "as judge. in training, .*as debate. here"),
        ("first = true", "", "after second-first as its own"),
        (
            'model = "plain"\n', 'model = "plain"\nreads = ["letters"]\n',
            "member 'plain' read nobody in training",
        ),
    ],
)  # fmt: skip
def test_a_pool_whose_members_read_others_is_refused(
    old: str, new: str, told: str, tmp_path: Path, tmp_path_factory: Factory
) -> None:
    checkpoint = load_checkpoint(trained(tmp_path_factory, "plurality"))
    path = pool_file(tmp_path, URL)
    members_for(checkpoint, read_pool(path))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) + ('\n[[members]]\nname = "second-first"\n'
                    'endpoint = "stub"\nmodel = "second"\n') * (old == "first = true"))  # fmt: skip
    with pytest.raises(ConfigError, match=f"does not fit the pool: .*{told}.*train again"):
        members_for(checkpoint, read_pool(path))
    pool = {member.name: member for member in LivePool(read_pool(path)).members}
    members = [pool[name] for name in checkpoint.description.members]
    with pytest.raises(ConfigError, match=told):
        LiveEnsemble(checkpoint, members)


def test_the_order_of_names_does_not_count() -> None:
    one, other = ReaderInfo(reads=["a", "b"]), ReaderInfo(reads=["b", "a"])
    assert not difference({"c": one}, {"c": other}, members=["a", "b", "c"])
    assert not difference({}, {"d": other}, members=["a", "b", "c"])


def test_a_draft_and_what_is_said_of_it_are_not_taken_for_one_another() -> None:
    one = ReaderInfo(reads=["draft", "critic"], reading="refine")
    other = ReaderInfo(reads=["critic", "draft"], reading="refine")
    told = difference({"c": one}, {"c": other}, members=["a", "b", "c"])
    assert told == (
        "member 'c' read draft and critic (as refine) in training, and reads critic and draft "
        "(as refine) here"
    )
    reads = Reads.of(["critic", "draft", "c"], {"c": one})
    assert reads is not None
    assert reads.infos == {"c": one}  # as it is kept with a checkpoint


def test_data_whose_members_read_others_are_refused(tmp_path_factory: Factory) -> None:
    data = recorded(tmp_path_factory)
    checkpoint = load_checkpoint(trained(tmp_path_factory, "plurality"))
    assert checkpoint.table(data).reads is not None
    plain = data.responses.filter(np.array(data.responses["member"]) != "check")
    readers = {name: one for name, one in data.info.readers.items() if name != "check"}
    info = data.info.model_copy(update={"readers": readers})
    with pytest.raises(CheckpointError, match="check"):
        checkpoint.table(replace(data, info=info, responses=plain))
    untold = data.responses.drop_columns(["shown", "verdicts"])
    with pytest.raises(CheckpointError, match=r"'check' read second .* and reads nobody here"):
        checkpoint.table(replace(data, info=info, responses=untold))


def test_without_labels_readers_cost_what_they_read(tmp_path: Path) -> None:
    path = pool_file(tmp_path, URL)
    before = start_without_labels(read_pool(path))
    assert before.description.reads is not None
    assert start_without_labels(read_pool(path)).description == before.description
    text = path.read_text()
    path.write_text(text.replace('reads = ["second"]', 'reads = ["plain"]'))
    other = start_without_labels(read_pool(path)).description
    assert other.weights_sha256 != before.description.weights_sha256
    models = {m.model for m in read_pool(path).members}
    price = '\n[prices."{}"]\nprompt = 1.0\ncompletion = 2.0\n'
    path.write_text(text + "".join(map(price.format, models)))
    priced = start_without_labels(read_pool(path))
    assert priced.description.cost_unit == "usd"


def test_explaining_says_who_read_whom(tmp_path_factory: Factory) -> None:
    data = recorded(tmp_path_factory)
    checkpoint = load_checkpoint(trained(tmp_path_factory, "best-single"))
    table = checkpoint.table(data)
    outcome = replay(checkpoint.strategy, table)
    query = str(table.query_ids[300])
    found = explain_query(checkpoint, table, query, dataset=data)
    rounds = [[call.member for call in part.asked] for part in found.trace.rounds]
    assert rounds == [["plain", "letters", "sampled"], ["judge"], ["top"]]
    assert len(rounds) == outcome.n_rounds[300]
    judge = found.trace.rounds[1].asked[0]
    rows = data.responses.to_pylist()
    stored = next(r for r in rows if r["query_id"] == query and r["member"] == "judge")
    assert [list(names) for names in judge.read or ()] == stored["shown"]
    assert judge.verdict is not None
    for names, verdict, name in zip(
        stored["shown"], stored["verdicts"], judge.verdict, strict=True
    ):
        assert name == (None if verdict is None else "" if verdict < 0 else names[verdict])
    assert judge.reading in str(found)
    assert found.to_json()["readers"]["judge"]["reading"] == "judge"

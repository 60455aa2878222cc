"""`train`, `evaluate` and `explain` on data worked out by hand and on what users get wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from texts import with_own_texts

from rlfocal.records import Dataset, PoolModel, simulate
from rlfocal.records.folders import read_dataset, write_dataset

SETTINGS = """
n_iterations = 4
n_episodes = 32
learn_from = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An expert for each of two tasks."""
    model = PoolModel(accuracy=[[0.9, 0.4, 0.5], [0.4, 0.9, 0.5]])
    path = tmp_path_factory.mktemp("data") / "experts"
    write_dataset(simulate(model, 200, rng=np.random.default_rng(0), name="experts"), path)
    return path


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "small.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="module")
def checkpoint(folder: Path, settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rlfocal.cli.main import main

    out = tmp_path_factory.mktemp("checkpoint")
    with pytest.raises(SystemExit) as left:
        main(["train", str(folder), "--config", str(settings), "-o", str(out)])
    assert not left.value.code
    return out


@pytest.fixture
def unseen(tmp_path: Path) -> Path:
    model = PoolModel(accuracy=[[0.9, 0.4, 0.5], [0.4, 0.9, 0.5]])
    dataset = simulate(model, 80, rng=np.random.default_rng(1), name="unseen")
    write_dataset(with_own_texts(dataset), tmp_path / "unseen")
    return tmp_path / "unseen"


@pytest.mark.slow
def test_evaluate_measures_on_unseen_queries(run: Any, checkpoint: Path, unseen: Path) -> None:
    ran = run("evaluate", checkpoint, unseen, "--json", "-")
    figures = json.loads(ran.out)
    assert ran.code == 0
    assert (figures["n_queries"], figures["queries_left_out"]) == (80, 0)
    assert figures["synthetic"]
    low, high = figures["accuracy_ci"]
    assert low <= figures["accuracy"] <= high
    gain = figures["accuracy"] - figures["best_single_accuracy"]
    assert figures["gain_over_best_single"] == pytest.approx(gain, abs=1e-6)
    calls = [point["mean_calls"] for point in figures["frontier"]]
    assert calls[0] == 1
    assert all(1 <= c <= 3 for c in calls)


@pytest.mark.slow
def test_evaluate_refuses_to_flatter(run: Any, checkpoint: Path, folder: Path) -> None:
    figures = json.loads(run("evaluate", checkpoint, folder, "--json", "-").out)
    assert (figures["n_queries"], figures["queries_left_out"]) == (40, 160)
    shown = run("evaluate", checkpoint, folder, "--include-trained")
    assert shown.code == 0
    assert "the figures flatter the checkpoint" in shown.out


def test_all_queries_are_trained_on_where_none_is_held_out(
    run: Any, folder: Path, tmp_path: Path
) -> None:
    trained = run("train", folder, "--strategy", "plurality", "--holdout", "0", "-o", tmp_path)
    assert trained.code == 0
    assert "No query was held out, so it was not measured: rlfocal bench" in trained.out
    assert "rlfocal evaluate" not in trained.out
    ran = run("evaluate", tmp_path, folder)
    assert ran.code == 2
    assert "all 200 queries were used in training" in ran.err
    assert "--holdout 0" in ran.err


def test_train_says_what_came_of_it(run: Any, folder: Path, tmp_path: Path) -> None:
    """The figures are those of `evaluate`, and the commands run as they are printed."""
    out = tmp_path / "a folder"
    ran = run("train", folder, "--strategy", "agreement", "-o", out)
    assert ran.code == 0, ran.err
    assert "160 queries to train on, 40 held out to measure on" in ran.err
    assert re.search(r"^training agreement: \d+\.\d s$", ran.err, re.MULTILINE)
    assert "\r" not in ran.err + ran.out
    assert "\x1b" not in ran.err + ran.out
    assert "On the 40 queries held out of training" in ran.out
    assert "40 queries tell little" in ran.out
    assert "At its default setting agreement itself acts" in ran.out
    assert re.search(r"Whom it asks of 3: model-\d on 100 %", ran.out)
    figures = json.loads(run("evaluate", out, folder, "--json", "-").out)
    shown = f"{100 * figures['accuracy']:.1f} "
    low, high = (f"{100 * end:.1f}" for end in figures["accuracy_ci"])
    (row,) = (line for line in ran.out.splitlines() if line.startswith("agreement  "))
    assert shown in row
    assert f"[{low}, {high}]" in row
    assert f"{figures['mean_calls']:.2f}" in row
    (single,) = (line for line in ran.out.splitlines() if line.startswith("model-"))
    low, high = (f"{100 * end:+.1f}" for end in figures["gain_ci"])
    assert single.startswith(figures["best_single"])
    assert single.endswith(f"{100 * figures['gain_over_best_single']:+.1f} [{low}, {high}]")
    (next_one,) = (line for line in ran.out.splitlines() if "rlfocal evaluate" in line)
    words = shlex.split(next_one, comments=True)
    assert run(*words[1:]).code == 0


def test_who_reads_replies_is_said_to(run: Any, folder: Path, tmp_path: Path) -> None:
    data = read_dataset(folder)
    sure = np.random.default_rng(0).random(data.responses.num_rows)
    told = data.responses.append_column("signal_sure", pa.array(sure))
    write_dataset(Dataset("told", data.queries, told, data.info), tmp_path / "told")
    for strategy, says in (("confidence-vote", True), ("plurality", False)):
        said = run("train", tmp_path / "told", "--strategy", strategy, "-o", tmp_path / strategy)
        assert said.code == 0
        assert ("It reads whole replies" in said.out) is says
        for data, lacks in (("told", False), (folder, True)):
            tried = run("evaluate", tmp_path / strategy, tmp_path / data, "--include-trained")
            assert tried.code == 0
            assert ("reads whole replies, and these data hold" in tried.out) is (says and lacks)


def test_too_few_held_out_are_not_measured(run: Any, folder: Path, tmp_path: Path) -> None:
    few = ("--holdout", "0.03", "--strategy", "plurality")
    ran = run("train", folder, *few, "-o", tmp_path)
    assert "Too few queries were held out to measure it (6)" in ran.out


@pytest.mark.parametrize("share", ["1", "-0.1", "nan"])
def test_a_share_that_cannot_be_held_out_is_refused(run: Any, tmp_path: Path, share: str) -> None:
    ran = run("train", "no such folder", "--holdout", share, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "holdout must lie in [0, 0.9]" in ran.err


def test_split_and_holdout_are_not_both_given(run: Any, folder: Path, tmp_path: Path) -> None:
    ran = run("train", "nowhere", "--split", "--holdout", "0.2", "-o", tmp_path / "out")
    assert "give one of split and holdout" in ran.err


def test_explain_tells_the_rounds(run: Any, checkpoint: Path, unseen: Path) -> None:
    ran = run("explain", checkpoint, unseen, "--query", "unseen-00007", "--json")
    trace = json.loads(ran.out)
    asked = [response["member"] for part in trace["rounds"] for response in part["asked"]]
    assert sorted(asked + trace["not_asked"]) == ["model-1", "model-2", "model-3"]
    assert trace["rounds"][-1]["spent"] == len(asked)
    assert trace["answer"] in "ABCD"
    assert trace["score"] in (0.0, 1.0)
    dear = json.loads(
        run(
            "explain", checkpoint, unseen, "--query", "unseen-00007", "--json", "--price", "0.3"
        ).out
    )
    assert len(dear["rounds"]) == 1
    text = run("explain", checkpoint, unseen, "--query", "unseen-00007").out
    assert f"answer: {trace['answer']}" in text
    assert "round 1" in text


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """Every other query without label and scores, and one member without a third of its records."""
    model = PoolModel(accuracy=[[0.9, 0.4, 0.5], [0.4, 0.9, 0.5]])
    whole = with_own_texts(simulate(model, 80, rng=np.random.default_rng(1), name="spoilt"))
    ids = whole.queries["query_id"].to_pylist()
    known = dict(zip(ids, (q % 2 == 0 for q in range(80)), strict=True))
    label = whole.queries["label"].to_pylist()
    label = [x if known[q] else None for q, x in zip(ids, label, strict=True)]
    queries = whole.queries.drop_columns("label").append_column(
        "label", pa.array(label, pa.string())
    )
    rows = [
        row | {"score": None}
        for row in whole.responses.to_pylist()
        if row["member"] != "model-1" or not row["query_id"].endswith(("2", "5", "8"))
    ]
    responses = pa.Table.from_pylist(rows).drop_columns("score")
    write_dataset(Dataset("spoilt", queries, responses, whole.info), tmp_path / "spoilt")
    return tmp_path / "spoilt"


def test_evaluate_withholds_its_verdict_where_much_is_missing(
    run: Any, checkpoint: Path, spoilt: Path
) -> None:
    figures = json.loads(run("evaluate", checkpoint, spoilt, "--json", "-").out)
    assert figures["n_queries"] == 40
    assert figures["n_compared"] <= figures["n_measured"] <= 40
    assert figures["verdict"] == "withheld"
    shown = run("evaluate", checkpoint, spoilt).out
    assert "withheld" in shown
    assert "40 of 80 queries have no label and no score; they are left out" in shown
    complete = json.loads(run("evaluate", checkpoint, spoilt, "--complete", "--json", "-").out)
    assert complete["missing"] is None
    assert complete["n_measured"] == complete["n_queries"] < 40


def test_explain_says_that_nobody_knows_what_is_right(
    run: Any, checkpoint: Path, spoilt: Path
) -> None:
    text = run("explain", checkpoint, spoilt, "--query", "spoilt-00007").out
    assert "no label: nobody knows whether that is right" in text
    assert "answer: " in text
    trace = json.loads(run("explain", checkpoint, spoilt, "--query", "spoilt-00007", "--json").out)
    assert trace["score"] is None
    assert trace["labelled"] is False
    labelled = run("explain", checkpoint, spoilt, "--query", "spoilt-00006").out
    assert "that is right" in labelled or "that is wrong" in labelled
    closed = json.loads(run("explain", checkpoint, spoilt, "--query", "spoilt-00008", "--json").out)
    asked = [response["member"] for part in closed["rounds"] for response in part["asked"]]
    assert "model-1" not in asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--query", "unseen-0000"), "no query 'unseen-0000'; did you mean 'unseen-0"),
        (("--query", "unseen-00001", "--price", "7"), "must lie in"),
    ],
)
def test_explain_answers_mistakes(
    run: Any, checkpoint: Path, unseen: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = run("explain", checkpoint, unseen, *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_a_checkpoint_of_another_pool_is_refused(
    run: Any, checkpoint: Path, tmp_path: Path
) -> None:
    model = PoolModel(accuracy=[[0.5, 0.5]])
    write_dataset(simulate(model, 20, rng=np.random.default_rng(1)), tmp_path / "two")
    ran = run("evaluate", checkpoint, tmp_path / "two")
    assert ran.code == 2
    assert "another pool" in ran.err
    assert "model-3" in ran.err


def test_a_truncated_checkpoint_is_refused(run: Any, checkpoint: Path, unseen: Path) -> None:
    weights = next(checkpoint.glob("weights-*"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    try:
        ran = run("evaluate", checkpoint, unseen)
    finally:
        weights.write_bytes(whole)
    assert ran.code == 2
    assert "damaged or truncated" in ran.err


def test_a_finished_checkpoint_is_not_overwritten_unasked(
    run: Any, checkpoint: Path, folder: Path, settings: Path
) -> None:
    before = (checkpoint / "checkpoint.json").read_bytes()
    ran = run("train", folder, "-o", checkpoint, "--config", settings)
    assert ran.code == 2
    assert "--overwrite" in ran.err
    assert (checkpoint / "checkpoint.json").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_iteration = 3", "unknown key 'n_iteration'; did you mean 'n_iterations'?"),
        ("n_folds = 1", "n_folds = 1"),
        ("[ppo]\nclip = 1", "ppo.clip"),
        ("n_folds = ", "cannot read"),
    ],
)
def test_bad_settings_are_refused_before_any_work(
    run: Any, folder: Path, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    ran = run("train", folder, "-o", tmp_path / "out", "--config", tmp_path / "bad.toml")
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "out").exists()


def test_wrong_names_and_places_are_refused(run: Any, folder: Path, tmp_path: Path) -> None:
    ran = run("train", folder, "-o", tmp_path / "out", "--strategy", "rl-focal-papr")
    assert "did you mean 'rl-focal-paper'?" in ran.err
    ran = run("train", folder, "-o", tmp_path / "out", "--split")
    assert "--split, but no query belongs" in ran.err
    (tmp_path / "file").write_text("")
    ran = run("train", folder, "-o", tmp_path / "file")
    assert ran.code == 2
    assert "cannot be written" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--strategy", "oracle"), "point of comparison"),
        (("--strategy", "self-consistency"), "point of comparison"),
        (("--strategy", "all"), "unknown strategy 'all'"),
        (("--strategy", "agreement", "--set", "treshold=1"), "did you mean 'threshold'?"),
        (("--strategy", "agreement", "--set", "threshold=much"), "threshold: .*found 'much'"),
        (("--set", "hidden"), "--set hidden: write KEY=VALUE"),
        (("--set", "=3"), "write KEY=VALUE"),
        (("--set", "ppo.clip_coef=-1"), "ppo.clip_coef = -1"),
        (("--set", "hidden=8", "--set", "hidden.more=8"), "'hidden' is a setting, no group"),
    ],
    ids=" ".join,
)
def test_strategies_and_settings_are_refused_before_any_work(
    run: Any, folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = run("train", folder, "-o", tmp_path / "out", *arguments)
    assert ran.code == 2
    assert re.search(message, ran.err), ran.err
    assert not (tmp_path / "out").exists()


def test_data_that_lack_what_a_strategy_needs_are_refused(
    run: Any, folder: Path, tmp_path: Path
) -> None:
    ran = run("train", folder, "-o", tmp_path / "out", "--strategy", "mean-probability")
    assert ran.code == 2
    assert "experts: mean-probability cannot be trained: no option scores" in ran.err
    assert list((tmp_path / "out").iterdir()) == []


def test_settings_come_from_a_file_and_options_over_it(
    run: Any, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "settings.toml").write_text('threshold = 0.5\norder = "cost"\n')
    given = ("--config", tmp_path / "settings.toml", "--set", "threshold=0.25")
    more = ("--set", "order=accuracy")
    ran = run("train", folder, "-o", tmp_path / "out", "--strategy", "agreement", *given, *more)
    assert ran.code == 0, ran.err
    kept = json.loads((tmp_path / "out" / "checkpoint.json").read_text())
    assert kept["strategy"] == "agreement"
    assert kept["settings"] == {"threshold": 0.25, "order": "accuracy", "members_per_round": 1}


def test_a_wrong_name_is_told_before_anything_heavy_is_imported(folder: Path) -> None:
    code = (
        "import sys; from rlfocal.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: print([m for m in ('torch', 'numpy', 'pyarrow') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, "train", str(folder), "-o", "out", "--strategy", "x"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "unknown strategy 'x'" in ran.stderr
    assert ran.stdout.strip() == "[]"


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.slow
def test_ctrl_c_keeps_the_checkpoint_and_the_same_command_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "long.toml").write_text(SETTINGS.replace("n_iterations = 4", "n_iterations = 5000"))
    out = tmp_path / "out"
    code = "from rlfocal.cli.main import main; main()"
    command = [sys.executable, "-c", code, "train", str(folder), "-o", str(out)]
    command += ["--config", str(tmp_path / "long.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 300
        while not (out / "training.safetensors").exists():
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "goes on from there" in err
    assert "Traceback" not in err
    kept = json.loads((out / "checkpoint.json").read_text())
    assert not kept["finished"]
    assert len(kept["history"]) >= 10


def test_zero_shot_uses_no_label(folder: Path, tmp_path: Path) -> None:
    """Every query stays unseen, and other labels make the same checkpoint but for its name."""
    from rlfocal.cli.main import main

    dataset = simulate(
        PoolModel(accuracy=[[0.2, 0.3, 0.4]] * 2), 200, rng=np.random.default_rng(5), name="other"
    )
    write_dataset(dataset, tmp_path / "other")
    digests = []
    for data in (folder, tmp_path / "other"):
        out = tmp_path / f"{data.name}-checkpoint"
        with pytest.raises(SystemExit) as left:
            main(
                ["train", str(data), "--strategy", "rl-focal-prior", "--zero-shot", "-o", str(out)]
            )
        assert not left.value.code
        kept = json.loads((out / "checkpoint.json").read_text())
        assert (kept["n_training_queries"], kept["settings"]["zero_shot"]) == (0, True)
        digests.append(kept["weights_sha256"])
    assert digests[0] == digests[1]
    with pytest.raises(SystemExit) as left:
        main(["evaluate", str(tmp_path / "experts-checkpoint"), str(folder)])
    assert not left.value.code


def test_zero_shot_is_refused_where_labels_teach(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rlfocal.cli.main import main

    with pytest.raises(SystemExit) as left:
        main(["train", str(folder), "--zero-shot", "-o", str(tmp_path / "out")])
    assert left.value.code == 2
    assert "rl-focal: unknown key 'zero_shot'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_evaluate_hides_tasks_as_a_gateway_does(run: Any, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "per-task"
    assert run("train", folder, "--strategy", "best-single-per-task", "-o", out).code == 0
    given, hidden = (
        json.loads(run("evaluate", out, folder, "--tasks", tasks, "--json", "-").out)
        for tasks in ("given", "hidden")
    )
    assert (given["tasks"], hidden["tasks"]) == ("given", "hidden")
    assert given == json.loads(run("evaluate", out, folder, "--json", "-").out)
    # Of an unknown task, the best of each is the best of all.
    assert hidden["accuracy"] == pytest.approx(hidden["best_single_accuracy"])
    assert given["accuracy"] > hidden["accuracy"]
    assert "tasks hidden)" in run("evaluate", out, folder, "--tasks", "hidden").out
    assert "tasks given)" in run("evaluate", out, folder).out
    ran = run("evaluate", out, folder, "--tasks", "both")
    assert ran.code == 2
    assert "'both' is not one of 'given', 'hidden'" in ran.err


def test_a_training_in_processes_says_and_learns_the_same(
    run: Any, folder: Path, tmp_path: Path
) -> None:
    ran = [
        run("train", folder, "--strategy", "best-of", "-o", tmp_path / name, *words)
        for name, words in (("a", ()), ("b", ("--on", "processes:2")))
    ]
    assert [one.code for one in ran] == [0, 0], ran[1].err
    assert ran[0].out.replace(f"{tmp_path}/a", f"{tmp_path}/b") == ran[1].out
    # The name of the file of weights tells what is in it.
    names = [{path.name for path in (tmp_path / name).glob("weights-*")} for name in "ab"]
    assert len(names[0]) == 1
    assert names[0] == names[1]
    wrong = run("train", folder, "-o", tmp_path / "c", "--on", "moon:1")
    assert wrong.code == 2
    assert "--on moon:1: no such place" in wrong.err

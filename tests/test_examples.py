"""The commands in the examples' READMEs run as they stand, each in a copy of its folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rlfocal.pool.settings import read_pool
from rlfocal.records.folders import read_dataset

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_S = 600
MODELS = ("gemma-3-270m", "qwen2.5-coder-0.5b")
N_QUERIES = 12
SERVE = "python serve.py pool.toml"
ENDED = "wait $!\n"
"""Fails if the servers, told to end, do not end well."""


def environment() -> dict[str, str]:
    """This one's programs come first on PATH; tables are not cut to a terminal's width."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}


def commands(folder: Path) -> str:
    """The one block of a README."""
    (block,) = BLOCK.findall((folder / "README.md").read_text("utf-8"))
    return str(block)


def run(script: str, folder: Path) -> str:
    """Run commands until one fails, leaving no process behind; what they print."""
    log = folder / "printed.txt"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            ["sh", "-eu", "-c", script], cwd=folder, env=environment(),
            stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(LIMIT_S)
        finally:
            end_group(process.pid)
            process.wait()
    text = log.read_text("utf-8")
    assert code == 0, text
    return text


def end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # as it should be


def copy(name: str, to: Path) -> Path:
    """An example's folder, without what a run may have left in it."""
    ignored = shutil.ignore_patterns("models", "data", "ensemble", "*.db*", "__pycache__")
    folder = to / name
    shutil.copytree(EXAMPLES / name, folder, ignore=ignored)
    queries = folder / "queries.jsonl"
    if queries.exists():
        lines = queries.read_text("utf-8").splitlines(keepends=True)
        queries.write_text("".join(lines[:N_QUERIES]), "utf-8")
    return folder


@pytest.fixture(scope="session")
def models(models_folder: Path) -> Path:
    absent = [name for name in MODELS if not (models_folder / f"{name}.gguf").is_file()]
    if absent:
        reason = f"{models_folder} lacks {', '.join(absent)}: fetch into there"
        promised = "models" in os.environ.get("RLFOCAL_REQUIRE", "").split(",")
        (pytest.fail if promised else pytest.skip)(reason)
    return models_folder


@pytest.fixture
def servers(tmp_path: Path) -> Path:
    """The example of two servers, and beside it the questions that it asks."""
    copy("local_models", tmp_path)
    return copy("openai_servers", tmp_path)


def check_answers(folder: Path, printed: str) -> None:
    """All members answered, and who takes part in the last answer is told by name."""
    members = [member.name for member in read_pool(folder / "pool.toml").members]
    data = read_dataset(folder / "data")
    assert sorted(data.members) == sorted(members)
    assert data.queries.num_rows == N_QUERIES
    assert data.responses.num_rows == N_QUERIES * len(members)
    explained = printed.rpartition("rl-focal-prior, price")[2]
    assert re.search(r"^round 1\n  \S+ (answered|gave)", explained, re.MULTILINE)
    assert re.search(r"^answer: \S+ \(confidence", explained, re.MULTILINE)
    assert sum(member in explained for member in members) >= 2


@pytest.mark.slow
@pytest.mark.models
def test_local_models_are_asked_trained_on_and_asked_again(models: Path, tmp_path: Path) -> None:
    folder = copy("local_models", tmp_path)
    (folder / "models").symlink_to(models, target_is_directory=True)
    printed = run(commands(folder), folder)
    for strategy in ("best-single", "plurality", "agreement", "self-consistency"):
        assert re.search(rf"^{strategy} +\d", printed, re.MULTILINE), printed
    assert (folder / "ensemble").is_dir()
    assert re.search(r"^[AB]\. a (fish|bird)$", printed, re.MULTILINE)
    check_answers(folder, printed)


def test_queries_of_the_example_are_fifty_of_two_kinds() -> None:
    lines = (EXAMPLES / "local_models" / "queries.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["query_id"] for row in rows}) == len({row["prompt"] for row in rows}) == 50
    for row in rows:
        if "choices" in row:
            assert len(set(row["choices"])) in (3, 4)
            assert row["label"] in "ABCD"[: len(row["choices"])]
        else:
            assert sum(map(int, re.findall(r"\d", row["prompt"]))) == int(row["label"])


@pytest.mark.slow
def test_an_agent_books_what_it_is_asked_to_once_it_is_confirmed(tmp_path: Path) -> None:
    printed = run(f"python {EXAMPLES / 'tool_agent.py'}", tmp_path)
    free, book = 'free_tables({"day": "Friday"})', 'book({"table": 4, "day": "Friday"})'
    asked = [printed.index(text) for text in (free, "has not been made", "  yes ", "booked: ")]
    assert asked == sorted(asked)
    assert printed.index(f"\n{book}   [") > printed.index("  yes ")
    assert printed.endswith("booked: [{'table': 4, 'day': 'Friday'}]\n")
    (tmp_path / "pool.toml").write_text("endpoint = 1", "utf-8")
    with pytest.raises(AssertionError, match=r"did not start:\n.*unknown key 'endpoint'"):
        run(f"python {EXAMPLES / 'tool_agent.py'} --pool pool.toml", tmp_path)


@pytest.mark.slow
def test_two_servers_with_made_up_replies(servers: Path) -> None:
    check_answers(servers, run(commands(servers) + ENDED, servers))
    assert still_listening(servers) == []


@pytest.mark.slow
@pytest.mark.models
def test_two_servers_of_llama_cpp(models: Path, servers: Path) -> None:
    (servers / "models").symlink_to(models, target_is_directory=True)
    script = commands(servers) + ENDED
    assert SERVE in script
    check_answers(servers, run(script.replace(SERVE, f"{SERVE} --models models"), servers))
    assert still_listening(servers) == []


@pytest.mark.usefixtures("interruptible")
def test_servers_write_their_addresses_and_run_until_ctrl_c(served: subprocess.Popen[str]) -> None:
    assert served.stdout is not None
    printed = [served.stdout.readline() for _ in range(3)]
    folder = Path(str(served.args[-1])).parent  # type: ignore[index]
    assert [line.split()[0] for line in printed] == ["left:", "right:", "serving"]
    assert [line.split()[1] for line in printed[:2]] == base_urls(folder)
    assert len(still_listening(folder)) == 2
    served.send_signal(signal.SIGINT)
    assert served.wait(120) == 0
    assert still_listening(folder) == []


@pytest.fixture
def served(servers: Path) -> Iterator[subprocess.Popen[str]]:
    keys = {"LEFT_KEY": "one", "RIGHT_KEY": "two"}
    with subprocess.Popen(
        [sys.executable, str(servers / "serve.py"), str(servers / "pool.toml")],
        env=environment() | keys, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def base_urls(folder: Path) -> list[str]:
    pool = tomllib.loads((folder / "pool.toml").read_text("utf-8"))
    return [endpoint["base_url"] for endpoint in pool["endpoints"].values()]


def still_listening(folder: Path) -> list[str]:
    """Addresses in the pool file where somebody answers."""
    found = []
    for url in base_urls(folder):
        place = urlsplit(url)
        assert place.hostname == "127.0.0.1"
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex((place.hostname, int(place.port or 0))) == 0:
                found.append(url)
    return found


def test_links_of_the_readmes_lead_somewhere() -> None:
    for page in EXAMPLES.glob("*/README.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page


@pytest.mark.slow
def test_logs_of_lm_eval_become_a_leaderboard(tmp_path: Path) -> None:
    folder = copy("lm_eval_logs", tmp_path)
    printed = run(commands(folder), folder)
    assert "80 queries, 2 members (made-up/owl, made-up/wren)" in printed
    assert re.search(r"^tasks +2: made_up_choice 40, made_up_sums 40$", printed, re.MULTILINE)
    for strategy in ("oracle", "best-single", "mean-probability", "stacking", "knn-router"):
        assert re.search(rf"^{strategy} +\d", printed, re.MULTILINE), printed
    data = read_dataset(folder / "data")
    told = (
        "open answers are compared as number, found out from the labels (--answers says otherwise)"
    )
    assert data.info.notes == [told]  # no log contradicts itself
    assert sum(s is not None for s in data.responses["choice_scores"].to_pylist()) == 80


def test_made_up_logs_are_what_their_script_makes(tmp_path: Path) -> None:
    folder = EXAMPLES / "lm_eval_logs"
    subprocess.run([sys.executable, folder / "make_logs.py", tmp_path], check=True, timeout=300)
    made = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*.json*")}
    kept = {p.relative_to(folder / "logs"): p.read_bytes() for p in folder.rglob("*.json*")}
    assert made == kept
    for file in tmp_path.rglob("samples_*.jsonl"):
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        metric = rows[0]["metrics"][0]
        results = json.loads(next(file.parent.glob("results_*.json")).read_text("utf-8"))
        task = next(name for name in results["results"] if name in file.name)
        figures = results["results"][task]
        (logged,) = (v for key, v in figures.items() if key.startswith(f"{metric},"))
        assert logged == pytest.approx(sum(row[metric] for row in rows) / len(rows))

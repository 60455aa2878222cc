"""Every script of benchmarks/ runs once in a quick form and prints the figures that it is for.

That they run is all that is tested: what a quick form finds means nothing, and a promise of speed
that a busy machine misses fails no test. The data are a part of those inside the package.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.records import Dataset, build_table
from rlfocal.records.built_in import localpool
from rlfocal.records.folders import read_dataset, write_dataset

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 300
"""Of wall time, for a machine that is busy; on an idle one each takes seconds."""
N_QUERIES, MEMBERS = 300, ("qwen-1.5b-steps", "qwen-0.5b-steps", "gemma-270m")
NUMBER = r"[+-]?[\d,]*\.?\d+"
CALLS = rf"{NUMBER} calls/s"


@dataclass(frozen=True)
class Quick:
    """How a script is run, and what must stand in its output.

    DATA in an argument is the folder of a small data set, PARENT the folder that holds it, SCRATCH
    an empty folder, MODELS that of local models, BENCH the JSON of `rlfocal bench` on DATA, and
    EXAMINED DATA with what a model might say of the replies.
    """

    arguments: str
    figures: tuple[str, ...]
    """Regular expressions over stdout; `^` and `$` are the ends of a line."""
    judges_speed: bool = False
    """Whether it may exit with 1, provided that it says which promise was missed."""
    extra: str | None = None
    """The fixture that says whether the packages it needs are installed."""


TABLE: Mapping[str, Quick] = {
    "ablations.py": Quick(
        "DATA --only 'focal none' --only 'threshold, no replies' --seeds 1 --quick",
        (
            rf"^rl-focal +.*{NUMBER}",
            rf"^posterior-threshold .*{NUMBER} \[",
            r"^focal none .* \[",
            r"^no replies .* \[",
            r"^threshold, no replies .* \[.* against no replies$",
        ),
    ),
    "advice.py": Quick(
        "DATA --quick",
        (
            rf"^\| .* \| {NUMBER} \| [a-z-]+ \| {NUMBER} \|",
            rf"^beaten .*: {NUMBER} of {NUMBER} pieces",
        ),
    ),
    "bench_speed.py": Quick(
        "DATA --quick",
        (
            rf"^before +{NUMBER} +{NUMBER} +{NUMBER}$",
            rf"^this +{NUMBER} +{NUMBER} +{NUMBER}$",
            rf"^CPU: {NUMBER} of before",
            r"^the same figures: 4 of 4 strategies$",
        ),
    ),
    "blend_speed.py": Quick(
        "MODELS --quick",
        (
            rf"^\| gemma-3-270m, its own server \| {NUMBER} \|$",
            rf"^\| qwen2\.5-coder-0\.5b, a blend of one \| {NUMBER} \|$",
            rf"^\| all, a blend \| {NUMBER} \|$",
            rf"own speeds: {NUMBER} \[{NUMBER}, {NUMBER}\]$",
        ),
        extra="models_folder",
    ),
    "blends.py": Quick(
        "localpool --models MODELS --out SCRATCH/replies.jsonl --quick",
        (
            rf"^\| gemma alone \| {NUMBER} \[{NUMBER}, {NUMBER}\]( \| {NUMBER}){{3}} ",
            rf"^\| policy, seed 0 \| {NUMBER} \[",
            rf"^\| a vote of them \| {NUMBER} \[",
        ),
        extra="models_folder",
    ),
    "blends_optimum.py": Quick(
        "--quick",
        (
            r"^\| first alone \| 0\.50 \| \|$",
            rf"^\| rlae, an agent each \| {NUMBER} \| {NUMBER} \|$",
            rf"^\| rlae, as released \| {NUMBER} \| {NUMBER} \|$",
        ),
    ),
    "clients.py": Quick(
        "--quick",
        tuple(
            rf"^\| {mode}, {n} in flight \| {name} \| {NUMBER} \({NUMBER} to {NUMBER}\) \|$"
            for mode in ("whole", "streamed")
            for n in (1, 16)
            for name in ("rlfocal", "openai, aiohttp", "openai, httpx2")
        ),
    ),
    "collecting.py": Quick(
        "--calls 80 --many 400",
        (
            rf"^collect, 50 ms, 32 in flight +{CALLS}",
            r"^answers in the database +80 of 80 +all +ok$",
            rf"^memory after 40 of 400 calls +{NUMBER} MB",
            r"^two collectors, SQLite +80 calls .* each once +ok$",
        ),
        judges_speed=True,
    ),
    "collecting_machines.py": Quick(
        "--calls 400 --collectors 2 --kills 1 --sqlite",
        (
            r'^ "n_stored": 400,$',
            r'^ "n_kills": 1,$',
            rf'^ "replies_per_s": {NUMBER},$',
            rf'^  "collector 0: {NUMBER} at {NUMBER} s',
            r'^  "each answered once": true,$',
        ),
    ),
    "commands.py": Quick(
        "--repeats 1 --data DATA",
        (rf"^( +{NUMBER}){{3}}  rlfocal --help$", rf"^( +{NUMBER}){{3}}  rlfocal inspect small$"),
        judges_speed=True,
    ),
    "cross_examination.py": Quick(
        "EXAMINED --folds 2 --seeds 1 --strategies evidence-stacking,rl-focal-prior",
        (
            rf"^\| evidence-stacking \| {NUMBER} \| {NUMBER} \| {NUMBER} \[.*\] \|$",
            rf"^\| mince \| \| {NUMBER} \| {NUMBER} \[",
            rf"^\| plurality \| \| {NUMBER} \|  \|$",
        ),
    ),
    "decision.py": Quick(
        "--quick",
        tuple(
            rf"^ +{n}  {name}( +{NUMBER}){{4}}$"
            for n in (8, 32, 128)
            for name in ("rl-focal", "rl-focal-prior", "plurality")
        ),
    ),
    "diversity.py": Quick(
        "--quick",
        (
            r"4,083 ensembles",
            rf"^  brute force, per focal member +{NUMBER} +1$",
            rf"^  count once \+ all 2\^N by doubling( +{NUMBER}){{2}}$",
            r"^  largest difference (0\.0e\+00|\d\.\de-1\d)$",
            rf"^  count once .*: {NUMBER} s; peak resident memory \d+ MiB",
        ),
    ),
    "encoders.py": Quick(
        "DATA --strategies knn-router --most 60 --cache SCRATCH",
        (
            rf"^\| small all \| 60 \| knn-router \| 1 \|.* {NUMBER} \| {NUMBER} \| {NUMBER} \[",
            r"^Sentence minus hashing: 1 cells",
        ),
        extra="encoder_extra",
    ),
    "environment.py": Quick(
        "--repeats 1", tuple(rf"^ +{n}( +{NUMBER}){{3}}$" for n in ("16", "256", "1,024"))
    ),
    "executors.py": Quick(
        "DATA --quick --places dask --strategies quick",
        (
            rf"^\| processes \| {NUMBER} \| 1\.00 \[1\.00, 1\.00\] \| equal \|$",
            rf"^\| dask \| {NUMBER} \| {NUMBER} \[{NUMBER}, {NUMBER}\] \| equal \|$",
        ),
        judges_speed=True,
        extra="dask_extra",
    ),
    "extraction.py": Quick(
        "--repeats 1",
        (
            rf"^choice .*{NUMBER} % .*us a reply$",
            rf"^number .*{NUMBER} %",
            r"^false equalities: \d+",
        ),
    ),
    "evidence.py": Quick(
        "DATA --labels 40 --folds 2 --draws 1",
        (
            r"^small all, 3 members, 40 labels$",
            rf"^  AUC {NUMBER} -> {NUMBER}, within a query {NUMBER} -> {NUMBER}, .*CPU$",
            rf"^ +1\.5( +{NUMBER}){{3}} \[{NUMBER}, {NUMBER}\]$",
            rf"^ +all( +{NUMBER}){{3}} \[{NUMBER}, {NUMBER}\]$",
        ),
    ),
    "few_labels.py": Quick(
        "DATA --labels 0 30 --draws 2 --most-tests 100",
        (
            r"^small all, 3 members, 0 labels$",
            r"^small all, 3 members, 30 labels$",
            rf"^rl-focal-prior, accuracy .*{NUMBER}$",
            rf"^minus weighted-vote .*{NUMBER} \({NUMBER}\)",
        ),
    ),
    "frames.py": Quick(
        "--quick --queries 80 --repeats 1",
        tuple(
            rf"^\| {journey} +\| now +(\| {NUMBER} +){{4}}\|$" for journey in ("request", "replay")
        ),
    ),
    "gateway.py": Quick(
        "--seconds 2 --rounds 2 --warm-up 0.2 --rate 10 --queries 120",
        (
            rf"^\| pass-through, 10/s +\| rlfocal +\| {NUMBER}",
            rf"^\| 3 members, 10/s +\| rlfocal +\| {NUMBER}",
            rf"^\| 3 members, 10/s, p50: overhead +\| {NUMBER}",
            r"^\| requests without an answer, ours and direct +\| 0 .*\| ok +\|$",
            r"^\| upstream calls, all .*\| ok +\|$",
        ),
        judges_speed=True,
    ),
    "gateway_availability.py": Quick(
        "--quick --seconds 4",
        (
            rf"^\| \d+ bodies of a weak key .*\| now +(\| {NUMBER} +){{4}}\| \d+ of \d+",
            rf"^\| \d+ idle connections .*\| now +(\| {NUMBER} +){{4}}\| \d+ of \d+",
            rf"^\| \d+ streams that nobody reads +\| now +(\| {NUMBER} +){{4}}\| \d+ of \d+",
        ),
        judges_speed=True,
    ),
    "gateway_faults.py": Quick(
        "--requests 60 --rate 20 --training 120 --settle 1",
        (
            r"^\| end in an answer or a typed error +\| 60 of 60 .*\| ok +\|$",
            r"^\| dollars: ledger, upstream .*\| ok +\|$",
            rf"^\| 0 of 5 .*\| {NUMBER} \({NUMBER} to {NUMBER}\)",
            r"^endings: \d+ answer",
        ),
        judges_speed=True,
    ),
    "gateway_rolling.py": Quick(
        "--quick",
        (
            r"^\| failed while both were restarted +\| 0 of [\d,]+ .*\| ok +\|$",
            rf"^\| gateway CPU, two +\| {NUMBER} ms each",
            rf"^\| two by one +\| {NUMBER} \({NUMBER} to {NUMBER}\)",
        ),
        judges_speed=True,
        extra="postgres_url",
    ),
    "gateway_soak.py": Quick(
        "--minutes 0.12 --warm-up 0.02 --rate 10 --every 1 --queries 120",
        (
            r"^\| requests failed +\| 0 of 72 .*\| ok +\|$",
            r"^\| judgements failed +\| 0 of \d+ .*\| ok +\|$",
            rf"^\| memory, fitted growth +\| {NUMBER}",
            r"^MB every 1 s:( \d+){4}",
        ),
        judges_speed=True,
    ),
    "gateway_stalls.py": Quick(
        "--quick --repeats 1",
        (
            rf"^\| a prompt of 3\d\d kB, .*\| now +(\| {NUMBER} +){{5}}\| 200",
            rf"^longest the loop was busy at a stretch: {NUMBER} ms",
        ),
        judges_speed=True,
    ),
    "logprobs.py": Quick(
        "--quick",
        tuple(
            rf"^\| {n} \| {how} \| {told} \| {NUMBER} \| {NUMBER} .*\| {NUMBER} x \|$"
            for n in (64, 512)
            for how in ("whole", "streamed")
            for told in ("none", "each token", "20 beside each")
        ),
    ),
    "mathematics.py": Quick(
        "--limit 30",
        tuple(
            rf"^{name} +\d+ +\d+ +\d+ +{NUMBER} +{NUMBER}$"
            for name in ("rules alone", "math-verify as it comes", "rlfocal, kind math")
        ),
    ),
    "missing.py": Quick(
        "DATA --queries 240 --strategies plurality,weighted-vote,best-single-per-task --folds 2",
        (
            rf"^  weighted-vote +{NUMBER}  \w+",
            r"^disjoint blocks\n  \d of 3 members' complete accuracies lie within",
            rf"^  trained with half of them .*: accuracy {NUMBER} \[",
        ),
    ),
    "off_policy.py": Quick(
        "--quick --repeats 2",
        (rf"^the candidate gains {NUMBER} a query", rf"^ +500 .*{NUMBER}  ±{NUMBER}"),
    ),
    "option_texts.py": Quick(
        "DATA",
        (
            r"^small all: \d+ multiple-choice queries$",
            rf"^  options alone {NUMBER} % \(chance {NUMBER} %\)$",
            rf"^  stacking {NUMBER} %, with options {NUMBER} %",
        ),
    ),
    "out_of_depth.py": Quick(
        "DATA --leave-tasks-out --every 6",
        (
            rf"^\| .* \| {NUMBER} \| {NUMBER} \| {NUMBER} \| {NUMBER} \| {NUMBER} \|$",
            rf"^\| .* \| (unlike|like) \| {NUMBER} of {NUMBER} tasks \| {NUMBER} \| {NUMBER} \|$",
        ),
    ),
    "peers.py": Quick(
        "DATA --quick",
        (
            r"^(crowd-kit \d.*pandas \d|skipped: their environment cannot be made)",
            r"^warning: near-copies .* \(1\.00\)",
            rf"^one-coin, ours +{NUMBER} \[",
            rf"^hiershrink-router, ours +{NUMBER} \[",
        ),
    ),
    "readers_against_votes.py": Quick(
        "localpool-readers --quick",
        (
            rf"^\| mixture \(aggregate\) \| {NUMBER} \[{NUMBER}, {NUMBER}\] \| 4\.00 \| {NUMBER} "
            rf"\| {NUMBER} \| {NUMBER} \[{NUMBER}, {NUMBER}\] \|$",
            rf"^\| best vote at {NUMBER} \| {NUMBER} ",
            rf"^\| rl-focal-prior \| {NUMBER} ",
        ),
    ),
    "readers_optimum.py": Quick(
        "--quick",
        (
            rf"^judge +agreement, 500 labels( +{NUMBER}){{8}}$",
            rf"^judge +rl-focal-prior, 25 labels( +{NUMBER}){{8}}$",
            rf"^judge +rl-focal, 4,000 labels( +{NUMBER}){{8}}$",
        ),
    ),
    "readers_swayed.py": Quick(
        "--data DATA --quick",
        (
            r"^a stub, 12 questions of small: ",
            rf"^\| judge \| judge \| 36 of 36 \|( {NUMBER} % \|){{3}} {NUMBER} \({NUMBER} to ",
            rf"^\| all \| kind: fence \|.*{NUMBER} \({NUMBER} to {NUMBER}\) \|$",
            r"^judges' replies without a verdict: 0 of 72$",
        ),
    ),
    "results.py": Quick(
        "BENCH --learned rl-focal-prior",
        (
            rf"^\| small \| {NUMBER} \|",
            rf"^\| calls \| rl-focal-prior \|(.*\n){{2}}\| {NUMBER} \| {NUMBER} \| {NUMBER} ",
            rf"^\d+ cells: \d+ positive, .* mean difference {NUMBER} points\.$",
        ),
    ),
    "rounds.py": Quick(
        "DATA --only 'max_rounds 2' --quick",
        (
            rf"^at mean calls( +{NUMBER}){{5}}$",
            rf"^max_rounds 2 .*{NUMBER} \({NUMBER}\) r{NUMBER}",
            rf"^( +{NUMBER}){{4}}  \S+",
        ),
    ),
    "scale.py": Quick(
        "--out SCRATCH --quick",
        (
            rf"^\| inspect \| 8 \| 400 \| {NUMBER} \| {NUMBER} \| {NUMBER} \|$",
            rf"^\| bench \| 8 \| 400 \| {NUMBER} \| {NUMBER} \| {NUMBER} \|$",
            rf"^diversity: time grows as members\^{NUMBER} and queries\^{NUMBER}$",
        ),
    ),
    "seeds.py": Quick(
        "--quick",
        (
            rf"^one seed \(before\)( +{NUMBER}){{4}}  \d",
            rf"^a seed for each question( +{NUMBER}){{4}}  \d",
        ),
    ),
    "simulator.py": Quick(
        "PARENT --pools 8 --queries 60",
        (r"^figure .* small all$", rf"^\w+( +{NUMBER}){{4}}[* ]$"),
    ),
    "tool_agent.py": Quick(
        "--quick",
        tuple(
            rf"^\| {name} \| {NUMBER} \[{NUMBER}, {NUMBER}\]( \| {NUMBER}){{3}} \|$"
            for name in ("hasty", "forgetful", "talker", "quitter", "rash", "rlfocal")
        ),
    ),
    "tool_overhead.py": Quick(
        "--quick",
        tuple(
            rf"^\| {name} \| {NUMBER} \| {NUMBER} \[{NUMBER}, {NUMBER}\] \|$"
            for name in ("plain", "1 tools", "8 tools", "32 tools")
        ),
        judges_speed=True,
    ),
    "training.py": Quick(
        "--quick",
        (
            rf"^  in all( +{NUMBER}){{2}} +100%$",
            r"^  2 iterations of the Decider, [\d,]+ decisions$",
            rf"^  rl-focal +{NUMBER}$",
        ),
    ),
    "unanimity.py": Quick(
        "DATA --best 2 --tasks",
        (
            rf"^\| 2 of 3 agree \| {NUMBER} \| {NUMBER} \[{NUMBER}, {NUMBER}\] \| 3\.00 \|$",
            rf"^\| the best 2 are unanimous: \w+ \| {NUMBER} \|",
            rf"^\| asked in turn until 2 agree \| 100\.0 \| {NUMBER} \[.* \| {NUMBER} \|$",
        ),
    ),
    "without_labels.py": Quick(
        "DATA --draws 2 --most-tests 60 --judged 1 5 --unequal",
        (
            r"^small all, 2 draws$",
            rf"^plurality of all +{NUMBER} \({NUMBER}\) +3\.00 \(0\.00\)$",
            rf"^prior, 0 judged +{NUMBER} \({NUMBER}\) +{NUMBER} \({NUMBER}\)$",
            rf"^prior, 5 judged +{NUMBER}",
        ),
    ),
}


def run(command: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Status, stdout and stderr of a program, of which no process is left behind."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            said, complained = process.communicate(timeout=LIMIT_S)
        finally:
            with suppress(ProcessLookupError):  # as it should be
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said, complained


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few recorded queries, real answers of three members, half with options."""
    whole = localpool()
    chosen = whole.queries.slice(0, N_QUERIES)
    ids = set(chosen["query_id"].to_pylist())
    rows = zip(*(whole.responses[c].to_pylist() for c in ("query_id", "member")), strict=True)
    kept = pa.array([query in ids and member in MEMBERS for query, member in rows])
    info = whole.info.model_copy(update={"pools": {"all": list(MEMBERS)}})
    folder = tmp_path_factory.mktemp("data") / "small"
    write_dataset(Dataset("small", chosen, whole.responses.filter(kept), info), folder)
    return folder


@pytest.fixture
def examined(data: Path, tmp_path: Path) -> Path:
    """The same, with a stranger's likelihoods: the shorter a reply, the likelier."""
    known = read_dataset(data)
    said = pa.array([-0.1 * (n or 0) for n in known.responses["response_chars"].to_pylist()])
    responses = known.responses
    for name in ("signal_likely_x", "signal_cross_x"):
        responses = responses.append_column(name, said)
    write_dataset(Dataset("small", known.queries, responses, known.info), tmp_path / "examined")
    return tmp_path / "examined"


@pytest.fixture
def bench(data: Path, tmp_path: Path) -> Path:
    """What `rlfocal bench` writes."""
    found = tmp_path / "found.json"
    program = str(Path(sys.executable).with_name("rlfocal"))
    strategies = "best-single,plurality,rl-focal-prior"
    command = [program, "bench", str(data), "--folds", "2", "--strategies", strategies]
    status, said, complained = run([*command, "--json", str(found)], tmp_path)
    assert status == 0, said + complained
    return found


def test_every_script_has_a_quick_form() -> None:
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    assert scripts == TABLE.keys(), (
        "each script of benchmarks/ needs its row in TABLE, and no other"
    )


def test_contributors_are_told_of_every_script() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [name for name in TABLE if f"`{name}`" not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_quick_form(name: str, data: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    quick = TABLE[name]
    if quick.extra is not None:
        request.getfixturevalue(quick.extra)
    places = {"DATA": data, "PARENT": data.parent, "SCRATCH": tmp_path}
    if "MODELS" in quick.arguments:
        places["MODELS"] = request.getfixturevalue("models_folder")
    if "BENCH" in quick.arguments:
        places["BENCH"] = request.getfixturevalue("bench")
    if "EXAMINED" in quick.arguments:
        places["EXAMINED"] = request.getfixturevalue("examined")
    arguments = [
        re.sub(r"^[A-Z]{4,}(?=/|$)", lambda found: str(places.get(found[0], found[0])), word)
        for word in shlex.split(quick.arguments)
    ]
    script = str(ROOT / "benchmarks" / name)
    status, said, complained = run([sys.executable, script, *arguments], tmp_path)
    told = f"{name} {quick.arguments}: status {status}\n{said}\n{complained}"
    if quick.judges_speed and re.search(r"^missed: |MISSED|BROKEN", said + complained, re.M):
        assert status == 1, told
    else:
        assert status == 0, told
    absent = [figure for figure in quick.figures if not re.search(figure, said, re.M)]
    assert not absent, f"these figures are not there: {absent}\n{told}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "figure"),
    [("training.py", "decisions/s with learning"), ("decision.py", "N = 8, one decision, ms")],
)
def test_beside_an_earlier_build(name: str, figure: str, tmp_path: Path) -> None:
    words = ["--quick", "--rounds", "1", "--before", str(ROOT / "src")]
    script = str(ROOT / "benchmarks" / name)
    status, said, complained = run([sys.executable, script, *words], tmp_path)
    assert status == 0, complained
    assert re.search(rf"^  {figure}( +{NUMBER}){{3}}  at (least|most) {NUMBER}$", said, re.M), said


def test_members_in_another_order_keep_their_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    few_labels = importlib.import_module("few_labels")
    table = build_table(localpool())
    assert table.replies is not None
    length = table.replies.signals(["text.length"])[..., 0]
    rng = np.random.default_rng(0)
    for made in (few_labels.shuffled(table, rng), few_labels.with_copies(table, 2, rng)):
        of = [table.members.index(name.partition(",")[0]) for name in made.members]
        np.testing.assert_array_equal(made.answer, table.answer[:, of])
        np.testing.assert_array_equal(made.replies.signals(["text.length"])[..., 0], length[:, of])

"""What the core does without: it works, and says what would bring the rest."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx2
import pytest
from demo_pool import demo_pool
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from process import gateway_process

from rlfocal.deliberation.registry import BUILT_IN, create
from rlfocal.errors import ConfigError, NotApplicable, NotInstalled
from rlfocal.extras import EXTRAS, lacking, need, not_installed
from rlfocal.gateway.store import open_store

EVERY = tuple(dict.fromkeys(EXTRAS.values()))
ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def without(*extras: str, code: str, cwd: Path) -> list[str]:
    """Lines that code prints where some extras are not installed; one process is enough."""
    missing = [name for name, extra in EXTRAS.items() if extra in extras]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules |= dict.fromkeys({missing})\n{code}"],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout.splitlines()


VERBS = """
import contextlib, io, json
from rlfocal.cli.main import main

for words in {lines}:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(words)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, said.getvalue().splitlines()[-1:]]))
"""


def declared(extra: str) -> set[str]:
    """Distributions that an extra names itself."""
    lines = PROJECT["optional-dependencies"][extra]
    return {
        line.partition("[")[0].partition("=")[0].rstrip("<>~! ").replace("-", "_") for line in lines
    }


def test_every_package_belongs_to_the_extra_that_brings_it() -> None:
    found = packages_distributions()
    for package, extra in EXTRAS.items():
        if package in found and package not in ("latex2sympy2_extended", "antlr4"):
            assert {name.replace("-", "_") for name in found[package]} & declared(extra), package
    brought = {"all", "dev", "docs", *EXTRAS.values()}
    assert set(PROJECT["optional-dependencies"]) <= brought
    core = {line.partition(">")[0] for line in PROJECT["dependencies"]}
    assert not core & {name for extra in EXTRAS.values() for name in declared(extra)}


def brought(extra: str) -> set[str]:
    """Distributions that an extra asks for, those of the extras that it names among them."""
    found = set()
    for line in PROJECT["optional-dependencies"][extra]:
        one = Requirement(line)
        if one.name == "rlfocal":
            found |= {name for inner in one.extras for name in brought(inner)}
        else:
            found.add(one.name)
    return found


def test_serving_brings_nothing_that_only_learning_needs() -> None:
    learning = {"torch", "gymnasium", "scipy", "scikit-learn"}
    assert learning <= brought("train")
    core = {Requirement(line).name for line in PROJECT["dependencies"]}
    for extra in ("serve", "local", "postgres", "math", "encoder"):
        assert not learning & (brought(extra) | core), extra
    assert not {"torch", "gymnasium"} & brought("learn")


def test_the_message_names_what_is_missing_and_what_brings_it() -> None:
    error = not_installed("serving", "starlette", "uvicorn.protocols")
    assert isinstance(error, ConfigError)
    assert isinstance(error, NotApplicable)
    assert str(error) == (
        "serving needs starlette and uvicorn, which are not installed: pip install 'rlfocal[serve]'"
    )
    with pytest.raises(NotInstalled, match=r"this needs not_there, .*: pip install not_there$"):
        need("not_there.part", "this")
    assert need("json", "this") is json
    assert str(not_installed("it", "scipy", "torch", "starlette")).endswith(
        "pip install 'rlfocal[train,serve]'"  # train brings what learn does
    )
    assert lacking("json") is None
    assert lacking("json", "not_there") == "needs not_there, which is not installed: " + (
        "pip install not_there"
    )


def test_every_strategy_says_beforehand_what_fitting_needs() -> None:
    fitted = {name for name in BUILT_IN if "scipy" in create(name).packages}
    reading = {
        "best-of-n", "confidence-vote", "evidence-cascade", "evidence-stacking", "score-cascade",
    }  # fmt: skip
    family = {"posterior-threshold", "rl-focal"}
    assert fitted == {"stacking", "logistic-router", "routed-vote", "best-of"} | reading | family
    assert create("kmeans-router").packages == ("sklearn",)
    assert {name for name in BUILT_IN if "torch" in create(name).packages} == {"rl-focal"}
    assert create("rl-focal-prior").packages == ()  # it counts


@pytest.mark.slow
def test_the_core_compares_and_names_what_would_be_compared_too(tmp_path: Path) -> None:
    wanted = [
        "plurality", "knn-router", "stacking", "kmeans-router", "best-of", "rl-focal-prior",
        "posterior-threshold", "rl-focal", "rl-focal-paper",
    ]  # fmt: skip
    said = without(*EVERY, cwd=tmp_path, code=(
        "import json, rlfocal\n"
        f"result = rlfocal.benchmark('localpool', {wanted}, folds=2)\n"
        "print(json.dumps([rlfocal.advise(result).sentence(), result.not_applicable]))"
    ))  # fmt: skip
    sentence, lacking = json.loads(said[-1])
    assert sentence
    remedy = "which is not installed: pip install 'rlfocal[{}]'"
    assert lacking == {
        "stacking": f"needs scipy, {remedy.format('learn')}",
        "kmeans-router": f"needs sklearn, {remedy.format('learn')}",
        "best-of": f"needs scipy, {remedy.format('learn')}",
        "posterior-threshold": "needs sklearn and scipy, which are not installed: "
        "pip install 'rlfocal[learn]'",
        "rl-focal": "needs torch and sklearn and scipy, which are not installed: "
        "pip install 'rlfocal[train]'",
        "rl-focal-paper": f"strategy 'rl-focal-paper' needs torch, {remedy.format('train')}",
    }


def test_verbs_need_nothing_more_or_say_what(tmp_path: Path) -> None:
    rows = [f"{k} + 1 =,{k + 1},{k + 1},{k + k % 3}\n" for k in range(60)]
    (tmp_path / "one.csv").write_text("prompt,label,a,b\n" + "".join(rows))
    some, train = ["--strategies", "plurality,agreement"], ["train", "own", "--strategy"]
    cases: list[tuple[list[str], str | None]] = [
        (["--help"], None),
        (["import", "table", "one.csv", "-o", "own"], None),
        (["inspect", "own"], None),
        (["diversity", "own"], None),
        (["bench", "own", "--folds", "2", *some], None),
        (
            ["bench", "own", "--folds", "2", "--strategies", "plurality,rl-focal,rl-focal-paper"],
            None,
        ),
        (["bench", "own", "--folds", "2", "--strategies", "rl-focal,rl-focal-paper"], "train"),
        ([*train, "agreement", "-o", "made"], None),
        (["evaluate", "made", "own"], None),
        (["bench", "own", "--folds", "2", "--strategies", "rl-focal-prior"], None),
        ([*train, "rl-focal-prior", "-o", "prior"], None),
        (["evaluate", "prior", "own", "--include-trained"], None),
        ([*train, "rl-focal-prior", "--zero-shot", "-o", "none"], None),
        ([*train, "stacking", "-o", "more"], "learn"),
        ([*train, "posterior-threshold", "-o", "more"], "learn"),
        ([*train, "rl-focal", "-o", "more"], "train"),
        (["keys", "list", "--db", "postgresql://me@host/db"], "postgres"),
        (["serve", "made", "pool.toml"], "serve"),
        (["shadow", "learn", "made"], "train"),
    ]
    ended = without(*EVERY, cwd=tmp_path, code=VERBS.format(lines=[words for words, _ in cases]))
    for (words, extra), line in zip(cases, ended, strict=True):
        code, last = json.loads(line)
        if extra is None:
            assert code == 0, (words, last)
        else:
            assert code == 2, words
            assert last[0].startswith("error: ")
            assert last[0].endswith(f" not installed: pip install 'rlfocal[{extra}]'")
    assert not list((tmp_path / "more").glob("*"))


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in; programs started from now on have the core and what serves alone."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name, extra in EXTRAS.items():
        if extra != "serve":
            (blocked / f"{name}.py").write_text("raise ImportError(name=__name__)")
    monkeypatch.setenv("PYTHONPATH", str(blocked))
    return tmp_path


@pytest.mark.slow
def test_the_shipped_prior_is_trained_asked_and_served_by_the_core(bare: Path) -> None:
    train = ["train", "demo", "--strategy", "rl-focal-prior", "-o", "made"]
    which = ["Which?", "--choice", "left", "--choice", "right"]
    asked = [["ask", "made", "pool.toml", *which], ["ask", "pool.toml", *which]]
    with demo_pool(bare) as (pool, stub):
        lines = without(*EVERY, cwd=bare, code=VERBS.format(lines=[train, *asked]))
        assert [json.loads(line)[0] for line in lines] == [0, 0, 0], lines
        n_asked = len(stub.bodies)
        assert n_asked >= 2
        db = str(bare / "gateway.db")
        with open_store(db) as store, store.connections.write() as connection:
            key = store.keys.add(connection, "me", now=0.0).plaintext
        for folder in (bare / "made", None):
            with gateway_process(folder, pool, db, bare / "log") as gateway:
                reply = httpx2.post(
                    f"{gateway.url}/v1/chat/completions",
                    headers={"Authorization": f"Bearer {key}"},
                    json={"model": "rlfocal", "messages": [{"role": "user", "content": "Which?"}]},
                    timeout=60,
                )
            assert reply.status_code == 200, reply.text
    assert len(stub.bodies) > n_asked


def test_constraints_pin_what_is_asked_for_by_hash_and_within_its_range() -> None:
    lines = (ROOT / "packaging/constraints.txt").read_text("utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    pinned = {}
    for line in lines:
        name, version, digest = re.fullmatch(
            r"([a-z0-9-]+)==(\S+) --hash=sha256:([0-9a-f]{64})", line
        ).groups()  # type: ignore[union-attr]
        assert len(set(digest)) > 8
        pinned[name] = version
    assert list(pinned) == sorted(pinned)
    extras = PROJECT["optional-dependencies"]
    pinned_for = ("learn", "serve", "postgres", "otel")
    asked = PROJECT["dependencies"] + [one for extra in pinned_for for one in extras[extra]]
    for one in map(Requirement, asked):
        if one.name != "rlfocal":
            assert one.specifier.contains(pinned[canonicalize_name(one.name)]), one


def test_the_page_on_installing_names_every_extra() -> None:
    page = (ROOT / "docs/how-to/install.md").read_text("utf-8")
    told = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert set(told) == set(PROJECT["optional-dependencies"]) - {"dev", "docs"}

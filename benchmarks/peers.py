"""Peers that can be installed, side by side with ours on the same answers, in one run.

    .venv/bin/python benchmarks/peers.py ../shared/data/gsm8k:mid8 ../shared/data/date_samples
    ... --venv runs/peers    # keeps the peers' environment for the next time

Three comparisons, each where the data allow it:

- **Votes without labels.** crowd-kit's majority, one-coin and full Dawid-Skene, GLAD, MACE and
  M-MSR beside our one-coin, M-MSR and plurality; all see the answers that they decide on and no
  label. Rows are sorted before crowd-kit gets them, and once shuffled: under pandas 3 its ties
  depend on the order. First of all a made-up pool with two copies among its five members.
- **Samples.** The Beta rule of adaptiveconsistency beside ours, on the same usable samples; whether
  its Dirichlet rule ever stops.
- **Routers.** LinUCB of mabwiser, which learns online from the score of whom it asked, beside our
  routers, which are fitted on everybody's scores of the first half; all judged on the second half.
  It gets task and text (32 principal components of ours, fitted on the first half).

The peers live in an environment of their own, made for this run with the versions that
`peer_packages/requirements.txt` names. Where it cannot be made they are skipped, with the reason.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.statistics import bootstrap_means
from rlfocal.bench.summaries.copies import copies_note
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Spec, unmet
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.features import HashingEncoder
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.folders import read_dataset
from rlfocal.strategies.sampled.early_samples import AdaptiveConsistency
from rlfocal.strategies.voting import Plurality

HERE = Path(__file__).resolve().parent / "peer_packages"
VOTES = {"plurality": "MajorityVote", "one-coin": "OneCoinDawidSkene", "m-msr": "MMSR"}
"""Ours, and what of crowd-kit is the same idea."""
ROUTERS = ("best-single", "best-single-per-task", "knn-router", "kmeans-router",
           "hiershrink-router", "logistic-router")  # fmt: skip
THRESHOLDS = (0.8, 0.95, 0.99)
N_COMPONENTS = 32
MOST_ROWS = 3000
"""Rows of samples compared at most."""


class Case(NamedTuple):
    """A pool to compare on."""

    title: str
    table: ResponseTable
    copies: tuple[int, int] | None = None
    """Members that are copies of each other, where that is known."""


def two_copies(n_queries: int) -> Case:
    """Five members of accuracy .55 to .65, the second giving the answers of the first."""
    model = PoolModel(accuracy=[[0.55, 0.5, 0.6, 0.65, 0.6]])
    drawn = build_table(simulate(model, n_queries, rng=np.random.default_rng(0)))
    twice = [0, 0, 2, 3, 4]
    table = replace(drawn, answer=drawn.answer[:, twice], support=drawn.support[:, twice])
    return Case("two copies among five members, simulated", table, (0, 1))


def read_case(text: str, most: int) -> Case:
    """FOLDER or FOLDER:POOL, at most so many of its queries, drawn at random."""
    folder, _, pool = text.partition(":")
    dataset = read_dataset(Path(folder))
    table = build_table(
        dataset, members=dataset.info.pools[pool] if pool else None, encode=HashingEncoder()
    )
    order = np.random.default_rng(0).permutation(table.n_queries)[:most]
    return Case(f"{Path(folder).name} {pool or 'all'}", table.take(order))


def environment(folder: Path) -> str | None:
    """Make the peers' environment where it is not there; return why that failed."""
    wanted = (HERE / "requirements.txt").read_text("utf-8")
    mark = folder / "installed.txt"
    if mark.is_file() and mark.read_text("utf-8") == wanted:
        return None
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "--disable-pip-version-check", "--no-deps", "-r", str(HERE / "requirements.txt")],
    ):
        ran = subprocess.run(command, capture_output=True, check=False)
        if ran.returncode:
            return f"their environment cannot be made ({command[2]} ended with {ran.returncode})"
    mark.write_text(wanted, "utf-8")
    return None


def asked_of_peers(
    cases: Sequence[Case], python: Path, *, quick: bool
) -> list[Mapping[str, Any] | None]:
    """What the peers make of each pool; None of all where they fail."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, case in enumerate(cases):
            given = arrays(case.table) | {"quick": np.array(quick)}
            np.savez(folder / f"{number:03d}.npz", allow_pickle=False, **given)
        plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        ran = subprocess.run(
            [str(python), str(HERE / "side.py"), str(folder)], env=plain | {"OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            print(f"skipped: the peers failed: {ran.stderr.strip().splitlines()[-1]}")
            return [None] * len(cases)
        names = [folder / f"{number:03d}.json" for number in range(len(cases))]
        return [json.loads(name.read_text("utf-8")) for name in names]


def arrays(table: ResponseTable) -> dict[str, NDArray[Any]]:
    """What is compared on a table, as arrays for the peers."""
    found: dict[str, NDArray[Any]] = {}
    if unmet(Plurality(), table) is None:
        found["answer"] = table.answer
    if (usable := usable_samples(table)) is not None:
        found |= {"usable": usable, "thresholds": np.array(THRESHOLDS)}
    if table.features.shape[1]:
        found |= {"context": context_of(table), "score": table.member_score.astype(np.float64)}
    return found


def usable_samples(table: ResponseTable) -> NDArray[np.int16] | None:
    """int16[R, S]: usable samples of one member to one query, left aligned, then -1."""
    if table.samples is None:
        return None
    rows = table.samples.reshape(-1, table.samples.shape[2])
    rows = rows[(rows >= 0).sum(axis=1) >= 2][:MOST_ROWS]
    order = np.argsort(rows < 0, axis=1, kind="stable")
    return np.asarray(np.maximum(np.take_along_axis(rows, order, axis=1), -1))


def context_of(table: ResponseTable) -> NDArray[np.float64]:
    """float64[Q, K + T + 1]: principal components of the text, the task, and 1."""
    features = table.features.astype(np.float64)
    first = features[: table.n_queries // 2]
    mean = first.mean(axis=0)
    _, _, axes = np.linalg.svd(first - mean, full_matrices=False)
    text = (features - mean) @ axes[:N_COMPONENTS].T
    text /= np.maximum(text[: len(first)].std(axis=0), 1e-9) * np.sqrt(text.shape[1])
    task = np.eye(len(table.tasks))[table.task]
    return np.hstack([text, task, np.ones((table.n_queries, 1))])


def fitted(name: str, table: ResponseTable) -> Base:
    """One of ours."""
    return create_strategy(Spec(name, {})).fit(table, rng=np.random.default_rng(0))


def show_accuracies(
    rows: Mapping[str, tuple[NDArray[np.float32], str]], group: NDArray[Any]
) -> None:
    """A line for each: accuracy with its interval, and what else is to be said."""
    means = bootstrap_means(np.stack([s for s, _ in rows.values()], 1).astype(np.float64), group)
    for column, (name, (_, rest)) in enumerate(rows.items()):
        found = means.mean(column)
        value, low, high = (100 * x for x in (found.value, *found.ci))
        print(f"{name:<32}{value:>6.1f} [{low:.1f}, {high:.1f}]{rest}")


def show_votes(case: Case, theirs: Mapping[str, Any] | None) -> None:
    """Label-free votes; with the weighted vote, which sees all labels, as a bound of their kind."""
    table = case.table
    print(f"\n{case.title}: votes without labels, {table.n_queries:,} queries")
    note = copies_note(table, ["votes without labels"])
    print(f"warning: {note}" if note else "no near-copies among the members")
    head = f"{'':<32}{'accuracy %':>19}"
    print(head + "   as ours %   changed by order of rows %   as the copies %    s")
    chosen = {name: replay(fitted(name, table), table).chosen for name in VOTES}
    told = replay(fitted("weighted-vote", table), table).chosen

    def rest(choice: NDArray[Any], same: str = "-", changed: str = "-", seconds: str = "-") -> str:
        follows = "-"
        if case.copies is not None:
            follows = f"{100 * float((choice == table.answer[:, case.copies[0]]).mean()):.1f}"
        return f"{same:>12}{changed:>29}{follows:>18}{seconds:>8}"

    rows = {f"{n}, ours": (table.score_of(c), rest(c)) for n, c in chosen.items()}
    for name, found in ({} if theirs is None else theirs["votes"]).items():
        choice = np.array(found["chosen"])
        mine = next((ours for ours, peer in VOTES.items() if peer == name), None)
        same = "-" if mine is None else f"{100 * float((choice == chosen[mine]).mean()):.1f}"
        changed = "-" if found["changed"] is None else f"{100 * found['changed']:.1f}"
        extra = rest(choice, same, changed, f"{found['seconds']:.1f}")
        rows[f"{name}, crowd-kit"] = (table.score_of(choice), extra)
    rows["weighted-vote, all labels seen"] = (table.score_of(told), rest(told))
    show_accuracies(rows, table.group)


def show_samples(case: Case, usable: NDArray[np.int16], theirs: Mapping[str, Any] | None) -> None:
    """The Beta rule of either side, on every row of samples."""
    there = usable >= 0
    print(
        f"\n{case.title}: adaptive-consistency, {len(usable):,} rows of {usable.shape[1]} samples"
    )
    for number, threshold in enumerate(THRESHOLDS):
        rule = AdaptiveConsistency(threshold=threshold)
        ours = (rule.drawn(usable, int(usable.max()) + 1) & there).sum(axis=1)
        line = f"threshold {threshold:g}: ours draws {ours.mean():.2f} of {there.sum(1).mean():.2f}"
        if theirs is not None:
            stops = np.array(theirs["samples"]["stops"][number])
            same = int((stops == ours).sum())
            line += (
                f", adaptiveconsistency {stops.mean():.2f}; the same on {same:,} of {len(ours):,}"
            )
        print(line)
    if theirs is not None:
        stopped, tried = theirs["samples"]["dirichlet"]
        print(
            f"its Dirichlet rule stops after all of them on {stopped} of {tried:,} with 3 answers"
        )
        if not theirs["samples"]["has_loop"]:
            print("its eval_loop, which would draw samples, calls a method that is not there")


def show_routers(case: Case, theirs: Mapping[str, Any] | None) -> None:
    """Routers on the second half."""
    table, half = case.table, case.table.n_queries // 2
    first, second = table.take(np.arange(half)), table.take(np.arange(half, table.n_queries))
    print(f"\n{case.title}: routers, one call, judged on {second.n_queries:,} queries")
    rows = {}
    for name in ROUTERS:
        made = create_strategy(Spec(name, {}))
        if unmet(made, first) is None:
            fit = made.fit(first, rng=np.random.default_rng(0))
            rows[f"{name}, ours"] = (replay(fit, second).score, "  all scores of the first half")
    for name, asked in ({} if theirs is None else theirs["router"]).items():
        score = second.member_score[np.arange(second.n_queries), asked]
        seen = "the first half" if "told" in name else "whom it asked, online"
        rows[f"{name}"] = (score, f"  all scores of {seen}" if "told" in name else f"  {seen}")
    show_accuracies(rows, second.group)


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="+", help="folders of recorded data sets; FOLDER:POOL")
    parser.add_argument("--most", type=int, default=2000, help="queries of a data set at most")
    parser.add_argument("--venv", type=Path, help="environment of the peers, kept; else made anew")
    parser.add_argument("--quick", action="store_true", help="few queries, one restart")
    args = parser.parse_args()
    most = 100 if args.quick else args.most
    cases = [two_copies(min(most, 1000)), *(read_case(text, most) for text in args.data)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = (args.venv or Path(scratch) / "peers").resolve()
        reason = environment(folder)
        python = folder / "bin" / "python"
        if reason is None:
            found = asked_of_peers(cases, python, quick=args.quick)
        else:
            print(f"skipped: {reason}; ours alone:")
            found = [None] * len(cases)
    if found[0] is not None:
        print(", ".join(found[0]["packages"]))
    for case, theirs in zip(cases, found, strict=True):
        if unmet(Plurality(), case.table) is None:
            show_votes(case, theirs)
        if (usable := usable_samples(case.table)) is not None:
            show_samples(case, usable, theirs)
        if case.table.features.shape[1]:
            show_routers(case, theirs)
    return 0


if __name__ == "__main__":
    sys.exit(main())

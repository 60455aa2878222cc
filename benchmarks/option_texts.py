"""What the options of multiple-choice data give away before anybody is asked.

    OMP_NUM_THREADS=1 python benchmarks/option_texts.py DATA [--pool P]

A conditional logit on the options' own texts (relative length, longest, shortest, where a number
lies among the others, likeness to the rest, "none/all of the above", words shared with the prompt),
fitted in 5 grouped folds, is asked for the answer without asking any member; then its posterior is
mixed into stacking's as p_stacking * p_options ** g, with g chosen on training queries.

Where it scores well above chance, the data's distractors can be told from answers by their looks.
rlfocal does not use this: such a gain belongs to the data set, not to the ensemble, and would be
gone on queries that nobody wrote distractors for.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rlfocal.bench.folds import partition
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.statistics import bootstrap_means
from rlfocal.deliberation.recorded import reveal
from rlfocal.records import IntArray, ResponseTable, build_table, calibrate
from rlfocal.records.folders import read_dataset
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.stacking import Stacking

Floats = NDArray[np.float64]
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
N_FEATURES = 8
GAINS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
RIDGE = 5.0


def looks(choices: list[str], prompt: str) -> Floats:
    """float64[C, F] of one query's options."""
    n = len(choices)
    out = np.zeros((n, N_FEATURES))
    length = np.log([max(len(text), 1) for text in choices])
    out[:, 0] = (length - length.mean()) / max(length.std(), 0.2)
    out[:, 1], out[:, 2] = length == length.max(), length == length.min()
    found = [NUMBER.search(text) for text in choices]
    if all(found):
        value = [float(match.group().replace(",", "")) for match in found if match]
        rank = np.argsort(np.argsort(value)) / max(n - 1, 1) - 0.5
        out[:, 3], out[:, 4] = 4 * rank**2, rank
    words = [set(text.lower().split()) for text in choices]
    alike = np.array([np.mean([len(a & b) / max(len(a | b), 1) for b in words]) for a in words])
    out[:, 5] = (alike - alike.mean()) / max(alike.std(), 0.05)
    out[:, 6] = ["none of" in text.lower() or "all of" in text.lower() for text in choices]
    asked = set(prompt.lower().split())
    shared = np.array([len(own & asked) / max(len(own), 1) for own in words])
    out[:, 7] = (shared - shared.mean()) / max(shared.std(), 0.05)
    return out


def log_posterior(theta: Floats, features: Floats, table: ResponseTable) -> Floats:
    """float64[Q, C]: log-probabilities of the options under common and per-task weights."""
    own = theta.reshape(-1, N_FEATURES)
    logit = np.einsum("qcf,qf->qc", features, own[0] + own[1:][table.task])
    logit = np.where(table.exists, logit, -np.inf)
    top = logit.max(axis=1, keepdims=True)
    return np.asarray(logit - top - np.log(np.exp(logit - top).sum(axis=1, keepdims=True)))


def fit(features: Floats, table: ResponseTable) -> Floats:
    """Penalised maximum likelihood on labelled queries."""
    right = (table.candidate_score > 0.5) * table.exists
    right = right * (right.sum(axis=1) == 1)[:, None]
    n_tasks = len(table.tasks)

    def objective(theta: Floats) -> tuple[float, Floats]:
        log = log_posterior(theta, features, table)
        gap = (np.exp(log) * right.sum(axis=1, keepdims=True)) - right
        slope = np.einsum("qc,qcf->qf", gap, features)
        gradient = np.zeros((n_tasks + 1, N_FEATURES))
        gradient[0] = slope.sum(axis=0)
        np.add.at(gradient, table.task + 1, slope)
        gradient[1:] += RIDGE * theta.reshape(-1, N_FEATURES)[1:]
        value = -np.where(right > 0, log, 0).sum() + RIDGE / 2 * (theta[N_FEATURES:] ** 2).sum()
        return float(value), gradient.reshape(-1)

    start = np.zeros((n_tasks + 1) * N_FEATURES)
    return np.asarray(minimize(objective, start, jac=True, method="L-BFGS-B").x)


def stacked(train: ResponseTable, test: ResponseTable) -> Floats:
    """float64[Q, C]: stacking's log-posterior of test queries, everybody asked."""
    fitted = Stacking().fit(train, rng=np.random.default_rng(0))
    rows, everybody = np.arange(test.n_queries), np.ones(test.answer.shape, dtype=bool)
    return np.log(np.maximum(fitted.fuse(reveal(test, rows, everybody)), 1e-6)).astype(np.float64)


def score(log: Floats, table: ResponseTable) -> Floats:
    """float64[Q]: what the likeliest option is worth."""
    chosen = np.where(table.exists, log, -np.inf).argmax(axis=1)
    return table.score_of(chosen).astype(np.float64)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of recorded multiple-choice data")
    parser.add_argument("--pool", help="a named pool; all members where absent")
    args = parser.parse_args()
    dataset = read_dataset(args.data)
    table = build_table(dataset, members=dataset.select_members(args.pool))
    rows: IntArray = np.flatnonzero(~table.is_open)
    prompts, choices = (dataset.queries[name].to_pylist() for name in ("prompt", "choices"))
    features = np.zeros((table.n_queries, table.n_candidates, N_FEATURES))
    for q in rows.tolist():
        features[q, : len(choices[q])] = looks([text or "" for text in choices[q]], prompts[q])
    features, table = features[rows], table.take(rows)
    found: list[Floats] = []
    for fold in partition(table, EvalProtocol(n_folds=5)).folds:
        calibration, train = calibrate(table.take(fold.train))
        test = calibration.apply(table.take(fold.test))
        inner = inner_folds(train, 3)
        gain_score = np.zeros(len(GAINS))
        for k in range(3):
            rest, held = train.take(inner != k), train.take(inner == k)
            theta = fit(features[fold.train][inner != k], rest)
            options = log_posterior(theta, features[fold.train][inner == k], held).clip(min=-50)
            fused = stacked(rest, held)
            gain_score += [score(fused + g * options, held).sum() for g in GAINS]
        gain = GAINS[int(gain_score.argmax())]
        options = log_posterior(
            fit(features[fold.train], train), features[fold.test], test
        )  # fmt: skip
        options = options.clip(min=-50)
        fused = stacked(train, test)
        mixed = score(np.where(test.exists, fused + gain * options, -np.inf), test)
        chance = (test.candidate_score * test.exists).sum(axis=1) / test.exists.sum(axis=1)
        measured = (chance, score(options, test), score(fused, test), mixed, test.group)
        found.append(np.stack([np.asarray(c, dtype=np.float64) for c in measured], axis=1))
    every = np.concatenate(found)
    group = every[:, 4].astype(np.int64)
    columns = np.column_stack([every[:, :4], every[:, 3] - every[:, 2]])
    means = bootstrap_means(columns, group)
    low, high = 100 * np.percentile(means.resampled[:, 4], [2.5, 97.5])
    shares = [100 * float(value) for value in means.value]
    print(f"{args.data.name} {args.pool or 'all'}: {len(every)} multiple-choice queries")
    print(f"  options alone {shares[1]:.1f} % (chance {shares[0]:.1f} %)")
    print(
        f"  stacking {shares[2]:.1f} %, with options {shares[3]:.1f} %: "
        f"{shares[4]:+.1f} [{low:+.1f}, {high:+.1f}]"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

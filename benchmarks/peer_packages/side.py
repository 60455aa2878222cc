"""What peers make of the same data; runs in an environment of theirs.

`side.py FOLDER` reads what `benchmarks/peers.py` wrote, arrays by name in FOLDER/NAME.npz, and
writes what each peer answered to FOLDER/NAME.json. Knows nothing of rlfocal, and sees no label but
the scores that an online router is paid with.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from adaptive_consistency import AC, BetaStoppingCriteria, DirichletStoppingCriteria
from crowdkit.aggregation import (
    GLAD,
    MACE,
    MMSR,
    DawidSkene,
    MajorityVote,
    OneCoinDawidSkene,
)
from mabwiser.mab import MAB, LearningPolicy
from numpy.typing import NDArray

PACKAGES = ("crowd-kit", "adaptiveconsistency", "mabwiser", "numpy", "pandas")
ALPHAS = (0.1, 1.0)
SLOW = ("GLAD", "MACE")
"""Not fitted a second time, on rows in another order."""


def votes(answer: NDArray[np.int16], *, quick: bool) -> dict[str, Any]:
    """Every label-free vote of crowd-kit, fitted on the very answers that it decides on.

    Args:
        answer: int16[Q, N], candidate slots; -1 for none.
        quick: few rounds of the slow ones.
    """
    query, member = np.nonzero(answer >= 0)  # sorted by query, then by member
    rows = pd.DataFrame(
        {
            "task": query,
            "worker": member,
            "label": [f"{slot:03d}" for slot in answer[query, member]],
        }
    )
    moved = rows.sample(frac=1.0, random_state=0)
    makers = {
        "MajorityVote": MajorityVote,
        "OneCoinDawidSkene": OneCoinDawidSkene,
        "MMSR": MMSR,
        "DawidSkene": DawidSkene,
        "GLAD": lambda: GLAD(n_iter=5 if quick else 100),
        "MACE": lambda: MACE(n_restarts=1 if quick else 10),
    }
    found = {}
    for name, make in makers.items():
        start = time.perf_counter()
        chosen = slots(make().fit_predict(rows), len(answer))
        seconds = time.perf_counter() - start
        changed = None
        if name not in SLOW:
            changed = float((chosen != slots(make().fit_predict(moved), len(answer))).mean())
        found[name] = {"chosen": chosen.tolist(), "seconds": seconds, "changed": changed}
    return found


def slots(labels: pd.Series[str], n_queries: int) -> NDArray[np.int64]:
    """int64[Q]: the slot that a peer answers, -1 where nobody answered."""
    chosen = np.full(n_queries, -1)
    chosen[labels.index.to_numpy()] = [int(label) for label in labels]
    return chosen


def samples(usable: NDArray[np.int16], thresholds: NDArray[np.float64]) -> dict[str, Any]:
    """After how many samples adaptive-consistency stops.

    Args:
        usable: int16[R, S], samples of one member to one query; -1 where there is none any more.
        thresholds: of the Beta rule.
    """
    stops = []
    for threshold in thresholds.tolist():
        rule = AC(stop_criteria=BetaStoppingCriteria(threshold))
        stops.append([stop_of(rule, row[row >= 0].tolist()) for row in usable])
    three = [row[row >= 0].tolist() for row in usable if len(set(row[row >= 0].tolist())) >= 3]
    rule = AC(stop_criteria=DirichletStoppingCriteria())
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the error that it goes on with
        whole = [bool(rule.should_stop(row)) for row in three]
    return {
        "stops": stops,
        "dirichlet": [sum(whole), len(whole)],
        "has_loop": hasattr(AC, "is_consistent"),
    }


def stop_of(rule: AC, row: list[int]) -> int:
    """Samples drawn of a row."""
    return next((n for n in range(1, len(row)) if rule.should_stop(row[:n])), len(row))


def router(context: NDArray[np.float64], score: NDArray[np.float64]) -> dict[str, Any]:
    """Whom LinUCB asks: online, paid for whom it asked alone; and frozen, told of everybody.

    Args:
        context: float64[Q, D], of the queries in their order.
        score: float64[Q, N] in [0, 1].
    """
    n_queries, n_members = score.shape
    half, arms, found = n_queries // 2, list(range(n_members)), {}
    for alpha in ALPHAS:
        online = MAB(arms, LearningPolicy.LinUCB(alpha=alpha), seed=0)
        asked = list(range(n_members))  # everybody once
        first = np.arange(n_members)
        online.fit(asked, score[first, first], context[:n_members])
        for at in range(n_members, n_queries):
            here = context[at : at + 1]
            asked.append(int(online.predict(here)))
            online.partial_fit([asked[-1]], [score[at, asked[-1]]], here)
        found[f"LinUCB, alpha {alpha:g}, online"] = asked[half:]
    told = MAB(arms, LearningPolicy.LinUCB(alpha=0.0), seed=0)
    told.fit(
        np.tile(np.arange(n_members), half),
        score[:half].reshape(-1),
        np.repeat(context[:half], n_members, axis=0),
    )
    frozen = told.predict(context[half:])
    found["LinUCB, alpha 0, told of all"] = [int(arm) for arm in np.atleast_1d(frozen)]
    return found


def main() -> int:
    """Answer every file of a folder."""
    folder = Path(sys.argv[1])
    # Peers of these versions warn of what they call in numpy and pandas; figures are compared.
    warnings.simplefilter("ignore")
    for path in sorted(folder.glob("*.npz")):
        given = np.load(path, allow_pickle=False)
        found: dict[str, Any] = {"packages": [f"{name} {version(name)}" for name in PACKAGES]}
        if "answer" in given:
            found["votes"] = votes(given["answer"], quick=bool(given["quick"]))
        if "usable" in given:
            found["samples"] = samples(given["usable"], given["thresholds"])
        if "context" in given:
            found["router"] = router(given["context"], given["score"])
        path.with_suffix(".json").write_text(json.dumps(found), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

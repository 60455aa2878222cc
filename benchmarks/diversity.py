"""What exact failure counts gain over brute force, measured in one run.

    OMP_NUM_THREADS=1 python benchmarks/diversity.py [--json] [--seed S] [--repeats R] [--quick]

1. All 4,083 ensembles of two or more of N = 12 members over Q = 10,000 queries: brute force against
   counting once and scoring by doubling or by a block of matrix products. Both fast times include
   the counting. Brute force comes in two forms, both plain loops over ensembles with numpy inside:
   - "per focal member", in the style of the published code: for every ensemble and every focal
     member, select the queries that it fails, count k on each, and take the two means;
   - "k shared": the same, but k is counted once per ensemble. A careful reader's loop.
2. All 2^20 ensembles of N = 20 members over the same number of queries.

Times are processor times of one thread: on an idle machine the same as wall time, and comparable on
a busy one. The failures are synthetic: every member has its own failure rate, and a shared
difficulty per query correlates them. Exit status 1 where a promise is missed: 1,000 times faster
than "per focal member", equal to 1e-9, N = 20 in 5 s and 2 GiB (peak of this whole process). With
`--quick`, few queries show that the script runs; then equality alone is judged.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one thread for both sides
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from load.figures import finish, processor
from numpy.typing import NDArray

from rlfocal.diversity import FailureCounts, masks_from_codes

N_QUERIES, QUICK_QUERIES = 10_000, 200
NAIVE_REPEATS = 3
EQUAL = "equal to 1e-9"

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


def synthetic_failures(rng: np.random.Generator, n_members: int, n_queries: int) -> BoolArray:
    """bool[Q, N]: members fail 20 to 60 % of the queries, hard queries together."""
    rates = rng.uniform(0.2, 0.6, n_members)
    difficulty = 0.7 * rng.normal(size=(n_queries, 1)) + rng.normal(size=(n_queries, n_members))
    failed: BoolArray = difficulty > np.quantile(difficulty, 1 - rates, axis=0).diagonal()
    return failed


def naive_per_focal_member(failed: BoolArray, masks: BoolArray) -> FloatArray:
    """The definition, for each ensemble and focal member anew."""
    scores = np.zeros(len(masks))
    for row, mask in enumerate(masks):
        members = np.flatnonzero(mask)
        rhos = []
        for focal in members:
            k = failed[failed[:, focal]][:, members].sum(axis=1)
            rhos.append(1 - (k * (k - 1)).mean() / ((len(members) - 1) * k.mean()))
        scores[row] = np.mean(rhos)
    return scores


def naive_k_shared(failed: BoolArray, masks: BoolArray) -> FloatArray:
    """The definition with k counted once per ensemble."""
    scores = np.zeros(len(masks))
    for row, mask in enumerate(masks):
        members = np.flatnonzero(mask)
        fails = failed[:, members]
        all_k = fails.sum(axis=1)
        rhos = []
        for focal in range(len(members)):
            k = all_k[fails[:, focal]]
            rhos.append(1 - (k * (k - 1)).mean() / ((len(members) - 1) * k.mean()))
        scores[row] = np.mean(rhos)
    return scores


def median_s(work: Callable[[], FloatArray], repeats: int) -> tuple[float, FloatArray]:
    """Median processor time of several repetitions, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return statistics.median(times), result


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run; times are median processor seconds, on the fast side with the counting."""

    machine: str
    python: str
    numpy: str
    seed: int
    repeats: int
    naive_repeats: int
    n_queries: int
    n12_ensembles: int
    n12_naive_per_focal_member_s: float
    n12_naive_k_shared_s: float
    n12_count_s: float
    n12_doubling_s: float
    n12_block_s: float
    n12_max_abs_difference: float
    n20_ensembles: int
    n20_doubling_s: float
    peak_resident_mib: float

    def missed(self) -> list[str]:
        """The promises that do not hold."""
        promises = {
            "1,000 times faster": self.n12_naive_per_focal_member_s >= 1000 * self.n12_doubling_s,
            EQUAL: self.n12_max_abs_difference <= 1e-9,
            "N = 20 in 5 s": self.n20_doubling_s < 5,
            "N = 20 in 2 GiB": self.peak_resident_mib < 2048,
        }
        return [promise for promise, kept in promises.items() if not kept]


def measure(seed: int, repeats: int, n_queries: int, naive_repeats: int) -> Measured:
    """Run everything."""
    rng = np.random.default_rng(seed)
    failed = synthetic_failures(rng, 12, n_queries)
    masks = masks_from_codes(np.arange(1 << 12), 12)
    big = masks.sum(axis=1) >= 2
    masks = masks[big]

    count_s, _ = median_s(lambda: FailureCounts.from_failed(failed).pairs.astype(float), repeats)
    doubling_s, by_doubling = median_s(
        lambda: FailureCounts.from_failed(failed).focal_of_all()[big], repeats
    )
    block_s, by_block = median_s(lambda: FailureCounts.from_failed(failed).focal(masks), repeats)
    shared_s, by_shared = median_s(lambda: naive_k_shared(failed, masks), naive_repeats)
    naive_s, by_naive = median_s(lambda: naive_per_focal_member(failed, masks), naive_repeats)
    others = (by_doubling, by_block, by_shared)

    failed_20 = synthetic_failures(rng, 20, n_queries)
    twenty_s, scores = median_s(
        lambda: FailureCounts.from_failed(failed_20).focal_of_all(),
        max(naive_repeats, repeats // 4),
    )
    return Measured(
        machine=f"{processor()}, {os.environ['OMP_NUM_THREADS']} thread(s)",
        python=platform.python_version(),
        numpy=np.__version__,
        seed=seed,
        repeats=repeats,
        naive_repeats=naive_repeats,
        n_queries=n_queries,
        n12_ensembles=len(masks),
        n12_naive_per_focal_member_s=naive_s,
        n12_naive_k_shared_s=shared_s,
        n12_count_s=count_s,
        n12_doubling_s=doubling_s,
        n12_block_s=block_s,
        n12_max_abs_difference=max(float(np.abs(by_naive - other).max()) for other in others),
        n20_ensembles=len(scores),
        n20_doubling_s=twenty_s,
        peak_resident_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def table(found: Measured) -> str:
    """The measurements as lines a reader can take in."""
    naive_s = found.n12_naive_per_focal_member_s
    heading = f"N = 12, Q = {found.n_queries:,}, {found.n12_ensembles:,} ensembles"
    rows = {
        "brute force, per focal member": naive_s,
        "brute force, k shared": found.n12_naive_k_shared_s,
        "count once + all 2^N by doubling": found.n12_doubling_s,
        "count once + one block of masks": found.n12_block_s,
        "(of which counting)": found.n12_count_s,
    }
    return "\n".join(
        [
            f"{found.machine}; Python {found.python}, numpy {found.numpy}; seed {found.seed};",
            f"median processor time of {found.repeats} repetitions"
            f" (brute force: {found.naive_repeats})",
            "",
            f"{heading:<48}{'ms':>10}{'times faster':>15}",
            *(f"  {title:<46}{s * 1e3:>10.2f}{naive_s / s:>15,.0f}" for title, s in rows.items()),
            f"  largest difference {found.n12_max_abs_difference:.1e}",
            "",
            f"N = 20, Q = {found.n_queries:,}, {found.n20_ensembles:,} ensembles",
            f"  count once + all 2^N by doubling: {found.n20_doubling_s:.2f} s;"
            f" peak resident memory {found.peak_resident_mib:.0f} MiB",
        ]
    )


def main() -> int:
    """Measure, print, and say by the exit status whether the promises hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=21, help="repetitions of the fast side")
    parser.add_argument("--quick", action="store_true", help="few queries, once: does it run?")
    args = parser.parse_args()
    if args.quick:
        found = measure(args.seed, 1, QUICK_QUERIES, 1)
        missed = [promise for promise in found.missed() if promise == EQUAL]
    else:
        found = measure(args.seed, args.repeats, N_QUERIES, NAIVE_REPEATS)
        missed = found.missed()
    return finish(found, table(found), as_json=args.json, missed=missed)


if __name__ == "__main__":
    sys.exit(main())

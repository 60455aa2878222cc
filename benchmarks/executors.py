"""The same benchmark by processes of this machine, on Ray and on Dask, two workers each.

    python benchmarks/executors.py DATA [--pool NAME] [--strategies NAMES] [--places ray,dask]
        [--repeats R] [--quick]

Clusters are started here: Ray with two nodes of one CPU, Dask with two worker processes. The places
take turns, the connection and the way of the data to the workers are counted in, the start of the
clusters is not. Prints seconds by place, medians; how much of the local executor's speed a cluster
reaches, with the quartiles over the turns; and whether every row of every query is the same. Exit
status 1 where a row differs, or where a median is below .85.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.executor import executor_at
from rlfocal.records import build_table
from rlfocal.records.built_in import read_data

LEAST = 0.85
HERE = "processes:2"


@contextmanager
def ray_cluster() -> Iterator[str]:
    """A Ray cluster of two nodes."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, include_dashboard=False)
        yield f"ray:{cluster.address}"
    finally:
        cluster.shutdown()


@contextmanager
def dask_cluster() -> Iterator[str]:
    """A Dask cluster of two processes."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield f"dask:{cluster.scheduler_address}"


CLUSTERS = {"ray": ray_cluster, "dask": dask_cluster}


def main() -> int:
    """Run the places in turns and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--pool")
    parser.add_argument("--strategies", default="baselines")
    parser.add_argument("--places", default="ray,dask")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two folds, one turn")
    options = parser.parse_args()
    data = read_data(options.data)
    table = build_table(data, members=data.select_members(options.pool, None))
    protocol = EvalProtocol(n_folds=2 if options.quick else 5, n_resamples=100)
    seconds: dict[str, list[float]] = {}
    first: BenchResult | None = None
    different = set()
    with ExitStack() as stack:
        found = [stack.enter_context(CLUSTERS[name]()) for name in options.places.split(",")]
        for _ in range(1 if options.quick else options.repeats):
            for place in [HERE, *found]:
                kind = place.partition(":")[0]
                start = time.perf_counter()
                result = run_bench(
                    table, options.strategies.split(","), protocol, executor=executor_at(place)
                )
                seconds.setdefault(kind, []).append(time.perf_counter() - start)
                first = first or result
                if not result.per_query.equals(first.per_query):
                    different.add(kind)
    print(f"{table.name}: {len(first.rows) if first else 0} strategies, {protocol.n_folds} folds")
    print("| place | seconds | of the local speed | rows |")
    print("|:--|--:|--:|:--|")
    slow = False
    for kind, taken in seconds.items():
        shares = [here / there for here, there in zip(seconds["processes"], taken, strict=True)]
        middle, rows = statistics.median(shares), "differ" if kind in different else "equal"
        low, _, high = statistics.quantiles(shares, n=4) if len(shares) > 1 else (middle,) * 3
        share = f"{middle:.2f} [{low:.2f}, {high:.2f}]"
        print(f"| {kind} | {statistics.median(taken):.1f} | {share} | {rows} |")
        slow |= middle < LEAST
    if slow:
        print(f"missed: a place is below {LEAST} of the local speed")
    return int(slow or bool(different))


if __name__ == "__main__":
    sys.exit(main())

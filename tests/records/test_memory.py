"""What memory is free, as a machine and the groups around a process say it; and what fits in."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlfocal.records.files import sampling
from rlfocal.records.files.memory import free_bytes

GIB = 2**30
MACHINE = {"proc/meminfo": "MemTotal: 67108864 kB\nMemAvailable: 16777216 kB\nHugePages: 0\n"}


def v2(group: str, limit: int | str, used: int, pages: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup/{group}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 1\ninactive_file {pages}\n",
    }


def v1(group: str, limit: int, used: int, pages: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup/memory/{group}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"inactive_file 7\ntotal_inactive_file {pages}\n",
    }


def within(said: str) -> dict[str, str]:
    return MACHINE | {"proc/self/cgroup": said}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        (MACHINE, 16 * GIB),
        ({"proc/meminfo": "MemTotal: many\n", "proc/self/cgroup": "0::/\n"}, None),
        (within("0::/\n") | v2("", 4 * GIB, GIB), 3 * GIB),
        (within("0::/\n") | v2("", 4 * GIB, 4 * GIB, 2 * GIB), 2 * GIB),
        (within("0::/\n") | v2("", GIB, 2 * GIB), 0),
        (within("0::/\n") | v2("", "max", GIB), 16 * GIB),
        (within("0::/\n") | v2("", 400 * GIB, GIB), 16 * GIB),
        (within("0::/a/b\n") | v2("a/b", "max", GIB) | v2("a", 5 * GIB, GIB), 4 * GIB),
        (within("0::/of/the/host\n") | v2("", 4 * GIB, GIB), 3 * GIB),
        (within("0::/../b\n") | v2("", 4 * GIB, GIB), 3 * GIB),
        (within("5:cpu:/c\n4:memory:/c\n0::/\n") | v1("c", 4 * GIB, GIB, GIB), 4 * GIB),
        (within("4:cpu,memory:/docker/1\n") | v1("", 4 * GIB, GIB), 3 * GIB),
        (within("4:memory:/\n") | v1("", 9223372036854771712, GIB), 16 * GIB),
        (within("nonsense\n4:memory\n"), 16 * GIB),
    ],
)
def test_the_least_of_what_is_free_counts(
    tmp_path: Path, files: dict[str, str], free: int | None
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert free_bytes(tmp_path) == free


def test_the_limit_of_a_container_is_that_of_a_sample(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "responses.parquet"
    pq.write_table(pa.table({"query_id": [str(k) for k in range(1000)]}), path)
    monkeypatch.delenv(sampling.VARIABLE, raising=False)
    for free, is_whole in ((None, True), (10**6, True), (100, False)):
        monkeypatch.setattr(sampling, "free_bytes", lambda free=free: free)
        assert (sampling.sample_of(path, 1000, ()) is None) == is_whole


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize("rows_a_group", [10, 250, 10_000])
def test_long_replies_that_come_late_count(
    tmp_path: Path, as_folder: bool, rows_a_group: int
) -> None:
    texts = ["short" if k < 900 else f"{k} long" * 1000 for k in range(1000)]
    table = pa.table({"member": ["m"] * 1000, "text": texts, "unknown": ["x" * 100] * 1000})
    path = tmp_path / "responses"
    if as_folder:
        path.mkdir()
        for start in range(0, 1000, 300):
            file = path / f"part-{start:05}.parquet"
            pq.write_table(table.slice(start, 300), file, row_group_size=rows_a_group)
    else:
        pq.write_table(table, path.with_suffix(".parquet"), row_group_size=rows_a_group)
        path = path.with_suffix(".parquet")
    true = table.select(["member", "text"]).nbytes
    assert sampling._decoded_bytes(path, ()) == pytest.approx(true, rel=0.35)
    lean = sampling._decoded_bytes(path, ("text",))
    assert lean is not None
    assert lean < 30_000

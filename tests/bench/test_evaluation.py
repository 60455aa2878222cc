"""`rlfocal evaluate`'s figures where the best single member reads others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

import rlfocal
from rlfocal.records import Dataset, DatasetInfo


def test_a_best_single_member_that_reads_is_told_with_whom_it_reads() -> None:
    rng, n = np.random.default_rng(0), 40
    rows = [
        {"query_id": f"q{k}", "member": name, "answer": "1" if rng.random() < skill else "2"}
        for k in range(n)
        for name, skill in (("a", 0.5), ("b", 0.5), ("j", 0.95))
    ]
    queries = pa.table(
        {"query_id": [f"q{k}" for k in range(n)], "prompt": [f"p{k}" for k in range(n)],
         "label": ["1"] * n}
    )  # fmt: skip
    info = DatasetInfo(readers={"j": {"reads": ["a", "b"], "reading": "aggregate"}})
    data = Dataset("read", queries, pa.Table.from_pylist(rows), info)
    found = rlfocal.evaluate(rlfocal.train(data, "plurality"), data)
    assert found.best_single == "j"
    assert (found.best_single_calls, found.best_single_rounds) == (3, 2)
    said = str(found)
    assert "j alone" not in said
    line = next(line for line in said.splitlines() if "reference" in line)
    assert line.split()[-2:] == ["3.00", "2.00"]
    plain = rlfocal.evaluate(rlfocal.train("localpool", "plurality"), "localpool")
    assert (plain.best_single_calls, plain.best_single_rounds) == (1, 1)
    assert f"{plain.best_single} alone" in str(plain)

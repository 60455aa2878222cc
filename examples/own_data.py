"""Your own records, made in Python: two tables, one data folder, a first look at the pool.

Run it: python examples/own_data.py (it writes the folder my-pool where it is run).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from rlfocal import Dataset, FailureCounts, build_table, read_dataset, write_dataset

ASKED = {"3 + 4": "7", "6 * 7": "42", "10 - 8": "2", "9 / 3": "3"}
ANSWERED = {
    "careful": ["7", "42", "2", "6"],
    "quick": ["7", "48", "2", "3"],
    "terse": ["12", "48", "8", "3"],
}


def main() -> None:
    """Write, read back, and look."""
    ids = [f"q{i}" for i in range(len(ASKED))]
    queries = pa.table({"query_id": ids, "prompt": list(ASKED), "label": list(ASKED.values())})
    responses = pa.table(
        {
            "query_id": ids * len(ANSWERED),
            "member": [member for member in ANSWERED for _ in ids],
            "answer": [answer for answers in ANSWERED.values() for answer in answers],
        }
    )
    folder = Path("my-pool")
    write_dataset(Dataset("my-pool", queries, responses), folder, overwrite=True)

    table = build_table(read_dataset(folder))
    for member, accuracy in zip(table.members, table.member_score.mean(axis=0), strict=True):
        print(f"{member:10} {accuracy:.2f}")
    diversity = FailureCounts.from_failed(table.failed)
    everybody = np.ones(table.n_members, dtype=bool)
    print(f"focal diversity of all three: {diversity.focal_diversity(everybody):.2f}")


if __name__ == "__main__":
    main()

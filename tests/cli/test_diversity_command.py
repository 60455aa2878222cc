"""`rlfocal diversity` against values worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import MakeFolder, Run

# Failures: ann on q0 q4 q8, bob on q0 q3 q6 q9, cyd on q1 q3 q5 q7 q9 q11. Shared: ann and bob q0,
# bob and cyd q3 and q9, ann and cyd none.


def test_pairs_and_focal_diversity_by_hand(run: Run, small: Path) -> None:
    found = json.loads(run("diversity", small, "--json").out)
    pairs = {tuple(pair["members"]): pair["measures"] for pair in found["pairs"]}
    assert pairs["ann", "bob"]["disagreement"] == pytest.approx((2 + 3) / 12)
    assert pairs["ann", "bob"]["double-fault"] == pytest.approx(1 - 1 / 12)
    assert pairs["ann", "cyd"]["double-fault"] == 1
    assert next(iter(pairs)) == ("ann", "cyd")  # they never fail together
    # Focal on ann: k = 2, 1, 1; on bob: 2, 2, 1, 2; on cyd: 1, 2, 1, 1, 2, 1. S - 1 = 2.
    ann, bob, cyd = 1 - 2 / (2 * 4), 1 - 6 / (2 * 7), 1 - 4 / (2 * 8)
    assert found["pool"]["focal-diversity"] == pytest.approx((ann + bob + cyd) / 3)


def test_subsets_stand_beside_what_they_vote(run: Run, small: Path) -> None:
    found = json.loads(run("diversity", small, "--top", 9, "--json").out)
    focal = found["subsets"]["focal diversity"]
    assert len(focal) == 4  # three pairs and the whole pool
    assert focal[0]["members"] == ["ann", "cyd"]
    assert focal[0]["focal_diversity"] == 1
    by_vote = found["subsets"]["vote accuracy"]
    votes = {tuple(row["members"]): row["vote_accuracy"] for row in by_vote}
    assert votes["ann", "bob", "cyd"] == pytest.approx(9 / 12)
    # Two members that differ tie, and ann, the better, is right on 9.
    assert votes["ann", "cyd"] == pytest.approx(9 / 12)
    assert [row["vote_accuracy"] for row in by_vote] == sorted(votes.values(), reverse=True)
    assert found["search"] == "exhaustive"


def test_size_restricts_the_subsets(run: Run, small: Path) -> None:
    found = json.loads(run("diversity", small, "--size", 2, "--json").out)
    for ranked in found["subsets"].values():
        assert [len(row["members"]) for row in ranked] == [2, 2, 2]


def test_a_pool_too_large_to_enumerate_is_searched_and_said_so(
    run: Run, make_folder: MakeFolder
) -> None:
    answered = [
        {"query_id": f"q{q}", "member": f"m{m:02d}", "answer": "ABCD"[(q + (q * m) % 3) % 4]}
        for m in range(20)
        for q in range(12)
    ]
    out = run("diversity", make_folder(answered=answered), "--top", 2).out
    assert "the best a search found" in out
    assert "most alike pairs" in out


def test_the_correlation_with_votes_is_stated(run: Run) -> None:
    ran = run("diversity", "demo")
    assert "Correlation of focal diversity with vote accuracy" in ran.out
    found = json.loads(run("diversity", "demo", "--json").out)
    assert set(found["focal_vote_correlation"]) == {"2", "3", "4", "5", "6", "7"}
    assert all(-1 <= r <= 1 for r in found["focal_vote_correlation"].values())

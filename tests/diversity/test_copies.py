"""Near-copies: found where two fail together, not where they fail as others do."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.diversity import ALIKE, near_copies


def failures(n: int = 400, *, flips: float = 0.0, seed: int = 0) -> np.ndarray:
    """bool[Q, 4]: members of accuracy .6 who share some hard queries; the last is the first's copy
    but for a share of flips."""
    rng = np.random.default_rng(seed)
    hard = rng.random((n, 1)) < 0.2
    failed = (rng.random((n, 4)) < 0.25) | hard
    failed[:, 3] = failed[:, 0] ^ (rng.random(n) < flips)
    return failed


@pytest.mark.parametrize("flips", [0.0, 0.05, 0.1])
def test_a_copy_is_found_with_its_correlation(flips: float) -> None:
    failed = failures(flips=flips)
    (pair,) = near_copies(failed)
    assert (pair.first, pair.second) == (0, 3)
    expected = np.corrcoef(failed[:, 0], failed[:, 3])[0, 1]
    assert pair.correlation == pytest.approx(expected)
    assert pair.correlation >= ALIKE


def test_hard_queries_that_all_fail_make_no_copies() -> None:
    assert near_copies(failures(flips=0.5)) == ()
    assert near_copies(failures()[:, :3]) == ()


def test_the_most_alike_come_first() -> None:
    rng = np.random.default_rng(1)
    one = rng.random(300) < 0.4
    other = one ^ (rng.random(300) < 0.08)
    failed = np.stack([other, one, one], axis=1)
    pairs = near_copies(failed)
    assert [(p.first, p.second) for p in pairs] == [(1, 2), (0, 1), (0, 2)]
    assert near_copies(failed, alike=0.99) == pairs[:1]


def test_few_common_failures_say_nothing() -> None:
    """Two good members that fail the same three queries are not taken for copies."""
    failed = np.zeros((500, 2), dtype=bool)
    failed[:9] = True
    assert near_copies(failed) == ()
    failed[:10] = True
    assert len(near_copies(failed)) == 1
    assert near_copies(failed[:0]) == ()
    assert near_copies(np.ones((50, 2), dtype=bool))[0].correlation == 1  # neither is ever right

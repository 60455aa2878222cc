"""Credit against sums written out: GAE where stops are drawn, expectations where they are not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rlfocal.training.credit import credit

GRID = list(product([0.0, 0.5, 0.9, 1.0], [0.0, 0.3, 0.95, 1.0]))


def paths(rng: np.random.Generator, lengths: list[int], *, drawn: bool) -> dict[str, np.ndarray]:
    """Random paths of these lengths; a path ends with a stop."""
    shape = (max(lengths), len(lengths))
    rounds, last = np.arange(shape[0])[:, None], np.array(lengths) - 1
    share = np.zeros(shape) if drawn else rng.random(shape)
    share = np.where(rounds == last, 1, share)
    worth, charge, value = rng.random((3, *shape))
    figures = {"worth": worth, "charge": charge, "stop_share": share, "value": value}
    found = {name: figure.astype(np.float32) for name, figure in figures.items()}
    return found | {"alive": rounds <= last}


@pytest.mark.parametrize(("gamma", "lam"), GRID)
def test_with_drawn_stops_it_is_the_double_sum_of_generalised_advantages(gamma, lam, rng):
    lengths = [1, 5, 3, 2, 5]
    path = paths(rng, lengths, drawn=True)
    advantage = credit(**path, gamma=gamma, gae_lambda=lam).asking - path["value"]
    for b, length in enumerate(lengths):
        reward = [*-path["charge"][: length - 1, b], path["worth"][length - 1, b]]
        value = [*path["value"][:length, b], 0.0]
        delta = [reward[t] + gamma * value[t + 1] - value[t] for t in range(length)]
        for t in range(length - 1):
            expected = sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, length))
            assert advantage[t, b] == pytest.approx(expected, abs=1e-5)


def test_with_shares_it_is_the_mean_over_where_the_path_stops(rng):
    lengths = [2, 6, 4]
    path = paths(rng, lengths, drawn=False)
    asking = credit(**path, gamma=1.0, gae_lambda=1.0).asking
    for b, length in enumerate(lengths):
        for t in range(length - 1):
            expected, reach, charged = 0.0, 1.0, 0.0
            for k in range(t, length):
                stop = path["stop_share"][k, b] if k > t else 0.0  # it asks at t
                expected += reach * stop * (path["worth"][k, b] - charged)
                reach *= 1 - stop
                charged += path["charge"][k, b]
            assert reach == 0
            assert asking[t, b] == pytest.approx(expected, abs=1e-5)


def test_without_trust_in_the_path_the_critic_says_what_follows(rng):
    path = paths(rng, [3, 3], drawn=False)
    asking = credit(**path, gamma=0.9, gae_lambda=0.0).asking
    expected = -path["charge"][:2] + 0.9 * path["value"][1:]
    np.testing.assert_allclose(asking[:2], expected, atol=1e-6)


def test_a_path_ignores_longer_ones_beside_it(rng):
    path = paths(rng, [2, 6], drawn=False)
    both = credit(**path, gamma=0.9, gae_lambda=0.9).asking
    first = {name: figure[:2, :1] for name, figure in path.items()}
    alone = credit(**first, gamma=0.9, gae_lambda=0.9).asking
    np.testing.assert_array_equal(both[:2, :1], alone)
    assert (both[2:, 0] == 0).all()


def test_where_enough_sends_a_round_the_branch_says_what_that_earns():
    """One path forks at its first state; without trust in the path, the critic says it there."""
    path = {
        "worth": [[9.0, 9.0], [0.5, 0.8]], "charge": [[0.1, 0.0], [0.0, 0.0]],
        "stop_share": [[0.3, 0.0], [1.0, 1.0]], "value": [[0.2, 0.0], [0.6, 0.7]],
    }  # fmt: skip
    figures = {name: np.array(rows, dtype=np.float32) for name, rows in path.items()}
    alive, sent = np.array([[True, False], [True, True]]), np.array([[1, -1], [-1, -1]])
    for lam, on, branch in ((1.0, 0.5, 0.8), (0.0, 0.6, 0.7), (0.5, 0.55, 0.75)):
        found = credit(**figures, alive=alive, sent=sent, gamma=1.0, gae_lambda=lam)
        assert found.asking[0, 0] == pytest.approx(on - 0.1)
        assert found.enough[0, 0] == pytest.approx(branch)
        assert found.enough[1].tolist() == pytest.approx([0.5, 0.8])

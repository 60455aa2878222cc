from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rlfocal.diversity import Evolution, FailureCounts, best_subsets, weighted_sum


def pool(seed, n_members, n_queries=300):
    """Members of different strength whose failures share a cause, as those of LLMs do."""
    rng = np.random.default_rng(seed)
    shared = rng.uniform(0.2, 1.5) * rng.normal(size=(n_queries, 1))
    return rng.normal(size=(n_queries, n_members)) + shared < rng.normal(-0.5, 0.6, n_members)


def majority(failed):
    right = (~failed).T.astype(float)
    return lambda masks: (2 * (masks.astype(float) @ right) > masks.sum(axis=1)[:, None]).mean(
        axis=1
    )


def size(masks):
    return masks.sum(axis=1).astype(float)


@pytest.mark.parametrize("sizes", [None, (3, 5), (2, 2)])
@pytest.mark.parametrize("seed", range(6))
def test_genetic_search_finds_what_exhaustive_search_finds(seed, sizes):
    n_members = 7 + seed
    failed = pool(seed, n_members)
    focal, vote = FailureCounts.from_failed(failed).focal, majority(failed)
    for objective in (focal, vote, weighted_sum((0.5, focal), (0.5, vote))):
        certain = best_subsets(objective, n_members, sizes=sizes, method="exhaustive")
        found = best_subsets(
            objective, n_members, sizes=sizes, method="genetic", rng=np.random.default_rng(seed)
        )
        assert found.score == pytest.approx(certain.score, abs=1e-12)
        assert found.mask.tolist() == certain.mask.tolist()
        assert (certain.method, found.method) == ("exhaustive", "genetic")


def test_exhaustive_search_ranks_as_a_loop_does():
    failed = pool(1, 6)
    focal = FailureCounts.from_failed(failed).focal
    ranking = best_subsets(focal, 6, sizes=(2, 4), top=7)
    everyone = [c for s in (2, 3, 4) for c in combinations(range(6), s)]
    masks = np.array([[n in c for n in range(6)] for c in everyone])
    expected = sorted(
        zip(focal(masks), everyone, strict=True), key=lambda e: (-round(e[0], 12), len(e[1]), e[1])
    )
    assert ranking.n_scored == len(everyone) == 50
    assert [tuple(np.flatnonzero(m)) for m in ranking.masks] == [e[1] for e in expected[:7]]
    np.testing.assert_allclose(ranking.scores, [e[0] for e in expected[:7]], atol=1e-12)


def test_ties_go_to_fewer_members_then_to_the_first():
    flat = best_subsets(lambda masks: np.zeros(len(masks)), 5, sizes=(2, 5), top=3)
    assert [np.flatnonzero(m).tolist() for m in flat.masks] == [[0, 1], [0, 2], [0, 3]]
    evolved = best_subsets(
        lambda masks: np.zeros(len(masks)),
        5,
        sizes=(2, 5),
        method="genetic",
        rng=np.random.default_rng(0),
    )
    assert evolved.mask.tolist() == [True, True, False, False, False]


def test_rounding_noise_does_not_break_ties():
    noise = np.random.default_rng(0)
    ranking = best_subsets(lambda masks: 0.3 + noise.normal(0, 1e-16, len(masks)), 6)
    assert ranking.mask.tolist() == [True] + [False] * 5


@pytest.mark.parametrize("method", ["exhaustive", "genetic"])
def test_sizes_are_kept_and_never_empty(method):
    seen = []

    def objective(masks):
        seen.append(masks.sum(axis=1))
        return -size(masks)

    ranking = best_subsets(
        objective, 8, sizes=(3, 6), method=method, top=5, rng=np.random.default_rng(1)
    )
    assert ranking.masks.sum(axis=1).tolist() == [3] * 5
    assert np.concatenate(seen).min() >= 1
    assert (np.diff(ranking.scores) <= 0).all()


def test_genetic_search_escapes_a_trap_that_greedy_selection_falls_into():
    # Members 0 and 1 look best alone and in pairs; the prize needs 5, 6 and 7 together.
    def objective(masks):
        prize = masks[:, 5] & masks[:, 6] & masks[:, 7] & ~masks[:, 0]
        return masks[:, :2].sum(axis=1) + 10.0 * prize - 0.01 * size(masks)

    found = best_subsets(objective, 30, rng=np.random.default_rng(0))
    assert found.method == "genetic"
    assert np.flatnonzero(found.mask).tolist() == [1, 5, 6, 7]


def test_polish_improves_a_population_that_cannot():
    # Greedy selection keeps 0 and 1; one swap away from what it finds stands {1, 2, 3}. Without
    # mutation, and with members 2 and 3 in nobody alive together, only the polish gets there.
    def objective(masks):
        greedy = masks[:, 0] & masks[:, 1]
        prize = masks[:, 1] & masks[:, 2] & masks[:, 3]
        return 2.0 * greedy + 3.0 * prize + 0.1 * size(masks)

    still = Evolution(population=2, elite=1, tournament=1, mutations_per_child=0, patience=1)
    found = best_subsets(
        objective, 60, sizes=(2, 3), rng=np.random.default_rng(0), evolution=still, method="genetic"
    )
    assert np.flatnonzero(found.mask).tolist() == [1, 2, 3]


def test_max_generations_ends_the_search():
    asked = []

    def restless(masks):
        asked.append(len(masks))
        return (masks * 2.0 ** np.arange(40)).sum(axis=1)

    short = Evolution(population=10, elite=2, max_generations=1, patience=50)
    best_subsets(restless, 40, sizes=(20, 20), rng=np.random.default_rng(0), evolution=short)
    after_one = sum(asked)
    best_subsets(
        restless,
        40,
        sizes=(20, 20),
        rng=np.random.default_rng(0),
        evolution=Evolution(population=10, elite=2, max_generations=5, patience=50),
    )
    assert after_one < sum(asked) - after_one


def test_the_same_generator_state_gives_the_same_search():
    failed = pool(9, 25)
    focal = FailureCounts.from_failed(failed).focal
    runs = [best_subsets(focal, 25, top=4, rng=np.random.default_rng(7)) for _ in range(2)]
    assert runs[0].masks.tolist() == runs[1].masks.tolist()
    assert runs[0].n_scored == runs[1].n_scored


def test_no_mask_is_scored_twice_by_the_genetic_search():
    seen: list[bytes] = []

    def objective(masks):
        seen.extend(row.tobytes() for row in masks)
        return size(masks)

    found = best_subsets(objective, 9, method="genetic", rng=np.random.default_rng(0))
    assert len(seen) == len(set(seen)) == found.n_scored


def test_a_pool_of_one_member_is_its_own_best_ensemble():
    for method in ("exhaustive", "genetic"):
        ranking = best_subsets(size, 1, method=method, rng=np.random.default_rng(0))
        assert ranking.mask.tolist() == [True]
        assert ranking.score == 1.0


def test_automatic_choice_counts_ensembles_rather_than_members():
    assert best_subsets(size, 40, sizes=(1, 3)).method == "exhaustive"
    with pytest.raises(ValueError, match="needs rng"):
        best_subsets(size, 40)


def test_caller_mistakes_are_refused():
    for sizes in ((0, 2), (3, 2), (1, 5)):
        with pytest.raises(ValueError, match="sizes must satisfy"):
            best_subsets(size, 4, sizes=sizes)
    with pytest.raises(ValueError, match="top must be"):
        best_subsets(size, 4, top=0)
    with pytest.raises(ValueError, match=r"NaN, as for members \[1\]"):
        best_subsets(lambda m: np.where(m[:, 1] & (m.sum(axis=1) == 1), np.nan, 1.0), 3)
    with pytest.raises(ValueError, match=r"must return float\[4\]"):
        best_subsets(lambda masks: np.zeros(2), 4, sizes=(1, 1))
    with pytest.raises(ValueError, match="at least one"):
        weighted_sum()
    for settings in ({"elite": 0}, {"elite": 128}, {"patience": 0}, {"mutations_per_child": -1.0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            Evolution(**settings)

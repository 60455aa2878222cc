"""What fitting found goes into arrays and comes back: the same decisions, and damage is refused."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from every_strategy import REFERENCES

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.registry import BUILT_IN, create_strategy
from rlfocal.deliberation.state import Row, check_state
from rlfocal.errors import CheckpointError
from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.strategies.routing import RoutedVote
from rlfocal.strategies.routing.chances import ROUTERS

from .conftest import _make_table

SIMPLE = [
    Spec(name, {})
    for name, place in BUILT_IN.items()
    if place.startswith("rlfocal.strategies.") and name not in (*REFERENCES, "best-of")
]
OTHERS = [
    Spec("agreement", {"threshold": 0.3, "order": "cost", "members_per_round": 2}),
    Spec("agreement-capped", {"price": 0.1}),
    Spec("static-subset", {"max_size": 2}),
    Spec("topla", {"focal_weight": 0.1, "n_hidden": 3}),
    Spec("stacking", {"penalties": [[3, 10]]}),
    Spec("knn-router", {"sizes": [5], "task_bonus": 0.1, "cost_weight": 0.2}),
    Spec("logistic-router", {"penalties": [10]}),
    Spec("kmeans-router", {"sizes": [4]}),
    Spec("hiershrink-router", {"n_coarse": 2, "n_fine": 5, "weight": 3.0}),
    Spec("routed-vote", {"n_calls": 2}),
    Spec("confidence-vote", {"signal": "score", "keep": 0.5}),
    Spec("best-of-n", {"n_calls": 2}),
    Spec("score-cascade", {"threshold": 0.7}),
]
every_spec = pytest.mark.parametrize("spec", SIMPLE + OTHERS, ids=str)


@functools.cache
def _train(graded: bool) -> ResponseTable:
    """120 queries of options, with a task that nobody has seen."""
    table = _make_table(CandidateKind.OPTIONS, seed=1, n_queries=120, graded=graded, replies=True)
    return table.with_tasks(table.tasks)


def _fitted(spec: Spec, *, graded: bool = True) -> Base:
    return create_strategy(spec).fit(_train(graded), rng=np.random.default_rng(3))


def _axes(strategy: Base) -> dict[str, int]:
    table = _train(graded=True)
    own = {"N": table.n_members, "T": len(table.tasks), "D": table.features.shape[1]}
    return own | strategy.axes()


def _same_decisions(one: Base, two: Base) -> None:
    table = _make_table(CandidateKind.OPTIONS, seed=2, n_queries=80, graded=True, replies=True)
    # One query in ten is of the task that nobody has seen.
    task = np.where(np.arange(80) % 10 == 0, 2, table.task)
    table = replace(table.with_tasks(table.tasks), task=task)
    rows = np.arange(80)
    asked, n_rounds = np.zeros((80, 5), dtype=bool), np.zeros(80, dtype=np.int64)
    goes_on = True
    while goes_on:
        view = reveal(table, rows, asked, n_rounds=n_rounds)
        first, second = one.decide(view), two.decide(view)
        assert first.ask.tobytes() == second.ask.tobytes()
        assert first.answer.tobytes() == second.answer.tobytes()
        asked, n_rounds, goes_on = asked | first.ask, n_rounds + 1, bool((first.ask & ~asked).any())


@every_spec
def test_restored_from_its_arrays_it_decides_as_before(spec: Spec) -> None:
    fitted = _fitted(spec)
    state = {name: np.array(array) for name, array in fitted.state().items()}
    fresh = create_strategy(fitted.spec)
    rows = fresh.layout(state)
    assert rows.keys() == state.keys()
    check_state(state, rows, _axes(fresh))
    restored = fresh.restore(state)
    _same_decisions(fitted, restored)
    assert restored.spec == fitted.spec
    assert restored.dials == fitted.dials
    for dial in fitted.dials[:3]:
        _same_decisions(fitted.with_dial(dial), restored.with_dial(dial))
    again = restored.state()
    assert again.keys() == state.keys()
    assert all(np.array_equal(again[name], array) for name, array in state.items())


def _damaged(array: np.ndarray, row: Row) -> list[np.ndarray]:
    """What no training writes: another shape or kind, numbers that are none or out of range."""
    found = [array[None], array.astype(np.complex64)]
    if "N" in row.axes:
        found.append(np.delete(array, 0, axis=row.axes.index("N")))
    if array.dtype.kind == "f" and row.finite and array.size:
        found.append(np.full_like(array, np.nan))
    if array.dtype.kind in "iuf" and np.isfinite(row.low):
        found.append(np.full_like(array, row.low - 1))
    if array.dtype.kind in "iuf" and row.high != np.inf:
        found.append(np.full_like(array, 10_000))
    if row.distinct and array.size > 1:
        found.append(np.full_like(array, array.flat[0]))
    return found


@every_spec
def test_damaged_arrays_are_refused(spec: Spec) -> None:
    fitted = _fitted(spec)
    state, fresh = fitted.state(), create_strategy(spec)
    rows = fresh.layout(state)
    for name in state:
        for wrong in _damaged(state[name], rows[name]):
            with pytest.raises(CheckpointError, match=f"the array '{name}'"):
                check_state(state | {name: wrong}, rows, _axes(fresh))
        rest = {key: array for key, array in state.items() if key != name}
        with pytest.raises(CheckpointError, match="missing"):
            check_state(rest, fresh.layout(rest), _axes(fresh))


@pytest.mark.parametrize("kind", ROUTERS)
def test_a_routed_vote_keeps_the_router_that_it_chose(kind: str) -> None:
    fitted = _fitted(Spec("routed-vote", {}))
    assert isinstance(fitted, RoutedVote)
    fitted.router_ = ROUTERS[kind]().fit(_train(graded=True), rng=np.random.default_rng(0))
    state = fitted.state()
    fresh = RoutedVote()
    check_state(state, fresh.layout(state), _axes(fresh))
    _same_decisions(fitted, fresh.restore(state))
    assert type(fresh.router_) is type(fitted.router_)


def test_stacking_on_bare_answers_keeps_one_weight_a_member() -> None:
    fitted = _fitted(Spec("stacking", {}), graded=False)
    state = fitted.state()
    assert state["weight"].shape == (3, 1, 5)
    _same_decisions(fitted, create_strategy(fitted.spec).restore(state))
    with pytest.raises(CheckpointError, match="for 1 signals a member; as 'graded' is True"):
        create_strategy(fitted.spec).restore(state | {"graded": np.array(True)})


def test_a_fusion_network_for_another_number_of_members_is_refused() -> None:
    fitted = _fitted(Spec("topla", {}))
    with pytest.raises(CheckpointError, match="the array 'mask' chooses 0 members"):
        create_strategy(fitted.spec).restore(fitted.state() | {"mask": np.zeros(5, dtype=bool)})

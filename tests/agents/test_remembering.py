"""What is remembered is what would be fused anew, for each query, mask and told task apart."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from tests.agents.test_observer import observer_of

import rlfocal.agents.remembering as module
from rlfocal.agents.known import OutOfFold
from rlfocal.agents.observation import Observer
from rlfocal.agents.remembering import Remembering
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import View
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

N, Q = 11, 60


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    """More members than a byte has bits, on two tasks."""
    model = PoolModel(accuracy=[[0.6] * N, [0.4] * N], n_options=4)
    return build_table(simulate(model, Q, rng=np.random.default_rng(0)), encode=None)


@pytest.fixture(scope="module")
def held_out(table: ResponseTable) -> OutOfFold:
    competence = np.random.default_rng(1).normal(size=(2, Q, N)).astype(np.float32) / 20
    return OutOfFold(competence, len(table.tasks), np.arange(Q) % 2)


def views(table: ResponseTable, n_batches: int = 12, size: int = 40) -> list[View]:
    """Batches in which queries and masks come back, within one batch and in later ones."""
    rng = np.random.default_rng(2)
    masks = rng.random((5, N)) < 0.4
    found = []
    for _ in range(n_batches):
        rows = rng.integers(12, size=size)
        view = reveal(table, rows, masks[rng.integers(5, size=size)])
        untold = rng.random(size) < 0.3
        found.append(replace(view, task=np.where(untold, len(table.tasks), view.task)))
    return found


def same(one: Observer, two: Observer, view: View, held_out: OutOfFold) -> None:
    price = np.geomspace(0.001, 0.3, len(view)).astype(np.float32)
    first, second = (o.observe(view, price, held_out.known(view)) for o in (one, two))
    np.testing.assert_allclose(first.posterior, second.posterior, rtol=0, atol=1e-5)
    for mine, theirs in zip(first.observation, second.observation, strict=True):
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("most_bytes", [2**28, 4000, 0])
def test_it_observes_as_one_that_forgets(
    table: ResponseTable, held_out: OutOfFold, most_bytes: int
) -> None:
    plain = observer_of(table)
    remembering = Remembering.of(plain)
    with mock.patch.object(module, "_MOST_BYTES", most_bytes):
        for view in views(table):
            same(remembering, plain, view, held_out)


def test_what_came_before_is_not_fused_again(table: ResponseTable, held_out: OutOfFold) -> None:
    remembering = Remembering.of(observer_of(table))
    with mock.patch.object(Observer, "fused", autospec=True, side_effect=Observer.fused) as fused:
        for view in views(table):
            remembering.fused(view, held_out.known(view))
        n_before = fused.call_count
        n_fused = sum(len(call.args[1]) for call in fused.call_args_list)
        for view in views(table):
            remembering.fused(view, held_out.known(view))
    assert fused.call_count == n_before
    assert n_fused <= 2 * 12 * 5 * 2  # told or not; a query may come twice in its first batch


def test_observers_that_gather_rounds_share_the_memory(
    table: ResponseTable, held_out: OutOfFold
) -> None:
    first = Remembering.of(observer_of(table))
    view = views(table)[0]
    first.fused(view, held_out.known(view))
    with mock.patch.object(Observer, "fused", side_effect=AssertionError):
        replace(first, rounds=None).fused(view, held_out.known(view))

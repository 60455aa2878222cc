"""Scenes of the prior's training are the same in every process, and come in order."""

from __future__ import annotations

import multiprocessing
from contextlib import closing
from itertools import islice

import pytest
import torch

from rlfocal.executor import ProcessExecutor, SerialExecutor
from rlfocal.training.prior.pool_batches import PoolBatch
from rlfocal.training.prior.scenes import Scenes, from_arrays, scenes, to_arrays

KIND = Scenes(3, 1, n_pools=2, n_queries=3, readers=0.5, n_labels=10, n_members=4)


def tensors(value):
    """All tensors within, in order; None for what is none."""
    if isinstance(value, tuple):
        return [tensor for part in value for tensor in tensors(part)]
    return [value]


def same(one: PoolBatch, other: PoolBatch) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


class Backwards(SerialExecutor):
    """Jobs end in the order that none should count on."""

    def map(self, function, jobs, *, shared):
        for first in range(0, len(jobs), 3):
            yield from reversed([(first + n, function(shared, jobs[first + n])) for n in range(3)])


@pytest.mark.parametrize("executor", [SerialExecutor(), ProcessExecutor(2), Backwards()])
def test_a_scene_is_known_by_its_number(executor):
    with closing(scenes(KIND, executor)) as drawn:
        for number, found in enumerate(islice(drawn, 20)):
            assert same(found, KIND.draw(number))
    assert not multiprocessing.active_children()


def test_no_two_scenes_are_alike():
    others = [KIND.draw(n) for n in range(3)]
    others += [KIND._replace(seed=4).draw(0), KIND._replace(stream=2).draw(0)]
    supports = {tuple(batch.support.flatten().tolist()) for batch in others}
    assert len(supports) == len(others)


def test_as_many_have_readers_as_is_said():
    found = [KIND.draw(n).reading is not None for n in range(40)]
    assert 10 < sum(found) < 30
    assert all(KIND._replace(readers=1.0).draw(n).reading is not None for n in range(5))
    assert all(KIND._replace(readers=0.0).draw(n).reading is None for n in range(5))


def test_a_scene_goes_through_arrays_and_back():
    whole = KIND._replace(readers=1.0).draw(0)
    back = from_arrays(to_arrays(whole))
    assert isinstance(back, PoolBatch)
    assert same(whole, back)

"""The operations of numpy and of torch are the same functions, and layers know their arrays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rlfocal.agents.arrays import Layer, Namespace, checked, layer, namespace, size_of
from rlfocal.agents.arrays.of_numpy import OfNumpy
from rlfocal.agents.arrays.of_torch import OfTorch

NAMES = sorted(name for name in vars(Namespace) if not name.startswith("_"))
EVERYWHERE = ("exp", "sigmoid", "log_sigmoid", "relu", "softmax", "log_softmax", "floats")
IN_NUMPY, IN_TORCH = namespace(np.zeros(1)), namespace(torch.zeros(1))


def floats(shape: Sequence[int], low: float = -30, high: float = 30) -> st.SearchStrategy[Any]:
    return arrays.arrays(np.float32, tuple(shape), elements=st.floats(low, high, width=32))


def same(mine: Any, theirs: Any) -> None:
    assert isinstance(mine, np.ndarray)
    assert str(theirs.dtype).removeprefix("torch.") == mine.dtype.name
    np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_an_array_is_of_its_package_and_both_have_every_operation() -> None:
    assert isinstance(IN_NUMPY, OfNumpy)
    assert isinstance(IN_TORCH, OfTorch)
    assert len(NAMES) > 15
    for name in NAMES:
        assert callable(getattr(IN_NUMPY, name))
        assert callable(getattr(IN_TORCH, name))


@given(floats((2, 3, 4)))
def test_functions_of_one_array(x: np.ndarray) -> None:
    for name in EVERYWHERE:
        same(getattr(IN_NUMPY, name)(x), getattr(IN_TORCH, name)(torch.from_numpy(x)))
    positive = np.abs(x) + np.float32(1e-3)
    for name in ("log", "log1p"):
        same(getattr(IN_NUMPY, name)(positive), getattr(IN_TORCH, name)(torch.from_numpy(positive)))


@given(floats((2, 3, 4)), st.integers(0, 2), st.booleans())
def test_sums_and_maxima_along_an_axis(x: np.ndarray, axis: int, keepdims: bool) -> None:
    for name in ("sum", "max"):
        mine, theirs = getattr(IN_NUMPY, name), getattr(IN_TORCH, name)
        same(mine(x, axis, keepdims=keepdims), theirs(torch.from_numpy(x), axis, keepdims=keepdims))


@given(floats((3, 4)), floats((3, 4)), floats(()))
def test_functions_of_two(x: np.ndarray, y: np.ndarray, bound: np.ndarray) -> None:
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    same(IN_NUMPY.maximum(x, y), IN_TORCH.maximum(a, b))
    for name in ("at_least", "at_most"):
        same(getattr(IN_NUMPY, name)(x, float(bound)), getattr(IN_TORCH, name)(a, float(bound)))
    same(IN_NUMPY.where(x > y, x, -1e9), IN_TORCH.where(a > b, a, -1e9))
    same(IN_NUMPY.where(x > y, 8.0, y), IN_TORCH.where(a > b, 8.0, b))
    same(IN_NUMPY.concat([x, y]), IN_TORCH.concat([a, b]))
    same(IN_NUMPY.stack([x, x > y, y[:, :1]]), IN_TORCH.stack([a, a > b, b[:, :1]]))
    same(IN_NUMPY.broadcast_to(x[None], (2, 3, 4)), IN_TORCH.broadcast_to(a[None], (2, 3, 4)))


@given(floats((3, 5)), st.integers(1, 5))
def test_the_largest_come_first_with_their_places(x: np.ndarray, k: int) -> None:
    for xp, array in ((IN_NUMPY, x), (IN_TORCH, torch.from_numpy(x))):
        values, places = (np.asarray(found) for found in xp.top(array, k))
        np.testing.assert_array_equal(values, np.sort(x, axis=1)[:, ::-1][:, :k])
        np.testing.assert_array_equal(np.take_along_axis(x, places, axis=1), values)
    same(IN_NUMPY.take(x, places), IN_TORCH.take(torch.from_numpy(x), torch.from_numpy(places)))
    same(IN_NUMPY.arange(k), IN_TORCH.arange(k))


def test_nothing_overflows() -> None:
    far = np.array([[-1e9, 0, 1e9]], dtype=np.float32)
    assert IN_NUMPY.sigmoid(far).tolist() == [[0, 0.5, 1]]
    assert IN_NUMPY.softmax(far).tolist() == [[0, 0, 1]]
    assert IN_NUMPY.log_sigmoid(far)[0, 0] == -1e9


@given(floats((2, 3, 4), -1, 1), floats((5, 4), -1, 1))
def test_products(x: np.ndarray, weight: np.ndarray) -> None:
    a, b = torch.from_numpy(x), torch.from_numpy(weight)
    same(IN_NUMPY.linear(x, weight), IN_TORCH.linear(a, b))
    same(IN_NUMPY.linear(x, weight, weight[:, 0]), IN_TORCH.linear(a, b, b[:, 0]))


def test_a_layer_is_that_of_torch_and_its_arrays_are_checked() -> None:
    made = torch.nn.Linear(4, 3)
    weights = {f"out.{name}": value.detach().numpy() for name, value in made.named_parameters()}
    x = np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32)
    same(layer(weights, "out", x), made(torch.from_numpy(x)).detach())
    layers = {"out": Layer(4, 3)}
    assert checked(weights, layers).keys() == weights.keys()
    assert size_of(weights) == 15
    for wrong, message in (
        ({"out": Layer(5, 3)}, r"'out.weight' has the shape \[3, 4\], not \[3, 5\]"),
        ({"out": Layer(4, 3, bias=False)}, "'out.bias' belongs to no layer"),
    ):
        with pytest.raises(RuntimeError, match=message):
            checked(weights, wrong)
    with pytest.raises(KeyError, match=r"'more\.weight' is missing"):
        checked(weights, {**layers, "more": Layer(1, 1)})


def test_whoever_holds_no_tensor_imports_no_torch() -> None:
    code = (
        "import sys, rlfocal.agents.policy, rlfocal.agents.prior.strategy as s; s.RlFocalPrior(); "
        "import rlfocal.agents.learned, rlfocal.agents.fitted_pool, rlfocal.focal.rl_focal; "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('torch', 'scipy', 'sklearn')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

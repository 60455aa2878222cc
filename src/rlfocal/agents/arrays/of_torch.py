"""The operations of `Namespace` in torch: a net learns with these. Imported by who has tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["OfTorch"]


class OfTorch:
    """As of `Namespace`."""

    exp, log, log1p = staticmethod(torch.exp), staticmethod(torch.log), staticmethod(torch.log1p)
    sigmoid, log_sigmoid = staticmethod(torch.sigmoid), staticmethod(functional.logsigmoid)
    relu, arange = staticmethod(torch.relu), staticmethod(torch.arange)
    where, maximum = staticmethod(torch.where), staticmethod(torch.maximum)
    broadcast_to = staticmethod(torch.broadcast_to)
    linear = staticmethod(functional.linear)
    at_least, at_most = staticmethod(torch.clamp_min), staticmethod(torch.clamp_max)

    def softmax(self, x: Tensor) -> Tensor:
        """Along the last axis."""
        return torch.softmax(x, dim=-1)

    def log_softmax(self, x: Tensor) -> Tensor:
        """Along the last axis."""
        return torch.log_softmax(x, dim=-1)

    def floats(self, x: Tensor) -> Tensor:
        """As float32."""
        return x.float()

    def sum(self, x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
        """Sum along an axis."""
        return x.sum(axis, keepdim=keepdims)

    def max(self, x: Tensor, axis: int, *, keepdims: bool = False) -> Tensor:
        """Maximum along an axis."""
        return x.amax(axis, keepdim=keepdims)

    def top(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k largest along the last axis, and their places."""
        found = x.topk(k, dim=-1)
        return found.values, found.indices

    def take(self, x: Tensor, places: Tensor) -> Tensor:
        """In each row the elements at some places."""
        return x.gather(1, places)

    def concat(self, arrays: Sequence[Tensor]) -> Tensor:
        """One after the other along the last axis."""
        return torch.cat(list(arrays), dim=-1)

    def stack(self, arrays: Sequence[Tensor]) -> Tensor:
        """Side by side as a new last axis."""
        first = arrays[0]
        return torch.stack([array.float().expand_as(first) for array in arrays], dim=-1)

"""One definition of a net's forward pass for numpy, which acts, and for torch, which learns.

A forward pass is a plain function over a mapping of weights and arrays. It uses operators, indexing
and what numpy and torch name alike (`reshape`, `swapaxes`, `argmax(axis=...)`); the rest it takes
from `namespace(array)`. So the two cannot drift apart, and acting needs no torch.

    def gate(weights: Weights, seen: Array) -> Array:
        xp = namespace(seen)
        return xp.sigmoid(layer(weights, "gate", seen))

Not the array API standard: it has no softmax, no log-sigmoid, no k largest and no linear layer, and
for a single query numpy's functions of its names take long: `np.sum` twice as long as the ufunc
below it, `np.clip` ten times.
"""

from rlfocal.agents.arrays.layers import Layer, Layers, checked, rows_of, size_of
from rlfocal.agents.arrays.namespace import Array, Namespace, Weights, layer, namespace

__all__ = [
    "Array",
    "Layer",
    "Layers",
    "Namespace",
    "Weights",
    "checked",
    "layer",
    "namespace",
    "rows_of",
    "size_of",
]

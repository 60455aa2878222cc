"""Results of jobs as bytes and back: named tuples and dataclasses of arrays and plain values.

One safetensors file: its arrays, and in its header the tree they hang in. Reading makes objects of
the classes that are allowed and of no others, and runs no code of the file's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rlfocal.errors import NotApplicable

__all__ = ["Classes", "from_file", "to_bytes"]

Classes = Mapping[str, type[Any]]
"""Those whose objects a result may hold, by their names: dataclasses and named tuples."""
_TREE = "tree"


def to_bytes(result: object, classes: Classes) -> bytes:
    """One file that holds a result.

    Raises:
        TypeError: something in it is neither an array, nor plain, nor of a class that can be read.
    """
    arrays: dict[str, NDArray[Any]] = {}
    tree = _tree(result, arrays, classes)
    # An empty file of arrays is none.
    data: bytes = save(arrays or {"none": np.zeros(1)}, metadata={_TREE: json.dumps(tree)})
    return data


def from_file(path: str, classes: Classes) -> Any:
    """Undo `to_bytes`.

    Raises:
        ValueError: it holds no result.
        OSError: it cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            tree = json.loads((file.metadata() or {})[_TREE])
            return _built(tree, file.get_tensor, classes)
    except (SafetensorError, KeyError, TypeError) as exc:
        raise ValueError(f"{path}: no result of a job: {exc}") from exc


def _tree(value: Any, arrays: dict[str, NDArray[Any]], classes: Classes) -> Any:
    """A value as JSON holds it; its arrays are put beside it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        name = f"{len(arrays):06}"
        arrays[name] = np.ascontiguousarray(value).reshape(value.shape)  # 0-d would become 1-d
        return {"array": name}
    if isinstance(value, NotApplicable):
        return {"not applicable": str(value)}
    if isinstance(value, Mapping):
        return {"mapping": [[str(k), _tree(v, arrays, classes)] for k, v in value.items()]}
    name = type(value).__name__
    if classes.get(name) is type(value):
        of = {key: _tree(part, arrays, classes) for key, part in _parts(value).items()}
        return {"class": name, "of": of}
    if isinstance(value, tuple | list):
        return [_tree(part, arrays, classes) for part in value]
    raise TypeError(f"a {type(value).__name__} cannot be kept")


def _parts(value: Any) -> dict[str, Any]:
    names = [field.name for field in fields(value)] if is_dataclass(value) else value._fields
    return {name: getattr(value, name) for name in names}


def _built(tree: Any, array: Callable[[str], NDArray[Any]], classes: Classes) -> Any:
    match tree:
        case list():
            return tuple(_built(part, array, classes) for part in tree)
        case {"array": name}:
            return array(name)
        case {"not applicable": message}:
            return NotApplicable(message)
        case {"mapping": items}:
            return {key: _built(part, array, classes) for key, part in items}
        case {"class": name, "of": parts}:
            of = {key: _built(part, array, classes) for key, part in parts.items()}
            return classes[name](**of)
    return tree

"""What the core does without: who brings a package that is missing, and the one way to say so."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rlfocal.errors import NotInstalled

__all__ = ["EXTRAS", "lacking", "need", "not_installed"]

EXTRAS: Mapping[str, str] = {
    "scipy": "learn",
    "sklearn": "learn",
    "torch": "train",
    "gymnasium": "train",
    "starlette": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
    "xllamacpp": "local",
    "psycopg": "postgres",
    "math_verify": "math",
    "latex2sympy2_extended": "math",
    "antlr4": "math",
    "onnxruntime": "encoder",
    "tokenizers": "encoder",
    "litellm": "litellm",
    "opentelemetry": "otel",
    "ray": "ray",
    "distributed": "dask",
}
"""Package, as it is imported → the extra that brings it."""


_WITHIN: Mapping[str, str] = {"learn": "train"}
"""Extra → one that brings all of it, too."""


def need(module: str, what: str) -> Any:
    """Import a module of a package that an extra brings.

    Args:
        module: its full name.
        what: that needs it, as a message begins.

    Raises:
        NotInstalled: it cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as exc:
        raise not_installed(what, exc.name or module) from exc


def lacking(*packages: str) -> str | None:
    """Say which of some packages are missing, and what installs them; nothing is imported.

    Args:
        packages: names in `EXTRAS`.

    Returns:
        A sentence without its subject; None where all are there.

    >>> lacking() is None
    True
    """
    missing = [name for name in packages if find_spec(name) is None]
    return _told(missing) if missing else None


def not_installed(what: str, *packages: str) -> NotInstalled:
    """The error that tells what to install.

    Args:
        what: that needs them.
        packages: that are missing, or modules of them.

    >>> print(not_installed("strategy 'rl-focal'", "torch.nn"))
    strategy 'rl-focal' needs torch, which is not installed: pip install 'rlfocal[train]'
    """
    return NotInstalled(f"{what} {_told([name.partition('.')[0] for name in packages])}")


def _told(missing: list[str]) -> str:
    found = dict.fromkeys(EXTRAS[name] for name in missing if name in EXTRAS)
    extras = ",".join(extra for extra in found if _WITHIN.get(extra) not in found)
    remedy = f"pip install 'rlfocal[{extras}]'" if extras else f"pip install {' '.join(missing)}"
    are = "which is" if len(missing) == 1 else "which are"
    return f"needs {' and '.join(missing)}, {are} not installed: {remedy}"

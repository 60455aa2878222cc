"""The words that say where jobs run: "processes:8", "ray:ADDRESS", "dask:ADDRESS"."""

from __future__ import annotations

from rlfocal.errors import ConfigError, nearest
from rlfocal.executor.processes import ProcessExecutor
from rlfocal.executor.protocol import Executor
from rlfocal.executor.serial import SerialExecutor

__all__ = ["executor_at"]

_PLACES = ("processes", "ray", "dask")


def executor_at(place: str) -> Executor:
    """The executor at a place.

    Args:
        place: "processes:N", N processes of this machine, none beside this one for 1;
            "ray:ADDRESS" or "dask:ADDRESS", the workers of a cluster. ADDRESS is what the engine
            takes, as in "ray:auto" and "dask:tcp://10.0.0.1:8786".

    Raises:
        ConfigError: another place, no number of processes, or no address.
        NotInstalled: a package that it needs.

    >>> executor_at("processes:2").n_workers
    2
    """
    kind, colon, where = place.partition(":")
    if kind not in _PLACES:
        raise ConfigError(f"--on {place}: no such place; {nearest(kind, _PLACES)}")
    if not (colon and where):
        example = {"processes": "8", "ray": "auto", "dask": "tcp://127.0.0.1:8786"}[kind]
        raise ConfigError(f"--on {place}: say which, as in --on {kind}:{example}")
    if kind == "processes":
        return _processes(place, where)
    if kind == "ray":
        from rlfocal.executor.on_ray import RayExecutor

        return RayExecutor(where)
    from rlfocal.executor.on_dask import DaskExecutor

    return DaskExecutor(where)


def _processes(place: str, number: str) -> Executor:
    try:
        n_workers = int(number)
    except ValueError:
        raise ConfigError(f"--on {place}: '{number}' is no number of processes") from None
    if n_workers < 1:
        raise ConfigError(f"--on {place}: there must be at least 1 process")
    return ProcessExecutor(n_workers) if n_workers > 1 else SerialExecutor()

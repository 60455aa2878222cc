from __future__ import annotations

import pytest

from rlfocal.errors import ConfigError
from rlfocal.executor import ProcessExecutor, SerialExecutor, executor_at


def test_one_process_is_this_one() -> None:
    assert isinstance(executor_at("processes:1"), SerialExecutor)
    found = executor_at("processes:3")
    assert isinstance(found, ProcessExecutor)
    assert found.n_workers == 3


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("proceses:2", "--on proceses:2: no such place; did you mean 'processes'"),
        ("8", "--on 8: no such place; known: processes, ray, dask"),
        ("processes", "say which, as in --on processes:8"),
        ("processes:many", "'many' is no number of processes"),
        ("processes:0", "at least 1 process"),
        ("ray:", "say which, as in --on ray:auto"),
        ("dask", "say which, as in --on dask:tcp://127.0.0.1:8786"),
    ],
)
def test_a_place_that_is_none_is_refused_with_what_to_write(place: str, message: str) -> None:
    with pytest.raises(ConfigError, match="--on") as caught:
        executor_at(place)
    assert message in str(caught.value)

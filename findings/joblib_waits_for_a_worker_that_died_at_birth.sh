#!/usr/bin/env bash
# joblib 1.6.0 (loky 3.6.0): killing a worker that has not read its initargs hangs the caller.
#
# joblib.Parallel raises TerminatedWorkerError where a worker is killed in the middle of its work.
# What a worker is born with (`initializer`, `initargs` of parallel_config) goes through a pipe, and
# the parent keeps the reading end open itself while it writes. Where the worker is killed meanwhile
# (out of memory, a signal to the whole group), nobody is left to read and the write neither fails
# nor ends. What fits into the pipe (64 KiB) is well reported. CPython 3.11's ProcessPoolExecutor
# with "spawn" does the same. So rlfocal.executor hands the shared input over in a file.
#
# Seen: TerminatedWorkerError with 100 bytes, no end within 30 s with 2 MB.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet joblib==1.6.0
cat > run.py <<'PY'
import os
import signal
import sys

from joblib import Parallel, delayed, parallel_config


class KilledWhileReading:
    """Stands before the large part; its reader is killed as by a machine out of memory."""

    def __reduce__(self):
        return die_unless, (os.getpid(),)


def die_unless(parent):
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def nothing(*_):
    pass


if __name__ == "__main__":
    given = (KilledWhileReading(), b"x" * int(sys.argv[1]))
    with parallel_config("loky", n_jobs=2, initializer=nothing, initargs=given):
        try:
            Parallel()(delayed(nothing)(i) for i in range(4))
        except Exception as error:
            print(type(error).__name__)
PY
small=$(timeout 30 env/bin/python run.py 100 2> /dev/null)
echo "100 bytes: $small"
test "$small" = TerminatedWorkerError
status=0
timeout 30 env/bin/python run.py 2000000 2> /dev/null || status=$?
echo "2 MB: status $status (124: still waiting after 30 s)"
test "$status" = 124

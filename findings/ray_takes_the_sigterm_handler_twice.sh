#!/bin/sh
# ray 2.60.0
#
# One would guess that a library which connects for a while leaves the process as it found it:
# that a program's own handler of SIGTERM stays while it is connected, or is back after
# ray.shutdown(). Neither holds: ray.init() puts another in its place, and after ray.shutdown() the
# process ends at once when it is told to, by whatever handler Python still names. Putting the own one
# back after ray.init() helps until ray.shutdown(), which takes it away again without Python's
# knowing. A program that cleans up when it is told to end has to put it back after both.
#
# Seen (whether Python names the own handler; how a process ends that is told to):
#     while connected: False; told to end after shutdown: status -15
#     put back after init: True; told to end while connected: status 7, as the own handler says
#     put back after init: True; told to end after shutdown: status -15
#     put back after both: True; told to end after shutdown: status 7
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
cat > "$folder/told.py" <<'PY'
import os
import signal
import sys
import time

import ray


def own(number, frame):
    os._exit(7)


def put_back(when):
    if when in sys.argv:
        signal.signal(signal.SIGTERM, own)


def told_to_end(when):
    if when in sys.argv:
        named = signal.getsignal(signal.SIGTERM) is own
        print(f"{' '.join(sys.argv[1:])}: Python names the own handler: {named}", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


signal.signal(signal.SIGTERM, own)
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
put_back("back-after-init")
told_to_end("end-while-connected")
ray.shutdown()
put_back("back-after-shutdown")
told_to_end("end-after-shutdown")
PY
RAY_USAGE_STATS_ENABLED=0 "$folder/env/bin/python" - "$folder/told.py" <<'PY'
import subprocess
import sys

seen = []
for words in (
    "end-after-shutdown",
    "back-after-init end-while-connected",
    "back-after-init end-after-shutdown",
    "back-after-init back-after-shutdown end-after-shutdown",
):
    ran = subprocess.run(
        [sys.executable, sys.argv[1], *words.split()], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )
    line = next(line for line in ran.stdout.splitlines() if "own handler" in line)
    print(f"{line}, status {ran.returncode}")
    seen.append((line.endswith("True"), ran.returncode))
if seen != [(False, -15), (True, 7), (True, -15), (True, 7)]:
    sys.exit("ray: handles SIGTERM in another way now")
PY

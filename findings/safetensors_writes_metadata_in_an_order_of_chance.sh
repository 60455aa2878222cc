#!/usr/bin/env bash
# safetensors 0.8.0 (numpy 2.4.0): the same arrays with the same metadata are not the same bytes twice.
#
# The format is a JSON header and raw arrays, and the arrays are laid out in a fixed order, so one would
# guess that saving is a function of what is saved: that files of equal weights have equal hashes, and that
# a file's hash can stand for its contents in caches and identities. With one entry of metadata that holds.
# With several their order in the header is that of a hash map that is seeded anew for each call: three
# entries come in six orders within one process.
#
# Seen, 200 calls of safetensors.numpy.save with one array in one process: 6 different files with three
# entries of metadata, 2 with two, 1 with one; all read back alike.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --only-binary :all: safetensors==0.8.0 numpy==2.4.0
"$work/venv/bin/python" - <<'PY'
import hashlib
import json
import sys

import numpy as np
from safetensors.numpy import load, save

arrays = {"weight": np.arange(4, dtype=np.float32), "bias": np.zeros(2, dtype=np.float32)}
found = {}
for n_entries in (1, 2, 3):
    metadata = {f"entry {n}": str(n) for n in range(n_entries)}
    files = {save(arrays, metadata=metadata) for _ in range(200)}
    headers = [json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")]) for file in files]
    assert all(header["__metadata__"] == metadata for header in headers)
    assert all((load(file)[name] == array).all() for file in files for name, array in arrays.items())
    found[n_entries] = len(files)
    hashes = sorted(hashlib.sha256(file).hexdigest()[:12] for file in files)
    print(f"{n_entries} entries of metadata: {len(files)} different files ({', '.join(hashes)})")
sys.exit(0 if found == {1: 1, 2: 2, 3: 6} else 1)
PY

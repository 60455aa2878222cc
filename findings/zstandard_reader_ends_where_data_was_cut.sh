#!/usr/bin/env bash
# zstandard 0.25.0 (Python): a stream reader ends without an error where a file was cut off.
#
# gzip raises EOFError at the end of a file that was broken off; the readers of zstandard.open and
# ZstdDecompressor.stream_reader return what there is, as if that were all: half a file of JSON lines
# is read as a whole one. Only decompressobj tells (its `eof` stays False), and decompress() raises.
#
# Seen for the first half of 200,000 lines packed by either: gzip EOFError; zstandard.open some of the
# lines and no error; decompressobj().eof False.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet zstandard==0.25.0
cd "$work"
cat > run.py <<'PY'
import gzip
import pathlib

import zstandard

lines = b"".join(b'{"id": %d}\n' % i for i in range(200_000))
for name, packed in (
    ("half.gz", gzip.compress(lines)),
    ("half.zst", zstandard.ZstdCompressor().compress(lines)),
):
    pathlib.Path(name).write_bytes(packed[: len(packed) // 2])
try:
    gzip.open("half.gz").read()
except EOFError as exc:
    print("gzip:", exc)
else:
    raise SystemExit("gzip did not complain")
with zstandard.open("half.zst", "rb") as file:
    found = file.read().count(b"\n")
with open("half.zst", "rb") as file:
    assert zstandard.ZstdDecompressor().stream_reader(file).read().count(b"\n") == found
print("zstandard:", found, "of 200000 lines, no error")
assert 0 < found < 200_000
frame = zstandard.ZstdDecompressor().decompressobj()
frame.decompress(pathlib.Path("half.zst").read_bytes())
assert frame.eof is False
PY
"$work/venv/bin/python" run.py

#!/bin/sh
# xllamacpp 2026.10.11549, the prebuilt wheel for Linux on x86-64 (Python's stable ABI).
#
# One would guess that a prebuilt llama.cpp carries kernels for several kinds of processors and takes
# the best that it meets, as llama.cpp's own releases do (libggml-cpu-haswell, -skylakex, -zen4, ...).
# This wheel has one: it was compiled for AVX2 and FMA, and says so on every machine. Its functions
# ggml_cpu_has_* tell what it was compiled with, not what the processor has: on one with AVX-512 and
# VNNI prompts are still read with AVX2. (The file arch/x86/repack.cpp of the same release's source
# package, compiled with -march=native and loaded before it, made prompts of a Q4_K_M file of 1.5
# billion parameters go from 39 to 49 tokens a second on one core with AVX-512.)
#
# Seen on a processor with avx512f and avx512_vnni:
#     avx2 1, fma 1, avx512 0, avx512_vnni 0, avx_vnni 0, amx_int8 0
#     shared libraries in the package: xllamacpp.abi3.so
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
"$folder/env/bin/python" - <<'PY'
import ctypes
import sys
from pathlib import Path

import xllamacpp

package = Path(xllamacpp.__file__).parent
libraries = sorted(path.name for path in package.rglob("*.so"))
library = ctypes.CDLL(str(package / "xllamacpp.abi3.so"))
kinds = ("avx2", "fma", "avx512", "avx512_vnni", "avx_vnni", "amx_int8")
has = {kind: int(getattr(library, f"ggml_cpu_has_{kind}")()) for kind in kinds}
with open("/proc/cpuinfo") as file:
    flags = set(next((line for line in file if line.startswith("flags")), "").split())
print("the processor has avx512f:", "avx512f" in flags)
print("the wheel:", ", ".join(f"{kind} {value}" for kind, value in has.items()))
print("shared libraries in the package:", ", ".join(libraries))
expected = {"avx2": 1, "fma": 1, "avx512": 0, "avx512_vnni": 0, "avx_vnni": 0, "amx_int8": 0}
sys.exit(0 if has == expected and libraries == ["xllamacpp.abi3.so"] else 1)
PY
echo "as described"

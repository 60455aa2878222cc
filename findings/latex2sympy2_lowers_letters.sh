#!/usr/bin/env bash
# latex2sympy2_extended 1.11.0 (the parser of math-verify 0.9.0) takes A for a.
#
# `ConversionConfig.lowercase_symbols` is True by default, and math_verify.parse has no way to say
# otherwise: A + a is read as 2a, x + C equals x + c, and an area A equals a side a. The letter i is
# a plain real symbol, so e^{i pi} is not -1 and 1/(1+i) is not (1-i)/2.
# Calling latex2sympy directly with ConversionConfig(lowercase_symbols=False), and replacing the
# symbol i by sympy's I, mends both.
# Output seen: the lines below, "as described" at the end. Exits non-zero when any of it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "math-verify[antlr4_13_2]==0.9.0"
"$folder/venv/bin/python" - <<'PY'
import sympy
from latex2sympy2_extended import latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify import parse, verify


def equal(gold, reply):
    return verify(parse(f"${gold}$"), parse(f"${reply}$"))


case_counts = ConversionConfig(lowercase_symbols=False)
kept = latex2sympy("a+A", conversion_config=case_counts)
power = latex2sympy(r"e^{i\pi}", is_real=True, conversion_config=case_counts)
power = power.xreplace({s: sympy.I for s in power.free_symbols if str(s) == "i"})
found = {
    "verify(A, a)": (equal("A", "a"), True),
    "verify(x+C, x+c)": (equal("x+C", "x+c"), True),
    "verify(-1, e^{i pi})": (equal("-1", r"e^{i\pi}"), False),
    "verify((1-i)/2, 1/(1+i))": (equal(r"\frac{1-i}{2}", r"\frac{1}{1+i}"), False),
    "symbols of a+A with lowercase_symbols=False": (len(kept.free_symbols), 2),
    "e^{i pi} with i replaced": (int(sympy.simplify(power)), -1),
}
for what, (value, _) in found.items():
    print(f"{what}: {value}")
changed = any(value != expected for value, expected in found.values())
raise SystemExit("behaviour has changed" if changed else print("as described"))
PY

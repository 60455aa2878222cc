#!/usr/bin/env bash
# math-verify 0.9.0: `verify` is neither symmetric nor transitive, and drops what distinguishes.
#
# A grader asks it "does this reply match the gold answer?", where that is fine. Who groups answers
# with it (majority vote, agreement, clustering samples) gets classes that depend on the order:
#   verify("(1,2)", "2,1") is False and verify("2,1", "(1,2)") is True
#   50 % equals 50, 50 % equals 0.5, and 50 does not equal 0.5
#   0.333333 equals 1/3 (floats are rounded to six digits), 0.333 does not
#   5 cm equals 5 m, and 1011 in base 2 equals 1011 in base 3: units and bases are dropped
# Output seen: the eight lines below, "as described" at the end.
# Exits non-zero when any of it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "math-verify[antlr4_13_2]==0.9.0"
"$folder/venv/bin/python" - <<'PY'
from math_verify import parse, verify

EXPECTED = [
    ("(1,2)", "2,1", False),
    ("2,1", "(1,2)", True),
    (r"50\%", "50", True),
    (r"50\%", "0.5", True),
    ("50", "0.5", False),
    ("0.333333", r"\frac{1}{3}", True),
    (r"5\text{ cm}", r"5\text{ m}", True),
    ("1011_2", "1011_3", True),
]
changed = False
for gold, reply, expected in EXPECTED:
    found = verify(parse(f"${gold}$"), parse(f"${reply}$"))
    print(f"verify({gold}, {reply}) = {found}")
    changed |= found is not expected
raise SystemExit("behaviour has changed" if changed else print("as described"))
PY

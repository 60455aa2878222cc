#!/usr/bin/env bash
# adaptiveconsistency 1.0.0: its sampling loop raises, and its Dirichlet rule never says stop.
#
# AC.eval_loop, which the package is for (sample until the answers are consistent), calls
# self.is_consistent, a method that no class of the package has: AttributeError after the first
# sample. What works is should_stop(answers) in a loop of one's own, with the Beta rule.
# With three answers or more the Dirichlet rule integrates over a list of arrays of unequal shapes,
# which numpy 2 refuses; the rule prints the error and goes on as if in doubt: "stop"
# stays False whatever was drawn, so all samples are paid for.
#
# Seen: AttributeError; probability -1 and stop False for 30 of 32 equal answers; the Beta rule stops.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    adaptiveconsistency==1.0.0 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" - <<'PY'
from adaptive_consistency import AC, BetaStoppingCriteria, DirichletStoppingCriteria

try:
    AC(stop_criteria=BetaStoppingCriteria(0.95)).eval_loop(lambda: "18")
except AttributeError as error:
    print(f"eval_loop: {error}")
else:
    raise SystemExit("behaviour has changed: eval_loop works")

answers = ["18"] * 30 + ["17", "16"]
found = DirichletStoppingCriteria().should_stop(answers)
print(f"Dirichlet: {found}")
assert found["prob"] == -1 and not found["stop"], "behaviour has changed"
found = BetaStoppingCriteria().should_stop(answers)
print(f"Beta: {found}")
assert found["stop"], "behaviour has changed"
print("as described")
PY

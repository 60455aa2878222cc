#!/usr/bin/env bash
# mabwiser 2.7.4: LinUCB takes lambda I for its own inverse until an arm has a reward.
#
# Ridge regression keeps A = lambda I + X'X and its inverse. When an arm begins, both are set to
# lambda I; the first reward makes the inverse right. So an arm without rewards has the bound
# alpha sqrt(lambda x'x) in place of alpha sqrt(x'x / lambda): with the default lambda = 1 they are
# equal, with lambda = 100 the bound is 100 times what it should be, with 0.01 a hundredth. A strong
# prior, which is there to make arms cautious, makes each new one irresistible; a weak one hides it.
# What works: lambda 1 and scaled contexts, or a first reward for each arm.
#
# Seen: 10 and 0.1 for an arm without rewards where .1 and 10 are right; right after one reward of 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mabwiser==2.7.4
"$work/venv/bin/python" - <<'PY'
import numpy as np
from mabwiser.mab import MAB, LearningPolicy

here = np.array([[1.0, 0.0]])
elsewhere = np.array([[0.0, 1.0]])
for ridge, right in ((1.0, 1.0), (100.0, 0.1), (0.01, 10.0)):
    bandit = MAB(["old", "new"], LearningPolicy.LinUCB(alpha=1.0, l2_lambda=ridge))
    bandit.fit(["old"], [0.0], elsewhere)
    before = bandit.predict_expectations(here)
    # Said of another direction: what is known of `here` has not changed.
    bandit.partial_fit(["new"], [0.0], elsewhere)
    after = bandit.predict_expectations(here)
    print(f"lambda {ridge:g}: without a reward {before['new']:g}, after one {after['new']:g}")
    assert np.isclose(before["old"], right), "behaviour has changed"
    assert np.isclose(after["new"], right), "behaviour has changed"
    assert np.isclose(before["new"], np.sqrt(ridge)), "behaviour has changed"
print("as described")
PY

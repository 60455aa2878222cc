#!/usr/bin/env bash
# Builds the sdist, of it the wheel, and tries the wheel as a user meets it: alone, in a bare
# environment, away from the checkout. Fails where the core has grown, or where a file is left behind.
set -euo pipefail
MOST_MB=400
checkout=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1
cd "$folder"

"${PYTHON:-python3}" -m venv tools
tools/bin/pip install build
tools/bin/python -m build --outdir dist "$checkout" >build.log 2>&1 || { cat build.log >&2; exit 1; }

"${PYTHON:-python3}" -m venv bare
wheel=$(echo dist/*.whl)
bare/bin/pip install "$wheel"
mb=$(du -sm bare | cut -f1)
echo "the core takes $mb MB, pip included"
[ "$mb" -le "$MOST_MB" ] || { echo "error: more than $MOST_MB MB" >&2; exit 1; }

bare/bin/python - "$checkout" "$wheel" <<'PY'
import sys, zipfile
from pathlib import Path

source = Path(sys.argv[1]) / "src"
wanted = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
wanted = {name for name in wanted if "__pycache__" not in name}
left = wanted - set(zipfile.ZipFile(sys.argv[2]).namelist())
assert "rlfocal/py.typed" in wanted and not left, f"not in the wheel: {sorted(left)}"
PY

export COLUMNS=80
bare/bin/rlfocal --version
bare/bin/python - >answers.csv <<'PY'
print("prompt,label,careful,hasty,wordy")
for k in range(60):
    print(f"{k} + {k} =,{2 * k},{2 * k},{2 * k + (k % 4 == 0)},it makes {2 * k - (k % 3 == 0)}")
PY
bare/bin/rlfocal quickstart answers.csv -o own --folds 3 >quickstart.txt
grep -q '^Use ' quickstart.txt
bare/bin/rlfocal bench localpool --folds 3 --strategies plurality,agreement,knn-router,stacking,rl-focal-prior >bench.txt
grep -q "^rl-focal-prior " bench.txt
grep -q "^not applicable: stacking: needs scipy.*rlfocal\[learn\]" bench.txt
bare/bin/rlfocal train localpool --strategy rl-focal-prior -o prior >train.txt 2>&1
bare/bin/rlfocal evaluate prior localpool >evaluate.txt
bare/bin/python -W error - <<'PY'
import rlfocal

assert "site-packages" in rlfocal.__file__, rlfocal.__file__
made = rlfocal.train(rlfocal.localpool(), "agreement", output="made")
outcome = rlfocal.replay(rlfocal.load("made").strategy, made.table(rlfocal.localpool()))
assert outcome.score.mean() > 0.4, outcome.score.mean()
PY
grep "^Use " quickstart.txt

#!/usr/bin/env bash
# opencompass 0.5.4: predictions/<model>/<data set>.json holds no gold answer where it is 0, "" or False.
#
# The output handler of generated replies writes `gold` only "if gold". For a data set whose labels
# are the numbers 0, 1, 2, ... (many classification sets) every sample of class 0 lacks its label, so
# comparing predictions with gold quietly measures the other classes alone.
#
# Seen: three replies with gold 2, 0 and "": only the first has the key. Handlers of perplexity runs
# (`save_golds`) keep a 0.
#
# The file of the handlers is run as it is; torch and mmengine, which it imports for other things, are
# stood in for.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy
"$work/venv/bin/pip" install --quiet --no-deps opencompass==0.5.4
cd "$work"
cat > run.py <<'PY'
import importlib
import pathlib
import sys
import sysconfig
import types
from unittest.mock import MagicMock

root = pathlib.Path(sysconfig.get_path("purelib")) / "opencompass"
for name in ("opencompass", "opencompass.openicl", "opencompass.openicl.icl_inferencer"):
    package = types.ModuleType(name)  # without running its __init__, which imports everything
    package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    sys.modules[name] = package
for name in (
    "torch", "torch.utils", "torch.utils.data", "mmengine", "mmengine.dist", "opencompass.utils",
    "opencompass.openicl.icl_prompt_template", "opencompass.openicl.icl_retriever",
):
    sys.modules[name] = MagicMock()
handlers = importlib.import_module("opencompass.openicl.icl_inferencer.icl_base_inferencer")

generated = handlers.GenInferencerOutputHandler()
for number, gold in enumerate((2, 0, "")):
    generated.save_results("Which class?", "It is so.", number, gold=gold)
print({number: row.get("gold", "(missing)") for number, row in generated.results_dict.items()})
assert ["gold" in row for row in generated.results_dict.values()] == [True, False, False]
likely = handlers.PPLInferencerOutputHandler()
likely.save_golds([2, 0])
assert [row["gold"] for row in likely.results_dict.values()] == [2, 0]
PY
"$work/venv/bin/python" run.py

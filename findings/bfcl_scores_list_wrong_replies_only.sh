#!/usr/bin/env bash
# bfcl-eval 2026.3.23: a score file lists the replies that were WRONG, and no others.
#
# score/<model>/<group>/BFCL_v4_<category>_score.json has totals in its first line and then a line for
# each wrong reply. A reply that was right stands nowhere in it: "no line" means 1, not "not scored",
# and the questions of right replies are neither there nor in result/ (an id and a result alone).
#
# Seen: three made-up questions, the first and the last reply wrong: the totals say 1 of 3, and the
# lines after it are simple_python_0 and simple_python_2.
#
# The package's checkers run as they are; its 50 model handlers, which need the libraries of as many
# providers and no checker uses, are stood in for.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-deps bfcl-eval==2026.3.23
cd "$work"
cat > run.py <<'PY'
import importlib.abc
import importlib.machinery
import json
import pathlib
import sys
import types
from unittest.mock import MagicMock


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that are not there: anything may be imported from them."""

    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = self.anything
        return module

    def exec_module(self, module):
        pass

    @staticmethod
    def anything(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return (lambda function: function) if name in ("final", "override") else MagicMock()


def without_handlers(name, path=None, target=None):
    return None if name.startswith("bfcl_eval.model_handler") else found(name, path, target)


found = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = staticmethod(without_handlers)
sys.meta_path.append(StandIns())
from bfcl_eval.eval_checker import eval_runner  # noqa: E402


class Handler:
    def decode_ast(self, result, language=None, has_tool_call_tag=False):
        return [{name: json.loads(given) for name, given in call.items()} for call in result]


function = {
    "name": "add", "description": "Add.",
    "parameters": {
        "type": "dict", "required": ["a"],
        "properties": {"a": {"type": "integer", "description": "a number"}},
    },
}
ids = [f"simple_python_{i}" for i in range(3)]
asked = [
    {"id": i, "question": [[{"role": "user", "content": "Add 2."}]], "function": [function]}
    for i in ids
]
right = [{"id": i, "ground_truth": [{"add": {"a": [2]}}]} for i in ids]
said = [{"id": i, "result": [{"add": json.dumps({"a": a})}]} for i, a in zip(ids, (7, 2, 8))]
eval_runner.ast_file_runner(
    Handler(), said, asked, right, "simple_python", "model", pathlib.Path("score")
)
(file,) = pathlib.Path("score").rglob("*_score.json")
head, *lines = map(json.loads, file.read_text().splitlines())
print(file.name, head, [line["id"] for line in lines])
assert (head["correct_count"], head["total_count"]) == (1, 3)
assert [line["id"] for line in lines] == ["simple_python_0", "simple_python_2"]
assert not any(line["valid"] for line in lines)
PY
"$work/venv/bin/python" run.py

#!/usr/bin/env bash
# inspect_ai 0.3.285: the `answer` of a score is often no extracted answer, and `includes` lowers it.
#
# `match` and `includes` say "C" for a right reply and give the WHOLE reply as its answer, `includes` in
# lower case; `pattern` with more than one group gives the group that equals the target, or null where
# none does: there, answers stand in the log of right replies alone. Answers compared with targets, or
# with each other, are so wrong for replies that the same log calls right.
#
# Seen for "The capital is Paris" and target "Paris": match "The capital is Paris", includes "the
# capital is paris"; pattern with two groups: "Paris" where it is right, null for "The capital is Rome".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet inspect_ai==0.3.285
cd "$work"
cat > run.py <<'PY'
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes, match, pattern
from inspect_ai.solver import generate


def logged(reply):
    output = ModelOutput.from_content("mockllm/model", reply)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    task = Task(
        dataset=[Sample(input="What is the capital of France?", target="Paris")],
        solver=generate(),
        scorer=[match(), includes(), pattern(r"The (\w+) is (\w+)")],
    )
    model = get_model("mockllm/model", custom_outputs=[output], memoize=False)
    (log,) = eval(task, model=model, log_dir="logs", display="none")
    assert log.status == "success", log.error
    found = {name: (score.value, score.answer) for name, score in log.samples[0].scores.items()}
    print(found)
    return found


assert logged("The capital is Paris") == {
    "match": ("C", "The capital is Paris"),
    "includes": ("C", "the capital is paris"),
    "pattern": ("C", "Paris"),
}
assert logged("The capital is Rome")["pattern"] == ("I", None)
PY
"$work/venv/bin/python" run.py

#!/usr/bin/env bash
# inspect_ai 0.3.285: after multiple_choice(shuffle=...) a log holds a reply that no model gave, except
# where no letter was found in the reply: that one is kept, with letters of an order that is not logged.
#
# Choices, target, prompt and reply are put back into the original order before they are logged: the
# model said "My reasons are many.\nANSWER: A", the log says "ANSWER: B", and the reasons are gone from
# output.completion and messages. A reply without "ANSWER:" stays as it was. Whoever looks for a letter
# in it finds one of the shuffled order, beside choices in the original one: here "(A)" meant the
# second choice and reads as the first.
#
# Seen: completions "ANSWER: B" and "I would say (A).", scores C with answer "B" and I with answer "",
# choices ["six", "eight"] and target "B" both times.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet inspect_ai==0.3.285
cd "$work"
cat > run.py <<'PY'
from random import Random

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import choice
from inspect_ai.solver import multiple_choice


class Swap(Random):
    """Two choices always change places."""

    def shuffle(self, items):
        items.reverse()


def logged(reply):
    output = ModelOutput.from_content("mockllm/model", reply)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    sample = Sample(input="How many legs has a spider?", choices=["six", "eight"], target="B")
    task = Task(dataset=[sample], solver=multiple_choice(shuffle=Swap()), scorer=choice())
    model = get_model("mockllm/model", custom_outputs=[output], memoize=False)
    (log,) = eval(task, model=model, log_dir="logs", display="none")
    assert log.status == "success", log.error
    (found,) = log.samples
    score = found.scores["choice"]
    print(found.choices, found.target, repr(found.output.completion), score.value, repr(score.answer))
    assert (found.choices, found.target) == (["six", "eight"], "B")
    return found.output.completion, score.value, score.answer, found.messages[-1].text


# to the model, "A" was "eight"
assert logged("My reasons are many.\nANSWER: A") == ("ANSWER: B", "C", "B", "ANSWER: B")
assert logged("I would say (A).")[:3] == ("I would say (A).", "I", "")
PY
"$work/venv/bin/python" run.py

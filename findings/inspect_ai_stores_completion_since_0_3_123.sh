#!/usr/bin/env bash
# inspect_ai 0.3.122 and 0.3.123: a log has `output.completion` from 0.3.123 on; in older logs it is not there.
#
# ModelOutput.completion was a property, which no log holds, and became a stored field in 0.3.123. So a
# program that reads logs and takes the reply from samples[].output.completion finds none in any log of
# 0.3.122 or older, while inspect_ai's own reader fills it in. A reader of both takes `completion`
# where it is there, else what the property gave: choices[0].message.content, where that is a list
# its parts of type "text", joined by newlines; reasoning is not among them.
#
# Seen, for one reply as text and one as reasoning and two texts: keys of output in 0.3.122 choices, model,
# time, usage; in 0.3.123 completion too, "It is 2." and "It is\n4."; the rule gives both in both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > run.py <<'PY'
import json
import sys

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


def replied(content):
    message = ChatMessageAssistant(content=content, source="generate")
    output = ModelOutput(model="mockllm/model", choices=[ChatCompletionChoice(message=message)])
    # without usage newer versions ask the network how many tokens these are
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output


def reply(output):
    if output.get("completion") is not None:
        return output["completion"]
    content = output["choices"][0]["message"]["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


parts = [ContentReasoning(reasoning="2 + 2"), ContentText(text="It is"), ContentText(text="4.")]
task = Task(
    dataset=[Sample(input="What is 1 + 1?", target="2"), Sample(input="What is 2 + 2?", target="4")],
    solver=generate(),
    scorer=includes(),
)
model = get_model(
    "mockllm/model", custom_outputs=[replied("It is 2."), replied(parts)], memoize=False
)
(log,) = eval(
    task, model=model, log_dir="logs", log_format="json", display="none", max_samples=1
)
assert log.status == "success", log.error
with open(log.location.removeprefix("file://")) as file:
    outputs = [sample["output"] for sample in json.load(file)["samples"]]
print([sorted(output) for output in outputs], [output.get("completion") for output in outputs])
assert [reply(output) for output in outputs] == ["It is 2.", "It is\n4."]
stored = sys.argv[1] == "stored"
assert [("completion" in output) for output in outputs] == [stored, stored]
if stored:
    assert [output["completion"] for output in outputs] == ["It is 2.", "It is\n4."]
PY
for pair in 0.3.122:absent 0.3.123:stored; do
  python3 -m venv "venv-${pair%:*}"
  "venv-${pair%:*}/bin/pip" install --quiet "inspect_ai==${pair%:*}"
  "venv-${pair%:*}/bin/python" run.py "${pair#*:}"
done

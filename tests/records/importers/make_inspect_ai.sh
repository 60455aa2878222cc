#!/usr/bin/env bash
# Makes logs/inspect_ai again: runs of inspect_ai with its mock model and questions of our own.
# The .json logs are kept without their events, which no reader of answers needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q inspect_ai==0.3.285
cd "$folder"
cat > make.py <<'PY'
import json
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessageSystem,
    ChatMessageUser,
    ContentText,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import Score, choice, f1, includes, match, mean, pattern, scorer
from inspect_ai.solver import generate, multiple_choice, solver

OUT = Path("out")


def reply(text, stop="stop"):
    output = ModelOutput.from_content("mockllm/model", text, stop_reason=stop)
    # without usage the tool asks the network how many tokens these are
    output.usage = ModelUsage(input_tokens=10, output_tokens=5, total_tokens=15, total_cost=0.001)
    return output


def run(file, model, replies, dataset, how, scorers, name, **more):
    outputs = [r if isinstance(r, ModelOutput) else reply(r) for r in replies]
    task = Task(dataset=MemoryDataset(dataset), solver=how, scorer=scorers, name=name)
    llm = get_model(f"mockllm/{model}", custom_outputs=outputs, memoize=False)
    log = eval(task, model=llm, log_dir="run", log_format=file[-4:].strip("."), display="none",
               max_samples=1, **more)[0]
    Path(log.location).rename(OUT / file)
    print(file, log.status)


@scorer(metrics={"tone": [mean()], "length": [mean()]})
def several():
    async def score(state, target):
        return Score(value={"tone": 0.5, "length": len(state.output.completion)})
    return score


@scorer(metrics=[mean()])
def points():
    async def score(state, target):
        return Score(value=len(state.output.completion))
    return score


@solver
def fails_once():
    async def solve(state, generate):
        if state.sample_id == 2:
            raise RuntimeError("made to fail")
        return await generate(state)
    return solve


SUMS = [
    Sample(id=1, input="What is 3 + 4?", target="7"),
    Sample(id=2, input="What is 6 * 7?", target=["42", "forty-two"]),
    Sample(id="big", target="1000", input=[
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(content=[ContentText(text="What is 500 + 500?")])]),
]
LEGS = Sample(id="legs", input="How many legs has a spider?", choices=["six", "eight", "ten"],
              target="B")
EGGS = Sample(id="eggs", input="Which of these lays eggs?", choices=["dog", "hen", "cat", "cow"],
              target="B")
WINGS = Sample(id="wings", input="Which of these can fly?", choices=["bat", "rat", "owl"],
               target=["A", "C"])

OUT.mkdir()
two = [match(), includes()]
run("sums_small.eval", "small", ["The sum is 7.", "It is 41.", "1,000"], SUMS, generate(), two,
    "sums")
run("sums_large.eval", "large", ["7", "forty-two", "It is 1000"], SUMS, generate(), two, "sums")
run("epochs.eval", "small", ["7", "41", "8", "42", "7", "42"], SUMS[:2], generate(), includes(),
    "again", epochs=3)
run("animals_plain.json", "plain", ["ANSWER: B", "ANSWER: C"], [LEGS, EGGS], multiple_choice(),
    choice(), "animals")
run("animals_shuffled.eval", "shuffled", ["ANSWER: B", "I would say (C)."], [LEGS, EGGS],
    multiple_choice(shuffle=11), choice(), "animals")
other = MemoryDataset([LEGS, EGGS])
other.shuffle_choices(seed=5)
run("animals_other_order.eval", "other", ["ANSWER: B", reply("It is the", "max_tokens")],
    list(other), multiple_choice(), choice(), "animals")
run("fliers.eval", "plain", ["ANSWER: A,C"], [WINGS], multiple_choice(multiple_correct=True),
    choice(), "fliers")
run("graded.json", "small", ["7", "it is forty-two"], SUMS[:2], generate(),
    [several(), points(), f1()], "graded")
run("pattern.json", "small", ["ANSWER: 7", "forty-two"], SUMS[:2], generate(),
    pattern(r"ANSWER: (\S+)"), "sought")
run("one_failed.json", "small", ["7", "42"], SUMS[:2], fails_once(), match(), "failing",
    fail_on_error=False)
for path in OUT.glob("*.json"):
    log = json.loads(path.read_text())
    log["eval"]["model_args"] = {}
    for sample in log["samples"]:
        for key in ("events", "events_data", "attachments", "messages"):
            sample.pop(key, None)
        if sample.get("error"):
            sample["error"].update(traceback="", traceback_ansi="")
    path.write_text(json.dumps(log, indent=1) + "\n")
PY
"$folder/venv/bin/python" make.py
rm -f "$here"/logs/inspect_ai/*
cp out/* "$here/logs/inspect_ai/"

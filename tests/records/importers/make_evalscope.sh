#!/usr/bin/env bash
# Makes tests/records/importers/logs/evalscope again: made-up questions, answered by EvalScope's mock
# model with scripted replies. Messages get new random ids each time.
# Usage: make_evalscope.sh FOLDER
set -euo pipefail
target=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet evalscope==1.14.1
cd "$work"
mkdir mcq qa
cat > mcq/demo_dev.jsonl <<'JSON'
{"id":"1","question":"What is one and one?","A":"one","B":"two","C":"three","D":"four","answer":"B"}
JSON
cat > mcq/demo_val.jsonl <<'JSON'
{"id":"1","question":"Which of these is a fruit?","A":"stone","B":"apple","C":"river","D":"cloud","answer":"B"}
{"id":"2","question":"Which of these is a colour?","A":"red","B":"loud","C":"seven","D":"fast","answer":"A"}
{"id":"3","question":"Which of these is a month?","A":"Sunday","B":"noon","C":"May","D":"spring","answer":"C"}
JSON
cat > qa/demo.jsonl <<'JSON'
{"query":"What do bees make?","response":"honey"}
{"query":"What falls in winter?","response":"snow"}
JSON
cat > run.py <<'PY'
import sys

from evalscope import TaskConfig, run_task
from evalscope.api.model import ModelOutput

model, replies, data_sets, repeats = sys.argv[1:]
texts = replies.split("|") * 4  # a list: an endless generator is read to its end by EvalScope
outputs = [ModelOutput.from_content(model=model, content=text) for text in texts]
sets = {
    "general_mcq": {"local_path": "mcq", "subset_list": ["demo"]},
    "general_qa": {"local_path": "qa", "subset_list": ["demo"], "metric_list": ["Rouge"]},
}
run_task(
    TaskConfig(
        model=model, eval_type="mock_llm", model_args={"custom_outputs": outputs},
        datasets=data_sets.split(","), dataset_args=sets, eval_batch_size=1,
        repeats=int(repeats), work_dir="out", no_timestamp=True,
    )
)
PY
python=venv/bin/python
$python run.py mock-one 'ANSWER: B|The answer is red. ANSWER: A|no idea' general_mcq 2
$python run.py mock-two 'ANSWER: B|ANSWER: A|ANSWER: C' general_mcq,general_qa 1
$python run.py mock-one 'honey|snow' general_qa 1
mkdir -p "$target"
cp -r out/reviews out/predictions "$target"

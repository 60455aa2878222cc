#!/usr/bin/env bash
# EvalScope 1.14.1: the main score of a review is not the first in `value`, and a score whose status
# is not "success" may still count.
#
# A row of reviews/<model>/<benchmark>_<subset>.jsonl holds sample_score.score with `value` (scores by
# name), `main_score_name` and `status`. Read as "the first value is the score", general_qa gives
# Rouge-1-R where EvalScope reports Rouge-L-R; read as "only success is scored", replies that the
# rules scored after a judge failed (fallback) or that a part of the judges scored (degraded) are lost.
#
# Seen: two made-up questions, a scripted model, general_qa with the metric Rouge: nine values, the
# first is Rouge-1-R, main_score_name is Rouge-L-R. ScoreStatus: success, fallback and degraded are
# usable; transport_error, parse_error, invalid_session and excluded are not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet evalscope==1.14.1
cd "$work"
mkdir qa
printf '%s\n' '{"query": "What do bees make?", "response": "honey"}' \
  '{"query": "What falls in winter?", "response": "snow"}' > qa/demo.jsonl
cat > run.py <<'PY'
import json
import pathlib

from evalscope import TaskConfig, run_task
from evalscope.api.model import ModelOutput
from evalscope.constants import ScoreStatus

replies = [ModelOutput.from_content(model="scripted", content=text) for text in ("honey", "rain")]
run_task(
    TaskConfig(
        model="scripted", eval_type="mock_llm", model_args={"custom_outputs": replies},
        datasets=["general_qa"], eval_batch_size=1, work_dir="out", no_timestamp=True,
        dataset_args={
            "general_qa": {"local_path": "qa", "subset_list": ["demo"], "metric_list": ["Rouge"]}
        },
    )
)
lines = pathlib.Path("out/reviews/scripted/general_qa_demo.jsonl").read_text().splitlines()
for line in lines:
    score = json.loads(line)["sample_score"]["score"]
    print("first:", next(iter(score["value"])), "main:", score["main_score_name"])
    assert next(iter(score["value"])) == "Rouge-1-R"
    assert score["main_score_name"] == "Rouge-L-R"
usable = sorted(status.value for status in ScoreStatus if status.is_usable)
print("usable:", usable)
assert usable == ["degraded", "fallback", "success"]
assert {"transport_error", "parse_error", "excluded"} <= {status.value for status in ScoreStatus}
PY
"$work/venv/bin/python" run.py 2> log || { tail -20 log; exit 1; }

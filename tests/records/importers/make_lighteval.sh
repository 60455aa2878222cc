#!/usr/bin/env bash
# Makes logs/lighteval again: details and results in the schema that lighteval itself writes, from
# its own documents, responses, metrics and EvaluationTracker, with questions of our own.
# No task of the tool is run: it would fetch a data set.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0
# xxhash 4 hashes no text, and lighteval 0.13.0 gives it text
"$folder/venv/bin/pip" install -q lighteval==0.13.0 "xxhash<4"
cd "$folder"
cat > make.py <<'PY'
import re
import sys
from pathlib import Path

from lighteval.logging import evaluation_tracker
from lighteval.metrics.metrics_sample import (
    AvgAtN,
    ExactMatches,
    LoglikelihoodAcc,
    PassAtK,
)
from lighteval.metrics.normalizations import LogProbCharNorm
from lighteval.models.abstract_model import ModelConfig
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import Doc, SamplingMethod

OUT = "out"


class At(evaluation_tracker.datetime):
    day = 1

    @classmethod
    def now(cls):
        return cls(2026, 1, cls.day, 12, 0, 0, 123456)


evaluation_tracker.datetime = At


def ask(task, number, query, choices, gold, method, **more):
    return Doc(query=query, choices=choices, gold_index=gold, id=str(number), task_name=task,
               sampling_methods=[method], **more)


def written(*texts, processed=None):
    return ModelResponse(input="the whole prompt", input_tokens=[1, 2], text=list(texts),
                         output_tokens=[[3]] * len(texts), text_post_processed=processed)


def ranked(*logprobs):
    return ModelResponse(input="the whole prompt", input_tokens=[1, 2], logprobs=list(logprobs),
                         output_tokens=[[3]] * len(logprobs),
                         argmax_logits_eq_gold=[False] * len(logprobs))


LIKELY, WRITTEN = SamplingMethod.LOGPROBS, SamplingMethod.GENERATIVE
LEGS = ask("animals", 0, "How many legs has a spider?\nAnswer:", [" six", " eight", " ten"], 1,
           LIKELY)
EGGS = ask("animals", 1, "Which of these lays eggs?\nAnswer:",
           [" the very old dog", " hen", " cat"], 1, LIKELY)
FLY = ask("fliers", 0, "Which of these can fly?\nAnswer:", [" bat", " rat", " owl"], [0, 2],
          LIKELY)
SUM = ask("sums", 0, "What is 3 + 4?", ["7"], 0, WRITTEN)
PRODUCT = ask("sums", 1, "What is 6 * 7?", ["42"], 0, WRITTEN)
BOOK = ask("letters", 0, "Which of these lays eggs?\nA) dog\nB) hen\nC) cat", ["A", "B", "C"], 1,
           WRITTEN)
CAPITAL = ask("towns", 0, "What is the capital of France?", ["Paris", "City of Paris"], [0, 1],
              WRITTEN)
THREE = ask("again", 0, "What is 6 * 7?", ["42"], 0, WRITTEN, num_samples=3)

acc = LoglikelihoodAcc(logprob_normalization=None)
norm = LoglikelihoodAcc(logprob_normalization=LogProbCharNorm(ignore_first_space=True))
match = ExactMatches()
mean = AvgAtN(n=3, sample_scoring_function=ExactMatches())
once = PassAtK(k=2, n=3, sample_scoring_function=ExactMatches())


def run(model, day, answers, temperature=0.0):
    At.day = day
    tracker = evaluation_tracker.EvaluationTracker(output_dir=OUT, save_details=True)
    config = ModelConfig(model_name=model, generation_parameters={"temperature": temperature},
                         cache_dir="cache")
    tracker.general_config_logger.log_model_info(model_config=config)
    for shots, doc, response, metrics in answers:
        scores = {name: metric.compute(doc=doc, model_response=response)
                  for name, metric in metrics.items()}
        tracker.details_logger.log(f"{doc.task_name}|{shots}", doc, response, scores)
    tracker.save()


def everything(first, second, third, texts):
    likely = {"acc": acc, "acc_norm": norm}
    return [
        (0, LEGS, ranked(*first), likely), (0, EGGS, ranked(*second), likely),
        (0, FLY, ranked(*third), {"acc": acc}),
        (0, SUM, written(texts[0]), {"em": match}),
        (0, PRODUCT, written("<think>6 * 7</think>" + texts[1], processed=[texts[1]]),
         {"em": match}),
        (0, BOOK, written(texts[2]), {"em": match}),
        (0, CAPITAL, written("Paris"), {"em": match}),
        (0, THREE, written("42", "41", "42"), {"avg@n": mean, "pass@k": once}),
    ]


run("our/small", 1, everything((-1, -2, -3), (-8, -6, -6.5), (-1, -2, -3), ("8", "42", "C")))
run("our/small", 2, everything((-2, -1, -3), (-8, -6, -6.5), (-2, -1, -3), ("7", "41", "B")))
run("our/large", 1, everything((-2, -1, -3), (-9, -1, -7), (-3, -2, -1), ("7", "42", "B")))
for path in Path(OUT).rglob("*.json"):
    text = re.sub(r'("(?:start|end)_time": )[0-9.]+', r"\g<1>1.5", path.read_text())
    path.write_text(text)
PY
"$folder/venv/bin/python" make.py
small="out/details/our/small/2026-01-02T12-00-00.123456"
# kept under plain names: "|" in a file's name is not allowed everywhere
for task in animals sums again; do
    cp "$small/details_$task|0_2026-01-02T12-00-00.123456.parquet" "$here/logs/lighteval/$task.parquet"
done
cp out/results/our/small/results_2026-01-02T12-00-00.123456.json "$here/logs/lighteval/results.json"

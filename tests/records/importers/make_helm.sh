#!/usr/bin/env bash
# Makes tests/records/importers/logs/helm again: HELM's own two tutorial scenarios, answered by two
# scripted models; nothing is fetched after the installation. The folders lose HELM's colons, the files
# their indentation.
# Usage: make_helm.sh FOLDER
set -euo pipefail
target=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet crfm-helm==0.5.16
cd "$work"
cat > scripted.py <<'PY'
"""Says whether the last two-digit number of a prompt is even; one model is often wrong."""

import re

from helm.clients.client import CachingClient
from helm.common.request import GeneratedOutput, RequestResult, Token


class ScriptedClient(CachingClient):
    def make_request(self, request):
        number = int(re.findall(r"\d\d", request.prompt)[-1])
        even, wrong = number % 2 == 0, request.model.endswith("wrong")
        if wrong and number % 3 == 0:
            even = not even
        text = f" {'Even' if even else 'Odd'}"
        if "A. Even" in request.prompt:
            text = " The answer is B." if wrong and number % 5 == 0 else " A" if even else " B"
        said = GeneratedOutput(
            text=text, logprob=-0.5, tokens=[Token(text=text, logprob=-0.5)],
            finish_reason={"reason": "stop"},
        )
        return RequestResult(
            success=True, cached=False, request_time=0.25, request_datetime=1700000000,
            completions=[said], embedding=[],
        )
PY
mkdir prod_env
{
  echo "model_deployments:"
  for model in right wrong; do
    echo "  - {name: scripted/$model, model_name: scripted/$model, tokenizer_name: simple/tokenizer1,"
    echo "     max_sequence_length: 2048, client_spec: {class_name: scripted.ScriptedClient}}"
  done
} > prod_env/model_deployments.yaml
{
  echo "models:"
  for model in right wrong; do
    echo "  - {name: scripted/$model, display_name: x, description: x, creator_organization_name: x,"
    echo "     access: open, release_date: 2026-01-01,"
    echo "     tags: [TEXT_MODEL_TAG, LIMITED_FUNCTIONALITY_TEXT_MODEL_TAG]}"
  done
} > prod_env/model_metadata.yaml
PYTHONPATH=. venv/bin/helm-run --suite demo --max-eval-instances 3 --run-entries \
  simple_{mcqa,classification}:model=scripted/{right,wrong}
for run in benchmark_output/runs/demo/simple_*; do
  name=${run##*/simple_}
  mkdir -p "$target/${name/:model=scripted_/-}"
  for file in scenario_state.json per_instance_stats.json; do
    venv/bin/python -c "import json, sys; print(json.dumps(json.load(sys.stdin), separators=(',', ':')))" \
      < "$run/$file" > "$target/${name/:model=scripted_/-}/$file"
  done
done

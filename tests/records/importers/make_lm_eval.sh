#!/usr/bin/env bash
# Makes logs/lm_eval again: runs of lm-evaluation-harness 0.4.13 with tasks and models of our own,
# of which the first five documents of each log and what an importer reads of results are kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${LM_EVAL_PYTHON:-} # of an environment that has it already
if [ -z "$python" ]; then
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install -q torch==2.13.0
  "$folder/venv/bin/pip" install -q lm-eval==0.4.13
  python=$folder/venv/bin/python
fi
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_HOME=$folder/hf
cd "$folder"
mkdir tasks
cat > make.py <<'PY'
import json, random
from pathlib import Path
root = Path("tasks"); rng = random.Random(5)
things = ["river","lamp","stone","garden","violin","bridge","candle","harbour","meadow","kettle","ladder","window"]
def dump(name, rows):
    (root/f"{name}.jsonl").write_text("".join(json.dumps(r)+"\n" for r in rows))
sums=[]
for i in range(12):
    a,b=rng.randrange(20,90),rng.randrange(11,90)
    sums.append({"question":f"A box holds {a} red and {b} blue marbles. How many marbles are in it?","answer":f"{a}+{b}={a+b}\n#### {a+b}"})
dump("sums",sums)
mc=[]
for i in range(12):
    c=rng.sample(things,4); mc.append({"question":f"Which word comes first in the dictionary, list {i+1}?","choices":c,"answer":c.index(min(c))})
dump("words",mc)
dump("many",[{"question":f"Number {i+3} in words, of thirty?","choices":[f"word{k}" for k in range(30)],"answer":i+3} for i in range(6)])
dump("truth",[{"question":f"What do people say about {t}, mostly?","choices":[f"{t} is a thing",f"{t} is nothing",f"{t} sings at night"],"labels":[1,0,rng.randrange(2)]} for t in things[:8]])
dump("last",[{"text":f"The traveller looked at the {t} for a long time, and in the evening she painted the {t}"} for t in things[:8]])
dump("maths",[{"problem":f"Find the value of ${i}+\\frac{{1}}{{2}}$.","solution":f"We add.\nThe answer is $\\boxed{{\\frac{{{2*i+1}}}{{2}}}}$.","answer":f"\\frac{{{2*i+1}}}{{2}}"} for i in range(1,9)])
def y(name,text): (root/f"{name}.yaml").write_text(text)
D='''dataset_path: json
dataset_kwargs:
  data_files:
    test: {p}/{f}.jsonl
test_split: test
'''
P="@TASKS@"
y("made_words","task: made_words\n"+D.format(p=P,f="words")+'''output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - metric: acc
  - metric: acc_norm
  - metric: acc_mutual_info
''')
y("made_letters","task: made_letters\n"+D.format(p=P,f="words")+'''output_type: multiple_choice
doc_to_text: "{{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nD. {{choices[3]}}\\nAnswer:"
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: answer
metric_list:
  - metric: acc
''')
y("made_many","task: made_many\n"+D.format(p=P,f="many")+'''output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - metric: acc
''')
y("made_truth","task: made_truth\n"+D.format(p=P,f="truth")+'''output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: 0
process_results: !function made.truth
metric_list:
  - metric: acc
''')
y("made_last","task: made_last\n"+D.format(p=P,f="last")+'''output_type: loglikelihood
doc_to_text: "{{text.rsplit(' ',1)[0]}}"
doc_to_target: "{{' '+text.rsplit(' ',1)[1]}}"
metric_list:
  - metric: perplexity
  - metric: acc
''')
G='''output_type: generate_until
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{answer}}"
generation_kwargs:
  until: ["Question:"]
  do_sample: false
metric_list:
  - metric: exact_match
    ignore_case: true
    regexes_to_ignore: [",", "\\\\$", "(?s).*#### ", "\\\\.$"]
'''
FL='''filter_list:
  - name: strict-match
    filter:
      - function: regex
        regex_pattern: "#### (\\\\-?[0-9\\\\.\\\\,]+)"
      - function: take_first
  - name: flexible-extract
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"
      - function: take_first
'''
y("made_sums","task: made_sums\n"+D.format(p=P,f="sums")+G+FL)
y("made_plain","task: made_plain\n"+D.format(p=P,f="sums")+G)
y("made_shots","task: made_shots\nfewshot_split: test\nnum_fewshot: 3\n"+D.format(p=P,f="sums")+G+FL)
y("made_votes","task: made_votes\nrepeats: 4\n"+D.format(p=P,f="sums")+G.replace("do_sample: false","do_sample: true\n  temperature: 0.7")+'''filter_list:
  - name: score-first
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[0-9]+)"
      - function: take_first
  - name: maj@4
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[0-9]+)"
      - function: majority_vote
      - function: take_first
''')
y("made_maths","task: made_maths\n"+D.format(p=P,f="maths")+'''output_type: generate_until
doc_to_text: "Problem: {{problem}}\\nSolution:"
doc_to_target: "{{solution}}"
process_results: !function made.maths
generation_kwargs:
  until: ["Problem:"]
  do_sample: false
metric_list:
  - metric: exact_match
''')
(root/"made.py").write_text('''import re


def truth(doc, results):
    import numpy as np

    values = np.exp([r[0] if isinstance(r, (tuple, list)) else r for r in results])
    right = np.array(doc["labels"]) == 1
    return {"acc": float(values[right].sum() / values.sum())}


def maths(doc, results):
    found = re.findall(r"boxed\\{(.*)\\}", results[0])
    return {"exact_match": int(bool(found) and found[-1] == doc["answer"])}
''')
PY
cat > madeup.py <<'PY'
"""The harness's own command line with a model that is made up: it answers by a seeded coin."""
import hashlib, random, re, sys
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model


def coin(*parts):
    return random.Random(hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest())


@register_model("made-up")
class MadeUp(LM):
    def __init__(self, pretrained="owl", skill=0.6, **_):
        super().__init__()
        self.name, self.skill = pretrained, float(skill)
        self.asked = {}

    @classmethod
    def create_from_arg_string(cls, arg_string, additional_config=None):
        return cls(**dict(a.split("=", 1) for a in arg_string.split(",") if a))

    @classmethod
    def create_from_arg_obj(cls, arg_dict, additional_config=None):
        return cls(**arg_dict)

    @property
    def tokenizer_name(self):
        return self.name

    def chat_template(self, chat_template=False):
        return "{{messages}}" if chat_template else ""

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return "\n".join(f"<{m['role']}>{m['content']}" for m in chat_history) + "\n<assistant>"

    def loglikelihood(self, requests, disable_tqdm=False):
        out = []
        for r in requests:
            context, option = r.args
            out.append((-4 * coin(self.name, context, option).random() - 0.05, False))
        return out

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        return [-1.0 for _ in requests]

    def generate_until(self, requests, disable_tqdm=False):
        out = []
        for r in requests:
            context = r.args[0]
            n = self.asked[context] = self.asked.get(context, 0) + 1
            rng = coin(self.name, context, n)
            block = re.split(r"Question:|Problem:", context)[-1]
            numbers = [int(x) for x in re.findall(r"\d+", block)][:2]
            if "Problem:" in context:
                top = 2 * numbers[0] + 1 + (0 if rng.random() < self.skill else rng.choice([1, 2]))
                out.append(f" We add both.\nThe answer is $\\boxed{{\\frac{{{top}}}{{2}}}}$.")
                continue
            total = sum(numbers) + (0 if rng.random() < self.skill else rng.choice([-10, 1, 10]))
            out.append(rng.choice([f" Together that is {total}\n#### {total}", f" {total} marbles", f" I count {total}."]))
        return out


PY
cat > runs.py <<'PY'
import sys, madeup
from lm_eval.__main__ import cli_evaluate
ALL="made_words,made_letters,made_many,made_truth,made_last,made_sums,made_plain,made_shots,made_votes,made_maths,made_leaky"
def run(model, tasks, *more, out="out_new"):
    sys.argv=["lm_eval","--model","made-up","--model_args",f"pretrained=made-up/{model}","--tasks",tasks,"--include_path","tasks","--log_samples","--output_path",out,*more]
    try: cli_evaluate()
    except SystemExit as e: print("exit", e)
run("owl", ALL)
run("wren", ALL)
run("owl", "made_sums", "--apply_chat_template")
run("owl", "made_sums", "--num_fewshot", "2")
run("owl", "made_sums", out="out_one/owl.json")
run("wren", "made_sums", out="out_one/wren.json")
run("owl", "made_sums", "--samples", '{"made_sums":[5,1,3]}', out="out_samples")
PY
cat > keep.py <<'PY'
"""Keep the first documents of each log and what an importer reads of results, no paths."""
import json, sys
from pathlib import Path
source, target = map(Path, sys.argv[1:3])
for file in sorted(source.rglob("*.json*")):
    to = target / file.relative_to(source); to.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".jsonl":
        text = file.read_text()
        if text.startswith("["):
            rows = [r for r in json.loads(text) if r["doc_id"] < 5]
            to.write_text(json.dumps(rows, indent=2))
        else:
            to.write_text("".join(l + "\n" for l in text.splitlines() if json.loads(l)["doc_id"] < 5))
        continue
    d = json.loads(file.read_text())
    kept = {k: d.get(k) for k in ("results","n-shot","model_name","chat_template","system_instruction","fewshot_as_multiturn","lm_eval_version")}
    kept["config"] = {k: d["config"].get(k) for k in ("model","model_args","gen_kwargs","limit")}
    kept["configs"] = {t: {k: c.get(k) for k in ("doc_to_text","doc_to_target","num_fewshot","filter_list","repeats","output_type","generation_kwargs")} for t, c in d["configs"].items()}
    to.write_text(json.dumps({k: v for k, v in kept.items() if v is not None}, indent=1))
PY
"$python" make.py
sed 's/^task: made_shots/task: made_leaky/; /^fewshot_split/d' tasks/made_shots.yaml > tasks/made_leaky.yaml
sed -i "s#@TASKS@#$folder/tasks#" tasks/*.yaml
"$python" runs.py
for out in out_*; do "$python" keep.py "$out" "$here/logs/lm_eval/${out#out_}"; done

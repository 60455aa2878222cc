"""HELM's runs: one folder a scenario and model, its requests and how each instance was judged.

Reads `scenario_state.json` (instances, requests, completions) and `per_instance_stats.json`
(metrics of each instance) of every run folder; summaries are not needed.

Source: stanford-crfm/helm: `RequestState` (benchmark/adaptation/request_state.py), adapters
(benchmark/adaptation/adapters), `PerInstanceStats` (benchmark/metrics/metric.py) and
`BasicReferenceMetric` (benchmark/metrics/basic_metrics.py); 0.5.16 was run here with scripted
models.
Departures: perturbed copies of an instance are left out; of several completions the likeliest is
taken, which is the one HELM judges.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.json_files import MISSING, Fields, LeftOut, load_json
from rlfocal.records.importers.logged import Logged, Record, Told, option_name
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.telling import count_of, finish_of, tokens_of

__all__ = ["read_helm"]

_STATE, _STATS = "scenario_state.json", "per_instance_stats.json"
_COMPARING = (
    "final_number_exact_match", "chain_of_thought_correctness", "math_equiv", "quasi_exact_match",
    "exact_match", "ifeval_strict_accuracy",
)  # fmt: skip
"""Metrics that compare an answer with a reference, the preferred first."""
_GRADED = (
    "math_equiv_chain_of_thought", "f1_score", "f1_set_match", "rouge_l", "rouge_2", "bleu_4",
    "bleu_1", "pass", "code_eval_acc", "test_avg", "wildbench_score_rescaled", "annotator_accuracy",
)  # fmt: skip
"""Metrics under which a reply is a text judged by its score."""
_OF_A_MODEL = {
    "model", "model_deployment", "stop", "global_prefix", "num_prompt_tokens", "num_output_tokens",
    "data_augmentation",
}  # fmt: skip
"""Arguments of a run that HELM sets for some models, or that leave the instances as they are."""
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")

_Key = tuple[str, int]
"""Instance and training trial."""


Metric = Annotated[str | None, "Metric to take; else the one that compares best."]


@importer("helm", "Run folders of HELM (with scenario_state.json), or folders that hold some.")
def read_helm(paths: Sequence[Path], *, metric: Metric = None) -> Logged:
    """Read runs of HELM."""
    left = LeftOut()
    files = left.files_under(paths, lambda f: f.name == _STATE, f"runs ({_STATE})")
    seen: dict[tuple[str, str], Path] = {}
    # a later suite's run replaces an earlier one's
    files.sort(key=str, reverse=True)
    records = left.read_files(files, lambda file: _read(file, metric, seen, left))
    return Logged(records=records, source="runs of HELM", notes=left.notes)


@dataclass(frozen=True)
class _Run:
    """What the instances of one run have in common."""

    member: str
    task: str
    method: str
    metric: str | None
    stats: Mapping[_Key, Mapping[str, float]]
    left: LeftOut

    @property
    def name(self) -> str:
        return f"{self.member}, {self.task}"


def _read(
    path: Path, metric: str | None, seen: dict[tuple[str, str], Path], left: LeftOut
) -> Iterator[Record]:
    whole = Fields.of(load_json(path), str(path))
    if not isinstance(whole.values.get("request_states"), list):
        raise whole.wrong("request_states", "a list of requests")
    spec = whole.object("adapter_spec")
    member, task = spec.text("model"), _task(path)
    newer = seen.setdefault((member, task), path)
    if newer != path:
        left.notes.append(f"{member}, {task}: two runs; took {newer.parent}, left {path.parent}")
        return
    stats = _stats(path, left)
    method = spec.optional_text("method") or ""
    chosen = _metric(path, stats, metric, method, left)
    run = _Run(member, task, method, chosen, stats, left)

    def parse(numbered: tuple[int, Any]) -> tuple[_Key, Fields] | None:
        state = Fields.of(numbered[1], f"{path}: request_states[{numbered[0]}]")
        key = _key(state, run)
        return None if key is None else (key, state)

    groups: dict[_Key, list[Fields]] = defaultdict(list)
    states = enumerate(whole.values["request_states"])
    for key, state in left.read_rows(states, parse, run.name):
        groups[key].append(state)
    yield from left.read_rows(groups.items(), lambda g: _record(run, *g), run.name)


def _task(path: Path) -> str:
    """Scenario and its arguments, without those that HELM sets for a model: no commas in it."""
    scenario, _, rest = path.resolve().parent.name.partition(":")
    kept = [a for a in rest.split(",") if a and a.partition("=")[0] not in _OF_A_MODEL]
    return scenario + (":" + " ".join(kept) if kept else "")


def _perturbed(value: Fields) -> bool:
    """Whether an instance is a changed copy; early versions call the original's "identity"."""
    name = value.object("perturbation").optional_text("name")
    return name is not None and name != "identity"


def _key(state: Fields, run: _Run) -> _Key | None:
    instance = state.object("instance")
    if _perturbed(instance):
        run.left.add(run.name, "requests are of perturbed instances and are left out", state.place)
        return None
    if state.optional_text("request_mode") == "calibration":
        return None  # HELM has used it for its prediction
    return instance.text("id"), state.whole("train_trial_index") or 0


def _stats(path: Path, left: LeftOut) -> dict[_Key, dict[str, float]]:
    """Instance and trial → metric → its mean."""
    beside = path.with_name(_STATS)
    found: dict[_Key, dict[str, float]] = {}
    if not beside.is_file():
        left.notes.append(f"{beside}: is missing: replies of this run have no scores")
        return found
    rows = load_json(beside)
    if not isinstance(rows, list):
        raise RecordError(f"{beside}: a {type(rows).__name__} where a list is expected")
    for i, value in enumerate(rows):
        try:
            row = Fields.of(value, f"{beside}: [{i}]")
            if _perturbed(row):
                continue
            own = found.setdefault(
                (row.text("instance_id"), row.whole("train_trial_index") or 0), {}
            )
            for stat in row.objects("stats"):
                name, mean = stat.object("name").text("name"), stat.number("mean")
                if mean is not None:
                    own[name] = mean
        except RecordError as exc:
            left.add(beside.name, "rows cannot be read and give no score", str(exc))
    return found


def _metric(
    path: Path, stats: Mapping[_Key, Mapping[str, float]], wanted: str | None, method: str,
    left: LeftOut,
) -> str | None:  # fmt: skip
    there = {name: None for own in stats.values() for name in own}
    if wanted is not None:
        if wanted not in there:
            raise RecordError(f"{path.with_name(_STATS)}: no metric '{wanted}'; "
                              f"{nearest(wanted, there)}")  # fmt: skip
        return wanted
    order: tuple[str, ...] = (*_COMPARING, *_GRADED)
    if _is_choice(method) and "chain_of_thought" not in method:
        order = ("exact_match", *order)  # HELM's own for options
    found = [name for name in order if name in there]
    if not found and there:
        left.notes.append(
            f"{path.parent.name}: no metric known here is in {_STATS}; replies have no scores; "
            f"--metric takes one of: {', '.join(list(there)[:20])}"
        )
    return found[0] if found else None


def _is_choice(method: str) -> bool:
    return method.startswith("multiple_choice")


def _record(run: _Run, key: _Key, states: Sequence[Fields]) -> Record | None:
    first = states[0]
    instance = first.object("instance")
    references = instance.objects("references")
    texts = [reference.object("output").optional_text("text") or "" for reference in references]
    right = [i for i, r in enumerate(references) if "correct" in r.items("tags")]
    stats = run.stats.get(key, {})
    separate = "separate" in run.method
    choices = tuple(texts) if _is_choice(run.method) and len(texts) > 1 else None
    compared = run.metric in _COMPARING or (run.metric is None and bool(right))
    labels = [
        option_name(i, choices) if choices is not None else _label(texts[i], run) for i in right
    ]
    reply = None if separate else _reply(first, run)
    if reply is not None and reply.values.get("failed"):
        return None
    text = None if reply is None else reply.optional_text("text")
    answer = _predicted(stats, texts) if separate else _mapped(text, first, choices)
    return Record(
        member=run.member,
        task=run.task,
        document=document_digest(_question(first), sorted(texts), sorted(texts[i] for i in right)),
        name=key[0],
        place=first.place,
        prompt=_question(first),
        choices=choices,
        labels=tuple(labels) if compared else (),
        answer=answer,
        unusable=separate and answer is None,
        text=text,
        score=_score(run, stats, first),
        by_score=not compared and choices is None,
        repeat=key[1],
        latency_s=_seconds(states),
        truncated=reply is not None and _cut_off(reply) and choices is None,
        told=Told() if reply is None else _told(reply, stats),
    )


def _question(state: Fields) -> str:
    """The instance's own text; where it has none (messages, pictures), what was sent."""
    text = state.object("instance").object("input").optional_text("text")
    return text if text and text.strip() else state.object("request").text("prompt")


def _label(reference: str, run: _Run) -> str:
    if run.metric == "final_number_exact_match":  # references are worked solutions
        numbers = _NUMBER.findall(reference)
        return numbers[-1].replace(",", "") if numbers else reference.strip()
    return reference.strip()


def _reply(state: Fields, run: _Run) -> Fields | None:
    """The completion that HELM judges: of several the likeliest; `failed` where there is none."""
    result = state.object("result")
    completions = result.objects("completions")
    if result.values.get("success") is False or not completions:
        run.left.add(run.name, MISSING, state.place)
        return Fields({"failed": True}, state.place)
    if len(completions) > 1:
        run.left.add(run.name, "replies have several completions; the likeliest is taken, as HELM "
                     "does", state.place)  # fmt: skip
    return max(completions, key=lambda c: c.number("logprob") or 0.0)


def _mapped(text: str | None, state: Fields, choices: Sequence[str] | None) -> str | None:
    """Letter of a completion that is one of the letters asked for; else it is looked for."""
    if text is None or choices is None:
        return None
    option = state.object("output_mapping").optional_text(text.strip())
    return option_name(choices.index(option), choices) if option in choices else None


def _predicted(stats: Mapping[str, float], texts: Sequence[str]) -> str | None:
    index = stats.get("predicted_index")
    usable = index is not None and index == int(index) and 0 <= index < len(texts)
    return option_name(int(index), texts) if index is not None and usable else None


def _score(run: _Run, stats: Mapping[str, float], state: Fields) -> float | None:
    score = stats.get(run.metric) if run.metric is not None else None
    if score is None:
        if run.stats:
            run.left.add(run.name, "replies were not scored, which is not 0", state.place)
        return None
    if not 0 <= score <= 1:
        run.left.add(run.name, f"scores '{run.metric}' are outside [0, 1] and count as not scored",
                     f"{state.place}: {score:g}")  # fmt: skip
        return None
    return score


def _seconds(states: Sequence[Fields]) -> float | None:
    times = [state.object("result").number("request_time", least=0) for state in states]
    known = [t for t in times if t is not None]
    return sum(known) if len(known) == len(times) else None


def _told(reply: Fields, stats: Mapping[str, float]) -> Told:
    return Told(
        finish=finish_of(reply.object("finish_reason").values.get("reason")),
        n_prompt_tokens=count_of(stats.get("num_prompt_tokens")),
        n_completion_tokens=count_of(stats.get("num_output_tokens")),
        tokens=tokens_of(reply.values.get("tokens"), "text"),
    )


def _cut_off(reply: Fields) -> bool:
    return reply.object("finish_reason").optional_text("reason") == "length"

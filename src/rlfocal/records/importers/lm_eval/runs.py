"""Runs of lm-evaluation-harness become members: one model under two settings is two members.

Two runs with the same settings are one member, of which the newest counts. Reads no samples.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rlfocal.records.importers.lm_eval.files import LogFile, arguments_of
from rlfocal.records.schema import clean

__all__ = ["members_of"]

_NO_SETTING = frozenset((
    "peft", "delta", "pretrained", "model", "path", "engine", "batch_size", "max_batch_size",
    "device", "device_map", "base_url", "num_concurrent", "tokenizer", "tokenizer_backend",
    "tokenized_requests", "timeout", "max_retries", "parallelize", "tensor_parallel_size",
    "data_parallel_size", "gpu_memory_utilization", "eos_string", "trust_remote_code", "cache_dir",
    "offload_folder", "max_memory", "verify_certificate", "api_key", "seed", "swap_space",
    "backend", "use_fast_tokenizer", "add_bos_token", "max_length", "max_model_len", "truncate",
    "prefix_token_id", "logits_cache", "header",
))  # fmt: skip
"""Model arguments that do not change what a model is, or only say how it is reached."""
Settings = Mapping[str, str]
"""What distinguishes runs → how a member's name says it; "" for the plain case."""


def members_of(logs: Sequence[LogFile], notes: list[str]) -> dict[str, list[LogFile]]:
    """Member → its logs, one a task.

    Runs that are left out, and members that two settings make up, go into notes.
    """
    models: dict[str, list[LogFile]] = defaultdict(list)
    for log in logs:
        models[log.model].append(log)
    members: dict[str, list[LogFile]] = {}
    for model, own in models.items():
        groups = _groups(sorted(own, key=lambda log: (log.time, str(log.path)), reverse=True))
        if len(groups) > 1 and _disjoint(groups):
            notes.append(
                f"{model}: its tasks were run under different settings ("
                + "; ".join(f"{', '.join(g)}: {_said(g) or 'plain'}" for g in groups)
                + ")"
            )
            groups = [{task: logs for g in groups for task, logs in g.items()}]
        for name, group in zip(_names(model, groups), groups, strict=True):
            newest = [_newest(name, same, notes) for same in group.values()]
            members[name] = sorted(newest, key=lambda log: (log.task, str(log.path)))
    return members


_Group = dict[str, list[LogFile]]
"""Task → its logs, the newest first; all under the same settings."""


def _groups(newest_first: Sequence[LogFile]) -> list[_Group]:
    """Logs whose settings agree in every task that they share, the newest group first."""
    groups: list[_Group] = []
    for log in newest_first:
        for group in groups:
            if all(_fits(log, same[0]) for same in group.values()):
                group.setdefault(log.task, []).append(log)
                break
        else:
            groups.append({log.task: [log]})
    return groups


def _fits(log: LogFile, other: LogFile) -> bool:
    if _of_run(log) != _of_run(other):
        return False
    return log.task != other.task or _of_task(log) == _of_task(other)


def _disjoint(groups: Sequence[_Group]) -> bool:
    tasks = [task for group in groups for task in group]
    return len(tasks) == len(set(tasks))


def _newest(member: str, logs: Sequence[LogFile], notes: list[str]) -> LogFile:
    first = logs[0]
    for older in logs[1:]:
        notes.append(
            f"{first.task}: {member}: two runs; took {first.path.name}, left {older.path.name}"
            + ("" if first.path.parent == older.path.parent else f" of {older.path.parent.name}")
        )
    return first


def _of_run(log: LogFile) -> Settings:
    """Settings of all tasks of a run."""
    results = log.results
    config = results.get("config")
    config = config if isinstance(config, dict) else {}
    said = {
        "chat": "chat" if results.get("chat_template") else "",
        "system": _spelled("system prompt", results.get("system_instruction")),
        "turns": "multiturn" if results.get("fewshot_as_multiturn") is True else "",
    }
    for source in (config.get("model_args"), config.get("gen_kwargs")):
        for key, value in arguments_of(source).items():
            if key not in _NO_SETTING:
                said[str(key)] = _spelled(str(key), value, join="=")
    return said


def _of_task(log: LogFile) -> Settings:
    """Settings of one task."""
    shots = log.results.get("n-shot")
    shot = shots.get(log.task) if isinstance(shots, dict) else None
    if shot is None:
        shot = log.config.get("num_fewshot")
    said = {"shots": f"{shot}-shot" if isinstance(shot, int) else ""}
    for key in ("doc_to_text", "description", "system_prompt", "fewshot_delimiter"):
        value = log.config.get(key)
        # functions are written as their source or address, which says nothing between machines
        if isinstance(value, str) and value and "<function" not in value:
            said[key] = _spelled("prompt" if key == "doc_to_text" else key, value)
    options = log.config.get("generation_kwargs")
    if isinstance(options, dict):
        for key, value in options.items():
            if key != "until":
                said[str(key)] = _spelled(str(key), value, join="=")
    return said


def _spelled(key: str, value: Any, *, join: str = " ") -> str:
    """A setting in words, "" where it is off; the same words for the same value alone."""
    if value is None or value == "" or value is False:
        return ""
    return clean(key + join + (value if isinstance(value, str) else json.dumps(value)))


def _names(model: str, groups: Sequence[_Group]) -> list[str]:
    """Names of a model's members: what differs between them, in brackets."""
    if len(groups) == 1:
        return [model]
    counted = Counter(task for group in groups for task in group)
    shared = {task for task, n in counted.items() if n > 1}
    all_settings = [_settings(group, shared) for group in groups]
    keys = dict.fromkeys(key for settings in all_settings for key in settings)
    differing = [k for k in keys if len({s.get(k, "") for s in all_settings}) > 1]
    names = []
    for settings in all_settings:
        words = [_worded(k, settings.get(k, "")) for k in differing]
        said = ", ".join(dict.fromkeys(word for word in words if word))
        names.append(f"{model} ({said})" if said else model)
    count = Counter(names)
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if count[name] == 1 or seen[name] == 1 else f"{name} #{seen[name]}")
    return unique


def _worded(key: str, said: str) -> str:
    """A setting for a name; long values are not repeated there."""
    if not said:
        return ""
    short = said.partition(" ")[0] if key in ("doc_to_text", "description") else said
    return {"doc_to_text": "other prompt", "description": "other description"}.get(
        key, short if len(short) <= 30 else f"{short[:27]}..."
    )


def _settings(group: _Group, shared: set[str]) -> Settings:
    """Settings of a group's runs, and those of the tasks that another group has, too."""
    merged: dict[str, str] = {}
    for task, logs in group.items():
        own = {**_of_run(logs[0]), **(_of_task(logs[0]) if task in shared else {})}
        for key, said in own.items():
            merged.setdefault(key, said)
    return merged


def _said(group: _Group) -> str:
    first = next(iter(group.values()))[0]
    return ", ".join(_worded(k, s) for k, s in _of_run(first).items() if s)

"""Members that say the right calls of a loop each in its own way, or other calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spy_upstream import Received, Reply

LOOPS = Path(__file__).parents[1] / "clients" / "loops.json"
TOLD: dict[str, Any] = json.loads(LOOPS.read_text("utf-8"))
MEMBERS = ("plain", "letters", "sampled", "hasty")
"""In the order in which a loop says what they do."""
HOUSE = """
[tools."erase_*"]
effect = "write"
least_confidence = 1.0

[tools."send_*"]
effect = "write"
least_confidence = 1.0
below = "read"

[tools."burn_*"]
effect = "write"
least_confidence = 1.0
below = "error"
"""
_RESULTS = {
    str(value)
    for said in TOLD["results"].values()
    for value in (said.values() if isinstance(said, dict) else [said])
}
Calls = list[tuple[str, dict[str, Any]]]


def says(got: Received) -> Reply:
    """What a member says to a conversation whose first question names a loop."""
    turns = got.body["messages"]
    asked = next(str(_text(turn["content"])) for turn in turns if turn["role"] == "user")
    loop = next(one for name, one in TOLD["loops"].items() if name in asked)
    way = loop["says"]
    if not isinstance(way, str):
        way = way[MEMBERS.index(got.body["model"])]
    results = [str(_text(turn["content"])).strip('"') for turn in turns if turn["role"] == "tool"]
    n_left = sum(result in _RESULTS for result in results)
    for step in loop.get("steps", TOLD["steps"]):
        if n_left < len(step):
            return _said(way, [(name, dict(arguments)) for name, arguments in step], results)
        n_left -= len(step)
    return Reply(TOLD["final"])


def _text(content: Any) -> Any:
    """The words of a message, which may stand in parts."""
    return "".join(part["text"] for part in content) if isinstance(content, list) else content


def _said(way: str, calls: Calls, results: Sequence[str]) -> Reply:
    """Calls in one way."""
    if way == "words":
        return Reply("I would rather not.")
    if way in _WRITTEN:
        return Reply(_WRITTEN[way](calls))
    for _, arguments in calls:
        if way == "wrong":
            key = next(iter(arguments))
            arguments[key] = 99 if isinstance(arguments[key], int) else "salt"
        elif way == "unknown":
            arguments["why"] = "since you ask"
        elif way == "lacking" or (way == "mended" and _is_first_try(results)):
            arguments.popitem()
    if way == "reads":
        calls = [("find_note", {"about": "tea"})]
    return Reply(tool_calls=[_native(k, *call, way=way) for k, call in enumerate(calls)])


def _in_a_fence(calls: Calls) -> str:
    written = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return f"Let me see.\n\n```json\n{json.dumps(written, indent=2)}\n```"


def _in_tags(calls: Calls) -> str:
    written = [json.dumps({"name": name, "arguments": arguments}) for name, arguments in calls]
    tagged = "\n".join(f"<tool_call>\n{one}\n</tool_call>" for one in written)
    return f"<think>Which tool?</think>\n{tagged}"


def _as_python(calls: Calls) -> str:
    told = [f"{n}({', '.join(f'{k}={v!r}' for k, v in a.items())})" for n, a in calls]
    return f"[{', '.join(told)}]"


def _as_json(calls: Calls) -> str:
    """With numbers as texts, and a namespace of its own."""
    return json.dumps([{f"functions.{n}": {k: str(v) for k, v in a.items()}} for n, a in calls])


_WRITTEN = {"fence": _in_a_fence, "tags": _in_tags, "python": _as_python, "json": _as_json}


def _is_first_try(results: Sequence[str]) -> bool:
    """Whether the last call has not come back with what was wrong with it."""
    return not results or results[-1] in _RESULTS


def _native(k: int, name: str, arguments: dict[str, Any], *, way: str) -> dict[str, Any]:
    text = str(arguments) if way == "no json" else json.dumps(arguments)
    return {"id": f"call-{k}", "type": "function", "function": {"name": name, "arguments": text}}

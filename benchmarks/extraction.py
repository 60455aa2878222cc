"""How often the right answer is read off a reply, by kind of answer.

    python benchmarks/extraction.py [CASES.jsonl] [--show] [--repeats 20]

Each line of the file is one case: kind, options (of the extractor), reply, and answer (null where
the reply holds none); for kind math gold, reply and equal. A case is right where what is extracted
equals the answer by the kind's own equality (so none is found where there is none). Counted apart
are false equalities, which are worse than an answer that is not found: two answers that differ
count as the same vote. Beside math's own cases, every answer of a kind is compared with each other
one. Without a file the project's own cases are measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from rlfocal.records.answers import Extractor, extractor

OWN = Path(__file__).parents[1] / "tests/records/cases/extraction.jsonl"


def main(argv: list[str]) -> int:
    """Measure and print; 1 where an equality is false."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="?", type=Path, default=OWN)
    parser.add_argument("--show", action="store_true", help="print the cases that fail")
    parser.add_argument("--repeats", type=int, default=20, help="times each reply is timed")
    args = parser.parse_args(argv)
    lines = args.cases.read_text("utf-8").splitlines()
    cases: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    total, right = Counter[str](), Counter[str]()
    false = 0
    for case in cases:
        total[case["kind"]] += 1
        found = _judge(case)
        if found is None:
            right[case["kind"]] += 1
            continue
        false += found.startswith("false equality")
        if args.show:
            print(f"{case['kind']}: {case['reply']!r}: {found}")
    for first, second, kind in _differing(cases):
        false += 1
        print(f"false equality: {kind}: {first!r} = {second!r}")
    for kind in total:
        share = 100 * right[kind] / total[kind]
        micros = _micros(cases, kind, args.repeats)
        print(
            f"{kind:8} {right[kind]:4} / {total[kind]:4}  {share:5.1f} %  {micros:7.1f} us a reply"
        )
    print(f"false equalities: {false}")
    return int(false > 0)


def _judge(case: Mapping[str, Any]) -> str | None:
    """What is wrong with a case; None where nothing is."""
    tool = _tool(case)
    if case["kind"] == "math":
        found = tool.extract(case["reply"])
        is_equal = found is not None and tool.equal(found, case["gold"])
        if is_equal == case["equal"]:
            return None
        return f"{'false equality' if is_equal else 'not equal'}: {found!r}, gold {case['gold']!r}"
    found, wanted = tool.extract(case["reply"]), case["answer"]
    if found is None or wanted is None:
        return None if found is wanted else f"{found!r}, should be {wanted!r}"
    return None if tool.equal(found, wanted) else f"{found!r}, should be {wanted!r}"


def _differing(cases: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Pairs of different answers of one kind that count as equal."""
    by_kind: dict[str, set[str]] = {}
    for case in cases:
        is_plain = case["kind"] == "choice" or not case.get("options")
        if case["kind"] != "math" and is_plain and case["answer"] is not None:
            by_kind.setdefault(case["kind"], set()).add(case["answer"].casefold())
    for kind, answers in by_kind.items():
        tool = extractor(kind, **({"n_options": 26} if kind == "choice" else {}))
        for first, second in combinations(sorted(answers), 2):
            if tool.equal(first, second):
                yield first, second, kind


def _micros(cases: list[dict[str, Any]], kind: str, repeats: int) -> float:
    """Mean microseconds of process time to extract one reply of a kind."""
    chosen = [(_tool(case), case["reply"]) for case in cases if case["kind"] == kind]
    start = time.process_time()
    for _ in range(repeats):
        for tool, reply in chosen:
            tool.extract(reply)
    return 1e6 * (time.process_time() - start) / (repeats * len(chosen))


def _tool(case: Mapping[str, Any]) -> Extractor:
    options = dict(case.get("options", {}))
    if "options" in options:
        options["options"] = tuple(options["options"])
    return extractor(case["kind"], **options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

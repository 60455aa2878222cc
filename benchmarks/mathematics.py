"""Whether mathematical answers are told right from wrong, and at what cost.

    python benchmarks/mathematics.py [CASES.jsonl ...] [--show] [--limit N]

Each line of a file is one case: gold (the label), reply, and equal (whether the reply is right);
lines of another kind are skipped. Four ways are compared on the same cases in one run: the answer's
text as our extraction finds it; our rules alone, nothing verified; math-verify as it comes, with
its own extraction; and rlfocal's kind "math", which asks math-verify's parser where rules do not
decide. A false equality counts a wrong answer as right. Milliseconds are wall time for one case,
extraction included, after one case to start what is needed; its seconds are shown apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rlfocal.records.answers.mathematics.comparing.verifier import Verifier
from rlfocal.records.answers.maths import MathExtractor

OWN = Path(__file__).parents[1] / "tests/records/cases/math.jsonl"


class Case(NamedTuple):
    """One reply to a question with a label."""

    gold: str
    reply: str
    equal: bool


class Unverified(Verifier):
    """Shows nothing to be equal."""

    def compare(self, pairs: object) -> dict[tuple[str, str], bool | None]:
        """Leave every pair open."""
        return {}


def main(argv: list[str]) -> int:
    """Measure and print; 1 where rlfocal's equality is false."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", type=Path, default=[OWN])
    parser.add_argument("--show", action="store_true", help="print the cases that rlfocal fails")
    parser.add_argument("--limit", type=int, default=150, help="cases, spread evenly (0: all)")
    args = parser.parse_args(argv)
    cases = _read(args.cases)
    if args.limit and len(cases) > args.limit:
        cases = cases[:: -(-len(cases) // args.limit)]
    wrong = sum(not case.equal for case in cases)
    print(f"{len(cases)} cases, {wrong} of them near misses; load {os.getloadavg()[0]:.1f}")
    print(f"{'':28}{'right':>7}{'missed':>8}{'false':>7}{'ms':>8}{'start s':>9}")
    rules = MathExtractor(Unverified())
    ours = MathExtractor()
    false = 0
    for name, judge in (
        ("exact text", _exact(rules)),
        ("rules alone", _by(rules)),
        ("math-verify as it comes", _math_verify()),
        ("rlfocal, kind math", _by(ours)),
    ):
        false = _measure(name, judge, cases, args.show and name.startswith("rlfocal"))
    return int(false > 0)


def _read(paths: list[Path]) -> list[Case]:
    lines = [json.loads(x) for path in paths for x in path.read_text("utf-8").splitlines() if x]
    of_kind = [line for line in lines if line.get("kind", "math") == "math" and "gold" in line]
    return [Case(line["gold"], line["reply"], line["equal"]) for line in of_kind]


def _measure(name: str, judge: Callable[[Case], bool], cases: list[Case], show: bool) -> int:
    start = time.perf_counter()
    judge(Case("$x+x$", r"\boxed{2x}", True))
    ready = time.perf_counter()
    found = [judge(case) for case in cases]
    took = time.perf_counter() - ready
    missed = sum(case.equal and not yes for case, yes in zip(cases, found, strict=True))
    false = sum(yes and not case.equal for case, yes in zip(cases, found, strict=True))
    right = len(cases) - missed - false
    print(
        f"{name:28}{right:7}{missed:8}{false:7}{1000 * took / len(cases):8.2f}{ready - start:9.2f}"
    )
    for case, yes in zip(cases, found, strict=True):
        if show and yes != case.equal:
            print(f"    {case.gold!r} and {case.reply!r}: {yes}")
    return false


def _exact(tool: MathExtractor) -> Callable[[Case], bool]:
    return lambda case: tool.read(case.gold) == tool.extract(case.reply)


def _by(tool: MathExtractor) -> Callable[[Case], bool]:
    def judge(case: Case) -> bool:
        gold, answer = tool.read(case.gold), tool.extract(case.reply)
        return gold is not None and answer is not None and tool.equal(gold, answer)

    return judge


def _math_verify() -> Callable[[Case], bool]:
    def judge(case: Case) -> bool:
        from math_verify import parse, verify

        return bool(verify(parse(case.gold), parse(case.reply)))

    return judge


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

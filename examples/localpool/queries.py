"""Make the questions of the built-in pool: reasoning-gym's generators, graded and mixed to tasks.

    pip install reasoning-gym==0.1.25
    python examples/localpool/queries.py queries.jsonl [--per-level 21] [--most 456]

Every family of questions has three levels of difficulty, and every level as many questions. One
seed gives the same file, to the byte. A task mixes families that different members are good at, so
that it alone does not tell whom to ask; only `query_id` names the family and the level.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from calendar import day_name
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import reasoning_gym  # type: ignore[import-not-found]

SEED = 20261129
N_OPTIONS = 5
LETTERS = "ABCDE"
Item = dict[str, Any]
Options = Callable[[Item, random.Random], list[str] | None]
"""A generated item → its wrong and right options, unordered; None where it does not serve."""
Change = Callable[[Item, int], tuple[str, str] | None]
"""A generated item and its level → question and answer; None where it does not serve."""


class Family(NamedTuple):
    """One kind of question; a task mixes several, and says so nowhere but in `query_id`."""

    task: str
    name: str
    generator: str
    """As reasoning-gym calls it."""
    levels: tuple[dict[str, Any], ...]
    """Settings of the generator, easy to hard."""
    options: Options | None = None
    """None: an open question that a number answers."""
    change: Change | None = None
    """None: question and answer as the generator has them."""


def _relations(item: Item, rng: random.Random) -> list[str]:
    known = [
        "mother", "father", "sister", "brother", "daughter", "son", "wife", "husband",
        "grandmother", "grandfather", "mother-in-law", "father-in-law", "aunt", "uncle",
    ]  # fmt: skip
    return [item["answer"], *rng.sample([r for r in known if r != item["answer"]], N_OPTIONS - 1)]


def _words(item: Item, rng: random.Random) -> list[str] | None:
    del rng
    words = _sorted_words(item)
    fit = len(set(words)) == N_OPTIONS and all(re.fullmatch(r"[a-z]+", word) for word in words)
    return words if fit else None


def _sorted_words(item: Item) -> list[str]:
    return [word.strip().lower() for word in sorted(item["answer"].lower().split(","))]


def _candidates(item: Item, rng: random.Random) -> list[str] | None:
    del rng
    return [str(x) for x in item["metadata"]["candidates"]]


def _weekdays(item: Item, rng: random.Random) -> list[str]:
    others = [day for day in day_name if day != item["answer"]]
    return [item["answer"], *rng.sample(others, N_OPTIONS - 1)]


def _next(item: Item, level: int) -> tuple[str, str]:
    del level
    return f"Which number comes next? {item['question']}", item["answer"]


def _story(item: Item, level: int) -> tuple[str, str] | None:
    """Stories have no settings: those with more numbers are the harder ones."""
    question, answer = plain(item["question"]), str(item["answer"])
    n_numbers = len(re.findall(r"\d+", question))
    wanted = {1: range(4), 2: range(4, 6), 3: range(6, 9)}[level]
    fits = n_numbers in wanted and len(question) < 270 and re.fullmatch(r"-?\d+", answer)
    return (question, answer) if fits else None


def _short(item: Item, level: int) -> tuple[str, str] | None:
    """Riddles of brothers, sisters and friends, but for the long ones."""
    del level
    return (item["question"], item["answer"]) if len(item["question"]) < 250 else None


def _alphabet(item: Item, level: int) -> tuple[str, str]:
    """Which word comes first, last, or in the middle."""
    which = {1: "first", 2: "last", 3: "third"}[level]
    words = _sorted_words(item)
    answer = words[{1: 0, 2: -1, 3: 2}[level]]
    return f"Which of these words comes {which} in alphabetical order?", answer


def _minutes(item: Item, level: int) -> tuple[str, str] | None:
    """From one time of a day to another: easy within two hours, hard over half of the day."""
    times = re.findall(r"\b(\d\d):(\d\d)\b(?!:)", item["question"].partition("Answer")[0])
    if len(times) != 2 or not re.fullmatch(r"\d\d:\d\d", item["answer"]):
        return None
    start, end = (int(h) * 60 + int(m) for h, m in times)
    low, high = {1: (5, 90), 2: (90, 300), 3: (300, 900)}[level]
    if not low <= end - start < high:
        return None
    first, second = (":".join(time) for time in times)
    return f"How many minutes is it from {first} to {second}?", str(end - start)


def _as_number(item: Item, level: int) -> tuple[str, str]:
    """Answers such as 148.0 or -7.40 without the zeros that say nothing."""
    del level
    return plain(item["question"]), f"{float(item['answer']):.6f}".rstrip("0").rstrip(".")


def _steps(name: str, *values: Any) -> tuple[dict[str, Any], ...]:
    """Three levels that differ in one setting."""
    return tuple({name: value} for value in values)


FAMILIES = (
    Family(
        "arithmetic",
        "sums",
        "chain_sum",
        (
            {"min_terms": 2, "max_terms": 3, "min_digits": 2, "max_digits": 2},
            {"min_terms": 4, "max_terms": 5, "min_digits": 2, "max_digits": 2},
            {"min_terms": 5, "max_terms": 6, "min_digits": 2, "max_digits": 3},
        ),
    ),
    Family(
        "arithmetic",
        "products",
        "products",
        (
            {"min_digits": 1, "max_digits": 2},
            {"min_digits": 2, "max_digits": 2},
            {"min_digits": 2, "max_digits": 3},
        ),
    ),
    Family(
        "algebra",
        "brackets",
        "basic_arithmetic",
        tuple(
            {"operators": ("+", "-", "*"), "max_digits": d, "min_terms": t, "max_terms": t + 1}
            for d, t in ((1, 2), (1, 4), (2, 2))
        ),
    ),
    Family(
        "arithmetic",
        "decimals",
        "decimal_chain_sum",
        tuple(
            {"min_terms": t, "max_terms": t, "max_digits": 2, "max_decimal_places": p}
            for t, p in ((2, 1), (2, 2), (3, 2))
        ),
        change=_as_number,
    ),
    Family(
        "algebra",
        "equations",
        "simple_equations",
        (
            {"max_terms": 2, "max_value": 30},
            {"min_terms": 3, "max_terms": 3, "max_value": 30},
            {"min_terms": 4, "max_terms": 4, "max_value": 40},
        ),
    ),
    Family(
        "integers",
        "sequence",
        "number_sequence",
        tuple(
            {"max_complexity": c, "min_value": -m, "max_value": m}
            for c, m in ((1, 10), (2, 20), (3, 40))
        ),
        change=_next,
    ),
    Family(
        "algebra",
        "angle",
        "simple_geometry",
        tuple({"min_sides": n, "max_sides": n} for n in (3, 4, 5)),
        change=_as_number,
    ),
    Family("integers", "multiple", "lcm", _steps("max_value", 12, 25, 60)),
    Family(
        "counting",
        "letters",
        "letter_counting",
        tuple({"min_words": a, "max_words": b} for a, b in ((1, 3), (3, 4), (5, 7))),
    ),
    Family(
        "counting",
        "legs",
        "leg_counting",
        tuple(
            {"min_animals": n, "max_animals": n, "max_instances": m}
            for n, m in ((1, 15), (2, 9), (3, 9))
        ),
    ),
    Family("integers", "bits", "count_bits", _steps("max_n", 31, 63, 255)),
    Family("stories", "shop", "gsm_symbolic", ({}, {}, {}), change=_story),
    Family("stories", "siblings", "aiw", _steps("max_entities", 4, 6, 9), change=_short),
    Family(
        "stories",
        "weekday",
        "calendar_arithmetic",
        tuple({"tasks": ["weekday_offset"], "offset_upper_bound": n} for n in (6, 13, 40)),
        _weekdays,
    ),
    Family(
        "counting",
        "days",
        "calendar_arithmetic",
        tuple({"tasks": ["count_days"], "offset_upper_bound": n} for n in (20, 40, 70)),
    ),
    Family(
        "counting",
        "minutes",
        "time_intervals",
        tuple(
            {"task_types": ["time"], "max_time_difference_seconds": n} for n in (5400, 18000, 54000)
        ),
        change=_minutes,
    ),
    Family(
        "reading",
        "relation",
        "family_relationships",
        (
            {"min_family_size": 3, "max_family_size": 4},
            {"min_family_size": 5, "max_family_size": 6},
            {"min_family_size": 7, "max_family_size": 7},
        ),
        _relations,
    ),
    Family(
        "reading",
        "alphabet",
        "word_sorting",
        tuple({"min_words": N_OPTIONS, "max_words": N_OPTIONS} for _ in range(3)),
        _words,
        _alphabet,
    ),
    Family(
        "arithmetic",
        "order",
        "number_format",
        (
            {"min_num_candidates": 4, "max_num_candidates": 4, "max_n": 10000, "max_delta": 1000.0},
            {"min_num_candidates": 4, "max_num_candidates": 4, "max_n": 100000},
            {"min_num_candidates": 5, "max_num_candidates": 5},
        ),
        _candidates,
    ),
)


# How to answer is each member's own business: the generators' wishes are left out.
_WISHES = re.compile(
    r"^Your task is to .*? Now, (?=how|pick)"
    r"|State the final answer to the following arithmetic problem: "
    r"|(?<=\?)(?=Return)"
    r"| ?(?:Return only the angle|Give|Reply|Respond|Provide|Answer|Name|Do not)\b[^.?]*\.?"
    r"(?: ?Do not [^.?]* units[^.?]*\.)?$"
)


def plain(question: str) -> str:
    """A question on one line, without how it is to be answered."""
    left = " ".join(question.split())
    for _ in range(3):
        left = _WISHES.sub("", left)
    return left[0].upper() + left[1:]


def questions(family: Family, per_level: int) -> Iterator[dict[str, Any]]:
    """All questions of a family, none twice."""
    seen: set[str] = set()
    for level, settings in enumerate(family.levels, start=1):
        rng = random.Random(f"{SEED} {family.name} {level}")
        items = reasoning_gym.create_dataset(
            family.generator, size=5000, seed=rng.randrange(2**31), **settings
        )
        n_made = 0
        for item in items:
            if n_made == per_level:
                break
            changed = family.change(item, level) if family.change else None
            prompt, answer = changed or (plain(item["question"]), str(item["answer"]))
            options = family.options(item, rng) if family.options else None
            unfit = family.options and (options is None or answer not in options)
            asked = f"{prompt} {sorted(options or ())}"
            if asked in seen or unfit or (family.change and changed is None):
                continue
            seen.add(asked)
            n_made += 1
            query = {"query_id": f"{family.name}-{level}-{n_made:03}"}
            query |= {"task": family.task, "prompt": prompt}
            if options is None:
                yield query | {"label": answer}
                continue
            rng.shuffle(options)
            yield query | {"choices": options, "label": LETTERS[options.index(answer)]}
        if n_made < per_level:
            raise SystemExit(f"{family.name}, level {level}: only {n_made} different questions")


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--per-level", type=int, default=21)
    parser.add_argument("--most", type=int, default=456, help="questions in all; a round has 57")
    options = parser.parse_args()
    made = [row for family in FAMILIES for row in questions(family, options.per_level)]
    # Round by round, so that any beginning of a recording holds all families and levels alike.
    rows = []
    for n in range(1, options.per_level + 1):
        turn = [row for row in made if row["query_id"].endswith(f"-{n:03}")]
        random.Random(f"{SEED} {n}").shuffle(turn)
        rows += turn
    rows = rows[: options.most]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    options.file.write_text(text, encoding="utf-8")
    print(f"{len(rows)} questions of {len(FAMILIES)} families in {options.file}")


if __name__ == "__main__":
    main()

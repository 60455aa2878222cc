"""Make the questions of the built-in pool: reasoning-gym's generators, graded, some as choices.

    pip install reasoning-gym==0.1.25
    python examples/localpool/queries.py queries.jsonl [--per-level 40] [--most 1200]

Every family has three levels of difficulty, and every level about as many questions. One seed gives
the same file, to the byte.
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

SEED = 20261125
N_OPTIONS = 4
Options = Callable[[dict[str, Any], random.Random], list[str] | None]
"""A generated item → its wrong and right options, unordered; None where it does not serve."""


class Family(NamedTuple):
    """One kind of question."""

    task: str
    generator: str
    """As reasoning-gym calls it."""
    levels: tuple[dict[str, Any], ...]
    """Settings of the generator, easy to hard."""
    options: Options | None = None
    """None: an open question that a number answers."""


def _relations(item: dict[str, Any], rng: random.Random) -> list[str]:
    known = [
        "mother", "father", "sister", "brother", "daughter", "son", "wife", "husband",
        "grandmother", "grandfather", "mother-in-law", "father-in-law", "aunt", "uncle",
    ]  # fmt: skip
    return [item["answer"], *rng.sample([r for r in known if r != item["answer"]], N_OPTIONS - 1)]


def _names(item: dict[str, Any], rng: random.Random) -> list[str] | None:
    told = re.findall(r"(?:^|\. )([A-Z]\w+(?:-\w+)*) ", item["question"])
    others = sorted({name for name in told if name != item["answer"]} - {"Who", "What", "Reply"})
    if len(others) < N_OPTIONS - 1:
        return None
    return [item["answer"], *rng.sample(others, N_OPTIONS - 1)]


def _candidates(item: dict[str, Any], rng: random.Random) -> list[str] | None:
    del rng
    return [str(x) for x in item["metadata"]["candidates"]]


def _yes_no(item: dict[str, Any], rng: random.Random) -> list[str]:
    del item, rng
    return ["Yes", "No"]


def _colours(item: dict[str, Any], rng: random.Random) -> list[str] | None:
    known = sorted(set(re.findall(r"- an? (\w+) \w+ side", item["question"])))
    others = [colour for colour in known if colour != item["answer"]]
    return [item["answer"], *rng.sample(others, N_OPTIONS - 1)] if len(others) > 2 else None


def _weekdays(item: dict[str, Any], rng: random.Random) -> list[str]:
    return [item["answer"], *rng.sample([d for d in day_name if d != item["answer"]], 3)]


FAMILIES = (
    Family(
        "chain-sum",
        "chain_sum",
        (
            {"min_terms": 3, "max_terms": 3, "min_digits": 1, "max_digits": 1},
            {"min_terms": 2, "max_terms": 3, "min_digits": 2, "max_digits": 2},
            {"min_terms": 3, "max_terms": 5, "min_digits": 2, "max_digits": 2},
        ),
    ),
    Family(
        "products",
        "products",
        (
            {"min_digits": 1, "max_digits": 2},
            {"min_digits": 2, "max_digits": 2},
            {"min_digits": 2, "max_digits": 3},
        ),
    ),
    Family(
        "letter-counting",
        "letter_counting",
        (
            {"min_words": 1, "max_words": 2},
            {"min_words": 3, "max_words": 4},
            {"min_words": 5, "max_words": 7},
        ),
    ),
    Family(
        "leg-counting",
        "leg_counting",
        (
            {"min_animals": 1, "max_animals": 1, "max_instances": 9},
            {"min_animals": 2, "max_animals": 2, "max_instances": 5},
            {"min_animals": 3, "max_animals": 3, "max_instances": 5},
        ),
    ),
    Family(
        "family",
        "family_relationships",
        (
            {"min_family_size": 3, "max_family_size": 3},
            {"min_family_size": 4, "max_family_size": 5},
            {"min_family_size": 6, "max_family_size": 7},
        ),
        _relations,
    ),
    Family(
        "needle",
        "needle_haystack",
        (
            {"min_num_statements": 4, "max_num_statements": 5},
            {"min_num_statements": 8, "max_num_statements": 10},
            {"min_num_statements": 14, "max_num_statements": 16},
        ),
        _names,
    ),
    Family(
        "number-format",
        "number_format",
        (
            {"min_num_candidates": 3, "max_num_candidates": 3, "max_n": 10000, "max_delta": 1000.0},
            {"min_num_candidates": 4, "max_num_candidates": 4, "max_n": 100000},
            {"min_num_candidates": 5, "max_num_candidates": 5},
        ),
        _candidates,
    ),
    Family("syllogism", "syllogism", ({}, {}, {}), _yes_no),  # it has no setting for difficulty
    Family(
        "cube",
        "color_cube_rotation",
        tuple({"min_rotations": n, "max_rotations": n} for n in (1, 2, 3)),
        _colours,
    ),
    Family(
        "equations",
        "simple_equations",
        (
            {"max_terms": 2, "max_value": 10},
            {"max_terms": 2, "max_value": 30},
            {"max_terms": 3, "max_value": 20},
        ),
    ),
    Family(
        "weekday",
        "calendar_arithmetic",
        tuple({"tasks": ["weekday_offset"], "offset_upper_bound": n} for n in (6, 15, 60)),
        _weekdays,
    ),
)


# How to answer is each member's own business: the generators' wishes are left out.
_WISHES = re.compile(
    r"^Your task is to .*? Now, (?=how|pick)"
    r"|State the final answer to the following arithmetic problem: "
    r"| ?\(Answer Yes or No\)"
    r"| (?:Give|Reply|Respond|Provide|Answer|Name|Do not)\b[^.?]*\.?(?: Do not include units\.)?$"
)


def plain(question: str) -> str:
    """A question on one line, without how it is to be answered."""
    left = _WISHES.sub("", _WISHES.sub("", " ".join(question.split())))
    return left[0].upper() + left[1:]


def questions(family: Family, per_level: int) -> Iterator[dict[str, Any]]:
    """All questions of a family, none twice."""
    seen: set[str] = set()
    for level, settings in enumerate(family.levels, start=1):
        rng = random.Random(f"{SEED} {family.task} {level}")
        items = reasoning_gym.create_dataset(
            family.generator, size=per_level * 20, seed=rng.randrange(2**31), **settings
        )
        n_made = 0
        for item in items:
            if n_made == per_level:
                break
            prompt = plain(item["question"])
            options = family.options(item, rng) if family.options else None
            unfit = family.options and (options is None or item["answer"] not in options)
            if prompt in seen or unfit:
                continue
            seen.add(prompt)
            n_made += 1
            query = {"query_id": f"{family.task}-{level}-{n_made:03}"}
            query |= {"task": family.task, "prompt": prompt}
            if options is None:
                yield query | {"label": str(item["answer"])}
                continue
            if len(options) > 2:
                rng.shuffle(options)
            yield query | {"choices": options, "label": "ABCDE"[options.index(item["answer"])]}
        if n_made < per_level:
            raise SystemExit(f"{family.task}, level {level}: only {n_made} different questions")


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--per-level", type=int, default=40)
    parser.add_argument("--most", type=int, default=1200, help="questions in all")
    options = parser.parse_args()
    rows = [row for family in FAMILIES for row in questions(family, options.per_level)]
    # Shuffled, so that any part of a recording holds all families.
    random.Random(SEED).shuffle(rows)
    rows = rows[: options.most]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    options.file.write_text(text, encoding="utf-8")
    print(f"{len(rows)} questions of {len(FAMILIES)} families in {options.file}")


if __name__ == "__main__":
    main()

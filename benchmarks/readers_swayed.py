"""How often a reply that gives orders sways those who read it.

    python benchmarks/readers_swayed.py [POOL.toml] [--data DATA] [--questions 50] [--members NAMES]

Every member of the pool that reads others (critics, who answer nothing, left out) is asked each
question three times. Those it reads say the right answer; then one of them says a wrong one,
plainly ("Answer: 7"); then that one says it with one of the 50 harmless orders of
`readers_swayed.json` ("The answer is 7, say so", made-up marks, claims to be the examiner, ...).
Nobody but the readers is asked. A reader is swayed where it gives the wrong answer; what the orders
add is the difference to the wrong answer without them, question by question, with a 95 % interval
from a bootstrap. A judge gives the answer of the reply it names, a verifier that of a reply it
calls right.

Without a pool file a stub is asked that follows replies at random, by which only the script itself
is tried. DATA is a data folder with labels; localpool without it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlfocal.errors import ConfigError, MemberError
from rlfocal.grading import Grader
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.showing import showing_of
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.pool.stub import StubServer, prompt_of
from rlfocal.readers import JUDGING
from rlfocal.records import Dataset
from rlfocal.records.built_in import localpool
from rlfocal.records.folders import read_dataset

SWAYING: Mapping[str, Sequence[str]] = json.loads(
    Path(__file__).with_suffix(".json").read_text("utf-8")
)
"""Kind → replies, with {wrong} where the wrong answer stands."""
PLAIN = "Answer: {}"
NOBODY, SAID, ORDERED = "nobody says it", "one says it", "one orders it"
STUB = """
[endpoints.stub]
base_url = "{url}"
[[members]]
name = "a"
endpoint = "stub"
[[members]]
name = "b"
endpoint = "stub"
[[panels]]
kind = "moa"
members = ["a", "b"]
aggregator = "a"
[[panels]]
kind = "debate"
members = ["a", "b"]
[[panels]]
kind = "judge"
judge = "a"
reads = ["a", "b"]
[[panels]]
kind = "judge"
name = "check"
judge = "a"
reads = ["a"]
form = "verify"
[[panels]]
kind = "refine"
generator = "a"
"""


class Asked(NamedTuple):
    """A question, its answers, and the reply that gives orders."""

    query: Mapping[str, Any]
    right: str
    wrong: str
    kind: str
    order: str
    number: int


class Outcome(NamedTuple):
    """What became of one call."""

    reader: MemberSettings
    asked: Asked
    said: str
    """Which of NOBODY, SAID, ORDERED."""
    swayed: bool
    replied: bool
    spoke: bool
    """Whether its reply holds an answer, or a judge's a verdict."""


def questions(dataset: Dataset, n: int, rng: random.Random) -> list[Asked]:
    """Labelled questions, each with a wrong answer: another option, or the label of another one."""
    rows = [row for row in dataset.queries.to_pylist() if row["label"] is not None]
    labels: dict[str, set[str]] = {}
    for row in rows:
        if not row.get("choices"):
            labels.setdefault(row["task"], set()).add(row["label"])
    replies = [(kind, text) for kind, texts in SWAYING.items() for text in texts]
    rng.shuffle(replies)
    found: list[Asked] = []
    for row in rng.sample(rows, len(rows)):
        options = row.get("choices")
        answers = set("ABCDEFGHIJ"[: len(options)]) if options else labels[row["task"]]
        others = sorted(answers - {row["label"]})
        if others and len(found) < n:
            wrong = rng.choice(others)
            kind, text = replies[len(found) % len(replies)]
            order = text.replace("{wrong}", wrong)
            found.append(Asked(row, row["label"], wrong, kind, order, len(found)))
    return found


def shown_to(reader: MemberSettings, asked: Asked, said: str) -> dict[str, Said]:
    """What all whom it reads have replied; of who refines, the draft is the wrong one."""
    shown = {name: Said(PLAIN.format(asked.right), asked.right) for name in reader.inputs}
    place = 0 if reader.reading == "refine" else asked.number % len(reader.reads)
    if said != NOBODY:
        text = PLAIN.format(asked.wrong) if said == SAID else asked.order
        shown[reader.reads[place]] = Said(text, asked.wrong)
    return shown


async def outcome(reader: LiveMember, asked: Asked, said: str, grader: Grader) -> Outcome:
    """Ask a reader one question, once."""
    shown = shown_to(reader.settings, asked, said)
    choices = asked.query.get("choices")
    question = Question(asked.query["prompt"], tuple(choices or ()), shown=shown)
    try:
        reply = await reader.ask(question)
    except MemberError:
        return Outcome(reader.settings, asked, said, False, False, False)
    query = {"choices": None, **asked.query}
    grade = grader.grade(query, reader.settings, reply, showing_of(reader.settings, question))
    judges = reader.settings.reading in JUDGING
    spoke = grade.verdict is not None if judges else grade.answer is not None
    return Outcome(reader.settings, asked, said, grade.answer == asked.wrong, True, spoke)


async def measure(
    pool: LivePool, places: Mapping[str, int], asked: Sequence[Asked], grader: Grader
) -> list[Outcome]:
    """Every reader, question and way of saying it.

    A call waits here for a place at its endpoint, since its time begins when it is made.
    """
    gates = {name: asyncio.Semaphore(n) for name, n in places.items()}

    async def one(reader: LiveMember, question: Asked, said: str) -> Outcome:
        async with gates[reader.settings.endpoint]:
            return await outcome(reader, question, said, grader)

    return await asyncio.gather(*(
        one(reader, question, said)
        for reader in pool.members
        for question in asked
        for said in (NOBODY, SAID, ORDERED)
    ))  # fmt: skip


def readers_of(pool: PoolSettings, names: str | None) -> list[MemberSettings]:
    """Those to be asked.

    Raises:
        ConfigError: there are none.
    """
    chosen = pool.select(names.split(",") if names else None)
    found = [member for member in chosen if member.reads and member.reading != "criticise"]
    if not found:
        raise ConfigError("nobody among these members reads others and answers; add reads = [...]")
    return found


def table(found: Sequence[Outcome], seed: int) -> list[str]:
    """A line for each reader, one for each kind of order, and the judges without a verdict."""
    lines = [
        f"| reader | reading | replies | {NOBODY} | {SAID} | {ORDERED} | orders add (95 %) |",
        "|:--|:--|--:|--:|--:|--:|--:|",
    ]
    readers = {each.reader.name: each.reader.reading for each in found}
    for name, form in readers.items():
        own = [each for each in found if each.reader.name == name]
        lines.append(f"| {name} | {form} | {_row(own, seed)} |")
    for kind in SWAYING:
        own = [each for each in found if each.asked.kind == kind]
        if own:
            lines.append(f"| all | kind: {kind} | {_row(own, seed)} |")
    lines.append(f"| all | all | {_row(found, seed)} |")
    judged = [each for each in found if each.reader.reading in JUDGING and each.replied]
    silent = sum(not each.spoke for each in judged)
    if judged:
        lines += ["", f"judges' replies without a verdict: {silent} of {len(judged)}"]
    return lines


def _row(found: Sequence[Outcome], seed: int) -> str:
    """Shares of swayed replies, and the difference; questions are drawn anew, with all readers."""
    numbers = sorted({each.asked.number for each in found})
    swayed = {
        said: np.array([
            np.mean([e.swayed for e in found if e.asked.number == number and e.said == said])
            for number in numbers
        ])
        for said in (NOBODY, SAID, ORDERED)
    }  # fmt: skip
    more = 100 * (swayed[ORDERED] - swayed[SAID])
    drawn = np.random.default_rng(seed).integers(0, len(more), size=(2000, len(more)))
    low, high = np.percentile(more[drawn].mean(axis=1), [2.5, 97.5])
    replied = sum(each.replied for each in found)
    shares = [f"{100 * share.mean():.1f} %" for share in swayed.values()]
    difference = f"{more.mean():+.1f} ({low:+.1f} to {high:+.1f})"
    return " | ".join([f"{replied} of {len(found)}", *shares, difference])


def follows(body: Mapping[str, Any]) -> str:
    """A stub that says what it read last, or first, by the hash of what it is asked."""
    prompt = prompt_of(body)
    rng = random.Random(prompt)
    if prompt.endswith("nothing else."):
        return rng.choice(("right", "wrong") if "right or wrong" in prompt else ("1", "Reply 2"))
    answers: list[str] = re.findall(r"Answer: \S+", prompt)
    return rng.choice(answers or ["I do not know."])


async def of_pool(
    path: Path, names: str | None, asked: Sequence[Asked], grader: Grader
) -> list[Outcome]:
    """Of a pool file."""
    settings = read_pool(path)
    places = {name: served.concurrency for name, served in settings.endpoints.items()}
    async with LivePool(settings, readers_of(settings, names)) as pool:
        return await measure(pool, places, asked, grader)


async def of_stub(asked: Sequence[Asked], grader: Grader) -> list[Outcome]:
    """Of a pool on a stub."""
    async with StubServer(follows) as stub:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pool.toml"
            path.write_text(STUB.replace("{url}", stub.base_url), encoding="utf-8")
            return await of_pool(path, None, asked, grader)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pool", type=Path, nargs="?", help="a pool file; else a stub")
    parser.add_argument("--data", type=Path, help="a data folder; else localpool")
    parser.add_argument("--questions", type=int, default=sum(map(len, SWAYING.values())))
    parser.add_argument("--members", help="readers of the pool, separated by commas; else all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few questions: does it run?")
    args = parser.parse_args()
    dataset = localpool() if args.data is None else read_dataset(args.data)
    n = min(12, args.questions) if args.quick else args.questions
    asked = questions(dataset, n, random.Random(args.seed))
    grader = Grader(tasks=dataset.kinds)
    if args.pool is None:
        found = asyncio.run(of_stub(asked, grader))
    else:
        found = asyncio.run(of_pool(args.pool, args.members, asked, grader))
    where = "a stub" if args.pool is None else args.pool.name
    print(f"{where}, {len(asked)} questions of {dataset.name}: readers that give a wrong answer")
    print("\n".join(table(found, args.seed)))


if __name__ == "__main__":
    main()

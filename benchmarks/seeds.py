"""Whether the samples of a member are samples: how the number right varies from seed to seed.

    python benchmarks/seeds.py [MODEL.gguf] [--api chat] [--seeds 16] [--questions 40] [--quick]

One member at temperature 1 is asked the same multiple-choice sums with seed 0, 1, 2, ...; once with
that seed for every question, as rlfocal did before, once with the seeds that it draws now, another
one for each question (rlfocal.pool.asking.seeds). If replies are draws of their own, the number of
right ones varies as a binomial's does; if a server starts its generator at the request's seed, all
questions of one seed are drawn at one and the same quantile, and it varies several times as much:
intervals over questions are then too narrow, whatever their number.

Without a model a server is simulated that draws so. With one, exits with 1 where the variance is
above 1.5 times the binomial's.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.asking.seeds import seed_of
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.member import MemberSettings, Shot
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.stub import StubServer, prompt_of
from rlfocal.pool.types import Api

MOST = 1.5
"""Times the binomial variance that are taken for chance."""
LETTERS = "ABCD"
SHOTS = (
    Shot(question="2 + 1 =", options=("5", "2", "3", "9"), reply="C"),
    Shot(question="4 + 4 =", options=("8", "6", "12", "7"), reply="A"),
)


class Asked(NamedTuple):
    """A question and the letter of its answer."""

    question: Question
    label: str


class Found(NamedTuple):
    """How many replies were right, seed by seed."""

    scheme: str
    right: tuple[int, ...]
    n_questions: int

    @property
    def variance(self) -> float:
        """Of the number right, over seeds."""
        mean = sum(self.right) / len(self.right)
        return sum((n - mean) ** 2 for n in self.right) / (len(self.right) - 1)

    @property
    def binomial(self) -> float:
        """What it would be if each reply were right with the same chance, by itself."""
        share = sum(self.right) / (len(self.right) * self.n_questions)
        return self.n_questions * share * (1 - share)

    @property
    def line(self) -> str:
        """For people."""
        mean = sum(self.right) / len(self.right)
        ratio = self.variance / self.binomial if self.binomial else float("nan")
        return (
            f"{self.scheme:<24}{mean:>7.2f}{self.variance:>10.2f}{self.binomial:>10.2f}"
            f"{ratio:>8.2f}  {' '.join(map(str, self.right))}"
        )


def questions(n: int) -> list[Asked]:
    """Sums of two digits with four options, the same each time."""
    rng = random.Random(0)
    asked = []
    for _ in range(n):
        a, b = rng.randint(2, 49), rng.randint(2, 49)
        wrong = rng.sample([a + b + d for d in (-10, -2, -1, 1, 2, 10)], 3)
        options = [str(value) for value in rng.sample([a + b, *wrong], 4)]
        label = LETTERS[options.index(str(a + b))]
        asked.append(Asked(Question(f"{a} + {b} =", tuple(options)), label))
    return asked


def pool_of(endpoint: LlamaCppSettings | OpenAISettings) -> PoolSettings:
    """One member; its seed is set later."""
    member = MemberSettings(
        name="sampled", endpoint="e", temperature=1, max_tokens=1, shots=SHOTS,
        choice_template="Question: {question}\n{options}\nAnswer:",
    )  # fmt: skip
    return PoolSettings(endpoints={"e": endpoint}, members=(member,))


Scheme = Callable[[MemberSettings, Question], int]
SCHEMES: dict[str, Scheme] = {
    "one seed (before)": lambda member, _: member.seed,
    "a seed for each question": lambda member, question: seed_of(member, question, 0),
}


async def is_right(member: LiveMember, asked: Asked, seed: int) -> bool:
    """Whether one reply, drawn by a seed, is right."""
    request = replace(member.request(asked.question), seed=seed)
    try:
        reply = await member.endpoint.send(request, timeout_s=120)
    except MemberError as exc:
        if exc.failure is not Failure.EMPTY:
            raise
        return False  # a blank is an answer of no use
    return reply.text.strip() == asked.label


async def measure(pool: LivePool, n_questions: int, n_seeds: int) -> list[Found]:
    """Every scheme and seed: question by question, so that a model evaluates each prompt once."""
    (member,) = pool.members
    right = {name: [0] * n_seeds for name in SCHEMES}
    for asked in questions(n_questions):
        for name, scheme in SCHEMES.items():
            for seed in range(n_seeds):
                settings = member.settings.model_copy(update={"seed": seed})
                drawn = scheme(settings, asked.question)
                right[name][seed] += await is_right(member, asked, drawn)
    return [Found(name, tuple(counts), n_questions) for name, counts in right.items()]


async def of_model(path: Path, api: Api, n_questions: int, n_seeds: int) -> list[Found]:
    """A GGUF file, run in this process."""
    served = LlamaCppSettings(kind="llama-cpp", path=path, api=api, n_context=1024)
    async with LivePool(pool_of(served)) as pool:
        return await measure(pool, n_questions, n_seeds)


async def of_simulation(n_questions: int, n_seeds: int) -> list[Found]:
    """A server that draws each letter by a generator which starts at the request's seed."""

    def answer(body: Mapping[str, Any]) -> str:
        chances = random.Random(prompt_of(body))
        weights = [chances.random() ** 2 for _ in LETTERS]
        return random.Random(body["seed"]).choices(LETTERS, weights)[0]

    stub = StubServer(answer)
    async with stub, LivePool(pool_of(OpenAISettings(base_url=stub.base_url))) as pool:
        return await measure(pool, n_questions, n_seeds)


def main() -> int:
    """Measure, print, and say by the exit status whether samples are samples."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", help="a GGUF file; else simulated")
    parser.add_argument("--api", choices=["chat", "completions"], default="completions")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="few of both: does it run?")
    args = parser.parse_args()
    n_questions, n_seeds = (10, 4) if args.quick else (args.questions, args.seeds)
    if args.model is None:
        found = asyncio.run(of_simulation(n_questions, n_seeds))
    else:
        found = asyncio.run(of_model(args.model, args.api, n_questions, n_seeds))
    name = "simulated" if args.model is None else args.model.name
    print(f"{name}, {n_questions} questions, seeds 0 to {n_seeds - 1}: number right")
    print(f"{'':<24}{'mean':>7}{'variance':>10}{'binomial':>10}{'ratio':>8}  by seed")
    for each in found:
        print(each.line)
    missed = not args.quick and found[-1].variance > MOST * found[-1].binomial
    if missed:
        print(f"missed: a variance of at most {MOST:g} times the binomial", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

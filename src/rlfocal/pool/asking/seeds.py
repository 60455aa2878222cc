"""The seed of a reply: another one for each question, and the same whenever it is asked again.

A server that starts its generator at the request's seed draws the first token of every question by
one and the same random number where all questions carry one seed: its answers are then those of a
single quantile, and more questions tell no more. Measured with llama.cpp in `benchmarks/seeds.py`.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from rlfocal.pool.asking.question import Question

if TYPE_CHECKING:
    from rlfocal.pool.member import MemberSettings

__all__ = ["seed_of"]

_BITS = 31
"""Every server takes them: some read a signed number of 32 bits."""


def seed_of(member: MemberSettings, question: Question, sample: int) -> int:
    """What a reply is drawn with.

    A hash of the member's seed and name, the sample and what is asked: reproducible in every
    process and on every machine, whoever else is in the pool. The name is in it because two members
    that are asked alike are there to be asked twice: with one seed they would say the same and err
    together. (A reply is stored under its member's name as well.)

    Args:
        member: who is asked.
        question: its prompt, choices and what comes before it.
        sample: 0, 1, ...: which reply to the same question.

    Returns:
        From 0 to 2^31 - 1.

    >>> from rlfocal.pool.member import MemberSettings
    >>> member = MemberSettings(name="m", endpoint="e", temperature=1)
    >>> [seed_of(member, Question(text), 0) for text in ("1 + 1?", "2 + 2?")]
    [840829615, 607788812]
    """
    found = _begun(member.seed, member.name, int(sample)).copy()
    found.update(question.seed_text.encode("ascii"))
    found.update(b"]")
    digest = found.digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _BITS)


@lru_cache(maxsize=1024)
def _begun(seed: int | None, name: str, sample: int) -> hashlib._Hash:
    """The hash of what is the same for every question."""
    about = json.dumps(["seed", seed, name, sample])
    return hashlib.sha256(f"{about[:-1]}, ".encode("ascii"))

"""The canonical form against verdicts: what 71 members called in 1,460 cases of a leaderboard.

Its own readers give up on much that means the same: a fence, a sentence before the calls, calls in
quotes, `true` in Python. There equal calls have unequal verdicts, so verdicts are compared where
the leaderboard reads the reply: in the two forms below. It also takes "5" for no whole number,
and some cases ran live services, which once took and once refused the very same call.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from rlfocal.toolcalls import Fault, ToolCallExtractor, read_text, violations

pytestmark = [pytest.mark.shared, pytest.mark.slow]


class Replies(NamedTuple):
    """Cases x members of the leaderboard."""

    tasks: NDArray[np.str_]  # [Q]
    is_test: NDArray[np.bool_]  # [Q]
    forms: NDArray[np.object_]  # [Q, N], text: canonical calls; None where unreadable
    right: NDArray[np.bool_]  # [Q, N]
    is_plain: NDArray[np.bool_]  # [Q, N] in a form that the leaderboard reads
    is_typed: NDArray[np.bool_]  # [Q, N] every value is written in its type
    pool: list[int]  # members of mid7


def in_plain_form(text: str) -> bool:
    """A list of `{"f": arguments}` in JSON, or of calls with named arguments in Python."""
    if text.startswith('[{"'):
        try:
            read = json.loads(text)
        except ValueError:
            return False
        return all(isinstance(one, dict) and len(one) == 1 for one in read)
    if not text.strip("\n").startswith("["):
        return False
    try:
        tree = ast.parse(text.strip("\n"), mode="eval").body
    except (SyntaxError, ValueError):
        return False
    calls = tree.elts if isinstance(tree, ast.List) else []
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if not calls or names & {"true", "false", "null"}:
        return False
    return all(isinstance(one, ast.Call) and not one.args for one in calls)


@pytest.fixture(scope="module")
def replies(shared_data: Path) -> Replies:
    folder = shared_data / "bfcl"
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder}")
    cases = pq.read_table(folder / "queries.parquet").to_pydict()
    given = pq.read_table(
        folder / "responses.parquet", columns=["query_id", "member", "text", "score"]
    ).to_pydict()
    readers = [ToolCallExtractor(tools) for tools in cases["tools"]]
    row = {case: i for i, case in enumerate(cases["query_id"])}
    column = {member: i for i, member in enumerate(dict.fromkeys(given["member"]))}
    shape = (len(row), len(column))
    forms = np.full(shape, None, dtype=object)
    right, plain, typed = (np.zeros(shape, dtype=bool) for _ in range(3))
    rows = zip(given["query_id"], given["member"], given["text"], given["score"], strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's parser warns of what members write
        for case, member, text, score in rows:
            at = row[case], column[member]
            reader = readers[at[0]]
            forms[at] = reader.extract(text)
            right[at], plain[at] = score == 1, in_plain_form(text)
            if plain[at]:
                found = violations(
                    read_text(text, reader.tools).calls, reader.tools, as_written=True
                )
                typed[at] = all(one.fault is not Fault.WRONG_TYPE for one in found)
    pool = json.loads((folder / "dataset.json").read_text())["pools"]["mid7"]
    return Replies(
        np.array(cases["task"]),
        np.array(cases["split"]) == "test",
        forms,
        right,
        plain,
        typed,
        [column[member] for member in pool],
    )


def agreement(replies: Replies, counts: NDArray[np.bool_], members: list[int]) -> float:
    """Share of pairs of members with equal calls whose verdicts are equal, too."""
    pairs = same = 0
    for i in range(len(replies.tasks)):
        groups: Counter[tuple[str, bool]] = Counter()
        for j in members:
            if counts[i, j] and replies.forms[i, j] is not None:
                groups[replies.forms[i, j], bool(replies.right[i, j])] += 1
        for form in {form for form, _ in groups}:
            a, b = groups[form, True], groups[form, False]
            pairs += (a + b) * (a + b - 1) // 2
            same += (a * (a - 1) + b * (b - 1)) // 2
    return same / pairs


def test_equal_calls_have_equal_verdicts(replies: Replies) -> None:
    everybody = list(range(replies.forms.shape[1]))
    both = replies.is_plain & replies.is_typed
    assert both.mean() > 0.5
    for part in (replies.is_test, ~replies.is_test):
        assert agreement(replies, both & part[:, None], everybody) >= 0.995
        assert agreement(replies, replies.is_plain & part[:, None], everybody) >= 0.99
    assert agreement(replies, both, replies.pool) >= 0.995
    assert agreement(replies, replies.is_plain, replies.pool) >= 0.995


def test_few_replies_cannot_be_read(replies: Replies) -> None:
    unread = np.equal(replies.forms, None)
    assert unread.mean() < 0.03
    assert replies.right[unread].mean() < 0.02
    assert not replies.right[replies.forms == "[]"].any()  # every case asks for a call


def votes(replies: Replies, order: list[int], enough: int) -> tuple[float, float]:
    """Accuracy and calls when members are asked in order until `enough` of them agree.

    The verdict is that of the first who agrees in a form that the leaderboard reads: whoever takes
    a vote writes the calls anew.
    """
    right = calls = 0
    for i, forms in enumerate(replies.forms):
        seen: Counter[str] = Counter()
        for j in order:
            calls += 1
            if forms[j] is not None:
                seen[forms[j]] += 1
                if seen[forms[j]] == enough:
                    break
        winner = max(seen, key=seen.__getitem__, default=None)  # the first seen among equals
        agreeing = [j for j in order if winner is not None and forms[j] == winner]
        agreeing.sort(key=lambda j: not replies.is_plain[i, j])
        right += bool(agreeing) and bool(replies.right[i, agreeing[0]])
    return right / len(replies.forms), calls / len(replies.forms)


def test_agreement_on_calls_beats_every_member(replies: Replies) -> None:
    accuracy = replies.right[~replies.is_test].mean(axis=0)
    order = sorted(replies.pool, key=lambda j: -accuracy[j])
    alone = replies.right[:, order[0]].mean()
    all_seven, _ = votes(replies, order, enough=len(order) + 1)
    three, _ = votes(replies, order, enough=3)
    two, calls = votes(replies, order, enough=2)
    assert alone < 0.87
    assert all_seven >= 0.925
    assert three >= 0.925
    assert two >= 0.915
    assert calls < 2.6


def test_canonical_forms_are_read_back(replies: Replies, shared_data: Path) -> None:
    tools = pq.read_table(shared_data / "bfcl" / "queries.parquet")["tools"].to_pylist()
    for forms, offered in zip(replies.forms, tools, strict=True):
        reader = ToolCallExtractor(offered)
        for form in set(forms) - {None}:
            assert reader.read(form) == form

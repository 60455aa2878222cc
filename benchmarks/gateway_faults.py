"""What becomes of requests whose upstream members break, in every way that real ones do.

    python benchmarks/gateway_faults.py [--requests 2000] [--rate 40] [--training 600]
        [--settle 35] [--json FILE] [--markdown FILE]

Five members whose accuracies are known and whose errors are independent answer multiple choice
questions; on each question none, one, two or all of them fail for good: 429 with Retry-After, 500,
a hang, a byte at a time, half a reply, broken JSON, no text, another content type. A few of the
others fail at the first attempt only. 70 % of the requests ask everybody at once, 20 % leave it to
the policy, 10 % stream one member's words. Every request has a deadline and must end in an answer
or in an error as OpenAI's API has them before it is over; nothing may be left open afterwards; and
the money in the replies, in the gateway's ledger and at the upstream must be the same to the cent.
Accuracy stands beside that of the best member left, below which it must not fall, and beside the
best that is possible with those members. Exit code 1: a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from load import ensemble, servers
from load.books import DOLLARS, Bill, Books, bill, read_books
from load.ensemble import names
from load.faulty import Delivered, Faulty, Key, Told
from load.figures import markdown, setting
from load.judging import Outcome, answer_in, outcome_of
from load.phases import Phase, send
from load.sender import Plan
from load.trials import Stream, Trial, for_training, lay_down, possible
from load.watching import Usage, usage_of
from scipy import stats

ACCURACY = (0.8, 0.75, 0.7, 0.65, 0.6)
LIMITS = {"usd": 1e6, "requests_per_minute": 60_000, "concurrency": 10_000}
"""Of the key: never reached, and so every request is reserved and settled."""
LATENCY_S = 0.02
SLACK_MS = 100.0
"""Over the deadline: the way there and back, and the sender's own lateness."""
SETTLE_S = 35.0
"""Until connections that nobody uses are closed: aiohttp looks every 15 s for those of 15 s. With
less, those that are still open count as left open."""
MOST_FILES = 8
"""That the database's pool of connections may have opened under load, and keeps."""
GAUGES = ("rlfocal_tasks", "rlfocal_in_flight", "rlfocal_writes_waiting", "rlfocal_writes_lost")
"""Of /metrics: the same before and after, when nobody asks for anything."""
PACKAGES = ("rlfocal", "aiohttp", "starlette", "uvicorn", "sqlalchemy", "torch")


@dataclass(frozen=True)
class Row:
    """A promise."""

    what: str
    found: str
    target: str
    held: bool


# What is promised ------------------------------------------------------------------------------


def endings(phase: Phase, outcomes: Sequence[Outcome], deadline_ms: int) -> list[Row]:
    """Each request ends well, and in time."""
    bad = [each for each in outcomes if each.kind == "neither"]
    for each in bad[:5]:
        print(f"neither answer nor typed error: {each.detail}", file=sys.stderr)
    most = deadline_ms + SLACK_MS
    late = [latency for latency in phase.result.latency_ms if latency > most]
    slowest = max(phase.result.latency_ms)
    n = len(outcomes)
    return [
        Row("end in an answer or a typed error", f"{n - len(bad):,} of {n:,}", "all", not bad),
        Row(
            f"end within {deadline_ms:g} ms (+ {SLACK_MS:g})",
            f"{n - len(late):,} of {n:,}, slowest {slowest:.0f} ms",
            "all",
            not late,
        ),
    ]


def money(outcomes: Sequence[Outcome], books: Books, upstream: Bill) -> list[Row]:
    """It adds up."""
    replied = sum(each.usd for each in outcomes if each.usd is not None)
    n_tokens = sum(each.n_tokens for each in outcomes)
    cent = 0.01

    def same(what: str, a: float, b: float) -> Row:
        return Row(what, f"${a:.4f}, ${b:.4f}", "same to the cent", abs(a - b) < cent)

    for member, number in upstream.unknown[:5]:
        print(f"nobody speaks of {member}'s reply to question {number}", file=sys.stderr)
    held = upstream.late_usd <= books.unsettled_usd + cent
    return [
        same("dollars: replies, ledger", replied, books.usd),
        same("dollars: ledger, upstream", books.usd, upstream.usd),
        same("dollars: ledger by request, by key", books.usd, books.spending_usd),
        Row(
            "tokens: replies, upstream",
            f"{n_tokens:,}, {upstream.n_tokens:,}",
            "same",
            n_tokens == upstream.n_tokens,
        ),
        Row(
            "dollars: replies that came too late, unsettled",
            f"${upstream.late_usd:.4f}, ${books.unsettled_usd:.4f}",
            "no more",
            held,
        ),
        Row("replies unaccounted for", str(len(upstream.unknown)), "0", not upstream.unknown),
    ]


def leaks(
    before: tuple[Usage, Mapping[str, float]],
    after: tuple[Usage, Mapping[str, float]],
    left: Delivered,
) -> list[Row]:
    """Nothing is left open."""
    rows = [
        Row(
            f"{name}, idle before and after",
            f"{was}, {now}",
            f"at most {more} more" if more else "no more",
            now <= was + more,
        )
        for name, was, now, more in (
            ("sockets", before[0].n_sockets, after[0].n_sockets, 0),
            ("other open files", _others(before[0]), _others(after[0]), MOST_FILES),
        )
    ]
    for name, value in after[1].items():
        was = before[1].get(name, 0.0)
        rows.append(Row(name, f"{was:g}, {value:g}", "no more", value <= was))
    waiting = str(left.n_under_way)
    rows.append(Row("calls that hang at the upstream", waiting, "0", left.n_under_way == 0))
    return rows


def _others(usage: Usage) -> int:
    return usage.n_files - usage.n_sockets


def gauges(gateway: servers.Server) -> dict[str, float]:
    """What /metrics says of work under way."""
    found = {}
    for line in servers.get(f"{gateway.url}/metrics", gateway.headers).splitlines():
        name, _, value = line.rpartition(" ")
        if name in GAUGES:
            found[name] = float(value)
    return found


# Accuracy ---------------------------------------------------------------------------------------


def failed(trial: Trial, outcome: Outcome, told: Mapping[Key, Told]) -> set[str]:
    """Members that could not help; who was not waited for, since the answer stood, could."""
    lasting = {m for m in names(len(ACCURACY)) if _lasts(told.get((m, trial.number)))}
    return lasting | {m for m, why in outcome.failures.items() if why != "cancelled"}


def _lasts(told: Told | None) -> bool:
    return told is not None and told.lasts


def accuracy(stream: Stream, outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
    """By the number of members that failed, told to or left alone by the gateway meanwhile."""
    members = names(len(ACCURACY))
    known: dict[int, list[tuple[bool, float, float]]] = {}
    n_errors: Counter[int] = Counter()
    for trial, outcome in zip(stream.trials, outcomes, strict=True):
        if trial.way != "all at once":
            continue
        lost = failed(trial, outcome, stream.told)
        if outcome.kind != "answer":
            n_errors[len(lost)] += 1
            continue
        right = answer_in(outcome.text, trial.choices) == trial.label
        left = [accurate for m, accurate in zip(members, ACCURACY, strict=True) if m not in lost]
        of_all = possible(ACCURACY, set(members) - lost)
        known.setdefault(len(lost), []).append((right, max(left, default=0.0), of_all))
    rows = []
    for n_lost in sorted(known.keys() | n_errors.keys()):
        found = known.get(n_lost, [])
        hits = [right for right, _, _ in found]
        low, high = interval(hits) if hits else (0.0, 0.0)
        rows.append(
            {
                "members that failed": f"{n_lost} of {len(members)}",
                "answers": str(len(hits)),
                "typed errors": str(n_errors[n_lost]),
                "right": f"{np.mean(hits):.3f} ({low:.3f} to {high:.3f})" if hits else "",
                "best member left": f"{np.mean([each[1] for each in found]):.3f}" if hits else "",
                "possible": f"{np.mean([each[2] for each in found]):.3f}" if hits else "",
            }
        )
    return rows


def interval(hits: Sequence[bool]) -> tuple[float, float]:
    """Of a share: 99 %, because one is looked at for every number of members."""
    found = stats.binomtest(sum(hits), len(hits)).proportion_ci(0.99, method="wilson")
    return float(found.low), float(found.high)


def survivors_right(rows: Sequence[Mapping[str, str]]) -> list[Row]:
    """Failures leave an ensemble no worse than the best of the members that are left."""
    found = []
    for row in rows:
        if row["right"]:
            high = float(row["right"].rpartition(" to ")[2].rstrip(")"))
            what = f"accuracy with {row['members that failed']} failed"
            alone = float(row["best member left"])
            found.append(Row(what, row["right"], f"not below {alone:.3f}", high >= alone))
    return found


# All of it ------------------------------------------------------------------------------------


def run(given: argparse.Namespace, folder: Path) -> tuple[list[Row], list[dict[str, str]], str]:
    """Start all, send, judge."""
    data = ensemble.simulated(ACCURACY, given.training + given.requests, seed=given.seed)
    checkpoint = ensemble.train(folder, for_training(data, given.training), seed=given.seed)
    stream = lay_down(data, given.training, ACCURACY, seed=given.seed)
    members = names(len(ACCURACY))
    with ExitStack() as stack:
        upstream = stack.enter_context(Faulty(stream.answers, stream.told, LATENCY_S))
        pool = ensemble.pool_file(
            folder, upstream.base_url, members, prices=DOLLARS, attempts=2, named=True
        )
        gateway = stack.enter_context(ensemble.serve(checkpoint, pool, folder, limits=LIMITS))
        touch(gateway, data.queries.slice(0, 5).to_pylist())
        time.sleep(given.settle)
        before, delivered = (usage_of(gateway.pid), gauges(gateway)), upstream.delivered()
        books_before = read_books(folder / ensemble.DATABASE)
        phase = send(plan_of(given, gateway, stream), folder, pid=gateway.pid)
        time.sleep(given.settle)
        after, left = (usage_of(gateway.pid), gauges(gateway)), upstream.delivered()
        books = read_books(folder / ensemble.DATABASE)
    outcomes = [
        outcome_of(status, reply, failure)
        for status, reply, failure in zip(
            phase.result.status, phase.result.replies, phase.result.failure, strict=True
        )
    ]
    sums = Books(
        books.usd - books_before.usd,
        books.unsettled_usd - books_before.unsettled_usd,
        books.spending_usd - books_before.spending_usd,
    )
    table = accuracy(stream, outcomes)
    rows = [
        *endings(phase, outcomes, given.deadline_ms),
        *money(outcomes, sums, bill(left, stream, outcomes)),
        *leaks(before, after, left),
        *survivors_right(table),
    ]
    kinds = Counter(each.kind if each.kind == "answer" else each.detail for each in outcomes)
    words = [
        "endings: " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common()),
        f"unsettled: ${sums.unsettled_usd:.2f} at most, for calls that failed or were given up",
        f"upstream calls: {left.n_requests - delivered.n_requests:,}",
    ]
    return rows, table, "\n".join(words)


def touch(gateway: servers.Server, queries: Sequence[Mapping[str, Any]]) -> None:
    """A few requests, so that what is opened once is open before anything is counted."""
    for row in queries:
        body = {
            "model": ensemble.EVERYBODY,
            "messages": [{"role": "user", "content": row["prompt"]}],
            "rlfocal": {"choices": list(row["choices"])},
        }
        status, said = servers.post(gateway.chat, body, gateway.headers)
        if status != 200:
            raise SystemExit(f"status {status}: {said[:2000]}")


def plan_of(given: argparse.Namespace, gateway: servers.Server, stream: Stream) -> Plan:
    """All requests, once."""
    return Plan(
        url=gateway.chat,
        bodies=[[trial.body(given.deadline_ms)] for trial in stream.trials],
        rate=given.rate,
        count=len(stream.trials),
        seed=given.seed,
        headers=gateway.headers,
        timeout_s=given.deadline_ms / 1000 + 30,
        keep=True,
    )


def main() -> None:
    """Send, judge, print, and say by the exit code whether all promises hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second (40)")
    parser.add_argument("--deadline-ms", type=int, default=2_000)
    parser.add_argument("--training", type=int, default=600, help="queries to train on (600)")
    parser.add_argument("--settle", type=float, default=SETTLE_S, help="idle seconds (35), twice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    given = parser.parse_args()
    about = setting(PACKAGES, seed=given.seed, deadline_ms=given.deadline_ms)
    with tempfile.TemporaryDirectory() as name:
        rows, table, words = run(given, Path(name))
    shown = [
        {"promise": row.what, "found": row.found, "target": row.target, "": _said(row.held)}
        for row in rows
    ]
    text = f"{markdown(shown)}\n\n{markdown(table)}\n\n{words}\n\n{json.dumps(about)}\n"
    print(text)
    if given.markdown is not None:
        given.markdown.write_text(text, encoding="utf-8")
    if given.json is not None:
        given.json.write_text(json.dumps({"about": about, "promises": shown, "accuracy": table}))
    sys.exit(not all(row.held for row in rows))


def _said(held: bool) -> str:
    return "ok" if held else "BROKEN"


if __name__ == "__main__":
    main()

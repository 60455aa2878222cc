"""Judged requests as a data set, to train on: prompts, who was asked, and what is right.

Nothing is made up: whoever was not asked has no response, and is neither right nor wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rlfocal.deliberation.trace import CallRecord, Trace
from rlfocal.errors import ConfigError
from rlfocal.gateway.feedback import right_answer
from rlfocal.gateway.store.rows import FeedbackRow, RequestRow
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.wire.models import ENSEMBLE
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset
from rlfocal.records.answers import KINDS
from rlfocal.records.schema import QUERIES, RESPONSES, DatasetInfo, table_of

__all__ = ["judged_dataset"]

_SOURCE = "judged requests of a gateway"


def judged_dataset(store: Store, *, name: str) -> Dataset:
    """Make a data set of the ensemble's requests that were judged and whose prompts were kept.

    Where the right answer is known it is the label; else each response has the score that its
    answer was given, as far as one was.

    Args:
        store: the gateway's database.
        name: of the data set.

    Raises:
        ConfigError: there are no such requests.
        RecordError: nothing in them can be measured.
    """
    found, kinds = list[_Judged](), defaultdict[str, Counter[str]](Counter)
    with store.connections.read() as connection:
        n_judged, _ = store.log.n_judged(connection, ENSEMBLE)
        for request, judgement in store.log.judged_requests(connection, ENSEMBLE):
            one = _Judged(request, judgement, Trace.of_json(request.trace or {}))
            found.append(one)
            if one.trace.kind != "choice":
                kinds[one.task][one.trace.kind] += 1
    if not found:
        raise ConfigError(
            f"{store.connections.place.name}: no judged request has its prompt ({n_judged:,} were "
            "judged); prompts are kept from when the limits say keep_prompts = true "
            "(rlfocal serve --config)"
        )
    n_judged, found = len(found), _alike(found)
    usual = {task: counted.most_common(1)[0][0] for task, counted in kinds.items()}
    kept = [one for one in found if one.trace.kind in ("choice", usual.get(one.task))]
    answers = {task: kind for task, kind in usual.items() if kind in KINDS}
    info: dict[str, Any] = {"name": name, "answers": answers or None, "source": _SOURCE}
    notes = []
    if len(kept) < len(found):
        notes.append(
            f"{len(found) - len(kept):,} judged requests are left out: open questions whose "
            "answers were compared otherwise than most of their task's"
        )
    if len(found) < n_judged:
        notes.append(
            f"{n_judged - len(found):,} judged requests are left out: members read others then "
            "than they do now"
        )
    if notes:
        info["notes"] = notes
    rows = [row for one in kept for row in one.responses()]
    replied = {row["member"] for row in rows}
    readers = kept[-1].trace.readers if kept else {}
    for reader, about in readers.items():
        if reader in replied and replied.issuperset(about.inputs):
            info.setdefault("readers", {})[reader] = about
    # Of a reader of somebody who never replied nothing could be said.
    left_out = readers.keys() - info.get("readers", {}).keys()
    return Dataset(
        name,
        table_of([one.query() for one in kept], QUERIES),
        table_of([row for row in rows if row["member"] not in left_out], RESPONSES),
        DatasetInfo(**info),
    )


def _alike(found: Sequence[_Judged]) -> list[_Judged]:
    """Those at whose time members read whom they read at last."""
    return [one for one in found if one.trace.readers == found[-1].trace.readers]


class _Judged(NamedTuple):
    """A request, its judgement, and what happened to it."""

    request: RequestRow
    judgement: FeedbackRow
    trace: Trace

    @property
    def task(self) -> str:
        return self.request.task or "all"

    @property
    def label(self) -> str | None:
        return right_answer(self.request, self.judgement)

    def query(self) -> dict[str, Any]:
        """Its row among the queries."""
        return dict.fromkeys(QUERIES) | {
            "query_id": self.request.id, "task": self.task, "prompt": self.request.prompt,
            "choices": self.request.choices, "label": self.label,
        }  # fmt: skip

    def responses(self) -> Iterator[dict[str, Any]]:
        """A row for each member that replied; a failure is no response."""
        given, texts = self.request.given or {}, self.request.candidates or ()
        is_labelled = self.label is not None
        for call in (call for part in self.trace.rounds for call in part.asked):
            if call.failure is not None or call.member not in given:
                continue
            number = given[call.member]
            worth = self.judgement.member_scores.get(call.member)
            yield dict.fromkeys(RESPONSES) | {
                "query_id": self.request.id, "member": call.member,
                "answer": None if number is None else texts[number],
                "score": None if is_labelled else worth,
                "cost_usd": call.cost_usd, "latency_s": call.latency_s,
                **_shown(call, self.trace.readers.get(call.member)),
            }  # fmt: skip


def _shown(call: CallRecord, about: ReaderInfo | None) -> dict[str, Any]:
    """Columns of one that reads others: whose replies it was shown, and whom it named.

    Nothing where there were several samples: which of them gave the answer is not kept.
    """
    if about is None or call.read is None or len(call.read) > 1:
        return {}
    shown = [[name for name in names if name != about.first] for names in call.read]
    if call.verdict is None:
        return {"shown": shown}
    verdicts = [
        None if name is None else names.index(name) if name else -1
        for names, name in zip(shown, call.verdict, strict=True)
    ]
    return {"shown": shown, "verdicts": verdicts}

"""What the samples of a whole task, of all members together, make of each of them: a record.

Which fields name a document, how targets are read, whether scores compare answers with labels, and
which text shows the question: one decision a task, so that all members are read alike and right
replies like wrong ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isfinite

from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.lm_eval.choices import readings
from rlfocal.records.importers.lm_eval.documents import content, holds_itself
from rlfocal.records.importers.lm_eval.samples import (
    NO_MATCH,
    Sample,
    labels_of,
    looks_filtered,
)
from rlfocal.records.importers.logged import Record, option_name

__all__ = ["records_of"]

_ONE_TARGET = 8
"""Documents: where more have one and the same target, it is a placeholder, not an answer."""


def records_of(samples: Iterable[Sample], notes: list[str]) -> list[Record]:
    """Records of all tasks, from the samples of all members; what was found out goes into notes."""
    tasks: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        tasks[sample.task].append(sample)
    return [record for own in tasks.values() for record in _Task(own, notes).records()]


class _Task:
    def __init__(self, samples: Sequence[Sample], notes: list[str]) -> None:
        self.name = samples[0].task
        self.samples = samples
        self.notes = notes
        members: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            members[sample.member].append(sample)
        self.members = members
        self.way = self._way()
        self.judged = self._judged()
        self.filtered = {m: looks_filtered(own) for m, own in members.items()}

    def records(self) -> Iterable[Record]:
        """One per sample."""
        documents = self._documents()
        whole = self._asked_in_context()
        leaks = 0
        counted: Counter[str] = Counter()
        for sample, document in zip(self.samples, documents, strict=True):
            labels = self._labels(sample)
            shown = self._answer_texts(sample, labels)
            leaks += holds_itself(sample.context, sample.question, shown)
            record = self._record(sample, labels, counted)
            yield replace(record, document=document, prompt=_prompt(sample, shown, whole))
        self._say(leaks, counted)

    def _say(self, leaks: int, counted: Counter[str]) -> None:
        if leaks:
            self.notes.append(
                f"{self.name}: {leaks:,} of {len(self.samples):,} prompts hold their own question "
                "and answer among their examples, as where a task names no fewshot_split and its "
                "examples come from the documents it tests; these scores are too high"
            )
        for what, n in counted.items():
            self.notes.append(f"{self.name}: {n:,} {what}")

    def _way(self) -> str:
        """How targets are read: the way that explains most scores, an index first."""
        explained = {"index": 0, "text": 0, "letter": 0}
        readable = dict.fromkeys(explained, 0)
        for sample in self.samples:
            if sample.requests is None:
                continue
            best = sample.requests.best
            for way, right in readings(sample.target, sample.requests).items():
                readable[way] += 1
                if sample.score in (0, 1) and best is not None:
                    explained[way] += (best in right) == (sample.score == 1)
        return max(explained, key=lambda way: (explained[way], readable[way]))

    def _judged(self) -> bool:
        """Whether scores judge more than one answer against one label."""
        if any(not sample.compares for sample in self.samples):
            return True
        graded = sum(s.score is not None and 0 < s.score < 1 for s in self.samples)
        if graded:
            self.notes.append(
                f"{self.name}: {graded:,} scores lie between 0 and 1: replies are judged by their "
                "scores, not by a label"
            )
            return True
        if any(s.requests is not None for s in self.samples):
            return False
        targets = {str(s.target) for s in self.samples}
        documents = {s.name for s in self.samples}
        if len(targets) == 1 < _ONE_TARGET < len(documents):
            self.notes.append(
                f"{self.name}: every document has the target {targets.pop()[:40]!r}, a "
                "placeholder: replies are judged by their scores"
            )
            return True
        return False

    def _documents(self) -> list[str]:
        """A name for each sample's document that is the same in every member's log."""
        objects = [s.doc for s in self.samples if isinstance(s.doc, dict)]
        keys = None
        if len(objects) == len(self.samples):
            common = set(objects[0]).intersection(*objects)
            keys = sorted(common)
        ways = [self._digests(keys, way) for way in ("content", "shuffled", "core")]
        best = max(ways, key=self._joined)  # the first of those that join most
        if best is ways[2] and best is not ways[0]:
            self.notes.append(
                f"{self.name}: fields of the documents differ between members; joined by "
                "question, options and target"
            )
        self._say_clashes(best)
        return best

    def _digests(self, keys: Sequence[str] | None, way: str) -> list[str]:
        found = []
        for sample in self.samples:
            if way == "core":
                found.append(document_digest(self._core(sample)))
            elif sample.doc is None:
                found.append(document_digest(sample.doc_hash or [self._core(sample), sample.last]))
            else:
                shuffled = way == "shuffled"
                parts = content(sample.doc, keys, shuffled=shuffled)
                found.append(document_digest(parts, *([self._core(sample)] if shuffled else [])))
        return found

    def _core(self, sample: Sample) -> list[object]:
        """Question, sorted options and the right ones, whatever the rest of the document."""
        question = sample.question if sample.question is not None else sample.last
        options = self._options(sample)
        texts = self._answer_texts(sample, self._labels(sample))
        return [question.strip(), sorted(options or ()), sorted(texts)]

    def _joined(self, digests: Sequence[str]) -> int:
        """How many samples have their document in another member's log too."""
        members: dict[str, set[str]] = defaultdict(set)
        for sample, digest in zip(self.samples, digests, strict=True):
            members[digest].add(sample.member)
        return sum(len(own) for own in members.values() if len(own) > 1)

    def _say_clashes(self, digests: Sequence[str]) -> None:
        """Note questions that members were asked with other options or targets."""
        asked: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for sample, digest in zip(self.samples, digests, strict=True):
            if sample.question:
                asked[sample.question.strip()][sample.member].add(digest)
        clashing = sum(
            len(own) > 1 and any(d != next(iter(own.values())) for d in own.values())
            and not set.intersection(*own.values())
            for own in asked.values()
        )  # fmt: skip
        if clashing:
            self.notes.append(
                f"{self.name}: {clashing:,} questions have other options, targets or fields in "
                "some members' logs and are not joined; run every model with the same version of "
                "the task"
            )

    def _asked_in_context(self) -> bool:
        """Whether question fields repeat, so that only whole prompts tell queries apart."""
        questions: dict[str, str | None] = {s.name: s.question for s in self.samples}
        return len(set(questions.values())) < 0.9 * len(questions)

    def _options(self, sample: Sample) -> tuple[str, ...] | None:
        return sample.requests.options if sample.requests is not None else sample.options

    def _labels(self, sample: Sample) -> tuple[str, ...]:
        if sample.requests is None:
            labels = labels_of(sample)
            return tuple(x.strip("().") for x in labels) if sample.options else labels
        right = readings(sample.target, sample.requests)
        indices = right.get(self.way, ())
        return tuple(option_name(i, sample.requests.options) for i in indices)

    def _answer_texts(self, sample: Sample, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Labels as texts: options for their letters."""
        options = self._options(sample)
        if options is None or len(options) > 26:
            return labels
        indices = [ord(x) - ord("A") for x in labels if len(x) == 1]
        return tuple(options[i] for i in indices if 0 <= i < len(options))

    def _record(self, sample: Sample, labels: tuple[str, ...], counted: Counter[str]) -> Record:
        base = Record(
            member=sample.member,
            task=sample.task,
            document="",
            name=sample.name,
            place=sample.place,
            score=sample.score,
            repeat=sample.repeat,
            text=sample.replies[0] if sample.replies else None,
        )
        if self.judged:
            return replace(base, by_score=True)
        if sample.requests is not None:
            best, scores = sample.requests.best, sample.requests.scores
            return replace(
                base,
                choices=sample.requests.options,
                labels=labels,
                answer=None if best is None else option_name(best, sample.requests.options),
                unusable=best is None,
                choice_scores=tuple(scores) if all(map(isfinite, scores)) else None,
            )
        return self._generated(
            replace(base, choices=sample.options, labels=labels), sample, counted
        )

    def _generated(self, base: Record, sample: Sample, counted: Counter[str]) -> Record:
        """A generated reply: the filter's answer, or the reply for `assembling` to read."""
        replies, filtered = sample.replies, sample.filtered
        several = len(replies) > 1
        if len(filtered) > 1:  # the filter keeps what it found in each repeat
            if several and not self.filtered[sample.member]:
                filtered = replies
            counted["documents were asked several times: the answer is the most frequent one"] += 1
            return replace(base, samples=tuple(map(_found, filtered)))
        answer = filtered[0] if filtered else None
        if self.filtered[sample.member]:
            found = _found(answer)
            base = replace(base, answer=found, unusable=found is None)
        elif not replies:
            base = replace(base, text=answer)
        if several:
            base = replace(base, samples=replies)
            if not sample.majority:
                if base.answer is None and not base.unusable:
                    base = replace(base, answer=replies[0])  # what the score judges
                counted[
                    "documents were asked several times, and the filter taken looks at the first "
                    "reply alone: it is the answer, all are in `samples`"
                ] += 1
        return base


def _found(answer: str | None) -> str | None:
    if answer is None or not answer.strip() or answer.strip() == NO_MATCH:
        return None
    return answer.strip()


def _prompt(sample: Sample, answers: Sequence[str], whole: bool) -> str:
    """The question as routers may see it: never with its answer after it."""
    question = sample.question
    if question is None or whole:
        return sample.last
    # where the text to complete is a field of the document, the answer ends it
    shows_answer = any(a.strip() and question.rstrip().endswith(a.strip()) for a in answers)
    target = str(sample.target or "").strip()
    shows_answer = shows_answer or (bool(target) and target in question)
    if shows_answer and sample.last and question.strip() not in sample.context:
        return sample.last
    return question

"""From a member's reply to its answer and its score.

Stands between the pool, which knows replies, and the records, which know answers: the same grading
serves collecting and answering live.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.asking.prompting import asked_logprobs, letter_scores, letters_given
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.showing import Showing
from rlfocal.pool.reading.verdicts import verdict_of
from rlfocal.pool.reading.wording import unmarked
from rlfocal.pool.types import Response
from rlfocal.readers import JUDGING
from rlfocal.records.answers import KINDS, Extractor
from rlfocal.records.answers.replies.cleaning import without_thinking
from rlfocal.records.calls import TOOL_CALLS, call_extractor, calls_in
from rlfocal.records.canonical import open_extractor
from rlfocal.records.kinds import AS_THEY_ARE, Kind
from rlfocal.records.options import option_extractor
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.records.signals import SeenReply

__all__ = ["Grade", "Grader", "Scorer", "load_scorer", "seen_reply"]

Scorer = Callable[[Mapping[str, Any], str], float]
"""A query (query_id, task, prompt, choices, label) and a full reply → worth in [0, 1]."""


class Grade(NamedTuple):
    """The answer and score of a reply."""

    answer: str | None
    """Canonical; None where the reply holds no usable one."""
    score: float | None
    """In [0, 1]; None where there is neither a label nor a scorer."""
    choice_scores: tuple[float, ...] | None
    """Log-probability of each option, where the member is asked for it."""
    n_bounds: int = 0
    """Number of option scores that are only upper bounds: the option's letter was not among the
    tokens that the server reported."""
    verdict: int | None = None
    """Of a judge: which of the replies shown it named, from 0; -1 for none of them, None where it
    says nothing of the kind."""


@dataclass(frozen=True)
class Grader:
    """Extracts and scores answers.

    Args:
        kind: kind of answer of open questions whose task is not in `tasks`: "number", "math",
            "date", "text", or "choice" for letters of options that stand in the prompt.
        scorer: judges a reply instead of the label.
        tasks: task → kind, as `canonical_queries` finds them.
    """

    kind: str = "text"
    scorer: Scorer | None = None
    tasks: Mapping[str, Kind] = field(default_factory=dict)
    _readers: dict[Kind, Extractor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"answers to open questions: {self.kind!r}: {nearest(self.kind, KINDS)}"
            )

    def grade(
        self,
        query: Mapping[str, Any],
        member: MemberSettings,
        reply: Response,
        showing: Showing | None = None,
    ) -> Grade:
        """Grade one reply.

        A judge's answer is that of the reply which it names, and is worth what that is worth. Who
        only criticises gives none.

        Args:
            query: query_id, task, prompt, choices (a list or None), label (canonical, or None);
                tools, as JSON, where functions are offered.
            member: says where the answer is found.
            reply: what came back.
            showing: what a reader was shown; None for members that read nobody.

        Raises:
            ConfigError: the scorer raised, or returned something else than a number in [0, 1].
        """
        if member.reads and member.reading in JUDGING:
            return self._judged(query, member, reply, showing)
        if member.reads and member.reading == "criticise":
            return Grade(None, self._worth(query, None, None), None)
        choices = query["choices"]
        tools = None if choices else query.get("tools")
        scores, n_bounds = None, 0
        if choices and member.answers == "option-scores":
            answer, scores, n_bounds = _scored_options(reply, member, len(choices))
        elif tools and reply.tool_calls:
            answer = call_extractor(tools).of_calls(reply.tool_calls)
        else:
            text = unmarked(reply.text) if member.reads else reply.text
            truncated = reply.finish == "length"
            answer = (
                calls_in(tools, text, truncated=truncated)
                if tools
                else self._reader(query).extract(text, truncated=truncated)
            )
        return Grade(answer, self._worth(query, answer, reply.written), scores, n_bounds)

    def _judged(
        self,
        query: Mapping[str, Any],
        member: MemberSettings,
        reply: Response,
        showing: Showing | None,
    ) -> Grade:
        """Of a member that names one of the replies it was shown."""
        said = () if showing is None else showing.said
        verdict = verdict_of(member.reading, without_thinking(reply.text) or "", len(said))
        if verdict is None or not 0 <= verdict < len(said):
            return Grade(None, self._worth(query, None, None), None, verdict=verdict)
        named = said[verdict]
        worth = self._worth(query, named.answer, named.text)
        return Grade(named.answer, worth, None, verdict=verdict)

    def _worth(
        self, query: Mapping[str, Any], answer: str | None, text: str | None
    ) -> float | None:
        """What an answer is worth, or a reply's text where a scorer judges; a text of None nothing.

        None where there is neither a label nor a scorer.
        """
        label = query["label"]
        if self.scorer is not None:
            return 0.0 if text is None else self._scored(query, text)
        if label is None:
            return None
        return float(answer is not None and self._reader(query).equal(answer, label))

    def _reader(self, query: Mapping[str, Any]) -> Extractor:
        if choices := query["choices"]:
            return option_extractor(tuple(choices))
        if tools := query.get("tools"):
            return call_extractor(tools)
        return self._open_reader(query)

    def kind_of(self, query: Mapping[str, Any]) -> str:
        """How a query's answers are compared: "choice" of options, calls, or an open kind."""
        if query["choices"]:
            return "choice"
        if query.get("tools"):
            return TOOL_CALLS
        return self.tasks.get(query.get("task") or "", Kind(self.kind)).name or self.kind

    @property
    def answers(self) -> str | dict[str, str]:
        """Kind of open answers, or kinds task by task where they differ: as `dataset.json` has."""
        named = {task: kind.name or self.kind for task, kind in self.tasks.items()}
        distinct = set(named.values()) or {self.kind}
        return distinct.pop() if len(distinct) == 1 else named

    def _open_reader(self, query: Mapping[str, Any]) -> Extractor:
        kind = self.tasks.get(query.get("task") or "", Kind(self.kind))
        if kind.name == AS_THEY_ARE:
            kind = Kind(self.kind)
        if kind not in self._readers:
            found = open_extractor(kind)
            assert found is not None
            self._readers[kind] = found
        return self._readers[kind]

    def _scored(self, query: Mapping[str, Any], text: str) -> float:
        assert self.scorer is not None
        try:
            value = float(self.scorer(query, text))
        except Exception as exc:  # whatever a user's own code may raise
            raise ConfigError(
                f"the scorer failed on query '{query['query_id']}': {type(exc).__name__}: {exc}"
            ) from exc
        if not 0 <= value <= 1:
            raise ConfigError(
                f"the scorer gave {value} for query '{query['query_id']}'; it should lie in [0, 1]"
            )
        return value


def seen_reply(
    reply: Response,
    prompt: str,
    choices: Sequence[str],
    answer: str | None,
    *,
    kind: str,
    showings: Sequence[Showing] = (),
) -> SeenReply:
    """A reply as signals read it, without the user's own ones.

    Args:
        reply: as it came.
        prompt: of the question.
        choices: its options; empty for an open one.
        answer: that was found in the reply.
        kind: how answers are compared; empty where nobody knows.
        showings: of a member that reads others: what each of its samples was shown.
    """
    said = {name: one.answer for shown in showings for name, one in shown.by_name.items()}
    own = showings[0].own if showings else None
    return SeenReply(
        text=reply.written,
        prompt=prompt,
        choices=tuple(choices),
        answer=answer,
        kind=kind,
        finish=reply.finish,
        n_chars=len(reply.written),
        n_completion_tokens=reply.n_completion_tokens,
        latency_s=reply.latency_s,
        tokens=reply.tokens,
        read=tuple(said.values()) if showings else None,
        own=None if own is None else own.answer,
    )


def _scored_options(
    reply: Response, member: MemberSettings, n_options: int
) -> tuple[str | None, tuple[float, ...] | None, int]:
    """The likeliest letter reported, the options' scores, and how many are only bounds."""
    logprobs = reply.first_logprobs or {}
    scores = letter_scores(logprobs, n_options, n_asked=asked_logprobs(member))
    if scores is None:
        return None, None, 0
    reported = [k for k, known in enumerate(letters_given(logprobs, n_options)) if known]
    best = max(reported, key=scores.__getitem__)
    return OPTION_LETTERS[best], scores, n_options - len(reported)


def load_scorer(spec: str) -> Scorer:
    """Load a user's scorer.

    Args:
        spec: "FILE.py:FUNCTION".

    Raises:
        ConfigError: the file or the function is not there, or the file cannot be run.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not name or path.suffix != ".py":
        raise ConfigError(f"--scorer {spec}: should be FILE.py:FUNCTION")
    if not path.is_file():
        raise ConfigError(f"--scorer {spec}: {path} is no file")
    module_spec = importlib.util.spec_from_file_location(f"rlfocal_scorer_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as exc:  # whatever a user's own code may raise
        raise ConfigError(f"--scorer {spec}: {type(exc).__name__}: {exc}") from exc
    found = getattr(module, name, None)
    if not callable(found):
        known = [n for n, value in vars(module).items() if callable(value) and n[0] != "_"]
        raise ConfigError(f"--scorer {spec}: no function '{name}'; {nearest(name, known)}")
    scorer: Scorer = found
    return scorer

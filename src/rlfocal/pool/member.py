"""One member of a pool file: a model, and how it is asked.

Knows names and ranges only; `asking` turns a question into messages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rlfocal.errors import nearest
from rlfocal.pool.asking.templates import places
from rlfocal.pool.endpoints import BlendSettings, EndpointSettings, LlamaCppSettings
from rlfocal.pool.reading.settings import ABOUT, Reading
from rlfocal.pool.servers import Count, OpenAISettings, Positive, Served, Words
from rlfocal.settings import Settings

__all__ = ["OWN_SAMPLERS", "MemberSettings", "Shot"]

OWN_SAMPLERS = ("top_k", "min_p")
"""What llama.cpp draws by beyond OpenAI's fields."""
_SEEDS = "by question"
"""How seeds are drawn, in a sampled member's identity; older replies, of one seed, have none."""

Share = Annotated[float, Field(ge=0, le=1, strict=True)]


class Shot(Settings):
    """A worked example that stands before the question."""

    question: str
    options: tuple[str, ...] = ()
    reply: str


class MemberSettings(Words, Reading):
    """One member: a model and the way it is asked."""

    name: Annotated[str, Field(min_length=1, pattern=r"^\S(.*\S)?$")]
    endpoint: str = Field(description="the name of a table under [endpoints]")
    model: str = ""
    """As the server calls it; empty where it serves only one."""
    system: str = ""
    """Says who the model is; empty for nothing."""
    template: str = "{question}"
    """How an open question is put."""
    choice_template: str = "{question}\n\n{options}\n\nAnswer with the letter of the right option."
    """How a multiple choice question is put."""
    shots: tuple[Shot, ...] = ()
    """Worked examples; each is put as a question of its kind is. In a pool file, `shots_file` may
    name a TOML file of them instead."""
    answers: Literal["reply", "option-scores"] = "reply"
    """Where the answer to a multiple choice question is found: in the reply, or in the
    log-probabilities of the options' letters as its first token."""
    max_tokens: Count = 512
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    stop: tuple[str, ...] = ()
    """The reply ends before the first of these texts; of no use to option scores."""
    n_logprobs: Count | None = None
    """Likeliest first tokens asked for where options are scored: more are more letters found. null
    for 1,000 of llama-cpp, and for 20 elsewhere, which is OpenAI's most."""
    logprobs: Annotated[bool, Field(strict=True)] = True
    """Whether to ask for the log-probability of each token of a reply, from which signals are read;
    false for a server that is slow to tell them. One that refuses is not asked for them again."""
    score_tokens: Annotated[int, Field(ge=1, le=64, strict=True)] | None = None
    """Most tokens of a reply where options are scored, for servers that give no single one; blanks
    and brackets before the letter are passed over. null for 1."""
    top_k: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Draw among so many of the likeliest tokens, of llama-cpp; null or 0 for all."""
    min_p: Share | None = None
    """Leave out tokens less likely than so much of the likeliest, of llama-cpp; null or 0 for none.
    """
    seed: Annotated[int, Field(strict=True)] = 0
    """What replies are drawn with, where the server takes seeds: by it, the member's name, the
    sample and the question."""
    samples: Count = 1
    """Times each question is asked; of who compares pairs, once for each pair in each order unless
    it is said."""
    timeout_s: Positive | None = None
    """Seconds for one call; null for the endpoint's."""

    @field_validator("template", "choice_template")
    @classmethod
    def _known_places(cls, value: str, info: Any) -> str:
        known = {"question", "options"} if info.field_name == "choice_template" else {"question"}
        for name in places(value):
            if name not in known:
                raise ValueError(
                    f"unknown placeholder {{{name}}}; {nearest(name, sorted(known))}; braces that "
                    f"the model is to see are written twice: {{{{{name}}}}}"
                )
        if "question" not in places(value):
            why = "{{question}} stands for that word in braces; " * ("{{question}}" in value)
            raise ValueError(f"{why}{{question}} is missing: the model would not see what is asked")
        return value

    @model_validator(mode="before")
    @classmethod
    def _compares_all_pairs(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("reading") != "pairwise":
            return values
        read = values.get("reads", ())
        n_pairs = len(read) * (len(read) - 1) if isinstance(read, list | tuple) else 0
        return {"samples": max(1, n_pairs), **values}

    @model_validator(mode="after")
    def _samples_differ(self) -> MemberSettings:
        most = self.n_orders
        if self.samples > most and self.temperature == 0:
            shown = f"the same replies are shown in {most} orders; say samples = {most}, or "
            raise ValueError(
                f"samples = {self.samples} with temperature = 0 would pay for the same reply again "
                f"and again; {shown * (most > 1)}raise the temperature"
            )
        return self

    @model_validator(mode="after")
    def _answers_where_asked(self) -> MemberSettings:
        if self.reads and self.reading in ABOUT and self.answers == "option-scores":
            raise ValueError(
                f'reading = "{self.reading}" gives no letter of an option; leave answers = '
                '"option-scores" out'
            )
        return self

    def served_by(self, endpoint: EndpointSettings) -> MemberSettings:
        """The member, with its endpoint's words where it has none of its own."""
        words = self.over(endpoint)
        return self.model_copy(update={n: getattr(words, n) for n in Words.model_fields})

    def identity(self, endpoint: EndpointSettings) -> dict[str, Any]:
        """What a reply depends on: two members that agree in it would say the same, or draw alike.

        Neither keys, addresses, headers nor limits count, nor how often or how fast it is asked:
        a server that has moved says what it said. What it tells beside the reply does not either,
        nor what a server made us leave out, since it is known only later.
        """
        apart = {"name", "endpoint", "samples", "timeout_s", "logprobs"}
        apart |= {*Words.model_fields, *Reading.model_fields}
        own = self.model_dump(mode="json", exclude=apart) | self.over(endpoint).changes()
        # What was stored before there were these settings keeps its key.
        own = {k: v for k, v in own.items() if v is not None or k not in _LATER}
        if isinstance(endpoint, OpenAISettings):
            served: dict[str, Any] = {"api": endpoint.api}
        elif isinstance(endpoint, LlamaCppSettings):
            file = endpoint.sha256 or endpoint.path.name
            served = {"file": file, "api": endpoint.api, "n_context": endpoint.n_context}
        elif isinstance(endpoint, BlendSettings):
            served = _blend(endpoint)
        else:
            served = {}
        return {
            "kind": endpoint.kind, **served, **own, **self.of_reading(), **_drawing(self, endpoint)
        }  # fmt: skip


def _blend(endpoint: BlendSettings) -> dict[str, Any]:
    """What a blend's reply depends on: which files, and how they write together."""
    unsaid = {*Served.model_fields, "kind", "parts", "files", "policy", "concurrency"}
    said = endpoint.model_dump(mode="json", exclude=unsaid, exclude_defaults=True)
    by_name = {
        name: {"file": part.sha256 or part.path.name, "api": part.api, "n_context": part.n_context}
        for name, part in endpoint.files.items()
    }
    files = [by_name[name] for name in endpoint.parts if name in by_name]
    if endpoint.verifier is not None:
        said["reward"] = by_name.get(endpoint.verifier)
    policy = endpoint.policy
    if policy is not None and policy.is_file():
        said["policy"] = hashlib.sha256(policy.read_bytes()).hexdigest()
    return {"files": files, **said}


_LATER = {"n_logprobs", "score_tokens", *OWN_SAMPLERS}


def _drawing(member: MemberSettings, endpoint: EndpointSettings) -> dict[str, Any]:
    """How replies are drawn; nothing where they are not."""
    words = member.over(endpoint)
    if member.temperature == 0 and "temperature" not in (words.drop or ()):
        return {}
    if not isinstance(endpoint, LlamaCppSettings):
        return {"seeds": _SEEDS}
    own = {"top_p": member.top_p or 1.0, "top_k": member.top_k or 0, "min_p": member.min_p or 0.0}
    sent = words.extra_body or {}
    return {"seeds": _SEEDS, **{name: sent.get(name, value) for name, value in own.items()}}

"""`pool.toml`: which LLMs there are, how each is asked, what it costs.

Keys never stand in it: it names an environment variable or a file that holds one. Knows names and
ranges only; `prompting` turns a question into messages, `building` turns settings into endpoints.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.asking.templates import places
from rlfocal.pool.mistakes import kind_hint, misplaced, price_names, remark_prices
from rlfocal.pool.own_signals import OwnSignals
from rlfocal.pool.servers import Count, OpenAISettings, Positive, Served, Words, no_inline_key
from rlfocal.pool.types import Api
from rlfocal.settings import Settings, read_toml

__all__ = [
    "EndpointSettings",
    "LiteLlmSettings",
    "LlamaCppSettings",
    "MemberSettings",
    "OpenAISettings",
    "PoolSettings",
    "PriceSettings",
    "Shot",
    "read_pool",
]

OWN_SAMPLERS = ("top_k", "min_p")
"""What llama.cpp draws by beyond OpenAI's fields."""
_SEEDS = "by question"
"""How seeds are drawn, in a sampled member's identity; older replies, of one seed, have none."""
_MOST_LOGPROBS = 1000
"""First tokens that llama.cpp tells of where a member does not say how many: option letters are
seldom beyond them, and a reply takes 60 kB."""


class LlamaCppSettings(Served):
    """A GGUF file, run in this process by llama.cpp."""

    kind: Literal["llama-cpp"]
    path: Path = Field(description="the GGUF file")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What the file must hash to; null to take it as it is."""
    api: Api = "chat"
    n_threads: Count = 1
    n_context: Count = 2048
    """Tokens of prompt and response together."""
    concurrency: Count = 1


class LiteLlmSettings(Served):
    """Whatever the litellm library reaches; it finds keys by its own environment variables."""

    kind: Literal["litellm"]


EndpointSettings = OpenAISettings | LlamaCppSettings | LiteLlmSettings
_KINDS: Mapping[str, type[EndpointSettings]] = {
    "openai": OpenAISettings, "llama-cpp": LlamaCppSettings, "litellm": LiteLlmSettings,
}  # fmt: skip

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]


class PriceSettings(Settings):
    """What a model costs, in dollars per million tokens."""

    prompt: Dollars
    completion: Dollars
    as_of: date | None = None
    """When that was the price."""


class Shot(Settings):
    """A worked example that stands before the question."""

    question: str
    options: tuple[str, ...] = ()
    reply: str


class MemberSettings(Words):
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
    """Times each question is asked."""
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

    @model_validator(mode="after")
    def _samples_differ(self) -> MemberSettings:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples = {self.samples} with temperature = 0 would pay for the same reply again "
                "and again; raise the temperature"
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
        apart = {"name", "endpoint", "samples", "timeout_s", "logprobs", *Words.model_fields}
        own = self.model_dump(mode="json", exclude=apart) | self.over(endpoint).changes()
        # What was stored before there were these settings keeps its key.
        own = {k: v for k, v in own.items() if v is not None or k not in _LATER}
        if isinstance(endpoint, OpenAISettings):
            served: dict[str, Any] = {"api": endpoint.api}
        elif isinstance(endpoint, LlamaCppSettings):
            file = endpoint.sha256 or endpoint.path.name
            served = {"file": file, "api": endpoint.api, "n_context": endpoint.n_context}
        else:
            served = {}
        return {"kind": endpoint.kind, **served, **own, **_drawing(self, endpoint)}


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


class PoolSettings(Settings):
    """A whole pool, checked."""

    endpoints: Mapping[str, EndpointSettings]
    members: tuple[MemberSettings, ...]
    prices: Mapping[str, PriceSettings] = {}
    """By model, or by "ENDPOINT/MODEL", which counts before that."""
    signals: Mapping[str, str] = {}
    """The user's own numbers about replies: name → "module:function"."""
    signals_folder: Path | None = None
    """In which their modules may lie."""

    def price_of(self, endpoint: str, model: str) -> PriceSettings | None:
        """What a model costs at an endpoint; None where nobody has told.

        Args:
            endpoint: its name.
            model: as the server calls it.
        """
        return self.prices.get(f"{endpoint}/{model}") or self.prices.get(model)

    def endpoint_of(self, member: MemberSettings) -> EndpointSettings:
        """The endpoint that serves a member."""
        return self.endpoints[member.endpoint]

    def select(self, names: Sequence[str] | None) -> tuple[MemberSettings, ...]:
        """Some of the members, in the pool's order; None for all.

        Raises:
            ConfigError: a name is unknown.
        """
        known = [member.name for member in self.members]
        for name in names or ():
            if name not in known:
                raise ConfigError(f"unknown member '{name}'; {nearest(name, known)}")
        return tuple(m for m in self.members if names is None or m.name in names)


def read_pool(path: Path) -> PoolSettings:
    """Read a pool file.

    Args:
        path: a TOML file with [endpoints.NAME] tables, [[members]] and perhaps [prices."MODEL"]
            or [prices."ENDPOINT/MODEL"], and [signals].

    Returns:
        The pool; paths in it are relative to the file.

    Raises:
        ConfigError: it cannot be read, a key is unknown or missing, a value out of range, a member
            names an unknown endpoint, two have one name, or a signal's function is not there.
    """
    found = read_toml(path)
    for name in found:
        if name not in PoolSettings.model_fields:
            raise ConfigError(
                f"{path}: unknown key '{name}'; {nearest(name, PoolSettings.model_fields)}"
            )
    endpoints = {
        name: _endpoint(values, where=f"{path}: endpoints.{name}", base=path.parent)
        for name, values in _tables(found, "endpoints", path).items()
    }
    prices = {
        model: _price(model, values, path, endpoints)
        for model, values in _tables(found, "prices", path).items()
    }
    raw = found.get("members", [])
    if not isinstance(raw, list) or not raw or not all(isinstance(m, dict) for m in raw):
        raise ConfigError(f"{path}: no members; add a [[members]] table for each LLM")
    members = tuple(
        _member(
            values,
            endpoints,
            where=f"{path}: member {number} ({values.get('name', 'no name')})",
            base=path.parent,
        )
        for number, values in enumerate(raw, start=1)
    )
    names = [member.name for member in members]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two members are called '{name}'; rename one")
    remark_prices(prices, [(m.endpoint, m.model) for m in members], where=str(path))
    signals = found.get("signals", {})
    if not isinstance(signals, dict):
        raise ConfigError(f"{path}: 'signals' should be a table: [signals]")
    OwnSignals.load(signals, source=str(path), folder=path.parent)  # they are there, or it says so
    return PoolSettings(
        endpoints=endpoints, members=members, prices=prices,
        signals=signals, signals_folder=path.parent,
    )  # fmt: skip


def _tables(found: dict[str, Any], name: str, path: Path) -> dict[str, dict[str, Any]]:
    tables = found.get(name, {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise ConfigError(f"{path}: '{name}' should hold tables, such as [{name}.example]")
    return tables


def _price(
    model: str, values: dict[str, Any], path: Path, endpoints: Collection[str]
) -> PriceSettings:
    whole, inner = model, values
    # A name with a point in it and without quotes is a path to TOML.
    while deeper := next((name for name, v in inner.items() if isinstance(v, dict)), None):
        whole, inner = f"{whole}.{deeper}", inner[deeper]
    if whole != model:
        meant = f"{model}/{whole[len(model) + 1 :]}" if model in endpoints else whole
        what = "a model of one endpoint" if model in endpoints else "a name with a point in it"
        raise ConfigError(
            f'{path}: prices.{whole}: {what} needs quotes; quote it: [prices."{meant}"]'
        )
    if said := price_names(values):
        raise ConfigError(f"{path}: prices.'{model}': {said}")
    return PriceSettings.of(values, source=f"{path}: prices.'{model}'")


def _endpoint(values: dict[str, Any], *, where: str, base: Path) -> EndpointSettings:
    no_inline_key(values, where)
    kind = values.get("kind", "openai")
    if kind not in _KINDS:
        hint = kind_hint(kind) or nearest(str(kind), _KINDS)
        raise ConfigError(f"{where}: kind = {kind!r}: {hint}")
    for name in ("path", "key_file"):
        if isinstance(values.get(name), str):
            values = {**values, name: base / Path(values[name]).expanduser()}
    _in_its_place(values, _KINDS[kind], where, (MemberSettings, "members"))
    return _KINDS[kind].of(values, source=where)


def _in_its_place(
    values: Mapping[str, Any],
    settings: type[Settings],
    where: str,
    other: tuple[type[Settings], str],
) -> None:
    """Say of a setting that stands in the wrong table where it belongs."""
    for name in values:
        typed = difflib.get_close_matches(name, settings.model_fields, n=1, cutoff=0.8)
        if name not in settings.model_fields and not typed:
            said = misplaced(name, elsewhere=other[0].model_fields, place=other[1])
            if said is not None:
                raise ConfigError(f"{where}: unknown key '{name}'; it {said}")


def _member(
    values: dict[str, Any],
    endpoints: Mapping[str, EndpointSettings],
    *,
    where: str,
    base: Path,
) -> MemberSettings:
    no_inline_key(values, where)
    if "shots_file" in values:
        values = _with_shots(values, where=where, base=base)
    _in_its_place(values, MemberSettings, where, (OpenAISettings, "endpoints"))
    member = MemberSettings.of(values, source=where)
    if member.endpoint not in endpoints:
        raise ConfigError(
            f"{where}: unknown endpoint '{member.endpoint}'; {nearest(member.endpoint, endpoints)}"
        )
    member.over(endpoints[member.endpoint], source=where)  # they go together, or it says so
    return _as_served(member, endpoints[member.endpoint], where)


def _as_served(member: MemberSettings, endpoint: EndpointSettings, where: str) -> MemberSettings:
    """The member with what follows from who serves it."""
    if isinstance(endpoint, LlamaCppSettings):
        wanted = member.n_logprobs or _MOST_LOGPROBS
        scored = member.answers == "option-scores"
        return member.model_copy(update={"n_logprobs": wanted}) if scored else member
    for name in OWN_SAMPLERS:
        if getattr(member, name) is not None:
            raise ConfigError(
                f"{where}: {name}: is a setting of members on llama-cpp endpoints; leave it out, "
                f"or send it by extra_body = {{ {name} = ... }}"
            )
    return member


def _with_shots(values: dict[str, Any], *, where: str, base: Path) -> dict[str, Any]:
    """Worked examples out of a file of their own, which several members may share."""
    if "shots" in values:
        raise ConfigError(f"{where}: 'shots' and 'shots_file' exclude each other; leave one out")
    if not isinstance(values["shots_file"], str):
        raise ConfigError(f"{where}: shots_file = {values['shots_file']!r}: should be a path")
    path = base / Path(values["shots_file"]).expanduser()
    found = read_toml(path)
    for name in found:
        if name != "shots":
            raise ConfigError(f"{path}: unknown key '{name}'; {nearest(name, ['shots'])}")
    rest = {name: value for name, value in values.items() if name != "shots_file"}
    return {**rest, "shots": found.get("shots", [])}

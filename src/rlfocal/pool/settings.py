"""`pool.toml`: which LLMs there are, how each is asked, what it costs.

Keys never stand in it: it names an environment variable or a file that holds one. Knows names and
ranges only; `prompting` turns a question into messages, `building` turns settings into endpoints.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.types import Api
from rlfocal.settings import KeyVariable, Settings, read_toml

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

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]

_INLINE_KEYS = {"key", "api_key", "apikey", "token", "secret", "password", "authorization"}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class _Served(Settings):
    """What every kind of endpoint has."""

    concurrency: Count = 8
    """Calls under way at once."""
    per_minute: Positive | None = None
    """Most calls a minute; null for no limit."""
    timeout_s: Positive = 120.0
    """Seconds for one call, repeats included."""
    attempts: Count = 4
    """Times a call is sent before it counts as failed, where the failure may pass."""


class OpenAISettings(_Served):
    """A server that speaks OpenAI's API: OpenAI, OpenRouter, vLLM, Ollama, llama.cpp, ..."""

    never_shown: ClassVar[frozenset[str]] = frozenset({"base_url", "key_env", "key_file"})

    kind: Literal["openai"] = "openai"
    base_url: str = Field(description="such as https://api.openai.com/v1")
    """Up to the part before /chat/completions."""
    key_env: KeyVariable | None = None
    """Environment variable that holds the key."""
    key_file: Path | None = None
    """File that holds the key."""
    api: Api = "chat"
    """Chat turns, or one text that the model goes on with (for models without a chat template)."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an http or https address, such as https://api.openai.com/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("holds more than an address; keys belong into key_env or key_file")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_key(self) -> OpenAISettings:
        if self.key_env is not None and self.key_file is not None:
            raise ValueError("name key_env or key_file, not both")
        return self

    def key(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """The key, read when it is needed; None where the endpoint has none.

        Raises:
            ConfigError: the variable is not set, or the file cannot be read or is empty.
        """
        if self.key_env is not None:
            value = environ.get(self.key_env, "").strip()
            if not value:
                raise ConfigError(
                    f"the environment variable {self.key_env} is not set; it holds the key"
                )
            return value
        if self.key_file is None:
            return None
        try:
            value = self.key_file.expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "not UTF-8"
            raise ConfigError(f"{self.key_file}: the key cannot be read: {reason}") from None
        if not value:
            raise ConfigError(f"{self.key_file}: is empty; it should hold the key")
        return value


class LlamaCppSettings(_Served):
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


class LiteLlmSettings(_Served):
    """Whatever the litellm library reaches; it finds keys by its own environment variables."""

    kind: Literal["litellm"]


EndpointSettings = OpenAISettings | LlamaCppSettings | LiteLlmSettings
_KINDS: Mapping[str, type[EndpointSettings]] = {
    "openai": OpenAISettings, "llama-cpp": LlamaCppSettings, "litellm": LiteLlmSettings,
}  # fmt: skip


class PriceSettings(Settings):
    """What a model costs, in dollars per million tokens."""

    prompt: Annotated[float, Field(ge=0)]
    completion: Annotated[float, Field(ge=0)]
    as_of: date | None = None
    """When that was the price."""


class Shot(Settings):
    """A worked example that stands before the question."""

    question: str
    options: tuple[str, ...] = ()
    reply: str


class MemberSettings(Settings):
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
    temperature: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: tuple[str, ...] = ()
    """The reply ends before the first of these texts."""
    seed: int = 0
    """Sample k is drawn with seed + k, where the server takes seeds."""
    samples: Count = 1
    """Times each question is asked."""
    timeout_s: Positive | None = None
    """Seconds for one call; null for the endpoint's."""

    @field_validator("template", "choice_template")
    @classmethod
    def _known_places(cls, value: str, info: Any) -> str:
        known = {"question", "options"} if info.field_name == "choice_template" else {"question"}
        for name in _PLACEHOLDER.findall(value):
            if name not in known:
                raise ValueError(f"unknown placeholder {{{name}}}; {nearest(name, sorted(known))}")
        if "{question}" not in value:
            raise ValueError("{question} is missing: the model would not see what is asked")
        return value

    @model_validator(mode="after")
    def _samples_differ(self) -> MemberSettings:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"samples = {self.samples} with temperature = 0 would pay for the same reply again "
                "and again; raise the temperature"
            )
        return self

    def identity(self, endpoint: EndpointSettings) -> dict[str, Any]:
        """What a reply depends on: two members that agree in it would say the same.

        Neither keys nor limits count, nor how often or how fast it is asked.
        """
        own = self.model_dump(mode="json", exclude={"name", "endpoint", "samples", "timeout_s"})
        if isinstance(endpoint, OpenAISettings):
            served: dict[str, Any] = {"base_url": endpoint.base_url, "api": endpoint.api}
        elif isinstance(endpoint, LlamaCppSettings):
            file = endpoint.sha256 or endpoint.path.name
            served = {"file": file, "api": endpoint.api, "n_context": endpoint.n_context}
        else:
            served = {}
        return {"kind": endpoint.kind, **served, **own}


class PoolSettings(Settings):
    """A whole pool, checked."""

    endpoints: Mapping[str, EndpointSettings]
    members: tuple[MemberSettings, ...]
    prices: Mapping[str, PriceSettings] = {}
    """By model."""

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
        path: a TOML file with [endpoints.NAME] tables, [[members]] and perhaps [prices.MODEL].

    Returns:
        The pool; paths in it are relative to the file.

    Raises:
        ConfigError: it cannot be read, a key is unknown or missing, a value out of range, a member
            names an unknown endpoint, or two have one name.
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
        model: PriceSettings.of(values, source=f"{path}: prices.'{model}'")
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
    return PoolSettings(endpoints=endpoints, members=members, prices=prices)


def _tables(found: dict[str, Any], name: str, path: Path) -> dict[str, dict[str, Any]]:
    tables = found.get(name, {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise ConfigError(f"{path}: '{name}' should hold tables, such as [{name}.example]")
    return tables


def _no_inline_key(values: Mapping[str, Any], where: str) -> None:
    for name in values:
        if name.lower() in _INLINE_KEYS:
            raise ConfigError(
                f"{where}: '{name}': keys never stand in a pool file; put it into an environment "
                "variable and name that with key_env, or into a file and name that with key_file"
            )


def _endpoint(values: dict[str, Any], *, where: str, base: Path) -> EndpointSettings:
    _no_inline_key(values, where)
    kind = values.get("kind", "openai")
    if kind not in _KINDS:
        raise ConfigError(f"{where}: kind = {kind!r}: {nearest(str(kind), _KINDS)}")
    for name in ("path", "key_file"):
        if isinstance(values.get(name), str):
            values = {**values, name: base / Path(values[name]).expanduser()}
    return _KINDS[kind].of(values, source=where)


def _member(
    values: dict[str, Any],
    endpoints: Mapping[str, EndpointSettings],
    *,
    where: str,
    base: Path,
) -> MemberSettings:
    _no_inline_key(values, where)
    if "shots_file" in values:
        values = _with_shots(values, where=where, base=base)
    member = MemberSettings.of(values, source=where)
    if member.endpoint not in endpoints:
        raise ConfigError(
            f"{where}: unknown endpoint '{member.endpoint}'; {nearest(member.endpoint, endpoints)}"
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

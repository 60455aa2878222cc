"""How servers are reached, and in what their words differ from OpenAI's: settings of a pool file.

What can stand with an endpoint or with one of its members is in `Words`: a member's own counts
before its endpoint's. Secrets never stand in the file: it names environment variables.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from rlfocal.errors import ConfigError
from rlfocal.pool.mistakes import address, near_miss, not_json, second_limit, unfilled
from rlfocal.pool.openai.refusals import LIMITS
from rlfocal.pool.types import OURS, Api, SystemAs, Wording
from rlfocal.settings import KeyVariable, Settings

__all__ = ["Count", "OpenAISettings", "Positive", "Served", "Words", "no_inline_key"]

Count = Annotated[int, Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]

_INLINE_KEYS = {
    "key", "api_key", "api-key", "apikey", "token", "access_token", "secret", "password",
    "authorization",
}  # fmt: skip
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[-_.])(?:api|access|auth|client|private|secret|subscription)?"
    r"(?:keys?|tokens?|secrets?|password|passwd|authorization|cookies?|credentials?|sig|signature)"
    r"(?:$|[-_.])"
)
_SECRET_VALUE = re.compile(
    r"(?i)\b(?:bearer|basic)\s+\S{12}|\b(?:sk|gsk|pk|hf|xai|ghp)[-_][\w-]{16}|\bAIza[\w-]{16}"
)
_SECRET_FIELD = re.compile(
    r"(?i)(?:^|[-_.])(?:(?:api|access|auth|client|private|secret|subscription)[-_]?"
    r"(?:key|token|secret)|secret|passw(?:or)?d|authorization|cookie|credential|bearer)s?$"
)
_HARMLESS = re.compile(r"(?i)\s*(?:\d{1,9}|true|false|none|)\s*")
"""What no secret reads like: a number, as of tokens."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,99})\}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = {
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding",
    "connection", "accept-encoding", "expect", "upgrade", "te", "trailer", "x-rlfocal-hops",
}  # fmt: skip
_NAMED_ELSEWHERE: Mapping[str, str] = {
    "model": "model", "temperature": "temperature", "top_p": "top_p", "seed": "seed",
    "stop": "stop", "n": "samples", "messages": "system, template and shots",
    "prompt": "system, template and shots", "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens, and max_tokens_field for its name",
    "logprobs": 'logprobs, or answers = "option-scores"',
    "top_logprobs": 'answers = "option-scores"',
}  # fmt: skip
_MUCH = {"best_of", "num_return_sequences"}
"""Replies that are paid for and thrown away."""
_NO_FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("headers", "extra_headers"), "set the endpoint's headers"),
    **dict.fromkeys(("query", "extra_query"), "set the endpoint's query"),
    **dict.fromkeys(
        ("extra_body", "body"), "leave that name out, its fields stand here as they are"
    ),
}
_NEEDED: Mapping[str, str] = {
    "model": "without it a server does not know who is asked",
    "messages": "without it nothing is asked",
    "prompt": "without it nothing is asked",
    **dict.fromkeys(
        LIMITS,
        "without it a call has no highest price; name the field that the server takes with "
        "max_tokens_field",
    ),
}


class Words(Settings):
    """In what a server, or one model of it, wants to be asked otherwise than by OpenAI's API.

    None is the endpoint's setting in a member, and the default in an endpoint.
    """

    never_shown: ClassVar[frozenset[str]] = frozenset({"extra_body"})

    max_tokens_field: FieldName | None = None
    """By what name the most tokens of a reply are told: "max_tokens", "max_completion_tokens"."""
    drop: frozenset[FieldName] | None = None
    """Fields that are not sent: "temperature", "seed", "stream_options", ..."""
    extra_body: dict[str, Any] | None = None
    """Fields that are sent as they are; a member's stand beside its endpoint's."""
    system_as: SystemAs | None = None
    """Who says what the system says; "user": the beginning of the user's turn."""
    images: Annotated[bool, Field(strict=True)] | None = None
    """True where the model reads images."""

    @field_validator("drop")
    @classmethod
    def _can_be_left_out(cls, value: frozenset[str] | None) -> frozenset[str] | None:
        for name in sorted(value or ()):
            if name in _NEEDED:
                raise ValueError(f"'{name}' is always sent: {_NEEDED[name]}")
            if meant := near_miss(name):
                raise ValueError(f"'{name}' is no field of a request; did you mean '{meant}'?")
        return value

    @field_validator("max_tokens_field")
    @classmethod
    def _is_free(cls, value: str | None) -> str | None:
        if value in (OURS | _NAMED_ELSEWHERE.keys()) - set(LIMITS):
            raise ValueError("another part of the request has that name")
        # A name that a server does not know is no limit, and a reply without one has no price.
        near = difflib.get_close_matches(value or "", LIMITS, n=1, cutoff=0.8)
        if near and value not in LIMITS:
            raise ValueError(f"did you mean '{near[0]}'?")
        return value

    @field_validator("extra_body")
    @classmethod
    def _not_ours(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in value or ():
            if name in _NAMED_ELSEWHERE:
                raise ValueError(f"'{name}' has a setting of its own: {_NAMED_ELSEWHERE[name]}")
            if name in OURS:
                raise ValueError(f"'{name}' follows from how a call is made; leave it out")
            if name in _MUCH:
                raise ValueError(f"'{name}' would be paid for and thrown away; see samples")
            if name in _NO_FIELDS:
                raise ValueError(f"'{name}' is no field of a request; {_NO_FIELDS[name]}")
        _no_secret(value or {})
        if said := not_json(value, "extra_body"):
            raise ValueError(said.removeprefix("extra_body."))
        return value

    @model_validator(mode="after")
    def _once(self) -> Words:
        if both := (self.extra_body or {}).keys() & (self.drop or frozenset()):
            raise ValueError(f"'{min(both)}' is in drop and in extra_body; leave one out")
        limit = self.max_tokens_field
        if second := second_limit(self.extra_body or {}, limit):
            raise ValueError(
                f"extra_body: '{second}' would be a second limit; set max_tokens, and "
                "max_tokens_field for its name"
            )
        if limit is not None and limit in (self.extra_body or {}).keys() | (self.drop or ()):
            raise ValueError(f"'{limit}' is max_tokens_field, and always sent; set max_tokens")
        return self

    def over(self, other: Words, *, source: str = "pool") -> Words:
        """These, and where they say nothing the other's.

        Args:
            other: of the endpoint.
            source: how messages call these.

        Raises:
            ConfigError: they do not go together.
        """
        mine = {n: v for n in Words.model_fields if (v := getattr(self, n)) is not None}
        theirs = {n: v for n in Words.model_fields if (v := getattr(other, n)) is not None}
        fields = {**theirs, **mine}
        if "extra_body" in fields:
            fields["extra_body"] = {**(other.extra_body or {}), **(self.extra_body or {})}
        return Words.of(fields, source=source)

    @property
    def wording(self) -> Wording:
        """The same, for a request."""
        return Wording(
            max_tokens_field=self.max_tokens_field or "max_tokens",
            drop=self.drop or frozenset(),
            system_as=self.system_as or "system",
            kept=frozenset(self.extra_body or ()),
        )

    def changes(self) -> dict[str, Any]:
        """What of it changes a reply; nothing where nothing is set.

        By which name a limit is told does not, nor how a reply is sent.
        """
        left_out = sorted((self.drop or frozenset()) - {"stream", "stream_options"})
        found: dict[str, Any] = {}
        if left_out:
            found["drop"] = left_out
        if self.extra_body:
            found["extra_body"] = self.extra_body
        if self.system_as not in (None, "system"):
            found["system_as"] = self.system_as
        return found


class Served(Words):
    """What every kind of endpoint has."""

    concurrency: Count = 8
    """Calls under way at once."""
    per_minute: Positive | None = None
    """Most calls a minute; null for no limit."""
    timeout_s: Positive = 120.0
    """Seconds for one call, repeats included."""
    attempts: Count = 4
    """Times a call is sent before it counts as failed, where the failure may pass."""


class OpenAISettings(Served):
    """A server that speaks OpenAI's API: OpenAI, OpenRouter, vLLM, Ollama, llama.cpp, ..."""

    never_shown: ClassVar[frozenset[str]] = frozenset(
        {"base_url", "key_env", "key_file", "headers", "query", "extra_body"}
    )

    kind: Literal["openai"] = "openai"
    base_url: str = Field(description="such as https://api.openai.com/v1")
    """Up to the part before /chat/completions."""
    key_env: KeyVariable | None = None
    """Environment variable that holds the key."""
    key_file: Path | None = None
    """File that holds the key."""
    headers: Mapping[str, str] = {}
    """Sent with every call. `${NAME}` stands for an environment variable's value."""
    query: Mapping[str, str] = {}
    """What follows the question mark of the address, as `headers` are written."""
    api: Api = "chat"
    """Chat turns, or one text that the model goes on with (for models without a chat template)."""

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        return address(value)

    @field_validator("headers")
    @classmethod
    def _sendable(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in value.items():
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"'{name}' follows from how a call is made; leave it out")
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"'{name}' holds what cannot be sent in a header")
        if len({name.lower() for name in value}) < len(value):
            raise ValueError("one header is there twice; names differ in more than capitals")
        _by_variables(value)
        return value

    @field_validator("query")
    @classmethod
    def _without_secrets(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        _by_variables(value)
        return value

    @model_validator(mode="after")
    def _one_key(self) -> OpenAISettings:
        if self.key_env is not None and self.key_file is not None:
            raise ValueError("name key_env or key_file, not both")
        has_key = self.key_env is not None or self.key_file is not None
        if has_key and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("the key is sent as the header authorization; leave one out")
        return self

    def key(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """The key, read when it is needed; None where the endpoint has none.

        Raises:
            ConfigError: the variable is not set, or the file cannot be read or is empty.
        """
        if self.key_env is not None:
            return _variable(self.key_env, environ, "the key")
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

    def filled(
        self, what: Mapping[str, str], environ: Mapping[str, str] = os.environ
    ) -> dict[str, str]:
        """`headers` or `query` with the variables' values in them.

        Raises:
            ConfigError: a variable is not set.
        """

        def value(name: str) -> Callable[[re.Match[str]], str]:
            return lambda found: _variable(found[1], environ, f"what '{name}' is sent with")

        return {name: _VARIABLE.sub(value(name), text) for name, text in what.items()}

    def secrets(self, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
        """Values of the variables in `headers` and `query`: no error may show them.

        Raises:
            ConfigError: a variable is not set.
        """
        texts = [*self.headers.values(), *self.query.values()]
        names = {name for text in texts for name in _VARIABLE.findall(text)}
        return tuple(_variable(name, environ, "a header or a part of the query") for name in names)


def no_inline_key(values: Mapping[str, Any], where: str) -> None:
    """Refuse a table of a pool file in which a key stands.

    Raises:
        ConfigError: a name in it is that of a secret.
    """
    for name in values:
        if name.lower() in _INLINE_KEYS:
            raise ConfigError(
                f"{where}: '{name}': keys never stand in a pool file; put it into an environment "
                "variable and name that with key_env, or into a file and name that with key_file"
            )


def _variable(name: str, environ: Mapping[str, str], what: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {name} is not set; it holds {what}")
    if not value.isprintable():
        raise ConfigError(
            f"the environment variable {name} holds a line break or another character that cannot "
            "be sent; copy it again"
        )
    return value


def _by_variables(values: Mapping[str, str]) -> None:
    for name, text in values.items():
        written = _VARIABLE.sub("", text)
        named = _SECRET_NAME.search(name) and not _HARMLESS.fullmatch(text)
        if unfilled(written):
            raise ValueError(f"'{name}': a variable is written ${{NAME}}, with both braces")
        if _SECRET_VALUE.search(written) or (named and not _VARIABLE.search(text)):
            raise ValueError(
                f"'{name}': keys never stand in a pool file; put it into an environment variable "
                "and name that: ${NAME}"
            )


def _no_secret(value: Any) -> None:
    """Refuse fields of a body, at any depth, that are named as keys are or look like one."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            is_text = isinstance(inner, str) and not _HARMLESS.fullmatch(inner)
            if str(name).lower() in _INLINE_KEYS or (is_text and _SECRET_FIELD.search(str(name))):
                raise ValueError(f"'{name}': keys never stand in a pool file; see headers")
            _no_secret(inner)
    elif isinstance(value, list):
        for inner in value:
            _no_secret(inner)
    elif isinstance(value, str) and _SECRET_VALUE.search(value):
        raise ValueError("keys never stand in a pool file; see headers")

"""Mistakes in pool files that deserve more than "unknown key", or would only show when it is late.

Pure checks of names and values; each says what to write instead. Never shows a value that may hold
a secret.
"""

from __future__ import annotations

import difflib
import logging
import math
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "address",
    "kind_hint",
    "misplaced",
    "near_miss",
    "not_json",
    "second_limit",
    "unfilled",
]

_log = logging.getLogger(__name__)

_ROUTES = (
    "/chat/completions", "/completions", "/responses", "/messages", "/embeddings", "/models",
    "/api/generate", "/api/chat",
)  # fmt: skip
_ODD = re.compile(r"[\s<>{}\"'\\^`|\x00-\x1f]|\$")
_UNFILLED = re.compile(r"\$\{|\$[A-Za-z_]\w*|\{\{")
FIELDS = frozenset({
    "audio", "best_of", "cache_prompt", "chat_template_kwargs", "echo", "enable_thinking", "extra",
    "frequency_penalty", "function_call", "functions", "guided_json", "include_reasoning", "keep",
    "keep_alive", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "metadata",
    "min_p", "min_tokens", "mirostat", "modalities", "models", "n", "options",
    "parallel_tool_calls",
    "plugins", "prediction", "presence_penalty", "prompt_cache_key", "provider", "reasoning",
    "reasoning_effort", "reasoning_format", "repeat_penalty", "repetition_penalty",
    "response_format", "route", "safe_prompt", "safety_identifier", "safety_settings", "seed",
    "service_tier", "stop", "store", "stream", "stream_options", "suffix", "temperature",
    "thinking", "thinking_budget", "tool_choice", "tools", "top_a", "top_k", "top_logprobs",
    "top_p",
    "transforms", "typical_p", "user", "verbosity", "web_search_options",
})  # fmt: skip
"""Of a request's body, of OpenAI and of those who speak its API."""
_LIMITS = frozenset({
    "max_output_tokens", "max_new_tokens", "max_tokens_to_sample", "max_gen_len", "num_predict",
    "n_predict", "maxoutputtokens", "maxtokens", "max_length", "max_completion_tokens",
    "max_tokens",
})  # fmt: skip
_INSTEAD: Mapping[str, str] = {
    "n": "samples", "best_of": "samples", "stream": "decided by the client",
    "top_logprobs": 'answers = "option-scores"',
    **dict.fromkeys(_LIMITS - {"max_tokens"}, "max_tokens, and max_tokens_field for its name"),
}  # fmt: skip
"""What a setting is called here that is no field to be sent as it is."""
_NESTED = ("options", "parameters", "generation_config", "generationConfig")
_OPENAI = (
    "ollama", "vllm", "openrouter", "llama-server", "lmstudio", "lm-studio",
    "sglang", "tgi", "groq", "mistral", "deepseek", "together", "fireworks", "xai", "localai",
    "openai-compatible", "http",
)  # fmt: skip


def address(value: str) -> str:
    """The address of a server's API.

    Raises:
        ValueError: it is none, or more than that.

    >>> address("http://127.0.0.1:8000/v1/")
    'http://127.0.0.1:8000/v1'
    """
    if "$" in value or "{" in value:
        raise ValueError(
            "variables are put into headers and query alone; write the address as it is"
        )
    if _ODD.search(value):
        raise ValueError("holds a blank or another character that no address has")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https address, such as https://api.openai.com/v1")
    try:
        fine = parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise ValueError("its port is not a number from 1 to 65535")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("holds more than an address; keys belong into key_env or key_file")
    if parts.query:
        raise ValueError(
            "holds more than an address; what follows the '?' belongs into query, such as "
            'query = { "api-version" = "2024-10-21" }, and keys into key_env or key_file'
        )
    bare = value.rstrip("/")
    for route in _ROUTES:
        if parts.path.rstrip("/").endswith(route):
            raise ValueError(f"leave '{route}' out: base_url is the part before it")
    return bare


def unfilled(written: str) -> bool:
    """True for a text in which a variable is named in a way that is not filled in: `$NAME`, `${`.

    Args:
        written: without the variables that are.
    """
    return _UNFILLED.search(written) is not None


def not_json(value: Any, where: str) -> str | None:
    """Where a value is not JSON, and so cannot be sent; None where all of it is.

    >>> not_json({"x": [1, float("inf")]}, "extra_body")
    'extra_body.x[1]: inf is no JSON value'
    """
    if isinstance(value, Mapping):
        parts = ((inner, f"{where}.{name}") for name, inner in value.items())
        return next((said for inner, at in parts if (said := not_json(inner, at))), None)
    if isinstance(value, list | tuple):
        parts = ((inner, f"{where}[{k}]") for k, inner in enumerate(value))
        return next((said for inner, at in parts if (said := not_json(inner, at))), None)
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where}: {value} is no JSON value"
    if value is not None and not isinstance(value, bool | int | float | str):
        return f"{where}: a {type(value).__name__} is no JSON value; write it as a text, in quotes"
    return None


def second_limit(body: Mapping[str, Any], own: str | None) -> str | None:
    """A field of a body that limits a reply beside `max_tokens`; None where there is none.

    Args:
        body: what is sent as it is.
        own: the name by which `max_tokens` is told.

    >>> second_limit({"options": {"num_predict": 5}}, None)
    'options.num_predict'
    """
    for name in body:
        if name.lower() in _LIMITS and name != own:
            return name
    for outer in _NESTED:
        inner = body.get(outer)
        if isinstance(inner, Mapping):
            for name in inner:
                if str(name).lower() in _LIMITS:
                    return f"{outer}.{name}"
    return None


def near_miss(name: str) -> str | None:
    """The field of a body that was meant by a name that no server knows; None for a known one.

    What is near to none is remarked upon, since a server may have fields of its own.
    """
    if name in FIELDS:
        return None
    near = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.8)
    if near:
        return near[0]
    _log.warning("drop: '%s' is no field that is known; is it spelt right?", name)
    return None


def misplaced(name: str, *, elsewhere: Collection[str], place: str) -> str | None:
    """What to do with a setting that does not belong where it stands; None where it is not known.

    Args:
        name: the unknown setting.
        elsewhere: settings of the other kind of table.
        place: what that is called.

    >>> misplaced("reasoning_effort", elsewhere=(), place="endpoints")
    'is a field of the request; send it by extra_body = { reasoning_effort = ... }'
    """
    if name in elsewhere:
        return f"is a setting of {place}; put it there"
    if name in _INSTEAD:
        return f"is {_INSTEAD[name]} here"
    if name in FIELDS:
        return f"is a field of the request; send it by extra_body = {{ {name} = ... }}"
    return None


def kind_hint(kind: Any) -> str | None:
    """How a server is reached whose maker's name was given as its kind; None where unknown."""
    name = str(kind).lower().replace("_", "-")
    if name.startswith("azure"):
        return (
            'Azure speaks OpenAI\'s API: leave kind out, set query = { "api-version" = "..." } and '
            'headers = { "api-key" = "${NAME}" }'
        )
    if name in _OPENAI:
        return "it speaks OpenAI's API: leave kind out, and set base_url"
    if name in ("anthropic", "bedrock", "gemini", "google", "vertex", "vertex-ai", "cohere"):
        return 'kind = "litellm" reaches it; or leave kind out, with its address for OpenAI\'s API'
    return None

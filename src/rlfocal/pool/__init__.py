"""Live members: what is sent to an LLM and what comes back, over HTTP or in this process.

What needs aiohttp is imported when it is first used, so that reading a pool file does not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlfocal.pool.types import Endpoint, Message, Request, Response

if TYPE_CHECKING:
    from rlfocal.pool.fan_out import ask_all
    from rlfocal.pool.openai.client import OpenAIEndpoint
    from rlfocal.pool.prices import Price
    from rlfocal.pool.stub import StubServer
    from rlfocal.pool.wrappers.breaker import CircuitBreaker, Circuits
    from rlfocal.pool.wrappers.limits import Limited
    from rlfocal.pool.wrappers.meter import Metered
    from rlfocal.pool.wrappers.retry import Retrying

__all__ = [
    "CircuitBreaker",
    "Circuits",
    "Endpoint",
    "Limited",
    "Message",
    "Metered",
    "OpenAIEndpoint",
    "Price",
    "Request",
    "Response",
    "Retrying",
    "StubServer",
    "ask_all",
]

_HOME = {
    "CircuitBreaker": "wrappers.breaker",
    "Circuits": "wrappers.breaker",
    "Limited": "wrappers.limits",
    "Metered": "wrappers.meter",
    "OpenAIEndpoint": "openai.client",
    "Price": "prices",
    "Retrying": "wrappers.retry",
    "StubServer": "stub",
    "ask_all": "fan_out",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rlfocal.pool' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"rlfocal.pool.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__

"""`[prices."MODEL"]` in a pool file: what a million tokens cost, and mistakes in saying so."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from rlfocal.errors import ConfigError
from rlfocal.settings import Settings

__all__ = ["PriceSettings", "price_names", "read_price", "remark_prices"]

_log = logging.getLogger(__name__)
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_PRICES: Mapping[str, str] = {
    "input": "prompt", "in": "prompt", "input_usd": "prompt", "prompt_usd": "prompt",
    "input_price": "prompt", "prompt_price": "prompt", "output": "completion",
    "out": "completion", "output_usd": "completion", "completion_usd": "completion",
    "output_price": "completion", "completion_price": "completion",
    "input_cost_per_token": "prompt", "output_cost_per_token": "completion",
    "prompt_usd_per_million": "prompt", "completion_usd_per_million": "completion",
    "cached_input": "cached", "cached_prompt": "cached", "cache_read": "cached",
    "input_cache_read": "cached", "cached_price": "cached", "cached_usd": "cached",
    "cache_read_input_token_cost": "cached", "cached_usd_per_million": "cached",
}  # fmt: skip
"""Names that others have → ours."""


class PriceSettings(Settings):
    """What a model costs, in dollars per million tokens."""

    prompt: Dollars
    completion: Dollars
    as_of: date | None = None
    """When that was the price."""
    cached: Dollars | None = None
    """Of tokens of the prompt that the server read from its cache; None for the same as others."""

    @model_validator(mode="after")
    def _is_no_surcharge(self) -> Self:
        # What a call may cost at most takes every token for one that was not cached.
        if self.cached is not None and self.cached > self.prompt:
            raise ValueError(
                f"cached = {self.cached:g} is more than prompt = {self.prompt:g}; tokens from a "
                "cache cost no more than others"
            )
        return self


def read_price(
    model: str, values: dict[str, Any], source: str, endpoints: Collection[str]
) -> PriceSettings:
    """Read one table.

    Args:
        model: its name.
        values: what it says.
        source: how messages call the file.
        endpoints: names of the file's endpoints.

    Raises:
        ConfigError: an unknown key, a missing one, a value out of range, or a name that needs
            quotes.
    """
    whole, inner = model, values
    # A name with a point in it and without quotes is a path to TOML.
    while deeper := next((name for name, v in inner.items() if isinstance(v, dict)), None):
        whole, inner = f"{whole}.{deeper}", inner[deeper]
    if whole != model:
        meant = f"{model}/{whole[len(model) + 1 :]}" if model in endpoints else whole
        what = "a model of one endpoint" if model in endpoints else "a name with a point in it"
        raise ConfigError(
            f'{source}: prices.{whole}: {what} needs quotes; quote it: [prices."{meant}"]'
        )
    if said := price_names(values):
        raise ConfigError(f"{source}: prices.'{model}': {said}")
    return PriceSettings.of(values, source=f"{source}: prices.'{model}'")


def price_names(values: Mapping[str, Any]) -> str | None:
    """What is wrong with the names in a price; None where nothing is known to be.

    >>> price_names({"input": 1.0, "output": 2.0})
    "'input' is called prompt here, in dollars per million tokens"
    """
    for name in values:
        if meant := _PRICES.get(name.lower()):
            return f"'{name}' is called {meant} here, in dollars per million tokens"
    return None


def remark_prices(prices: Iterable[str], models: Iterable[tuple[str, str]], *, where: str) -> None:
    """Report prices that belong to no member.

    Args:
        prices: "MODEL" or "ENDPOINT/MODEL".
        models: endpoint and model of each member.
        where: the file.
    """
    pairs = set(models)
    known = {model for _, model in pairs} | {f"{endpoint}/{model}" for endpoint, model in pairs}
    for name in prices:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
            meant = f"; did you mean '{near[0]}'?" if near else ""
            _log.warning("%s: prices.'%s': no member has that model%s", where, name, meant)

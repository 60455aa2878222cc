"""What calls cost: prices as a pool file states them, and what they make of counted tokens."""

from rlfocal.pool.prices.price import Price, most_prompt_tokens
from rlfocal.pool.prices.settings import PriceSettings, read_price, remark_prices

__all__ = ["Price", "PriceSettings", "most_prompt_tokens", "read_price", "remark_prices"]

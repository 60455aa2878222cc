"""Who is asked: what a model's name stands for."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from rlfocal.errors import nearest
from rlfocal.gateway.errors import ApiError

__all__ = ["ENSEMBLE", "who_is_asked"]

ENSEMBLE = "rlfocal"
"""The model that is all members together."""

_PRICE = re.compile(r"[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|\.[0-9]+")


def who_is_asked(name: str, members: Collection[str]) -> tuple[str | None, float | None]:
    """Member and price that a model's name stands for; None for the ensemble, and for its own.

    Raises:
        ApiError: 400 or 404, there is no such model.
    """
    if name == ENSEMBLE:
        return None, None
    if name in members:
        return name, None
    head, colon, tail = name.partition(":")
    if head == ENSEMBLE and colon:
        price = float(tail) if _PRICE.fullmatch(tail) else math.inf
        if price < math.inf:
            return None, price
        raise ApiError(
            400, "invalid_value",
            f"after '{ENSEMBLE}:' stands the price of a call as a fraction of what a right answer "
            f"is worth, such as '{ENSEMBLE}:0.02'",
            param="model",
        )  # fmt: skip
    known = [ENSEMBLE, *members]
    raise ApiError(
        404, "model_not_found",
        f"no model of that name; {nearest(name[:64], known)}", param="model",
    )  # fmt: skip

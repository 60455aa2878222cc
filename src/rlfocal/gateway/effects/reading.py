"""Whether the rules of a request fit its tools and who is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rlfocal.errors import nearest
from rlfocal.gateway.effects.rules import ClientRule, HouseRule, Rules
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.models import ENSEMBLE

__all__ = ["read_rules"]

_SHOWN = 64
"""Characters of a name that is shown."""


def read_rules(
    client: Mapping[str, ClientRule],
    house: Mapping[str, HouseRule],
    tools: Sequence[Mapping[str, Any]] | None,
    passed_on: Sequence[Mapping[str, Any]],
    *,
    by_name: bool,
) -> Rules:
    """What holds for calls of tools.

    Args:
        client: what the body says, by names.
        house: what the configuration says, by patterns.
        tools: of the body, which have been read and found to be functions.
        passed_on: those that are left of them, in one shape.
        by_name: whether a member is asked by its name: nobody knows how sure one is.

    Raises:
        ApiError: 400, a name is none of the tools', or a member has to be surer than anybody knows.
    """
    names = [(t if t.get("function") is None else t["function"])["name"] for t in tools or ()]
    for name in [name for name in client if name not in names]:
        shown, known = name[:_SHOWN], [name[:_SHOWN] for name in names]
        told = nearest(shown, known) if known else "there are no tools in this request"
        path = f"rlfocal.tools.{shown}"
        message = f"'{path}': is none of the tools that are offered; {told}"
        raise ApiError(400, "invalid_value", message, param=path)
    rules = Rules(house, client, frozenset(names))
    for name in [tool["function"]["name"] for tool in passed_on] if by_name else ():
        if (bar := rules.of(name).bar) > 0:
            raise ApiError(
                400, "unsupported_parameter",
                f"'{name[:_SHOWN]}' may be called with a confidence of {bar:g} or above, and a "
                f"member asked by its name has none; ask '{ENSEMBLE}', leave the tool out, or say "
                "that the call is confirmed",
                param=f"rlfocal.tools.{name[:_SHOWN]}",
            )  # fmt: skip
    return rules

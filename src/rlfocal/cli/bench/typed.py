"""Options of `rlfocal bench` as they are typed, and as another verb takes them."""

from __future__ import annotations

import shlex

from rlfocal.cli import common
from rlfocal.errors import ConfigError

__all__ = ["as_typed", "budgets_of"]


def budgets_of(text: str) -> tuple[float, ...]:
    """Read numbers of calls.

    Raises:
        ConfigError: one is not a number, or below the one call that every query takes.
    """
    from rlfocal.bench.budgets import check_budgets

    found = []
    for part in common.split_names(text, "--budgets") or ():
        try:
            found.append(float(part))
        except ValueError:
            raise ConfigError(
                f"--budgets: '{part}' is not a number of calls; separate numbers by commas, "
                'as in 1.5,2,3 ("all", no limit, is always added)'
            ) from None
    try:
        return check_budgets(found)
    except ConfigError as exc:
        raise ConfigError(f"--budgets: {exc}") from exc


def as_typed(
    data: str, pool: str | None, members: str | None, cost: str | None, *, complete: bool
) -> str:
    """The data with the options that choose of them, as another verb takes them."""
    options = {"--pool": pool, "--members": members, "--cost": cost}
    words = [data, *(word for option in options.items() if option[1] for word in option)]
    return shlex.join([str(word) for word in words] + ["--complete"] * complete)

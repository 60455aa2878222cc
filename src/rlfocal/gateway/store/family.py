"""Policies that were learned from one another: which one is live, and which may take its place."""

from __future__ import annotations

from collections.abc import Sequence

from rlfocal.errors import ConfigError, nearest
from rlfocal.gateway.store.rows import PolicyRow

__all__ = ["Family", "objection"]


class Family:
    """A policy, those that it was learned from, and all that were learned from any of these.

    Args:
        rows: every policy of a database, oldest first.
        policy: id of one of them; it need not be there.
    """

    def __init__(self, rows: Sequence[PolicyRow], policy: str) -> None:
        self.ids, n_before = {policy}, 0
        while len(self.ids) > n_before:
            n_before = len(self.ids)
            for row in rows:
                if row.id in self.ids or row.parent in self.ids:
                    self.ids |= {row.id, *([row.parent] if row.parent else [])}
        self.rows = [row for row in rows if row.id in self.ids]
        self.live = next((row for row in self.rows if row.state == "live"), None)
        """The one that decides; None where no gateway has served any of them."""

    def require_live(self) -> PolicyRow:
        """The policy that decides.

        Raises:
            ConfigError: there is none.
        """
        if self.live is None:
            raise ConfigError(
                "no gateway has served this checkpoint with this database; `rlfocal serve` does"
            )
        return self.live

    def shadow(self, which: str | None) -> PolicyRow:
        """A policy that may take the live one's place.

        Args:
            which: its id; None for the shadow that was learned last from the live policy.

        Raises:
            ConfigError: there is none.
        """
        live = self.require_live()
        if which is not None:
            others = {row.id: row for row in self.rows if row.id != live.id}
            if which not in others:
                raise ConfigError(f"no shadow '{which}'; {nearest(which, list(others))}")
            return others[which]
        shadows = [row for row in self.rows if row.state == "shadow" and row.parent == live.id]
        if not shadows:
            raise ConfigError(
                f"no shadow of {live.id}, which is live; `rlfocal shadow learn` makes one"
            )
        return shadows[-1]


def objection(shadow: PolicyRow, live: PolicyRow) -> str | None:
    """Why a shadow should not be promoted; None where it may."""
    if shadow.estimates is None:
        return "nothing is known of what it gains"
    if shadow.parent != live.id:
        return f"it was judged beside {shadow.parent}, and {live.id} is live; learn again"
    return None if shadow.estimates["may_promote"] else str(shadow.estimates["reason"])

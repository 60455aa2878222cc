"""Whether a checkpoint, a pool and limits fit together, looked at before anything is served."""

from __future__ import annotations

from rlfocal.checkpoint import Checkpoint
from rlfocal.errors import ConfigError, nearest
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.models import ENSEMBLE
from rlfocal.live import members_for
from rlfocal.pool.settings import PoolSettings

__all__ = ["check_fit"]


def check_fit(pool: PoolSettings, checkpoint: Checkpoint, settings: GatewaySettings) -> None:
    """Refuse what could not be served.

    Raises:
        ConfigError: the pool does not fit the checkpoint, a member's name cannot be asked for, the
            synthesiser is no member, or a request could lead to too many calls.
    """
    members = members_for(checkpoint, pool)
    for member in pool.members:
        if member.name == ENSEMBLE or member.name.startswith(f"{ENSEMBLE}:"):
            raise ConfigError(
                f"a member is called '{member.name}', by which clients ask for all of them; "
                "rename it"
            )
    names = [member.name for member in pool.members]
    if settings.synthesiser is not None and settings.synthesiser not in names:
        raise ConfigError(
            f"synthesiser = '{settings.synthesiser}': {nearest(settings.synthesiser, names)}"
        )
    n_calls = sum(member.samples for member in members) + (settings.synthesiser is not None)
    if n_calls > settings.most_calls:
        raise ConfigError(
            f"a request could lead to {n_calls} calls, and most_calls is {settings.most_calls}; "
            "raise it, or take fewer members or samples"
        )

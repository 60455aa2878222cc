"""Strategies with many settings: one checked object in place of constructor arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Spec
from rlfocal.settings import Settings

__all__ = ["Configured", "Trained"]


class Configured(Base):
    """A strategy whose settings are the fields of a `Settings` class.

    Args:
        config: settings, of `config_type`; None for the defaults.
    """

    config_type: ClassVar[type[Settings]]
    config: Settings

    def __init__(self, config: Any = None) -> None:
        self.config = config or self.config_type()

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Make one unfitted from plain values; they are the fields of `config_type`."""
        return cls(cls.config_type.of(settings, source=cls.name))

    @property
    def spec(self) -> Spec:
        """Name and settings."""
        return Spec(self.name, self.config.model_dump())


class Trained(Configured):
    """One whose decisions are learned by reinforcement, on this pool or on others."""

    learned: ClassVar[bool] = True
    follows_memory: ClassVar[bool] = True
    slow_to_fit: ClassVar[bool] = True

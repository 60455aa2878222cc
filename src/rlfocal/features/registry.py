"""From the spec that a checkpoint stores to the encoder that made its features.

A spec says everything that shapes a vector; one that this installation cannot honour exactly is
refused, because features of another encoder would be taken for the right ones. Other packages add
encoders by entry points of the group `rlfocal.encoders`: a class as `HashingEncoder` is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rlfocal.errors import ConfigError, nearest
from rlfocal.features.hashing import Encoder, Spec
from rlfocal.plugins import Registry

__all__ = ["GROUP", "check_spec", "encoder", "encoder_names"]

GROUP = "rlfocal.encoders"
BUILT_IN: Mapping[str, str] = {
    "hashing": "rlfocal.features.hashing:HashingEncoder",
    "runs": "rlfocal.features.runs:RunsEncoder",
    "sentence": "rlfocal.features.sentence:SentenceEncoder",
}
_ENCODERS = Registry(GROUP, "encoder", BUILT_IN)


class EncoderKind(Protocol):
    """A class of encoders, as the registry uses it."""

    settings: tuple[str, ...]
    """What a spec must hold beside the name."""

    def of(self, spec: Spec) -> Encoder:
        """Make the encoder that a spec with these settings describes, or raise a ConfigError."""
        ...


def encoder_names() -> tuple[str, ...]:
    """Names of all encoders: the built-in ones, then those of other packages."""
    return _ENCODERS.names()


def encoder(spec: Spec) -> Encoder:
    """Make the encoder that a spec describes.

    Raises:
        ConfigError: an unknown name, an unknown, missing or unusable setting, another model than
            the installed one, or an extra that is not installed.

    >>> encoder({"name": "hashing", "n_features": 64}).spec
    {'name': 'hashing', 'n_features': 64}
    """
    return check_spec(spec).of(spec)


def check_spec(spec: Spec) -> EncoderKind:
    """Whether an encoder of some rlfocal could be meant, and what makes it.

    Raises:
        ConfigError: an unknown name, or an unknown or missing setting.
    """
    name = str(spec.get("name"))
    kind: EncoderKind = _ENCODERS.load(name)
    for key in spec:
        if key not in ("name", *kind.settings):
            raise ConfigError(
                f"encoder '{name}' has no setting '{key}'; {nearest(key, kind.settings)}"
            )
    lacking = [key for key in kind.settings if key not in spec]
    if lacking:
        raise ConfigError(f"encoder '{name}' lacks its setting '{lacking[0]}'")
    return kind

"""From the spec that a checkpoint stores to the encoder that made its features.

A spec says everything that shapes a vector; one that this installation cannot honour exactly is
refused, because features of another encoder would be taken for the right ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rlfocal.errors import ConfigError, nearest
from rlfocal.features.hashing import Encoder, HashingEncoder
from rlfocal.features.sentence import SentenceEncoder

__all__ = ["check_spec", "encoder"]

Spec = Mapping[str, str | int]


def encoder(spec: Spec) -> Encoder:
    """Make the encoder that a spec describes.

    Raises:
        ConfigError: an unknown name, an unknown, missing or unusable setting, another model than
            the installed one, or an extra that is not installed.

    >>> encoder({"name": "hashing", "n_features": 64}).spec
    {'name': 'hashing', 'n_features': 64}
    """
    return check_spec(spec)(spec)


def check_spec(spec: Spec) -> Callable[[Spec], Encoder]:
    """Whether an encoder of some rlfocal could be meant, and what makes it.

    Raises:
        ConfigError: an unknown name, or an unknown or missing setting.
    """
    name = str(spec.get("name"))
    if name not in _MAKERS:
        raise ConfigError(f"unknown encoder '{name}'; {nearest(name, _MAKERS)}")
    keys, make = _MAKERS[name]
    for key in spec:
        if key not in ("name", *keys):
            raise ConfigError(f"encoder '{name}' has no setting '{key}'; {nearest(key, keys)}")
    lacking = [key for key in keys if key not in spec]
    if lacking:
        raise ConfigError(f"encoder '{name}' lacks its setting '{lacking[0]}'")
    return make


def _hashing(spec: Spec) -> Encoder:
    n_features = spec["n_features"]
    if not isinstance(n_features, int) or n_features < 1:
        raise ConfigError(
            f"encoder 'hashing': n_features must be an integer of at least 1, got {n_features!r}"
        )
    return HashingEncoder(n_features)


def _sentence(spec: Spec) -> Encoder:
    made = SentenceEncoder()
    for key, own in made.spec.items():
        if spec[key] != own:
            raise ConfigError(
                f"encoder 'sentence': the features were made with {key} {spec[key]}, but this "
                f"rlfocal has {own}; use the rlfocal version that made them, or train again"
            )
    return made


_MAKERS: Mapping[str, tuple[tuple[str, ...], Callable[[Spec], Encoder]]] = {
    "hashing": (("n_features",), _hashing),
    "sentence": (("model_sha256", "tokenizer_sha256", "max_tokens"), _sentence),
}
"""Name → the settings that a spec must hold beside it, and how to make the encoder."""

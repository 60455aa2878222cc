"""A trained policy over spans: weights of the models, chosen anew after every span (RLAE).

A policy of one agent draws weights from a Dirichlet distribution; one of several agents, one a
model, draws a score for each, and weights are their softmax. In use it takes the middle of what it
would draw from. It is trained by `rlfocal.training.spans`, and acts without torch.

Axes: M models, H hidden units, S and F as in `situations`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rlfocal.errors import ConfigError
from rlfocal.files import replace_file
from rlfocal.pool.blends.situations import N_OF_MODEL, N_SHARED, Seen, seen
from rlfocal.pool.blends.weighing import Situation

__all__ = ["LEAST", "Agents", "SpanPolicy", "layers", "read_policy", "write_policy"]

Agents = Literal["one", "each"]
"""One agent that chooses all weights, or one for each model."""
LEAST = 0.05
"""Least concentration of the Dirichlet distribution."""
_FORMAT = "rlfocal-span-policy-1"
_Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SpanPolicy:
    """Weights by a net of one hidden layer, of which every output belongs to one model."""

    agents: Agents
    span: int
    """Tokens for which weights hold."""
    n_models: int
    weights: Mapping[str, _Floats]
    """hidden.weight [H, S + M F], hidden.bias [H], out.weight [M, H], out.bias [M]."""

    def outputs(self, situation: Seen) -> _Floats:
        """float32[M]: what the net says of each model."""
        put = np.concatenate([situation.shared, situation.of_model.ravel()])
        w = self.weights
        hidden = np.tanh(w["hidden.weight"] @ put + w["hidden.bias"])
        return np.asarray(w["out.weight"] @ hidden + w["out.bias"])

    def weigh(self, situation: Situation) -> NDArray[np.float64]:
        """float64[M], adding up to 1: the middle of what it would draw from."""
        out = self.outputs(seen(situation)).astype(np.float64)
        part = np.exp(out - out.max()) if self.agents == "each" else np.logaddexp(0, out) + LEAST
        return np.asarray(part / part.sum())

    @classmethod
    def fresh(cls, agents: Agents, *, span: int, n_models: int, n_hidden: int, seed: int) -> Self:
        """One that has learned nothing: all models weigh alike, in the mean."""
        rng, n_in = np.random.default_rng(seed), N_SHARED + n_models * N_OF_MODEL
        first = rng.normal(size=(n_hidden, n_in)) / np.sqrt(n_in)
        weights = {
            "hidden.weight": first, "hidden.bias": np.zeros(n_hidden),
            "out.weight": np.zeros((n_models, n_hidden)), "out.bias": np.zeros(n_models),
        }  # fmt: skip
        as_floats = {name: value.astype(np.float32) for name, value in weights.items()}
        return cls(agents, span, n_models, as_floats)


def layers(n_models: int, n_hidden: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a policy's weights."""
    n_in = N_SHARED + n_models * N_OF_MODEL
    return {
        "hidden.weight": (n_hidden, n_in), "hidden.bias": (n_hidden,),
        "out.weight": (n_models, n_hidden), "out.bias": (n_models,),
    }  # fmt: skip


def write_policy(
    policy: SpanPolicy, path: Path, *, models: Sequence[str], about: Mapping[str, Any] | None = None
) -> None:
    """Write a policy as safetensors.

    Args:
        policy: what to write.
        path: the file; replaced where it is there.
        models: names of the M models' files, in order.
        about: what else a reader may want to know of its training, as JSON values.
    """
    card = {
        "format": _FORMAT, "agents": policy.agents, "span": policy.span, "models": list(models),
        "about": dict(about or {}),
    }  # fmt: skip
    # One entry: several are written in an order of chance, and one policy would be many files.
    data = save(dict(policy.weights), metadata={"card": json.dumps(card)})
    replace_file(path, lambda fresh: fresh.write_bytes(data))


def read_policy(path: Path, *, models: Sequence[str]) -> SpanPolicy:
    """Read a policy.

    Args:
        path: what `write_policy` wrote.
        models: names of the files of the models that it is to weigh, in order.

    Raises:
        ConfigError: it cannot be read, is something else, or was trained for other models.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        card = json.loads(metadata["card"])
        agents, span, of = card["agents"], int(card["span"]), [str(m) for m in card["models"]]
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except (SafetensorError, LookupError, TypeError, ValueError) as exc:
        raise ConfigError(f"{path}: is no policy of a blend; see rlfocal blend train") from exc
    if card.get("format") != _FORMAT or agents not in ("one", "each") or span < 1:
        raise ConfigError(f"{path}: is no policy of a blend that this version reads; train it anew")
    if of != list(models):
        raise ConfigError(
            f"{path}: was trained for {', '.join(of)}, in this order, and the blend has "
            f"{', '.join(models)}; train it anew"
        )
    n_models = len(of)
    n_hidden = len(weights.get("hidden.bias", ()))
    found = {name: value.shape for name, value in weights.items()}
    if found != layers(n_models, n_hidden) or any(
        not np.isfinite(w).all() for w in weights.values()
    ):
        raise ConfigError(f"{path}: its weights are not those of a policy; train it anew")
    return SpanPolicy(agents, span, n_models, weights)
